//! No two files import from each other, by however many others between them: the source of each package is held
//! against that.
//!
//! A file and those in its folder are one module to the language, and may name each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// A module by the names that lead to it from the root of its package.
type Module = Vec<String>;

/// All Rust files below a folder, with what each says but for its own tests.
fn modules(folder: &Path) -> BTreeMap<Module, String> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(inside) = folders.pop() {
        for entry in fs::read_dir(inside).expect("a folder") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let place = path
                    .strip_prefix(folder)
                    .expect("inside")
                    .with_extension("");
                let names = place.iter().map(|name| name.to_string_lossy().into_owned());
                let module = names.filter(|name| name != "lib" && name != "main");
                let text = fs::read_to_string(&path).expect("read");
                let code: Vec<&str> = text
                    .lines()
                    .take_while(|line| *line != "mod tests {")
                    .filter(|line| !line.trim_start().starts_with("//"))
                    .collect();
                found.insert(module.collect(), code.join("\n"));
            }
        }
    }
    found
}

/// The paths that begin with one of these words in a text, groups in braces taken apart.
fn paths(text: &str) -> Vec<Vec<&str>> {
    let mut found = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in text.match_indices(start) {
            let before = text[..at].chars().next_back();
            if !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                branches(&text[at..], &[], &mut found);
            }
        }
    }
    found
}

/// Takes apart the path at the beginning of a text, behind what leads to it; what follows it is returned.
fn branches<'a>(text: &'a str, before: &[&'a str], found: &mut Vec<Vec<&'a str>>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = branches(rest, before, found).trim_start();
            match rest.strip_prefix(',') {
                Some(next) if !next.trim_start().starts_with('}') => rest = next,
                Some(next) => break next.trim_start().strip_prefix('}').unwrap_or(""),
                None => break rest.strip_prefix('}').unwrap_or(""),
            }
        }
    } else {
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
        let (name, rest) = text.split_at(end.unwrap_or(text.len()));
        let path = [before, &[name]].concat();
        match rest.strip_prefix("::") {
            Some(rest) => branches(rest, &path, found),
            None => {
                found.push(path);
                rest.strip_prefix(" as ").map_or(rest, |rest| {
                    rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_')
                })
            }
        }
    }
}

/// The file that a path leads to from a module: the longest beginning of it that is one.
fn target(from: &Module, path: &[&str], known: &BTreeSet<&Module>) -> Option<Module> {
    let mut place = from.clone();
    for name in path {
        match *name {
            "crate" => place.clear(),
            "self" => {}
            "super" => {
                place.pop()?;
            }
            name => {
                place.push(name.to_owned());
                if !known.contains(&place) {
                    place.pop();
                    break;
                }
            }
        }
    }
    Some(place)
}

/// Which module imports from which, but for what stands in one folder below it or above it.
fn imports(modules: &BTreeMap<Module, String>) -> BTreeMap<Module, BTreeSet<Module>> {
    let known: BTreeSet<&Module> = modules.keys().collect();
    let of = |(module, text): (&Module, &String)| {
        let paths = paths(text).into_iter();
        let targets = paths.filter_map(|path| target(module, &path, &known));
        let others = targets.filter(|one| !one.starts_with(module) && !module.starts_with(one));
        (module.clone(), others.collect())
    };
    modules.iter().map(of).collect()
}

/// Those that are left when all that import from nobody who is left are taken away, again and again, and all that
/// nobody imports from: whoever is in a circle or between two.
fn circle(mut imports: BTreeMap<Module, BTreeSet<Module>>) -> BTreeMap<Module, BTreeSet<Module>> {
    loop {
        let left: BTreeSet<Module> = imports.keys().cloned().collect();
        for others in imports.values_mut() {
            others.retain(|one| left.contains(one));
        }
        let named: BTreeSet<Module> = imports.values().flatten().cloned().collect();
        imports.retain(|module, others| !others.is_empty() && named.contains(module));
        if imports.len() == left.len() {
            return imports;
        }
    }
}

#[test]
fn no_file_imports_from_one_that_imports_from_it() {
    for folder in ["src", "cli/src", "notify/src"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let modules = modules(&folder);
        assert!(modules.len() > 1, "{} has no files", folder.display());
        let circle = circle(imports(&modules));
        assert!(circle.is_empty(), "in a circle: {circle:#?}");
    }
}

#[test]
fn a_circle_is_seen_however_imports_are_written() {
    let circle_of = |files: &[(&str, &str)]| {
        let modules = files.iter().map(|(path, text)| {
            let names = path.split('/').filter(|name| !name.is_empty());
            (names.map(str::to_owned).collect(), (*text).to_owned())
        });
        let left = circle(imports(&modules.collect()));
        let names: Vec<String> = left.keys().map(|module| module.join("/")).collect();
        names.join(" ")
    };
    let root = ("", "mod a; mod b; mod c;");
    let (a, b) = (
        ("a", "use crate::{c, b::{self, B}};"),
        ("b", "fn f() { crate::c::C::new() }"),
    );
    assert_eq!(circle_of(&[root, a, b, ("c", "pub struct C;")]), "");
    assert_eq!(
        circle_of(&[
            root,
            a,
            b,
            ("c", "use super::{\n    x::Y,\n    a as b,\n};")
        ]),
        "a b c"
    );
    // A file and those of its folder are one; two of one folder are not.
    let (one, two) = (
        ("a/one", "use super::A;"),
        ("a/two", "use super::one::One;"),
    );
    assert_eq!(
        circle_of(&[root, ("a", "use self::one::One;"), one, two]),
        ""
    );
    assert_eq!(
        circle_of(&[root, ("a", ""), ("a/one", "use super::two::Two;"), two]),
        "a/one a/two"
    );
}
