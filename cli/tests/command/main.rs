//! The command as users run it: exit status, messages, formats.

mod mistakes;
mod reports;
mod selection;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

const DRILL: &str = r#"summary = "the backup takes it"
cites = ["RFC 5321 section 5.1"]
zone = """
$ORIGIN example.test.
@   IN MX 10 mx1
@   IN MX 20 mx2
mx1 IN A 192.0.2.1
mx2 IN A 192.0.2.2
"""
messages = [{ id = "m1", to = "alice@example.test" }]
faults = [{ host = "mx1.example.test", stage = "connect", effect = "refuse", until = "20m" }]

[expect]
delivered = 1

[expect.m1]
outcome = "delivered"
by = "mx2.example.test"
attempts = [
  { host = "mx1.example.test", result = "refused" },
  { host = "mx2.example.test", result = "accepted", at = "0s" },
]
"#;

fn mxdrill(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mxdrill"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the command runs")
}

fn play(text: &str) -> (Option<i32>, String, String) {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("a.toml"), text).expect("written");
    let output = mxdrill(&["run", "a.toml"], folder.path());
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn a_drill_that_passes_exits_0() {
    let (code, out, err) = play(DRILL);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(out.contains("1 passed, 0 failed"), "{out}");
}

#[test]
fn each_wrong_expectation_exits_1_and_names_the_difference() {
    for (right, wrong, named) in [
        (
            "by = \"mx2.example.test\"",
            "by = \"mx1.example.test\"",
            "taker of message m1",
        ),
        (
            "outcome = \"delivered\"",
            "outcome = \"bounced\"",
            "outcome of message m1",
        ),
        ("delivered = 1", "delivered = 2", "delivered messages"),
        (
            "result = \"refused\"",
            "result = \"timeout\"",
            "attempts of message m1",
        ),
        (
            "at = \"0s\"",
            "at = \"1s\"",
            "mx2.example.test accepted +1s",
        ),
        (
            "delivered = 1",
            "first_attempts = [{ host = \"mx1.example.test\", max = 0 }]",
            "first attempts at mx1.example.test",
        ),
        (
            "outcome = \"delivered\"",
            "outcome = \"delivered\"\ncopies = 2",
            "copies of message m1",
        ),
        (
            "outcome = \"delivered\"",
            "outcome = \"delivered\"\nattempt_count = 3",
            "number of attempts of message m1",
        ),
        (
            "outcome = \"delivered\"",
            "outcome = \"delivered\"\nstatus = \"5.1.1\"",
            "status of message m1",
        ),
        ("delivered = 1", "sessions = 0", "sessions"),
    ] {
        let text = DRILL.replacen(right, wrong, 1);
        assert_ne!(text, DRILL, "{right}");
        let (code, out, _) = play(&text);
        assert_eq!(code, Some(1), "{wrong}: {out}");
        assert!(out.contains(named), "{named}: {out}");
        assert!(out.contains("--seed 0"), "{out}");
    }
}

/// A message of which the lab must keep all until the server behind has it.
const LARGE: &str = r#"summary = "a large message reaches the server behind"
engine = "mailin-embedded"
zone = """
$ORIGIN example.test.
@   IN MX 10 mx1
mx1 IN A 192.0.2.1
"""
messages = [{ id = "m1", to = "alice@example.test", size = 200000 }]
[expect]
delivered = 1
"#;

#[test]
fn a_fault_of_the_labs_own_is_held_against_nobody() {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("large.toml"), LARGE).expect("written");
    let run = |temporary: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_mxdrill"))
            .args(["run", "large.toml"])
            .current_dir(folder.path())
            .env("TMPDIR", temporary)
            // Windows looks here.
            .env("TMP", temporary)
            .output()
            .expect("the command runs");
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), out)
    };
    let (code, out) = run("/nonexistent");
    assert_eq!(code, Some(2), "{out}");
    assert!(
        out.contains("could not be judged") && out.contains("temporary file"),
        "{out}"
    );
    let (code, out) = run(".");
    assert_eq!(code, Some(0), "{out}");
    // Where nobody will ask for it, nothing is kept.
    let own = LARGE.replace("engine = \"mailin-embedded\"\n", "");
    fs::write(folder.path().join("large.toml"), own).expect("written");
    let (code, out) = run("/nonexistent");
    assert_eq!(code, Some(0), "{out}");
}

#[test]
fn mail_leaves_this_host_only_where_that_is_allowed() {
    let folder = TempDir::new().expect("a folder");
    let run = |upstream: &str, more: &[&str]| {
        let engine = format!("receivers = [{{ upstream = \"{upstream}\" }}]");
        let text = LARGE.replace("engine = \"mailin-embedded\"", &engine);
        fs::write(folder.path().join("a.toml"), text).expect("written");
        let output = mxdrill(&[&["run", "a.toml"], more].concat(), folder.path());
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    for elsewhere in ["192.0.2.1:25", "mail.example.com:25", "[2001:db8::1]:25"] {
        assert!(
            run(elsewhere, &[]).contains("--allow-upstream"),
            "{elsewhere}"
        );
    }
    // Nobody listens there; it was tried.
    for here in ["127.0.0.1:1", "localhost:1", "[::1]:1"] {
        assert!(run(here, &[]).contains("does not answer"), "{here}");
    }
    assert!(run("127.255.255.1:1", &["--allow-upstream"]).contains("does not answer"));
}

#[test]
fn of_many_differences_some_are_shown_and_the_rest_is_counted() {
    let text = DRILL
        .replace("id = \"m1\"", "id = \"m1\", count = 30")
        .replace("delivered = 1", "delivered = 30")
        .replace("outcome = \"delivered\"", "outcome = \"bounced\"");
    let (code, out, _) = play(&text);
    assert_eq!(code, Some(1), "{out}");
    assert_eq!(out.matches("outcome of message m1-").count(), 20, "{out}");
    assert!(out.contains("and 10 findings more"), "{out}");
}

#[test]
fn attempts_in_the_wrong_order_exit_1() {
    let swapped = DRILL.replace(
        "{ host = \"mx1.example.test\", result = \"refused\" },\n  { host = \"mx2.example.test\", result = \"accepted\", at = \"0s\" },",
        "{ host = \"mx2.example.test\", result = \"accepted\" },\n  { host = \"mx1.example.test\", result = \"refused\" },",
    );
    assert_ne!(swapped, DRILL);
    assert_eq!(play(&swapped).0, Some(1));
}

#[test]
fn the_bundled_drills_pass() {
    let folder = TempDir::new().expect("a folder");
    let output = mxdrill(&["run"], folder.path());
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[test]
fn the_json_log_of_a_seed_is_the_same_to_the_octet() {
    let folder = TempDir::new().expect("a folder");
    let once = || {
        mxdrill(
            &[
                "run", "--format", "json", "--filter", "basics", "--seed", "11",
            ],
            folder.path(),
        )
        .stdout
    };
    let (first, second) = (once(), once());
    assert!(first.len() > 100_000);
    assert!(first == second);
    let lines = first
        .split(|octet| *octet == b'\n')
        .filter(|line| !line.is_empty());
    assert!(
        lines
            .into_iter()
            .all(|line| serde_json::from_slice::<serde_json::Value>(line).is_ok())
    );
    let other = mxdrill(
        &[
            "run", "--format", "json", "--filter", "basics", "--seed", "12",
        ],
        folder.path(),
    )
    .stdout;
    assert!(first != other);
}

#[test]
fn junit_names_every_drill() {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("good.toml"), DRILL).expect("written");
    fs::write(
        folder.path().join("bad.toml"),
        DRILL.replace("delivered = 1", "delivered = 2"),
    )
    .expect("written");
    let output = mxdrill(&["run", ".", "--format", "junit"], folder.path());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text.contains("tests=\"2\" ")
            && text.contains("failures=\"1\"")
            && text.contains("name=\"good\""),
        "{text}"
    );
}

#[test]
fn check_runs_nothing_and_filter_chooses() {
    let folder = TempDir::new().expect("a folder");
    fs::write(
        folder.path().join("good.toml"),
        DRILL.replace("delivered = 1", "delivered = 2"),
    )
    .expect("written");
    assert_eq!(
        mxdrill(&["check", "."], folder.path()).status.code(),
        Some(0)
    );
    fs::write(folder.path().join("odd.toml"), "nonsense").expect("written");
    assert_eq!(
        mxdrill(&["check", "."], folder.path()).status.code(),
        Some(2)
    );
    assert_eq!(
        mxdrill(&["run", ".", "--filter", "good"], folder.path())
            .status
            .code(),
        Some(1)
    );
    assert_eq!(
        mxdrill(&["run", ".", "--filter", "nothing"], folder.path())
            .status
            .code(),
        Some(2)
    );
    assert_eq!(
        mxdrill(&["run", "missing.toml"], folder.path())
            .status
            .code(),
        Some(2)
    );
    assert_eq!(
        mxdrill(&["run", "--network", "carrier-pigeon"], folder.path())
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn a_zone_file_is_found_beside_the_scenario_and_its_mistakes_are_its_own() {
    let folder = TempDir::new().expect("a folder");
    fs::create_dir(folder.path().join("d")).expect("made");
    let (before, rest) = DRILL.split_once("zone = \"\"\"\n").expect("a zone");
    let (zone, after) = rest.split_once("\"\"\"\n").expect("its end");
    fs::write(
        folder.path().join("d/a.toml"),
        format!("{before}zone_file = \"a.zone\"\n{after}"),
    )
    .expect("written");
    fs::write(folder.path().join("d/a.zone"), zone).expect("written");
    assert_eq!(mxdrill(&["run", "d"], folder.path()).status.code(), Some(0));
    fs::write(
        folder.path().join("d/a.zone"),
        zone.replace("192.0.2.2", "192.0.2.x"),
    )
    .expect("written");
    let output = mxdrill(&["run", "d/a.toml"], folder.path());
    let err = String::from_utf8_lossy(&output.stderr).replace('\\', "/");
    assert!(
        output.status.code() == Some(2) && err.starts_with("d/a.zone:5:10:"),
        "{err}"
    );
}

#[test]
fn a_scenario_with_records_elsewhere_is_judged_and_noted_as_it_is_run() {
    let folder = TempDir::new().expect("a folder");
    fs::create_dir(folder.path().join("d")).expect("made");
    let (before, rest) = DRILL.split_once("zone = \"\"\"\n").expect("a zone");
    let (zone, after) = rest.split_once("\"\"\"\n").expect("its end");
    let drill = format!("{before}zone_file = \"../a.zone\"\n{after}");
    fs::write(folder.path().join("d/a.toml"), drill).expect("written");
    let zone = format!("{zone}odd IN SPF \"v=spf1\"\nodd IN WINS 192.0.2.3\n");
    fs::write(folder.path().join("a.zone"), zone).expect("written");
    let told = |arguments: &[&str]| {
        let output = mxdrill(arguments, folder.path());
        let said =
            [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
        (output.status.code(), said)
    };
    let run = [
        "run",
        "d/a.toml",
        "--format",
        "json",
        "--flaw",
        "highest-first",
        "--allow-outside",
    ];
    let (code, [log, notes]) = told(&run);
    assert_eq!(code, Some(1), "{notes}");
    assert!(
        notes
            .replace('\\', "/")
            .starts_with("note: d/../a.zone: records of types that mean nothing to mail")
            && notes.lines().count() == 1,
        "{notes}"
    );
    fs::write(folder.path().join("log"), log).expect("written");
    let judge = ["judge", "d/a.toml", "log", "--allow-outside"];
    let (code, [said, _]) = told(&judge);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("again: mxdrill judge d/a.toml log --allow-outside"),
        "{said}"
    );
    let (code, [_, said]) = told(&judge[..3]);
    assert!(
        code == Some(2) && said.contains("--allow-outside"),
        "{said}"
    );
    let (_, [said, _]) = told(&[
        "run",
        "d/a.toml",
        "--flaw",
        "highest-first",
        "--allow-outside",
    ]);
    assert!(
        said.contains("again: mxdrill run d/a.toml --allow-outside --seed 0"),
        "{said}"
    );
}
