//! What `mxdrill rehearse` says of many exchangers: a table that fits a screen.

use std::{fs, process::Command};

/// Columns and lines of a screen.
const COLUMNS: usize = 120;
const LINES: usize = 34;

/// What a rehearsal of these exchangers says, each with a preference and an address of its own.
fn rehearsed(preferences: &[usize], more: &[&str]) -> String {
    let rows = preferences.iter().enumerate().map(|(n, preference)| {
        let (high, low) = (n / 250, n % 250 + 1);
        format!("@ MX {preference} mx{n}\nmx{n} A 10.1.{high}.{low}\n")
    });
    let rows: String = rows.collect();
    let folder = tempfile::tempdir().expect("a folder");
    let zone = format!("$ORIGIN example.test.\n$TTL 3600\n{rows}");
    fs::write(folder.path().join("a.zone"), zone).expect("written");
    let run = Command::new(env!("CARGO_BIN_EXE_mxdrill"))
        .current_dir(folder.path())
        .args(["rehearse", "a.zone"])
        .args(more)
        .output()
        .expect("started");
    assert!(run.status.success(), "{run:?}");
    String::from_utf8_lossy(&run.stdout).into_owned()
}

#[test]
fn a_table_fits_a_screen_however_many_exchangers_there_are() {
    let levels = |count: usize| (0..count).collect::<Vec<usize>>();
    let mut mixed = vec![10; 6];
    mixed.extend([20; 3]);
    for (preferences, more) in [
        (vec![10; 3], &[][..]),
        (vec![10; 10], &[]),
        (vec![10; 40], &["--rolling", "10m"]),
        (levels(5), &[]),
        (levels(25), &[]),
        (mixed, &[]),
    ] {
        let text = rehearsed(&preferences, more);
        let of_table = text.lines().skip_while(|line| !line.is_empty()).skip(1);
        let mut of_table = of_table.take_while(|line| !line.is_empty());
        let wide = of_table.find(|line| line.chars().count() > COLUMNS);
        assert_eq!(wide, None, "{text}");
        assert!(text.lines().count() <= LINES, "{preferences:?}: {text}");
    }
}

#[test]
fn of_more_than_three_exchangers_alike_one_is_drilled_for_all() {
    for (preferences, is_merged) in [
        (&[10, 10, 10][..], false),
        (&[10, 10, 10, 10], true),
        (&[10, 10, 20, 20], false),
        // Of preferences each is a level of its own.
        (&[10, 20, 30, 40, 50], false),
    ] {
        let text = rehearsed(preferences, &[]);
        let is_one = text.contains("one of 4 alike does not answer for a day");
        assert_eq!(is_one, is_merged, "{text}");
        let is_each = text.contains("mx2.example.test does not answer for a day");
        assert_eq!(is_each, !is_merged, "{text}");
        assert_eq!(text.contains("Merged: "), is_merged, "{text}");
    }
}

/// Two kinds of as many, which a number does not tell apart, are told by name.
#[test]
fn of_two_kinds_of_as_many_the_one_that_is_drilled_is_named() {
    let text = rehearsed(&[10, 10, 10, 10, 20, 20, 20, 20], &[]);
    let named = text.matches(".example.test (one of 4 alike) does not answer for a day");
    assert_eq!(named.count(), 2, "{text}");
    assert!(!text.contains("\none of 4 alike"), "{text}");
}
