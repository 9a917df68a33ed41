//! Matrices beside each other: shares of one that are put together, departures that are expected, and what a setting
//! changes.

use std::fs;

use libtest_mimic::Failed;
use serde_json::Value;

use super::desk::{DeskTest, Said, TestDesk, hold, tests};

pub(crate) const TESTS: &[DeskTest] = tests! {
    shares_that_are_merged_are_the_whole: &["dig", "/usr/bin/python3"],
    what_is_not_as_listed_fails: &["dig", "/usr/bin/python3"],
    what_a_setting_changes_is_told: &["dig", "/usr/bin/python3"],
    a_server_with_a_change_is_a_column_of_its_own: &["dig", "/usr/bin/python3"],
};

/// Drills that tell one order from the other, and one that does not.
const FILTER: &str = "basics/best_preference";
const ORDER: &str = "scenarios/basics/best_preference_takes_it.toml";

/// An adapter that tries the worst exchanger first, beside the one that does not.
fn worst_first(desk: &TestDesk) -> Result<(), Failed> {
    let adapter = fs::read_to_string(desk.path("scripted.toml"))?;
    let adapter = adapter.replace("ORDER = \"best first\"", "ORDER = \"worst first\"");
    Ok(fs::write(desk.path("worst_first.toml"), adapter)?)
}

fn conform(desk: &TestDesk, arguments: &[&str]) -> Result<Said, Failed> {
    let arguments = [&["conform"], arguments].concat();
    Ok(Said::from(desk.command(&arguments).output()?))
}

fn shares_that_are_merged_are_the_whole(desk: &TestDesk) -> Result<(), Failed> {
    let drills = ["./scripted.toml", "--filter", "basics/primary"];
    let share = |slice: &str, file: &str| {
        conform(
            desk,
            &[&drills[..], &["--partition", slice, "--json", file]].concat(),
        )
    };
    share("slice:1/2", "out/1.json")?;
    share("slice:2/2", "out/2.json")?;
    let whole = conform(
        desk,
        &[&drills[..], &["--markdown", "out/whole.md"]].concat(),
    )?;
    let merged = conform(
        desk,
        &[
            "--merge",
            "out/1.json",
            "out/2.json",
            "--markdown",
            "out/merged.md",
        ],
    )?;
    hold(merged.code == whole.code, &merged)?;
    let page = |name: &str| fs::read_to_string(desk.path(name));
    if page("out/whole.md")? != page("out/merged.md")? {
        return Err(format!("{}\n{}", page("out/whole.md")?, page("out/merged.md")?).into());
    }
    let twice = conform(desk, &["--merge", "out/1.json", "out/1.json"])?;
    let told = "out/1.json has too, expected it once";
    hold(twice.code == Some(2) && twice.err.contains(told), &twice)
}

fn what_is_not_as_listed_fails(desk: &TestDesk) -> Result<(), Failed> {
    worst_first(desk)?;
    let played = ["./worst_first.toml", "--filter", FILTER];
    let with = |more: &[&str]| conform(desk, &[&played[..], more].concat());
    let said = with(&["--write-baseline", "out/known.toml"])?;
    hold(said.code == Some(1), &said)?;
    let said = with(&["--baseline", "out/known.toml"])?;
    hold(
        said.code == Some(0) && said.err.contains("1 of what departs is listed"),
        &said,
    )?;
    // A new departure, where the list knows of none.
    fs::write(desk.path("none.toml"), "")?;
    let said = with(&["--baseline", "none.toml"])?;
    let told = format!("new: worst_first {ORDER} is violates, and not in none.toml");
    hold(said.code == Some(1) && said.err.contains(&told), &said)?;
    // One that is mended and still listed.
    let known = fs::read_to_string(desk.path("out/known.toml"))?;
    fs::write(
        desk.path("stale.toml"),
        known.replace("worst_first", "scripted"),
    )?;
    let mended = [
        "./scripted.toml",
        "--filter",
        FILTER,
        "--baseline",
        "stale.toml",
    ];
    let said = conform(desk, &mended)?;
    let told = format!("stale: stale.toml:3: scripted {ORDER} is pass, and departs no longer");
    hold(said.code == Some(1) && said.err.contains(&told), &said)
}

fn what_a_setting_changes_is_told(desk: &TestDesk) -> Result<(), Failed> {
    worst_first(desk)?;
    let drills = ["--filter", "basics/best_preference", "--json"];
    conform(
        desk,
        &[&["./scripted.toml"], &drills[..], &["out/before.json"]].concat(),
    )?;
    let now = [&["./worst_first.toml"], &drills[..], &["out/now.json"]].concat();
    let said = conform(
        desk,
        &[&now[..], &["--compare", "out/before.json"]].concat(),
    )?;
    let told = format!("worst_first {ORDER}: pass -> violates (");
    hold(said.out.contains(&told), &said)?;
    hold(
        said.out
            .ends_with("1 of 1 cells differ: 1 worse, 0 better\n"),
        &said,
    )?;
    let said = conform(
        desk,
        &["--merge", "out/now.json", "--compare", "out/now.json"],
    )?;
    hold(
        said.out
            .ends_with("0 of 1 cells differ: 0 worse, 0 better\n"),
        &said,
    )?;
    let said = conform(desk, &["--merge", "scripted.toml"])?;
    let told = "scripted.toml: expected value at line 1 column 1, expected what `mxdrill conform --json` writes";
    hold(said.code == Some(2) && said.err.contains(told), &said)
}

fn a_server_with_a_change_is_a_column_of_its_own(desk: &TestDesk) -> Result<(), Failed> {
    let adapter = fs::read_to_string(desk.path("scripted.toml"))?;
    let change = "[variants.worst-first]\nchanges = \"the worst first\"\n\
        configure = 'sed -i \"s/^ORDER = .*/ORDER = 1/\" /run/mta.py'\n";
    fs::write(desk.path("varied.toml"), adapter + change)?;
    // The other drill tells one order from another, this one has nothing to order.
    let alone = "summary = 's'\nzone = \"a.test. MX 0 b.test.\\nb.test. A 192.0.2.1\\n\"\n\
        messages = [{ id = 'm', to = 'x@a.test' }]\n[expect]\ndelivered = 1\n";
    fs::write(desk.path("alone.toml"), alone)?;
    let drills = ["drill.toml", "alone.toml", "--json"];
    let both = ["./varied.toml", "./varied.toml+worst-first"];
    let said = conform(desk, &[&both, &drills[..], &["out/both.json"]].concat())?;
    let matrix: Value = serde_json::from_str(&fs::read_to_string(desk.path("out/both.json"))?)?;
    let ids = [&matrix["columns"][0], &matrix["columns"][1]].map(|column| column["id"].clone());
    hold(ids == ["varied", "varied+worst-first"], &said)?;
    let rows = matrix["rows"].as_array().ok_or("no rows")?;
    let grade = |row: &Value, column: usize| row["cells"][column]["grade"].clone();
    let grades = |row: &Value| [grade(row, 0), grade(row, 1)];
    let told: Vec<_> = rows.iter().map(grades).collect();
    hold(told == [["pass", "violates"], ["pass", "pass"]], &said)?;
    // What is told of the difference of two runs is what differs between the two columns, and nothing else.
    let share =
        |server: &str, more: &[&str]| conform(desk, &[&[server], &drills[..], more].concat());
    share("./varied.toml", &["out/plain.json"])?;
    let compared = share(
        "./varied.toml+worst-first",
        &["out/changed.json", "--compare", "out/plain.json"],
    )?;
    let (told, other) = (
        "varied+worst-first drill.toml: pass -> violates (",
        "alone.toml:",
    );
    hold(
        compared.out.contains(told) && !compared.out.contains(other),
        &compared,
    )?;
    let sum = "1 of 2 cells differ: 1 worse, 0 better\n";
    hold(compared.out.ends_with(sum), &compared)?;
    // Shares of the columns are merged by their ids, and a baseline has each by its own.
    let merged = [
        "--merge",
        "out/plain.json",
        "out/changed.json",
        "--write-baseline",
        "out/known.toml",
    ];
    let said = conform(desk, &merged)?;
    let known = fs::read_to_string(desk.path("out/known.toml"))?;
    hold(
        known.contains("server = \"varied+worst-first\"") && !known.contains("\"varied\""),
        &said,
    )?;
    let said = conform(desk, &["./varied.toml+worst-frist", "--filter", FILTER])?;
    let told = "found variant \"worst-frist\" of varied, expected one of worst-first; did you mean \"worst-first\"?";
    hold(said.code == Some(2) && said.err.contains(told), &said)
}
