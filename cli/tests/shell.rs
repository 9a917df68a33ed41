//! What shells, `man` and editors are told: completions, pages, the schema.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Output},
};

/// The commands that `--help` shows.
const SHOWN: [&str; 15] = [
    "run",
    "check",
    "judge",
    "fuzz",
    "plan",
    "rehearse",
    "new",
    "lint",
    "up",
    "exec",
    "conform",
    "mta",
    "schema",
    "completions",
    "man",
];

fn mxdrill(arguments: &[&str], folder: &Path) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_mxdrill"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the command runs");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    output
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// What a program says; `None`, with a word, where there is none of that name.
fn run_here(program: &str, arguments: &[&str], folder: &Path) -> Option<Output> {
    let mut command = Command::new(program);
    let output = command.args(arguments).current_dir(folder).output().ok();
    if output.is_none() {
        println!("skipped: there is no {program}");
    }
    output
}

#[test]
fn bash_knows_the_command_and_completes_what_help_shows() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = mxdrill(&["completions", "bash"], folder.path()).stdout;
    fs::write(folder.path().join("mxdrill.bash"), script).expect("written");
    let complete = "source ./mxdrill.bash && complete -p mxdrill && \
        COMP_WORDS=(mxdrill '') COMP_CWORD=1 && _mxdrill mxdrill '' mxdrill && echo \"${COMPREPLY[@]}\"";
    let Some(output) = run_here("bash", &["-c", complete], folder.path()) else {
        return;
    };
    let said = text(&output.stdout);
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    let (known, words) = said.split_once('\n').expect("two lines");
    assert!(known.ends_with("-F _mxdrill mxdrill"), "{known}");
    let words: BTreeSet<&str> = words.split_whitespace().collect();
    let commands = words.into_iter().filter(|word| !word.starts_with('-'));
    let expected = SHOWN.into_iter().chain(["help"]);
    assert_eq!(
        commands.collect::<BTreeSet<_>>(),
        expected.collect::<BTreeSet<_>>()
    );
}

#[test]
fn what_is_hidden_from_help_is_in_no_script() {
    let folder = tempfile::tempdir().expect("a folder");
    // These show what each command is for; what is hidden is what mxdrill starts itself, or is told by itself.
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let script = text(&mxdrill(&["completions", shell], folder.path()).stdout);
        assert!(
            script.contains("Show where mail for a domain goes"),
            "{shell}"
        );
        // An option is `-l inside` to fish.
        for hidden in ["starts itself", "--inside", "-l inside"] {
            assert!(!script.contains(hidden), "{shell}: {hidden}");
        }
    }
}

#[test]
fn man_renders_every_page_without_a_warning() {
    let folder = tempfile::tempdir().expect("a folder");
    mxdrill(&["man", "pages"], folder.path());
    let pages: BTreeSet<String> = fs::read_dir(folder.path().join("pages"))
        .expect("a folder of pages")
        .map(|page| {
            page.expect("a page")
                .file_name()
                .into_string()
                .expect("a name")
        })
        .collect();
    let of_commands = SHOWN.map(|name| format!("mxdrill-{name}.1"));
    let more = ["mxdrill.1", "mxdrill-mta-get.1", "mxdrill-mta-list.1"].map(str::to_owned);
    let expected: BTreeSet<String> = of_commands.into_iter().chain(more).collect();
    assert_eq!(pages, expected);
    // That of man-db; others have no such option.
    let is_known = run_here("man", &["--version"], folder.path())
        .is_some_and(|output| text(&output.stdout).starts_with("man 2"));
    if !is_known {
        println!("skipped: no man-db here renders the pages");
        return;
    }
    for page in pages {
        let path = format!("pages/{page}");
        let output = run_here("man", &["--warnings", "-l", &path], folder.path());
        let output = output.expect("man was there");
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{page}: {output:?}"
        );
        assert!(text(&output.stdout).contains("SYNOPSIS"), "{page}");
    }
}

#[test]
fn a_first_scenario_names_the_schema_that_lies_beside_it() {
    let folder = tempfile::tempdir().expect("a folder");
    mxdrill(&["new", "a.toml"], folder.path());
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).expect(name);
    let first = read("a.toml");
    let schema = first
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("#:schema "));
    let schema = schema.expect("a schema in the first line");
    let printed = text(&mxdrill(&["schema"], folder.path()).stdout);
    assert_eq!(read(schema), printed);
    // One that is there is its owner's.
    fs::write(folder.path().join(schema), "{}").expect("written");
    mxdrill(&["new", "b.toml"], folder.path());
    assert_eq!(read(schema), "{}");
}
