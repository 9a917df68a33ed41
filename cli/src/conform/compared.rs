//! What differs between two matrices, cell by cell.

use std::collections::BTreeSet;

use super::matrix::{Judged, Matrix, MatrixRow, ServerColumn};
use mxdrill::visible::visible;

/// What differs from an earlier matrix, a line each, and how much it is in the last line.
///
/// Servers are compared by their ids; if each matrix has one alone, those two. A cell differs that has another grade, or
/// the same for other reasons.
pub(crate) fn differences(before: &Matrix, now: &Matrix) -> Vec<String> {
    let mut lines = Vec::new();
    let pairs = pairs(before, now, &mut lines);
    let known =
        |matrix: &Matrix, row: &MatrixRow| matrix.rows.iter().position(|one| one.path == row.path);
    let (mut cells, mut changed, mut worse, mut better) = (0, 0, 0, 0);
    for row in &now.rows {
        let Some(earlier) = known(before, row) else {
            lines.push(format!("{}: not played before", row.path));
            continue;
        };
        for (server, old_column, new_column) in &pairs {
            let (old, new) = (
                &before.rows[earlier].cells[*old_column],
                &row.cells[*new_column],
            );
            cells += 1;
            let Some(difference) = difference(old, new) else {
                continue;
            };
            changed += 1;
            worse += usize::from(new.grade > old.grade);
            better += usize::from(new.grade < old.grade);
            lines.push(format!("{server} {}: {difference}", row.path));
        }
    }
    let gone = before.rows.iter().filter(|row| known(now, row).is_none());
    lines.extend(gone.map(|row| format!("{}: played before alone", row.path)));
    lines.push(format!(
        "{changed} of {cells} cells differ: {worse} worse, {better} better"
    ));
    lines
}

/// The servers that both have, with their places; the others are told.
fn pairs<'a>(
    before: &Matrix,
    now: &'a Matrix,
    lines: &mut Vec<String>,
) -> Vec<(&'a str, usize, usize)> {
    if let ([_], [only]) = (&before.columns[..], &now.columns[..]) {
        return vec![(&only.server.id, 0, 0)];
    }
    let place =
        |columns: &[ServerColumn], id: &str| columns.iter().position(|one| one.server.id == id);
    let mut pairs = Vec::new();
    for (new, column) in now.columns.iter().enumerate() {
        match place(&before.columns, &column.server.id) {
            Some(old) => pairs.push((&*column.server.id, old, new)),
            None => lines.push(format!("{}: not played before", column.server.id)),
        }
    }
    let gone = before
        .columns
        .iter()
        .filter(|one| place(&now.columns, &one.server.id).is_none());
    lines.extend(gone.map(|column| format!("{}: played before alone", column.server.id)));
    pairs
}

/// In what a cell differs, if it does.
fn difference(old: &Judged, new: &Judged) -> Option<String> {
    let (was, is) = (claims(old), claims(new));
    if old.grade != new.grade {
        let claims: Vec<&str> = is.difference(&was).map(String::as_str).collect();
        let why = match claims.is_empty() {
            true => String::new(),
            false => format!(" ({})", visible(&claims.join("; "))),
        };
        return Some(format!("{} -> {}{why}", old.grade, new.grade));
    }
    if was == is {
        return None;
    }
    let told = |sign: &str, one: &BTreeSet<String>, other: &BTreeSet<String>| {
        let claims = one
            .difference(other)
            .map(|claim| format!("{sign} {}", visible(claim)));
        claims.collect::<Vec<String>>()
    };
    let told = [told("no longer", &was, &is), told("now", &is, &was)].concat();
    Some(format!("{} as before, {}", new.grade, told.join("; ")))
}

/// What is wrong with a cell, without moments and counts.
fn claims(cell: &Judged) -> BTreeSet<String> {
    let findings = cell.evidence.iter().flat_map(|record| &record.findings);
    findings
        .map(|finding| {
            let claim = of_any_message(&finding.claim);
            match &finding.rule {
                Some(rule) => format!("{claim} [{rule}]"),
                None => claim,
            }
        })
        .collect()
}

/// A claim about one of many messages (`m-14`) as one about any of them (`m`): which it is may be chance.
fn of_any_message(claim: &str) -> String {
    let mut words: Vec<&str> = claim.split(' ').collect();
    for at in 1..words.len() {
        let number = words[at].rsplit_once('-');
        if let Some((id, number)) = number
            && words[at - 1] == "message"
            && number.bytes().all(|octet| octet.is_ascii_digit())
        {
            words[at] = id;
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conform::matrix::Grade;

    fn matrix(rows: &[(&str, Grade)]) -> Matrix {
        let rows: Vec<serde_json::Value> = rows
            .iter()
            .map(|(path, grade)| {
                let mut cell = Judged::without_run(*grade, String::new());
                cell.reason = None;
                serde_json::json!({ "path": path, "summary": "", "level": "MUST", "cites": [], "covers": [], "cells": [cell] })
            })
            .collect();
        let column = serde_json::json!({ "id": "a", "name": "", "home": "", "version": "", "packages": [], "settings": [],
            "configure": "", "cannot": [] });
        let matrix = serde_json::json!({ "mxdrill": "1", "suite": null, "system": "", "columns": [column], "rows": rows });
        serde_json::from_value(matrix).expect("a matrix")
    }

    #[test]
    fn which_of_many_messages_it_was_makes_no_difference() {
        for (claim, told) in [
            ("attempts of message m-14", "attempts of message m"),
            ("message a-b-2 is lost", "message a-b is lost"),
            ("attempts of message m1", "attempts of message m1"),
            ("taker of message m-x", "taker of message m-x"),
            ("first attempts at mx-1", "first attempts at mx-1"),
        ] {
            assert_eq!(of_any_message(claim), told);
        }
    }

    #[test]
    fn cells_that_changed_are_told_and_no_other() {
        let before = matrix(&[
            ("s/a", Grade::Pass),
            ("s/b", Grade::Violates),
            ("s/gone", Grade::Pass),
        ]);
        let now = matrix(&[
            ("s/a", Grade::Deviates),
            ("s/b", Grade::Violates),
            ("s/new", Grade::Pass),
        ]);
        assert_eq!(
            differences(&before, &now),
            [
                "a s/a: pass -> deviates",
                "s/new: not played before",
                "s/gone: played before alone",
                "1 of 2 cells differ: 1 worse, 0 better",
            ]
        );
        assert_eq!(
            differences(&now, &now),
            ["0 of 3 cells differ: 0 worse, 0 better"]
        );
    }
}
