//! What may import what: the source is held against the table in ARCHITECTURE.md.

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

/// Each module with its files.
fn modules() -> BTreeMap<String, Vec<PathBuf>> {
    let mut modules: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|ending| ending != "rs") {
                continue;
            }
            let inside = path.strip_prefix(root().join("src")).expect("inside");
            let first = inside.iter().next().expect("a name").to_string_lossy();
            let module = first.trim_end_matches(".rs").to_owned();
            if module != "lib" {
                modules.entry(module).or_default().push(path);
            }
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
