//! Mail servers by their adapters: one that a file describes, one that is wrong, and those that are unpacked here.

use std::{fs, process::Command};

use libtest_mimic::Failed;
use serde_json::Value;

use super::desk::{DeskTest, Said, TestDesk, hold, tests};

pub(crate) const TESTS: &[DeskTest] = tests! {
    an_adapter_is_all_it_takes: &["dig", "/usr/bin/python3"],
    the_wrong_order_is_found_out: &["dig", "/usr/bin/python3"],
};

/// The grades of an adapter in some scenarios, by name.
pub(crate) fn grades(
    desk: &TestDesk,
    adapter: &str,
    filter: &str,
) -> Result<Vec<(String, String)>, Failed> {
    let arguments = ["conform", adapter, "--filter", filter, "--format", "json"];
    let said = Said::from(desk.command(&arguments).output()?);
    let matrix: Value = serde_json::from_str(&said.out).map_err(|_| format!("{said:#?}"))?;
    let rows = matrix["rows"].as_array().ok_or("no rows")?.iter();
    let grade = |row: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&row["path"]), text(&row["cells"][0]["grade"]))
    };
    Ok(rows.map(grade).collect())
}

fn an_adapter_is_all_it_takes(desk: &TestDesk) -> Result<(), Failed> {
    let graded = grades(desk, "./scripted.toml", "basics/primary_down")?;
    let expected = ("scenarios/basics/primary_down.toml", "pass");
    let wanted = (expected.0.to_owned(), expected.1.to_owned());
    if graded != [wanted] {
        return Err(format!("{graded:?}").into());
    }
    let graded = grades(desk, "./scripted.toml", "down_then_recovered")?;
    if !graded.iter().all(|(_, grade)| grade == "pass") || graded.is_empty() {
        return Err(format!("{graded:?}").into());
    }
    // A drill of the user's, whose records lie beside its folder.
    fs::create_dir(desk.path("drills"))?;
    fs::write(
        desk.path("a.zone"),
        "a.test. MX 0 b.test.\nb.test. A 192.0.2.1\n",
    )?;
    let drill = "summary = 's'\nzone_file = '../a.zone'\nmessages = [{ id = 'm', to = 'x@a.test' }]\n[expect]\ndelivered = 1\n";
    fs::write(desk.path("drills/a.toml"), drill)?;
    let arguments = [
        "conform",
        "./scripted.toml",
        "drills/a.toml",
        "--allow-outside",
    ];
    let said = Said::from(desk.command(&arguments[..3]).output()?);
    hold(
        said.code == Some(2) && said.err.contains("--allow-outside"),
        &said,
    )?;
    let said = Said::from(desk.command(&arguments).output()?);
    hold(said.code == Some(0), &said)?;
    // What it names must be bundled where the bundled drills are played, and may be the user's own where those are.
    let adapter = fs::read_to_string(desk.path("scripted.toml"))?;
    let adapter = adapter.replacen("version", "chance = [\"drills/a\"]\nversion", 1);
    fs::write(desk.path("stale.toml"), adapter)?;
    let stale = ["conform", "./stale.toml", "--filter", "primary_down"];
    let said = Said::from(desk.command(&stale).output()?);
    let told = ":5:11: found \"drills/a\", expected the name of a bundled scenario";
    hold(said.code == Some(2) && said.err.contains(told), &said)?;
    let own = [
        "conform",
        "./stale.toml",
        "drills/a.toml",
        "--allow-outside",
    ];
    let said = Said::from(desk.command(&own).output()?);
    hold(said.code == Some(0), &said)
}

fn the_wrong_order_is_found_out(desk: &TestDesk) -> Result<(), Failed> {
    let adapter = fs::read_to_string(desk.path("scripted.toml"))?;
    let adapter = adapter.replace("ORDER = \"best first\"", "ORDER = \"worst first\"");
    fs::write(desk.path("worst_first.toml"), adapter)?;
    let graded = grades(desk, "./worst_first.toml", "basics/best_preference")?;
    match &graded[..] {
        [(_, grade)] if grade == "violates" => Ok(()),
        _ => Err(format!("{graded:?}").into()),
    }
}

/// Mail servers that are unpacked on some machines, and drills that each is known to pass.
pub(crate) const KNOWN: [(&str, &str); 13] = [
    ("postfix", "basics/primary_down"),
    ("postfix", "rfc5321/relay_is_the_implicit_mx"),
    ("postfix", "wire/every_extension_is_offered"),
    ("postfix", "wire/without_extensions"),
    ("postfix", "relay/first_relay_refuses"),
    ("exim", "relay/first_relay_refuses"),
    ("opensmtpd", "relay/tls_from_the_start"),
    ("exim", "wire/every_extension_is_offered"),
    ("exim", "wire/without_extensions"),
    ("exim", "basics/primary_down"),
    ("exim", "basics/one_of_two_recipients_rejected"),
    ("opensmtpd", "basics/primary_down"),
    ("opensmtpd", "basics/all_down_then_recovered"),
];

pub(crate) fn a_mail_server_passes(server: &str, filter: &str) -> Result<(), Failed> {
    let arguments = ["conform", server, "--filter", filter, "--format", "json"];
    let output = Command::new(env!("CARGO_BIN_EXE_mxdrill"))
        .args(arguments)
        .output()?;
    let said = Said::from(output);
    let matrix: Value = serde_json::from_str(&said.out).map_err(|_| format!("{said:#?}"))?;
    let cell = &matrix["rows"][0]["cells"][0];
    match cell["grade"].as_str() == Some("pass") {
        true => Ok(()),
        false => Err(format!("{cell:#}").into()),
    }
}
