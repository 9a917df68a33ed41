//! What may import what, and how long a file and a function may be: the source is held against the table in
//! ARCHITECTURE.md, and against the measures of CONTRIBUTING.md.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// On this floor modules may import each other.
const SHARED: [u8; 1] = [1];

/// Lines of a file, at most: what is longer has more than one idea in it.
const LONGEST_FILE: usize = 500;

/// Lines of a function, at most, from its signature to the brace that closes it.
const LONGEST_FUNCTION: usize = 80;

/// What is still to be taken apart: a file, or a function of it as `FILE:NAME`. Nothing is added to this list.
const STILL_LONG: [&str; 3] = [
    "cli/tests/records.rs",
    "cli/tests/records.rs:a_change_is_rehearsed_with_what_senders_remember",
    "tests/lint.rs:what_was_missed_is_found_and_what_was_wrongly_found_is_not",
];

/// The floor of each module, from the rows `| 3 | `event`, `route` | ... |`.
fn floors() -> BTreeMap<String, u8> {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let mut floors = BTreeMap::new();
    for line in page.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, number, modules, ..] = cells[..] else {
            continue;
        };
        let Ok(number) = number.parse() else {
            continue;
        };
        for module in modules.split('`').skip(1).step_by(2) {
            floors.insert(module.to_owned(), number);
        }
    }
    floors
}

/// All Rust files below a folder, but those that were built.
fn rust_files(folder: PathBuf) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// The functions of a text as rustfmt leaves it, with the lines that each has: what a signature begins ends with the
/// brace that stands as far to the right.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let begins = |(place, line): (usize, &&str)| {
        let (before, rest) = line.split_once("fn ")?;
        let is_signature = before.split_whitespace().all(|word| {
            ["async", "const", "unsafe", "pub"].contains(&word)
                || word.starts_with("pub(")
                || word.starts_with("crate::") && word.ends_with(')')
        });
        // One without a body ends with a semicolon before any brace.
        let mut signature = lines[place..].iter();
        let end = signature.find(|line| line.ends_with(['{', ';', '}']))?;
        (is_signature && end.ends_with('{')).then(|| {
            let indent = line.len() - line.trim_start().len();
            let close = format!("{}}}", " ".repeat(indent));
            let length = lines[place..].iter().position(|line| *line == close);
            (name(rest).unwrap_or_default(), length.unwrap_or(0) + 1)
        })
    };
    lines.iter().enumerate().filter_map(begins).collect()
}

/// Each module with its files.
fn modules() -> BTreeMap<String, Vec<PathBuf>> {
    let mut modules: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for path in rust_files(root().join("src")) {
        let inside = path.strip_prefix(root().join("src")).expect("inside");
        let first = inside.iter().next().expect("a name").to_string_lossy();
        let module = first.trim_end_matches(".rs").to_owned();
        if module != "lib" {
            modules.entry(module).or_default().push(path);
        }
    }
    modules
}

/// The modules of the crate that a text names after `crate::`; comments and its own tests do not count.
fn imports(text: &str) -> BTreeSet<String> {
    let code: Vec<&str> = text
        .lines()
        .take_while(|line| *line != "mod tests {")
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let code = code.join("\n");
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(group) => found.extend(first_names(group)),
            None => found.extend(name(rest)),
        }
    }
    found
}

/// The first name of each member of a group, which ends with the brace that closes it.
fn first_names(group: &str) -> Vec<String> {
    let (mut depth, mut member, mut names) = (0, String::new(), Vec::new());
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => names.extend(name(&std::mem::take(&mut member))),
            c => member.push(c),
        }
    }
    names.extend(name(&member));
    names
}

fn name(path: &str) -> Option<String> {
    let word: String = path
        .trim_start()
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    (!word.is_empty()).then_some(word)
}

#[test]
fn no_module_imports_what_stands_above_it() {
    let (floors, modules) = (floors(), modules());
    let known: BTreeSet<&String> = floors.keys().collect();
    assert_eq!(
        modules.keys().collect::<BTreeSet<_>>(),
        known,
        "the modules of src and those of ARCHITECTURE.md"
    );
    for (module, files) in &modules {
        let floor = floors[module];
        for file in files {
            let text = fs::read_to_string(file).expect("read");
            for other in imports(&text) {
                let Some(below) = floors.get(&other).filter(|_| other != *module) else {
                    continue;
                };
                assert!(
                    *below < floor || *below == floor && SHARED.contains(&floor),
                    "{} is on floor {floor} and imports {other}, which is on floor {below}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn imports_are_read_however_they_are_written() {
    let text = "use crate::{\n    event::{Event, What},\n    name::Domain, lab,\n};\n\
                let x = crate::time::Span(1);\n// crate::sender\nmod tests {\nuse crate::drill;";
    let found: Vec<String> = imports(text).into_iter().collect();
    assert_eq!(found, ["event", "lab", "name", "time"]);
}

#[test]
fn no_file_and_no_function_is_longer_than_it_may_be() {
    let mut long = Vec::new();
    for file in rust_files(root().to_owned()) {
        let text = fs::read_to_string(&file).expect("read");
        let inside = file.strip_prefix(root()).expect("inside");
        let path = inside.to_string_lossy().replace('\\', "/");
        if text.lines().count() > LONGEST_FILE {
            long.push(path.clone());
        }
        let functions = functions(&text).into_iter();
        let functions = functions.filter(|(_, lines)| *lines > LONGEST_FUNCTION);
        long.extend(functions.map(|(name, _)| format!("{path}:{name}")));
    }
    let mended: Vec<&str> = STILL_LONG
        .into_iter()
        .filter(|known| !long.iter().any(|one| one == known))
        .collect();
    assert_eq!(
        mended, [""; 0],
        "no longer than it may be, and still excepted"
    );
    long.retain(|one| !STILL_LONG.contains(&one.as_str()));
    assert_eq!(long, [""; 0], "longer than it may be");
}

#[test]
fn functions_are_measured_from_signature_to_brace() {
    let text = "impl A {\n    pub(crate) async fn a(\n        self,\n    ) {\n        if x {\n        }\n    }\n\n    \
                fn b(&self);\n}\n\nfn c() {\n}\n\nconst D: &str = \"a fn e() {\";\n";
    let found = functions(text);
    assert_eq!(found, [("a".to_owned(), 6), ("c".to_owned(), 2)]);
}
