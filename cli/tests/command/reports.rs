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

#[cfg(all(target_os = "linux", feature = "private-network"))]
#[test]
fn a_badge_counts_what_passes_and_has_the_colour_of_the_worst() {
    let folder = TempDir::new().expect("a folder");
    let badge = |grades: &[&str]| {
        let rows: Vec<String> = grades.iter().enumerate().map(row).collect();
        let matrix = format!(
            r#"{{"mxdrill": "0", "suite": null, "system": "", "columns": [{{"id": "postfix", "name": "", "home": "",
            "version": "", "packages": [], "settings": [], "configure": "", "cannot": []}}], "rows": [{}]}}"#,
            rows.join(", ")
        );
        fs::write(folder.path().join("matrix.json"), matrix).expect("written");
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

/// A row of a matrix, with one cell.
#[cfg(all(target_os = "linux", feature = "private-network"))]
fn row((index, grade): (usize, &&str)) -> String {
    format!(
        r#"{{"path": "{index}", "summary": "", "level": "MUST", "cites": [], "covers": [], "cells": [{{"grade": "{grade}",
        "reason": null, "depends": null, "runs": 1, "flaky": false, "shares": [], "evidence": null}}]}}"#
    )
}
