//! Drills that were written down and are judged again, those of mail servers and commands among them.
//!
//! `tests/recordings` has logs of real runs, a folder for each sender; the verdict at the end of each is
//! the one that was given then. Where a verdict is meant to be another one now, `UPDATE=1` writes it.

mod bundled;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use mxdrill::{
    drill,
    lab::NetworkKind,
    recording::{self, Recording},
    scenario::Scenario,
    sender::Reference,
    verdict::RULES,
};

fn written_down(scenario: &Arc<Scenario>, run: drill::Run) -> String {
    let mut lines = Vec::new();
    recording::write(&mut lines, scenario, &run).expect("written");
    String::from_utf8(lines).expect("text")
}

#[test]
fn every_drill_that_is_written_down_is_judged_as_it_was() {
    for (name, file) in bundled::scenarios() {
        let scenario = Arc::new(Scenario::load(&file).expect("a valid scenario"));
        if drill::obstacle(&scenario, NetworkKind::Memory).is_some() {
            continue;
        }
        let run = drill::run(&scenario, NetworkKind::Memory, None, Reference::default());
        let run = run.expect("the drill ran");
        let (events, sender_kind) = (run.events.clone(), run.sender_kind);
        let text = written_down(&scenario, run);
        let recording = Recording::parse("log", &text, &scenario.path);
        let recording = recording.unwrap_or_else(|mistakes| panic!("{name}: {mistakes}"));
        assert_eq!(recording.sender_kind, Some(sender_kind), "{name}");
        assert!(recording.events == events, "{name}: other events");
        let again = recording.judge(&scenario, sender_kind);
        assert_eq!(written_down(&scenario, again), text, "{name}");
    }
}

/// The logs of real runs, with the scenario of each.
fn recordings() -> Vec<(PathBuf, PathBuf)> {
    let folder = bundled::root().join("tests/recordings");
    let mut files = Vec::new();
    let mut folders = vec![folder.clone()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).expect("a folder of logs") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    files.sort();
    let with_scenario = |log: PathBuf| {
        let inside = log.strip_prefix(&folder).expect("below the folder");
        let scenario: PathBuf = inside.iter().skip(1).collect();
        (log, bundled::root().join(scenario).with_extension("toml"))
    };
    files.into_iter().map(with_scenario).collect()
}

fn read(log: &Path, scenario: &Path) -> (Scenario, Recording) {
    let inside = scenario.strip_prefix(bundled::root()).expect("in the tree");
    let text = fs::read_to_string(log).expect("a log");
    let mut scenario = Scenario::load(scenario).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    scenario.path = inside.display().to_string().replace('\\', "/");
    let recording = Recording::parse(&log.display().to_string(), &text, &scenario.path);
    (
        scenario,
        recording.unwrap_or_else(|mistakes| panic!("{mistakes}")),
    )
}

#[test]
fn what_real_senders_did_is_judged_as_it_was() {
    let update = std::env::var_os("UPDATE").is_some();
    let all = recordings();
    let mut stale = Vec::new();
    for (log, scenario) in &all {
        let (scenario, recording) = read(log, scenario);
        let sender_kind = recording.sender_kind.expect("a verdict that says who sent");
        let scenario = Arc::new(scenario);
        let text = written_down(&scenario, recording.judge(&scenario, sender_kind));
        if text == fs::read_to_string(log).expect("a log") {
            continue;
        }
        match update {
            true => fs::write(log, text).expect("written"),
            false => stale.push(log.display().to_string()),
        }
    }
    assert!(all.len() > 50, "{} logs", all.len());
    assert!(
        stale.is_empty(),
        "other verdicts (UPDATE=1 writes them): {stale:#?}"
    );
}

/// A small sender: its drill, and the verdict on it that is right.
#[derive(serde::Deserialize)]
struct SmallSender {
    name: String,
    right: Right,
    /// The one rule that it breaks, or comes close to.
    rule: Option<String>,
    scenario: String,
}

fn small_senders() -> Vec<SmallSender> {
    #[derive(serde::Deserialize)]
    struct Senders {
        sender: Vec<SmallSender>,
    }
    let file = bundled::root().join("tests/senders/senders.toml");
    let text = fs::read_to_string(file).expect("a file of the tests");
    let senders: Senders = toml::from_str(&text).expect("a list of senders");
    senders.sender
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Right {
    Passes,
    Fails,
    /// One may argue.
    Open,
}

#[test]
fn small_senders_are_judged_rightly() {
    let log = bundled::root().join("tests/senders/recorded.jsonl");
    let log = fs::read_to_string(log).expect("a file of the tests");
    let mut wrong = Vec::new();
    for SmallSender {
        name,
        right,
        rule,
        scenario,
    } in small_senders()
    {
        let path = format!("{name}.toml");
        let own = format!("\"scenario\":\"{path}\"");
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(&own)).collect();
        let scenario = Scenario::parse(&path, &scenario);
        let scenario = scenario.unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let recording = Recording::parse("recorded.jsonl", &lines.join("\n"), &path);
        let recording = recording.unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let sender_kind = recording.sender_kind.expect("a verdict that says who sent");
        let verdict = recording.judge(&scenario, sender_kind).verdict;
        let judged = match verdict.passed() {
            true => Right::Passes,
            false => Right::Fails,
        };
        let named: Vec<_> = verdict.findings.iter().map(|one| one.rule).collect();
        let is_named = judged == Right::Passes || rule.is_none() || named == [rule.as_deref()];
        if right != Right::Open && judged != right || !is_named {
            wrong.push(format!("{name}: {judged:?} {:#?}", verdict.findings));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn small_senders_break_each_rule_about_a_session_and_come_close_to_it() {
    let senders = small_senders();
    let names: BTreeSet<&str> = senders.iter().map(|sender| &*sender.name).collect();
    assert_eq!(names.len(), senders.len(), "a name is there twice");
    let place = |name: &str| RULES.iter().position(|rule| rule.name == name);
    let (first, last) = (place("ehlo-first"), place("tls-once"));
    let (first, last) = first.zip(last).expect("rules about sessions");
    for rule in &RULES[first..=last] {
        for right in [Right::Fails, Right::Passes] {
            let is_one = |sender: &SmallSender| {
                sender.right == right && sender.rule.as_deref() == Some(rule.name)
            };
            assert!(senders.iter().any(is_one), "{} {right:?}", rule.name);
        }
    }
    let mut rules = senders.iter().filter_map(|sender| sender.rule.as_deref());
    assert_eq!(rules.find(|rule| place(rule).is_none()), None);
}

#[test]
fn a_log_that_cannot_be_read_says_where() {
    let event = r#"{"at":0.0,"event":"submitted","message":"m","from":"","to":[]}"#;
    for (text, place) in [
        (
            format!("{event}\n{{\"at\":0.0,\"event\":\"sumbitted\"}}"),
            "log:2:",
        ),
        (format!("{event}\n\n[1]"), "log:3:2: "),
        (
            format!("{event}\n{}", event.replace("\"at\":0.0", "\"at\":-1")),
            "found -1, expected the seconds",
        ),
        (String::new(), "log:1:1: found no event"),
        (
            event.replace('}', ",\"scenario\":\"a.toml\"}")
                + "\n"
                + &event.replace('}', ",\"scenario\":\"b.toml\"}"),
            "found the drills a.toml, b.toml, expected c.toml",
        ),
    ] {
        let mistakes = Recording::parse("log", &text, "c.toml").expect_err(&text);
        assert!(mistakes.to_string().contains(place), "{mistakes}");
    }
}

#[test]
fn a_log_of_another_drill_is_told_from_one_in_which_nothing_was_done() {
    let drill = |id: &str, to: &str| {
        let text = format!(
            "summary = 's'\nzone = 'mx.example.test. A 192.0.2.1'\nmessages = [{{ id = '{id}', to = '{to}' }}]"
        );
        Scenario::parse("drill.toml", &text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
    };
    let given = r#"{"at":0.0,"event":"submitted","message":"one","from":"","to":["a@one.test"]}"#;
    let asked = r#"{"at":0.0,"event":"query","name":"mx.one.test","type":"A","over":"udp","answer":"nodata"}"#;
    let own = r#"{"at":0.0,"event":"query","name":"sender.test","type":"MX","over":"udp","answer":"nodata"}"#;
    let elsewhere = r#"{"at":0.0,"event":"stray","to":"192.0.2.1:25","over":"tcp"}"#;
    for (log, id, to, is_of_it) in [
        (given, "one", "b@two.test", true),
        (given, "two", "b@one.test", true),
        (given, "two", "b@two.test", false),
        (asked, "two", "b@one.test", true),
        (asked, "two", "b@two.test", false),
        (&asked.replace("one", "example"), "two", "b@two.test", true),
        (own, "two", "b@two.test", true),
        (elsewhere, "two", "b@two.test", true),
    ] {
        let recording = Recording::parse("log", log, "drill.toml");
        let recording = recording.unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let found = recording.is_of(&drill(id, to), "log");
        assert_eq!(found.is_ok(), is_of_it, "{log} {id} {to}");
    }
    let recording = Recording::parse("log", given, "drill.toml").expect("a log");
    let mistakes = recording.is_of(&drill("two", "b@two.test"), "log");
    assert_eq!(
        mistakes.expect_err("another one").to_string(),
        "log:1:1: found messages one, domains one.test; expected some of drill.toml: messages two, \
         domains mx.example.test, two.test (the log seems to be of another drill)"
    );
}
