//! Which drills are played, and which of them may fail.

use std::fs;

use tempfile::TempDir;

use super::{DRILL, mxdrill};

/// A folder with a drill that passes and one that fails.
fn drills() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("good.toml"), DRILL).expect("written");
    let bad = DRILL.replace("by = \"mx2.example.test\"", "by = \"mx1.example.test\"");
    fs::write(folder.path().join("bad.toml"), bad).expect("written");
    folder
}

/// What a command says, and how it ends.
fn said(arguments: &[&str], folder: &TempDir) -> (Option<i32>, String, String) {
    let output = mxdrill(arguments, folder.path());
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn a_drill_that_fails_as_listed_is_fine_and_one_that_does_not_is_stale() {
    let folder = drills();
    let (code, ..) = said(&["run", ".", "--write-baseline", "known.list"], &folder);
    assert_eq!(code, Some(1));
    let (code, _, err) = said(&["run", ".", "--baseline", "known.list"], &folder);
    let listed = "mxdrill: 1 of what departs is listed, and is no failure\n";
    assert_eq!((code, &*err), (Some(0), listed));
    fs::write(folder.path().join("bad.toml"), DRILL).expect("written");
    let (code, _, err) = said(&["run", ".", "--baseline", "known.list"], &folder);
    assert_eq!(code, Some(1));
    assert_eq!(
        err,
        "stale: known.list:3: bad.toml is passed, and departs no longer\n"
    );
    fs::write(folder.path().join("known.list"), "").expect("written");
    let bad = DRILL.replace("delivered = 1", "delivered = 2");
    fs::write(folder.path().join("good.toml"), bad).expect("written");
    let (code, _, err) = said(&["run", ".", "--baseline", "known.list"], &folder);
    assert_eq!(code, Some(1));
    assert_eq!(err, "new: good.toml is failed, and not in known.list\n");
}

#[test]
fn an_entry_for_a_drill_that_is_gone_is_stale_where_all_were_played() {
    let folder = drills();
    said(&["run", ".", "--write-baseline", "known.list"], &folder);
    fs::remove_file(folder.path().join("bad.toml")).expect("removed");
    let with = |played: &[&str]| {
        let arguments = [&["run", "--baseline", "known.list"], played].concat();
        let (code, _, err) = said(&arguments, &folder);
        (code, err)
    };
    let gone = "stale: known.list:3: there is no bad.toml any more\n";
    assert_eq!(with(&["."]), (Some(1), gone.to_owned()));
    // What was left out may be there.
    for part in [
        &["good.toml"][..],
        &[".", "--filter", "good"],
        &[".", "--partition", "slice:1/1"],
    ] {
        assert_eq!(with(part), (Some(0), String::new()), "{part:?}");
    }
    // It goes when the list is written anew.
    with(&[".", "--write-baseline", "known.list"]);
    assert_eq!(with(&["."]), (Some(0), String::new()));
}

#[test]
fn shares_of_random_drills_are_all_of_them() {
    let folder = TempDir::new().expect("a folder");
    let (mut played, cases) = (0, 41);
    for place in 1..=4 {
        let (share, file) = (format!("slice:{place}/4"), format!("{place}.json"));
        let (code, out, err) = said(
            &[
                "fuzz",
                "--cases",
                "41",
                "--partition",
                &share,
                "--resume",
                &file,
            ],
            &folder,
        );
        assert_eq!(code, Some(0), "{out}{err}");
        let state = fs::read_to_string(folder.path().join(&file)).expect("a state");
        let state: serde_json::Value = serde_json::from_str(&state).expect("JSON");
        let number = |key: &str| state[key].as_u64().expect("a number");
        assert_eq!((number("first"), number("step")), (place - 1, 4));
        // The number that is next in the share, behind all of them.
        assert_eq!(number("next") % 4, place - 1);
        assert!((cases..cases + 4).contains(&number("next")), "{state}");
        played += number("judged") + number("unjudged");
    }
    assert_eq!(played, cases);
    let other = [
        "fuzz",
        "--cases",
        "41",
        "--partition",
        "slice:1/2",
        "--resume",
        "1.json",
    ];
    let (code, _, err) = said(&other, &folder);
    assert!(code == Some(2) && err.contains("one in 4"), "{err}");
}

#[test]
fn reports_of_shares_are_merged_to_the_whole() {
    let folder = drills();
    let report = |more: &[&str], name: &str| {
        let (_, out, _) = said(
            &[&["run", ".", "--format", "junit"], more].concat(),
            &folder,
        );
        fs::write(folder.path().join(name), out).expect("written");
    };
    report(&[], "whole.xml");
    report(&["--partition", "slice:1/2"], "1.xml");
    report(&["--partition", "slice:2/2"], "2.xml");
    let (code, merged, _) = said(&["run", "--merge", "1.xml", "2.xml"], &folder);
    assert_eq!(code, Some(1));
    let whole = fs::read_to_string(folder.path().join("whole.xml")).expect("a report");
    // Times differ from run to run.
    let timeless = |text: &str| {
        let mut parts = text.split(" time=\"");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| {
            text + part.split_once('"').map_or("", |(_, rest)| rest)
        })
    };
    assert_eq!(timeless(&merged), timeless(&whole));
    let (code, _, err) = said(&["run", "--merge", "1.xml", "1.xml"], &folder);
    assert_eq!(code, Some(2));
    assert!(err.contains("1.xml has too, expected it once"), "{err}");
}

#[test]
fn drills_are_chosen_by_what_they_show_and_listed() {
    let folder = TempDir::new().expect("a folder");
    let (code, out, _) = said(&["run", "--list", "--section", "RFC 7505"], &folder);
    assert_eq!(code, Some(0));
    assert!(
        out.lines()
            .any(|path| path == "scenarios/rfc7505/null_mx_is_reported_at_once.toml"),
        "{out}"
    );
    assert!(!out.contains("basics/primary_down"), "{out}");
    let (code, _, err) = said(&["run", "--statement", "60000"], &folder);
    assert_eq!(code, Some(2));
    assert!(
        err.starts_with("mxdrill: found statement 60000, expected one of 1 to "),
        "{err}"
    );
    let (code, _, err) = said(
        &["run", "--filter", "basics/", "--statement", "90"],
        &folder,
    );
    assert_eq!(code, Some(2));
    assert!(
        err.starts_with("mxdrill: found no scenario whose path contains \"basics/\", that shows"),
        "{err}"
    );
}
