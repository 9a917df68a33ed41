//! Random drills of a command: faults are found and made small, and nothing is found where there is none.

use std::{fs, process::Stdio};

use libtest_mimic::Failed;
use serde_json::Value;

use super::desk::{CLOCKED, DeskTest, Said, TestDesk, hold, tests, wait_until};

pub(crate) const TESTS: &[DeskTest] = tests! {
    planted_faults_are_found_and_made_small: CLOCKED,
    nothing_is_found_of_a_sender_by_the_book: CLOCKED,
    what_is_found_again_is_counted: CLOCKED,
    a_search_that_is_killed_goes_on: CLOCKED,
    a_command_that_cannot_be_tested_is_refused: CLOCKED,
};

/// A sender by the book, for which something in the place of `FAULT` is broken.
fn fuzz(desk: &TestDesk, options: &[&str], fault: &[&str]) -> Result<Said, Failed> {
    let start = ["fuzz", "--write", "out/found"];
    let sender = ["--", "python3", "routes.py", "{recipient}"];
    let arguments = [&start, options, &sender, fault].concat();
    Ok(Said::from(desk.command(&arguments).output()?))
}

/// The drills that were written down about a rule, with their names.
fn written(desk: &TestDesk, rule: &str) -> Result<Vec<(String, String)>, Failed> {
    let mut found = Vec::new();
    for entry in fs::read_dir(desk.path("out/found"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with(rule) {
            let text = fs::read_to_string(desk.path("out/found").join(&name))?;
            found.push((name, text));
        }
    }
    Ok(found)
}

fn planted_faults_are_found_and_made_small(desk: &TestDesk) -> Result<(), Failed> {
    for (fault, rule, cases) in [
        ("first-only", "next-candidate", "7"),
        ("worst-first", "preference-order", "8"),
        ("no-implicit", "route-is-tried", "24"),
    ] {
        let said = fuzz(desk, &["--cases", cases], &[fault])?;
        hold(said.code == Some(1) && said.out.contains(rule), &said)?;
        let drills = written(desk, rule)?;
        hold(!drills.is_empty(), &said)?;
        for (name, drill) in drills {
            let is_small = drill.matches(" IN MX ").count() <= 3;
            hold(
                is_small && drill.contains("# mxdrill exec --virtual-time"),
                &said,
            )?;
            // What was found is found again, by the command at the top of the file.
            let file = format!("out/found/{name}");
            let sender = ["python3", "routes.py", "u0@d0.test", fault];
            let arguments = [&["exec", "--virtual-time", &file, "--"], &sender[..]].concat();
            let said = Said::from(desk.command(&arguments).output()?);
            hold(said.code == Some(1) && said.err.contains(rule), &said)?;
        }
    }
    Ok(())
}

fn nothing_is_found_of_a_sender_by_the_book(desk: &TestDesk) -> Result<(), Failed> {
    let said = fuzz(desk, &["--cases", "24"], &[])?;
    let told =
        said.out.starts_with("24 drills, from number 0") && said.out.contains("no rule was broken");
    hold(said.code == Some(0) && told, &said)
}

/// Of a rule that is broken in the same way there is one file, however often it is broken.
fn what_is_found_again_is_counted(desk: &TestDesk) -> Result<(), Failed> {
    let options = ["--cases", "16", "--resume", "out/state.json"];
    let said = fuzz(desk, &options, &["worst-first"])?;
    hold(said.code == Some(1), &said)?;
    let state = state(desk)?;
    let findings = state["findings"].as_array().ok_or("no findings")?;
    let of_order = findings
        .iter()
        .filter(|one| one["broken"]["rule"] == "preference-order");
    let of_order: Vec<&Value> = of_order.collect();
    hold(
        of_order.iter().any(|one| one["seen"].as_u64() > Some(1)),
        &said,
    )?;
    for one in &of_order {
        let others = of_order
            .iter()
            .filter(|other| other["traits"] == one["traits"]);
        hold(others.count() == 1, &said)?;
    }
    hold(written(desk, "")?.len() == findings.len(), &said)
}

fn state(desk: &TestDesk) -> Result<Value, Failed> {
    let text = fs::read_to_string(desk.path("out/state.json"))?;
    Ok(serde_json::from_str(&text)?)
}

/// What was found in which drills, without the moments of what was observed.
fn findings(state: &Value) -> Vec<[String; 5]> {
    let findings = state["findings"].as_array().into_iter().flatten();
    let told = findings.map(|one| {
        let keys = ["traits", "number", "seen", "exchangers", "file"];
        keys.map(|key| one[key].to_string())
    });
    told.collect()
}

/// A search that is killed goes on where it was, and comes to what one comes to that was not.
fn a_search_that_is_killed_goes_on(desk: &TestDesk) -> Result<(), Failed> {
    let resumed = ["--cases", "12", "--resume", "out/state.json"];
    let sender = ["--", "python3", "routes.py", "{recipient}", "worst-first"];
    let arguments = [
        &["fuzz", "--write", "out/found", "-j", "2"],
        &resumed[..],
        &sender,
    ]
    .concat();
    let mut killed = desk
        .command(&arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let has_begun = || state(desk).is_ok_and(|state| state["next"].as_u64() > Some(0));
    let begun = wait_until(has_begun);
    killed.kill()?;
    killed.wait()?;
    begun?;
    let said = Said::from(desk.command(&arguments).output()?);
    hold(
        said.code == Some(1) && said.out.contains("12 drills, from number 0"),
        &said,
    )?;
    let resumed = state(desk)?;
    fs::remove_file(desk.path("out/state.json"))?;
    let said = Said::from(desk.command(&arguments).output()?);
    hold(
        said.code == Some(1) && findings(&resumed) == findings(&state(desk)?),
        &said,
    )?;
    // Another sender's numbers are other drills.
    let said = fuzz(desk, &["--resume", "out/state.json"], &[])?;
    hold(
        said.code == Some(2) && said.err.contains("name another file"),
        &said,
    )
}

fn a_command_that_cannot_be_tested_is_refused(desk: &TestDesk) -> Result<(), Failed> {
    for (command, told) in [
        (
            &["python3", "routes.py", "u0@d0.test"][..],
            "found no {recipient}",
        ),
        (&["true", "{recipient}"], "connected to no exchanger"),
        (&["no-such-program", "{recipient}"], "no-such-program"),
    ] {
        let arguments = [&["fuzz", "--write", "out/found", "--"], command].concat();
        let said = Said::from(desk.command(&arguments).output()?);
        hold(said.code == Some(2) && said.err.contains(told), &said)?;
    }
    Ok(())
}
