//! Reports for those who look only when something is wrong: annotations, silence, a badge.

use std::fs;

use tempfile::TempDir;

use super::{DRILL, mxdrill};

/// A folder with a drill that passes, one that fails, and what is no drill.
fn drills() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text);
    write("good.toml", DRILL).expect("written");
    let bad = DRILL.replace("the backup takes it", "100 %: all, at once");
    let bad = bad.replace("by = \"mx2", "by = \"mx1");
    write("bad.toml", &bad).expect("written");
    write("none.toml", "summary = \"\"\nseeed = 1\n").expect("written");
    folder
}

/// The exit status, and what is printed.
fn said(arguments: &[&str], folder: &TempDir) -> (Option<i32>, String) {
    let output = mxdrill(arguments, folder.path());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), text)
}

#[test]
fn annotations_name_files_and_escape_what_ends_them() {
    let folder = drills();
    let (code, text) = said(&["run", ".", "--format", "github"], &folder);
    assert_eq!(code, Some(2));
    let lines: Vec<&str> = text.lines().collect();
    let [mistake, failed, sum] = lines[..] else {
        panic!("{text}");
    };
    let begin = "::error file=./none.toml,line=2,title=no valid scenario::found key \"seeed\"";
    assert!(mistake.starts_with(begin), "{mistake}");
    let begin =
        "::error file=./bad.toml,line=1,title=100 %25%3A all%2C at once::taker of message m1%0A";
    assert!(failed.starts_with(begin), "{failed}");
    assert!(
        failed.contains("%0Aagain: mxdrill run ./bad.toml --seed 0"),
        "{failed}"
    );
    assert!(sum.starts_with("1 passed, 2 failed in "), "{sum}");
    let (code, text) = said(&["run", "good.toml", "--format", "github"], &folder);
    assert!(
        code == Some(0) && text.starts_with("1 passed, 0 failed in "),
        "{text}"
    );
}

#[test]
fn a_quiet_run_tells_of_what_fails_alone() {
    let folder = drills();
    for format in ["text", "github"] {
        let arguments = ["run", "-q", "good.toml", "--format", format];
        assert_eq!(said(&arguments, &folder), (Some(0), String::new()));
    }
    let (code, text) = said(&["run", "-q", "good.toml", "bad.toml"], &folder);
    assert_eq!(code, Some(1));
    assert!(text.starts_with("FAIL bad.toml"), "{text}");
    assert!(
        !text.contains("good.toml") && text.contains("1 passed, 1 failed"),
        "{text}"
    );
}

#[test]
fn what_fails_as_listed_is_known_in_every_format() {
    let folder = drills();
    let known =
        "[[departure]]\nscenario = \"./bad.toml\"\ngrade = \"failed\"\nreason = \"a ticket\"\n";
    fs::write(folder.path().join("known.list"), known).expect("written");
    let run = ["run", "good.toml", "bad.toml", "--baseline", "known.list"];
    let told = |more: &[&str]| said(&[&run[..], more].concat(), &folder);
    for (format, wanted, bad) in [
        (
            "text",
            "known bad.toml a ticket\n1 passed, 0 failed, 1 known in ",
            "FAIL",
        ),
        (
            "github",
            "::notice file=bad.toml,line=1,title=known%3A 100 %25%3A all%2C at once::a ticket\n",
            "::error",
        ),
        (
            "junit",
            "<skipped message=\"known: a ticket\"/>",
            "<failure",
        ),
        ("json", "\"failed\":0,\"known\":1,", "\"failed\":1"),
    ] {
        let (code, text) = told(&["--format", format]);
        assert!(code == Some(0) && text.contains(wanted), "{text}");
        assert!(!text.contains(bad), "{text}");
    }
    let output = mxdrill(&[&run[..], &["-q"]].concat(), folder.path());
    assert!(
        output.stdout.is_empty() && output.stderr.is_empty(),
        "{output:?}"
    );
    told(&["--html", "page.html"]);
    let page = fs::read_to_string(folder.path().join("page.html")).expect("a page");
    for wanted in [
        "<h1 class=\"last\">2 drills, 0 not as expected, 1 known to fail</h1>",
        "<b class=\"known\">known</b> bad.toml",
        "<p class=\"soft\">known: a ticket</p>",
    ] {
        assert!(page.contains(wanted), "{wanted} is not in {page}");
    }
    assert!(!page.contains("<b class=\"fail\">"), "{page}");
}

#[cfg(all(target_os = "linux", feature = "private-network"))]
#[test]
fn a_badge_counts_what_passes_and_has_the_colour_of_the_worst() {
    let folder = TempDir::new().expect("a folder");
    let badge = |grades: &[&str]| {
        fs::write(folder.path().join("matrix.json"), matrix(grades)).expect("written");
        let arguments = ["conform", "--merge", "matrix.json", "--badge", "badge.json"];
        let output = mxdrill(&arguments, folder.path());
        assert!(output.stderr.is_empty(), "{output:?}");
        let text = fs::read_to_string(folder.path().join("badge.json")).expect("a badge");
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON")
    };
    let is = |message: &str, color: &str| serde_json::json!({ "schemaVersion": 1, "label": "postfix", "message": message, "color": color });
    assert_eq!(
        badge(&["pass", "informs", "unfit"]),
        is("1 of 2 drills pass", "brightgreen")
    );
    assert_eq!(
        badge(&["pass", "inconclusive"]),
        is("1 of 2 drills pass", "lightgrey")
    );
    assert_eq!(
        badge(&["pass", "inconclusive", "deviates"]),
        is("1 of 3 drills pass, 1 deviate", "yellow")
    );
    assert_eq!(
        badge(&["deviates", "violates", "violates"]),
        is("0 of 3 drills pass, 2 violate", "red")
    );
}

/// A matrix of one mail server and the user's drills, with these grades.
#[cfg(all(target_os = "linux", feature = "private-network"))]
fn matrix(grades: &[&str]) -> String {
    let rows: Vec<String> = grades.iter().enumerate().map(row).collect();
    format!(
        r#"{{"mxdrill": "0", "suite": null, "system": "", "columns": [{{"id": "postfix", "name": "Postfix", "home": "",
        "version": "3", "packages": [], "settings": [], "configure": "", "cannot": []}}], "rows": [{}]}}"#,
        rows.join(", ")
    )
}

#[cfg(all(target_os = "linux", feature = "private-network"))]
#[test]
fn a_matrix_is_annotated_and_what_is_listed_is_known() {
    let folder = TempDir::new().expect("a folder");
    let write =
        |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
    let known = "[[departure]]\nserver = \"postfix\"\nscenario = \"./1\"\ngrade = \"violates\"\nreason = \"a ticket\"\n";
    write("known.toml", known);
    let merge = [
        "conform",
        "--merge",
        "matrix.json",
        "--baseline",
        "known.toml",
    ];
    let told = |more: &[&str]| said(&[&merge[..], more].concat(), &folder);
    write(
        "matrix.json",
        &matrix(&["pass", "violates", "deviates", "inconclusive"]),
    );
    let (code, text) = told(&["--format", "github"]);
    let sum = "Postfix 3: 1 violates (1 known), 1 deviates, 1 inconclusive, 1 pass";
    let annotations = [
        "::notice file=1,line=1,title=known%3A postfix violates%3A ::a ticket",
        "::warning file=2,line=1,title=postfix deviates%3A ::2",
        "::error file=3,line=1,title=postfix inconclusive%3A ::3",
        sum,
    ];
    assert_eq!(
        (code, text.lines().collect::<Vec<_>>()),
        (Some(2), annotations.to_vec())
    );
    let (_, text) = told(&["--format", "github", "-q"]);
    assert_eq!(text.lines().collect::<Vec<_>>(), annotations[2..]);
    let (_, text) = told(&[]);
    assert!(
        text.contains("\npostfix known 1: violates, a ticket\n"),
        "{text}"
    );
    assert!(
        text.contains("\npostfix deviates 2: ") && text.ends_with(&format!("{sum}\n")),
        "{text}"
    );
    let (_, text) = told(&["-q"]);
    assert!(
        !text.contains("a ticket") && !text.contains("postfix deviates 2"),
        "{text}"
    );
    assert!(text.contains("\npostfix inconclusive 3: "), "{text}");
    write("matrix.json", &matrix(&["pass", "violates", "deviates"]));
    for format in ["text", "github"] {
        assert_eq!(told(&["-q", "--format", format]), (Some(0), String::new()));
    }
    // The control: what is not listed fails.
    write("known.toml", "");
    let (code, text) = told(&["-q", "--format", "github"]);
    let failed = "::error file=1,line=1,title=postfix violates%3A ::1\n";
    assert!(code == Some(1) && text.starts_with(failed), "{text}");
}

#[cfg(all(target_os = "linux", feature = "private-network"))]
#[test]
fn the_page_of_a_matrix_has_the_picture_of_schedules_that_it_is_given() {
    let folder = TempDir::new().expect("a folder");
    let write =
        |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
    write("matrix.json", &matrix(&["pass"]));
    let schedules = r#"{"mxdrill": "0", "system": "a <b>system</b>", "servers": [{"id": "postfix", "name": "Postfix", "home": "",
        "version": "3", "packages": [], "settings": [], "not_now": {"runs": [{"attempts": [0, 300, 600], "warned": [],
        "ending": {"returned": 432000}}], "trouble": null}, "hangs": [["connect", {"runs": [], "trouble": "none"}]]}]}"#;
    write("schedules.json", schedules);
    let page = |more: &[&str]| {
        let arguments = ["conform", "--merge", "matrix.json", "--html", "page.html"];
        let (code, text) = said(&[&arguments[..], more].concat(), &folder);
        assert_eq!(code, Some(0), "{text}");
        fs::read_to_string(folder.path().join("page.html")).expect("a page")
    };
    let with = page(&["--with-schedules", "schedules.json"]);
    assert!(with.contains("<h2>When they try again</h2>") && with.contains("a &lt;b&gt;system"));
    // One mark in the key, and one for each attempt.
    assert_eq!(with.matches("class=\"try\"").count(), 4);
    assert!(with.contains(".try {") && !with.contains("{{"));
    // It stands before the table of the matrix, which the script must not take its table for.
    assert!(with.find("id=\"schedules\"") < with.find("<thead>"));
    assert!(
        !with.contains("querySelector(\"tbody\")") && !with.contains("querySelector(\"thead\")")
    );
    let without = page(&[]);
    assert!(!without.contains("When they try again") && !without.contains("{{"));
    let arguments = [
        "conform",
        "--merge",
        "matrix.json",
        "--html",
        "page.html",
        "--with-schedules",
        "matrix.json",
    ];
    let output = mxdrill(&arguments, folder.path());
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    let told = "expected what `mxdrill conform --schedules --json` writes";
    assert!(
        output.status.code() == Some(2) && err.contains(told),
        "{err}"
    );
}

/// A row of a matrix, with one cell.
#[cfg(all(target_os = "linux", feature = "private-network"))]
fn row((index, grade): (usize, &&str)) -> String {
    format!(
        r#"{{"path": "{index}", "summary": "", "level": "MUST", "cites": [], "covers": [], "cells": [{{"grade": "{grade}",
        "reason": null, "depends": null, "runs": 1, "flaky": false, "shares": [], "evidence": null}}]}}"#
    )
}
