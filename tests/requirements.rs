//! `docs/requirements.md`: each statement of the RFCs, its level and the scenarios that cover it, made
//! from `docs/statements.toml` and the scenarios. `UPDATE=1 cargo test --test requirements` writes it.

mod bundled;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
};

use mxdrill::scenario::Scenario;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Statements {
    statement: Vec<Statement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    number: u16,
    section: String,
    level: String,
    text: String,
    /// Why no scenario can show it.
    unobservable: Option<String>,
    /// What a scenario has to wait for.
    waits_for: Option<String>,
}

fn statements() -> Vec<Statement> {
    let text =
        fs::read_to_string(bundled::root().join("docs/statements.toml")).expect("the statements");
    let mut statements = toml::from_str::<Statements>(&text)
        .expect("valid statements")
        .statement;
    statements.sort_by_key(|statement| statement.number);
    statements
}

/// The scenarios that cover each statement, by number.
fn coverage() -> BTreeMap<u16, BTreeSet<String>> {
    let mut coverage: BTreeMap<u16, BTreeSet<String>> = BTreeMap::new();
    for (name, file) in bundled::scenarios() {
        let scenario = Scenario::load(&file).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        for number in scenario.covers {
            coverage.entry(number).or_default().insert(name.clone());
        }
    }
    coverage
}

fn page(statements: &[Statement], coverage: &BTreeMap<u16, BTreeSet<String>>) -> String {
    let mut page = String::from(
        "# What the RFCs ask of a sender that routes by MX\n\n\
         Made from `docs/statements.toml` and the scenarios by `UPDATE=1 cargo test --test requirements`.\n\n\
         | # | section | level | statement | scenarios |\n| --- | --- | --- | --- | --- |\n",
    );
    for statement in statements {
        let covered = coverage.get(&statement.number).into_iter().flatten();
        let links: Vec<String> = covered
            .map(|name| format!("[{name}](../scenarios/{name}.toml)"))
            .collect();
        let scenarios = match (&statement.unobservable, &statement.waits_for) {
            (Some(reason), _) => format!("not observable: {reason}"),
            (None, Some(what)) => format!("not supported yet: {what}"),
            (None, None) => links.join(", "),
        };
        let Statement {
            number,
            section,
            level,
            text,
            ..
        } = statement;
        writeln!(
            page,
            "| {number} | {section} | {level} | {text} | {scenarios} |"
        )
        .expect("a string takes everything");
    }
    page
}

#[test]
fn the_page_is_up_to_date() {
    let file = bundled::root().join("docs/requirements.md");
    let page = page(&statements(), &coverage());
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, &page).expect("written");
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == page,
        "docs/requirements.md is stale: UPDATE=1 cargo test --test requirements"
    );
}

#[test]
fn every_statement_is_accounted_for() {
    let (statements, coverage) = (statements(), coverage());
    let numbers: Vec<u16> = statements
        .iter()
        .map(|statement| statement.number)
        .collect();
    assert!(numbers.iter().copied().eq(1..=85), "{numbers:?}");
    for statement in &statements {
        let covered = coverage.contains_key(&statement.number);
        let excused = statement.unobservable.is_some() || statement.waits_for.is_some();
        assert!(
            covered != excused,
            "statement {}: covered {covered}, excused {excused}",
            statement.number
        );
    }
    let known: BTreeSet<u16> = numbers.into_iter().collect();
    for (number, names) in coverage {
        assert!(
            known.contains(&number),
            "{names:?} cover statement {number}, which there is not"
        );
    }
}
