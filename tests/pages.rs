//! The pages that are made from the code and the scenarios: `docs/rules.md`, `docs/checks.md`,
//! `docs/requirements.md`, `docs/scenario.schema.json`, and the table of features of `docs/library.md`. A test fails when
//! one is stale, and `UPDATE=1 cargo test --test pages` (or `just docs`) writes them. No page names a file that there is
//! not.

mod bundled;

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write,
    fs,
    path::PathBuf,
    process::Command,
};

use mxdrill::{
    lint::CHECKS,
    scenario::{self, Scenario},
    sender::Flaw,
    verdict::{RULES, Rule},
};
use serde::Deserialize;

/// What each page says of itself, so that nobody mends it by hand.
const MADE: &str = "by `UPDATE=1 cargo test --test pages`";

/// Holds a page against its file, or writes it where that is asked for.
fn up_to_date(name: &str, page: &str) {
    let file = bundled::root().join("docs").join(name);
    if env::var_os("UPDATE").is_some() {
        fs::write(&file, page).expect("written");
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == page,
        "docs/{name} is stale: UPDATE=1 cargo test --test pages"
    );
}

#[test]
fn the_page_of_rules_is_up_to_date() {
    up_to_date("rules.md", &rules_page());
}

#[test]
fn the_page_of_checks_is_up_to_date() {
    up_to_date("checks.md", &checks_page());
}

#[test]
fn the_page_of_requirements_is_up_to_date() {
    up_to_date(
        "requirements.md",
        &requirements_page(&statements(), &coverage()),
    );
}

#[test]
fn the_schema_of_scenario_files_is_up_to_date() {
    up_to_date("scenario.schema.json", &scenario::schema());
}

#[test]
fn every_key_of_the_schema_is_on_the_page_of_scenarios() {
    let file = bundled::root().join("docs/scenarios.md");
    let page = fs::read_to_string(&file).expect("the page of scenarios");
    let is_sign = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    let words: BTreeSet<&str> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .flat_map(|code| code.split(is_sign))
        .collect();
    let schema = serde_json::from_str(&scenario::schema()).expect("JSON");
    let mut keys = BTreeSet::new();
    properties(&schema, &mut keys);
    assert!(keys.contains("faults") && keys.contains("larger_than") && keys.contains("sni"));
    keys.retain(|key| !words.contains(&**key));
    assert_eq!(keys, BTreeSet::new());
}

/// The keys that a schema and the schemas within it allow.
fn properties(schema: &serde_json::Value, keys: &mut BTreeSet<String>) {
    use serde_json::Value;
    match schema {
        Value::Object(of) => {
            if let Some(Value::Object(properties)) = of.get("properties") {
                keys.extend(properties.keys().cloned());
            }
            of.values().for_each(|within| properties(within, keys));
        }
        Value::Array(some) => some.iter().for_each(|within| properties(within, keys)),
        _ => {}
    }
}

#[test]
fn the_table_of_features_is_up_to_date() {
    let file = bundled::root().join("docs/library.md");
    let page = fs::read_to_string(&file).expect("the page for library authors");
    let start = page.find("| feature |").expect("a table of features");
    let rest = &page[start..];
    let length = rest.find("\n\n").map_or(rest.len(), |end| end + 1);
    let table = features_table();
    if env::var_os("UPDATE").is_some() {
        let written = [&page[..start], &table, &rest[length..]].concat();
        fs::write(&file, written).expect("written");
    } else {
        assert!(
            rest[..length] == table,
            "docs/library.md has a stale table of features: UPDATE=1 cargo test --test pages"
        );
    }
}

/// The README's test in Rust is a part of the example, which is compiled and run.
#[test]
fn the_test_in_the_readme_is_that_of_the_example() {
    let read = |name: &str| fs::read_to_string(bundled::root().join(name)).expect(name);
    let (readme, example) = (read("README.md"), read("examples/blocking_sender.rs"));
    let block = readme.split("```rust\n").nth(1).expect("a block of Rust");
    let block = block.split("```").next().expect("its end");
    let has = |line: &str| example.lines().any(|found| found.trim() == line.trim());
    for line in block.lines() {
        assert!(
            has(line),
            "examples/blocking_sender.rs does not have {line:?}"
        );
    }
}

#[test]
fn every_file_that_a_page_names_is_there() {
    let root = bundled::root();
    let mut pages: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md"]
        .map(|name| root.join(name))
        .to_vec();
    let docs = fs::read_dir(root.join("docs")).expect("docs");
    pages.extend(docs.map(|entry| entry.expect("a page").path()));
    for page in pages {
        let text = fs::read_to_string(&page).expect("a page");
        let folder = page.parent().expect("a folder");
        for target in links(&text) {
            let file = folder.join(target);
            assert!(file.exists(), "{}: no {target}", page.display());
        }
        for path in paths(&text) {
            let file = root.join(path);
            assert!(file.exists(), "{}: no {path}", page.display());
        }
    }
}

/// The files that a page links to, from where it is.
fn links(page: &str) -> impl Iterator<Item = &str> {
    let targets = page.split("](").skip(1).filter_map(|rest| {
        let target = rest.split(')').next()?;
        target.split('#').next()
    });
    targets.filter(|target| !target.is_empty() && !target.contains("://"))
}

/// The files that a page names in backticks, from the top of the checkout.
fn paths(page: &str) -> impl Iterator<Item = &str> {
    let quoted = page.split('`').skip(1).step_by(2);
    quoted.filter(|text| {
        let folders = [
            "src/",
            "cli/",
            "tests/",
            "docs/",
            "scenarios/",
            "examples/",
            ".ci/",
        ];
        let is_pattern = text.contains(['*', ' ', '<', '\n'])
            || ["NAME", "ID."].iter().any(|any| text.contains(any));
        folders.iter().any(|folder| text.starts_with(folder)) && !is_pattern
    })
}

/// The features of `Cargo.toml`, each with its comment there and the crates that it brings on Linux.
fn features_table() -> String {
    let manifest = fs::read_to_string(bundled::root().join("Cargo.toml")).expect("Cargo.toml");
    let (_, features) = manifest.split_once("[features]\n").expect("features");
    let (features, _) = features.split_once("\n\n").expect("an end of them");
    let base = crates("");
    let mut table = format!(
        "| feature | what it adds | crates of its own | crates in all (Linux) |\n| --- | --- | --- | ---: |\n\
         | none | the lab without TLS, drills, rules, the reference sender | | {base} |\n"
    );
    let mut comment = "";
    for line in features.lines() {
        if let Some(text) = line.strip_prefix("# ") {
            comment = text;
            continue;
        }
        let (name, needs) = line.split_once(" = ").expect("a feature");
        if name == "default" {
            continue;
        }
        let own: Vec<String> = needs
            .split('"')
            .filter_map(|need| Some(format!("`{}`", need.strip_prefix("dep:")?)))
            .collect();
        let default = match name == "tls" {
            true => " (default)",
            false => "",
        };
        let more = crates(name) - base;
        let own = own.join(", ");
        writeln!(table, "| `{name}`{default} | {comment} | {own} | +{more} |")
            .expect("a string takes everything");
    }
    table
}

/// How many crates the library needs with a feature.
fn crates(feature: &str) -> usize {
    let cargo = env::var_os("CARGO").expect("cargo says where it is");
    let output = Command::new(cargo)
        .args([
            "tree",
            "--locked",
            "--package",
            "mxdrill",
            "--prefix",
            "none",
        ])
        .args(["--edges", "normal", "--target", "x86_64-unknown-linux-gnu"])
        .args(["--no-default-features", "--features", feature])
        .current_dir(bundled::root())
        .output()
        .expect("cargo runs");
    let (tree, error) = (output.stdout, String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{error}");
    let tree = String::from_utf8_lossy(&tree).into_owned();
    let names = tree.lines().map(|line| {
        let mut words = line.split(' ');
        (words.next(), words.next())
    });
    let needed: BTreeSet<_> = names.filter(|(name, _)| *name != Some("mxdrill")).collect();
    needed.len()
}

/// A section of an RFC as a link to it.
fn linked(cite: &str) -> String {
    let section = cite.strip_prefix("RFC ").and_then(|rest| {
        let (number, section) = rest.split_once(" section ")?;
        let url = format!("https://www.rfc-editor.org/rfc/rfc{number}#section-{section}");
        Some(format!("[{cite}]({url})"))
    });
    section.unwrap_or_else(|| cite.to_owned())
}

/// A bundled scenario as a link from a page in `docs`.
fn drill(name: &str) -> String {
    format!("[{name}](../scenarios/{name}.toml)")
}

fn rules_page() -> String {
    let mut page = format!(
        "# The rules that always hold\n\n\
         Made from `mxdrill::verdict::RULES` and `mxdrill::sender::Flaw` {MADE}.\n\n\
         Whatever a scenario expects, its log is held against these rules. Each is shown to bite by the reference\n\
         sender with a flaw: `mxdrill run DRILL --flaw FLAW` plays the drill with it, and the rule is reported. Without the\n\
         flaw the drill passes.\n\n\
         | rule | level | section | what it asks | flaws that break it, each with a drill that shows it |\n\
         | --- | --- | --- | --- | --- |\n"
    );
    for rule in RULES {
        let Rule {
            name,
            cite,
            level,
            claim,
            ..
        } = rule;
        let shown: Vec<String> = breaking(rule)
            .map(|(flaw, control)| format!("`{flaw}` in {}", drill(control.drill)))
            .collect();
        let (cite, shown) = (linked(cite), shown.join("; "));
        writeln!(page, "| `{name}` | {level} | {cite} | {claim} | {shown} |")
            .expect("a string takes everything");
    }
    page += "\n## Flaws that no rule can see from outside\n\n\
             The reference sender reports what becomes of a message. A command or a mail server reports nothing, and the lab\n\
             alone does not show these flaws. The expectations of the drill do.\n\n";
    for rule in RULES {
        for (flaw, control) in breaking(rule) {
            if let Some(why) = control.unseen {
                writeln!(page, "- `{flaw}` (`{}`): {why}.", rule.name)
                    .expect("a string takes everything");
            }
        }
    }
    page
}

/// The flaws that break a rule, with the drill that shows each.
fn breaking(rule: &Rule) -> impl Iterator<Item = (&'static str, mxdrill::sender::Control)> {
    let controls = Flaw::ALL
        .into_iter()
        .map(|flaw| (flaw.word(), flaw.control()));
    let rule = rule.name;
    controls.filter(move |(_, control)| control.rule == rule)
}

fn checks_page() -> String {
    let mut page = format!(
        "# The checks of `mxdrill lint`\n\n\
         Made from `mxdrill::lint::CHECKS` {MADE}.\n\n\
         An error means that mail is lost or delayed, or that a record has no effect; a warning, that mail may be lost or\n\
         delayed one day; an info is worth knowing. `mxdrill lint --explain ID` prints a section of this page, and\n\
         `mxdrill lint --checks` the list.\n\n\
         | check | severity | what ought to be |\n| --- | --- | --- |\n"
    );
    for check in CHECKS {
        writeln!(
            page,
            "| [{id}](#{id}) | {} | {} |",
            check.severity,
            check.claim,
            id = check.id
        )
        .expect("a string takes everything");
    }
    for check in CHECKS {
        let sources: Vec<String> = check.cites.iter().map(|cite| linked(cite)).collect();
        write!(
            page,
            "\n## {}\n\n**{}**: {}.\n\n*Why*: {}\n\n*What to do*: {}\n\n*Sources*: {}.\n",
            check.id,
            check.severity,
            check.claim,
            check.why,
            check.then,
            sources.join(", ")
        )
        .expect("a string takes everything");
    }
    page
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageStatements {
    statement: Vec<PageStatement>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageStatement {
    number: u16,
    section: String,
    level: String,
    text: String,
    /// Why no scenario can show it.
    unobservable: Option<String>,
    /// What a scenario has to wait for.
    waits_for: Option<String>,
}

fn statements() -> Vec<PageStatement> {
    let text =
        fs::read_to_string(bundled::root().join("docs/statements.toml")).expect("the statements");
    let mut statements = toml::from_str::<PageStatements>(&text)
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

/// The rules that hold every session to a statement, with the page that has them.
fn rules_of(number: u16) -> impl Iterator<Item = String> {
    let rules = RULES
        .iter()
        .filter(move |rule| rule.is_of_sessions && rule.statements.contains(&number));
    rules.map(|rule| {
        let asked = if rule.is_asked_for {
            " where it is asked for"
        } else {
            ""
        };
        format!("every drill{asked}, by the rule [{}](rules.md)", rule.name)
    })
}

fn requirements_page(
    statements: &[PageStatement],
    coverage: &BTreeMap<u16, BTreeSet<String>>,
) -> String {
    let mut page = format!(
        "# What the RFCs ask of a sender that routes by MX\n\n\
         Made from `docs/statements.toml` and the scenarios {MADE}.\n\n\
         | # | section | level | statement | scenarios |\n| --- | --- | --- | --- | --- |\n",
    );
    for statement in statements {
        let covered = coverage.get(&statement.number).into_iter().flatten();
        let links: Vec<String> = covered.map(|name| drill(name)).collect();
        let scenarios = match (&statement.unobservable, &statement.waits_for) {
            (Some(reason), _) => format!("not observable: {reason}"),
            (None, Some(what)) => format!("not supported yet: {what}"),
            (None, None) => rules_of(statement.number)
                .chain(links)
                .collect::<Vec<_>>()
                .join(", "),
        };
        let PageStatement {
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
fn every_statement_is_accounted_for() {
    let (statements, coverage) = (statements(), coverage());
    let numbers: Vec<u16> = statements
        .iter()
        .map(|statement| statement.number)
        .collect();
    let last = numbers.last().copied().unwrap_or_default();
    assert!(numbers.iter().copied().eq(1..=last), "{numbers:?}");
    for statement in &statements {
        let covered =
            coverage.contains_key(&statement.number) || rules_of(statement.number).next().is_some();
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
