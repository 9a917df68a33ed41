//! The commands that look at a domain's records, as users run them; and that nothing hostile brings them down.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use mxdrill::lint::{CHECKS, Check};
use serde_json::Value;

fn zones() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/zones")
}

fn mxdrill(arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_mxdrill"))
        .args(arguments)
        .output();
    output.expect("it runs")
}

fn path_of(file: &str) -> String {
    zones().join(file).display().to_string()
}

#[test]
fn the_exit_status_depends_on_what_is_asked_for() {
    let status = |arguments: &[&str]| mxdrill(arguments).status.code();
    let host = path_of("single-host.zone");
    assert_eq!(
        status(&["lint", &path_of("clean.zone"), "--fail-on", "info"]),
        Some(0)
    );
    assert_eq!(status(&["lint", &host]), Some(0));
    assert_eq!(status(&["lint", &host, "--fail-on", "warning"]), Some(1));
    assert_eq!(status(&["lint", &path_of("mess.zone")]), Some(1));
    assert_eq!(
        status(&["lint", &path_of("mess.zone"), "--fail-on", "never"]),
        Some(0)
    );
    assert_eq!(status(&["lint", &path_of("none.zone")]), Some(2));
    assert_eq!(status(&["lint"]), Some(2));
    assert_eq!(status(&["plan", &host]), Some(0));
    assert_eq!(
        status(&["plan", &path_of("lint/null-mx-unneeded.zone")]),
        Some(1)
    );
}

#[test]
fn reports_for_programs_are_what_they_say() {
    let mess = path_of("mess.zone");
    let sarif = mxdrill(&["lint", &mess, "--format", "sarif"]);
    let sarif: Value = serde_json::from_slice(&sarif.stdout).expect("JSON");
    let run = &sarif["runs"][0];
    let results = run["results"].as_array().expect("results");
    let lines = mxdrill(&["lint", &mess, "--format", "json"]);
    let lines: Vec<Value> = String::from_utf8_lossy(&lines.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    // What was not checked stands on a line of its own, and in SARIF as a notification.
    let (lines, unseen): (Vec<Value>, Vec<Value>) =
        lines.into_iter().partition(|line| line.get("id").is_some());
    let unseen = unseen[0]["not_checked"].as_array().expect("a list").len();
    let notifications = &run["invocations"][0]["toolExecutionNotifications"];
    assert_eq!(notifications.as_array().expect("a list").len(), unseen);
    assert_eq!(results.len(), lines.len());
    for (result, line) in results.iter().zip(&lines) {
        assert_eq!(result["ruleId"], line["id"]);
        let index = usize::try_from(result["ruleIndex"].as_u64().expect("a number"));
        let rule = &run["tool"]["driver"]["rules"][index.expect("small")];
        assert_eq!(rule["id"], line["id"]);
        let region = &result["locations"][0]["physicalLocation"]["region"];
        assert_eq!(region["startLine"], line["line"]);
    }
    let junit = mxdrill(&["lint", &mess, "--format", "junit"]);
    let junit = String::from_utf8_lossy(&junit.stdout).into_owned();
    assert!(
        junit.contains(&format!("tests=\"{}\"", CHECKS.len()))
            && junit.contains("<failure")
            && junit.contains("<skipped message=\"not checked: "),
        "{junit}"
    );
}

#[test]
fn standard_input_is_a_zone_file_or_a_scenario() {
    let clean = fs::read(path_of("clean.zone")).expect("read");
    let scenario = "summary = 's'\nzone = 'example.test. MX 0 .'\nmessages = [{ id = 'm', to = 'a@example.test' }]\n";
    let scenario = scenario.as_bytes().to_vec();
    for (arguments, input, status) in [
        (&["lint", "-"][..], &clean, 0),
        (&["plan", "-"], &clean, 0),
        (&["check", "-"], &scenario, 0),
        (&["check", "-"], &clean, 2),
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mxdrill"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(input).expect("written");
        drop(stdin);
        let ended = child.wait().expect("it ends");
        assert_eq!(ended.code(), Some(status), "{arguments:?}");
    }
}

#[test]
fn a_resolver_that_does_not_answer_is_no_verdict() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = silent.local_addr().expect("an address").to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.zone");
    fs::write(&path, "$TTL 300\nexample.test. MX 10 mx.provider.test.\n").expect("written");
    let path = path.display().to_string();
    let output = mxdrill(&["lint", &path, "--resolver", &address]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(2) && said.contains("no answer came from 127.0.0.1"),
        "{said}"
    );
    // What is not known of it is no finding.
    let output = mxdrill(&["lint", &path, "--fail-on", "info"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.contains("not checked: the addresses of mx.provider.test"),
        "{said}"
    );
}

#[test]
fn files_that_a_scenario_names_lie_in_its_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("drills")).expect("made");
    let zone = "$ORIGIN example.test.\n@ SOA a b 1 2 3 4 5\n@ NS a\n@ WINS L2 C900 ( 192.0.2.1 )\n@ MX 10 mx1\nmx1 A 192.0.2.1\n";
    fs::write(at("outside.zone"), zone).expect("written");
    fs::write(at("drills/inside.zone"), zone).expect("written");
    fs::write(at("drills/secret"), "token=hunter2\nanother=hunter2 line\n").expect("written");
    let run = |arguments: &[&str], zone_file: &str| {
        let path = at("drills/a.toml");
        let text = format!(
            "summary = 's'\nzone_file = '{zone_file}'\nmessages = [{{ id = 'm', to = 'a@example.test' }}]\n"
        );
        fs::write(&path, text).expect("written");
        let mut all = vec![arguments[0], path.to_str().expect("UTF-8")];
        all.extend(&arguments[1..]);
        let output = mxdrill(&all);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        (output.status.code(), said)
    };
    // The findings stand in the zone file, whose name servers are part of it.
    let (_, said) = run(&["lint"], "inside.zone");
    assert!(
        said.contains("inside.zone:5: warning:") && said.contains("1 WINS"),
        "{said}"
    );
    for command in ["check", "run", "plan", "lint", "rehearse"] {
        let (status, said) = run(&[command], "inside.zone");
        assert_eq!(status, Some(0), "{command}: {said}");
        let noted = said.matches(
            "inside.zone: records of types that mean nothing to mail are passed over: 1 WINS",
        );
        assert_eq!(noted.count(), 1, "{command}: {said}");
        let (status, said) = run(&[command], "../outside.zone");
        assert!(
            status == Some(2) && said.contains("--allow-outside"),
            "{command}: {said}"
        );
        let (status, said) = run(&[command, "--allow-outside"], "../outside.zone");
        assert_eq!(status, Some(0), "{command}: {said}");
        let (status, said) = run(&[command], "secret");
        assert!(
            status == Some(2) && said.contains("secret:1:") && !said.contains("hunter2"),
            "{command}: {said}"
        );
    }
}

#[test]
fn a_scenario_with_name_servers_is_surveyed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.toml");
    let text = "summary = 's'\nzone = '''\n$ORIGIN example.test.\n@ SOA ns1 h 1 2 3 4 5\n@ NS ns1\n@ MX 10 mx1\n\
        mx1 A 192.0.2.1\n'''\nmessages = [{ id = 'm', to = 'a@example.test' }]\n";
    fs::write(&path, text).expect("written");
    let path = path.display().to_string();
    for command in ["plan", "lint", "rehearse"] {
        let output = mxdrill(&[command, &path]);
        assert!(output.status.success(), "{command}: {output:?}");
    }
}

#[test]
fn every_check_is_explained() {
    for check in CHECKS {
        let output = mxdrill(&["lint", "--explain", check.id]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            said.starts_with(check.id) && said.contains(check.cites[0]),
            "{said}"
        );
        assert_eq!(Check::find(check.id), Some(check));
    }
    let output = mxdrill(&["lint", "--explain", "spf-lookup"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("spf-lookups") && output.status.code() == Some(2),
        "{said}"
    );
}

/// Every command on a file, which must end soon and in order.
fn survives(content: &[u8], told: Option<&str>) {
    survives_at(content, told, &["plan", "lint", "rehearse"]);
}

fn survives_at(content: &[u8], told: Option<&str>, commands: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("example.test.zone");
    fs::write(&path, content).expect("written");
    let path = path.display().to_string();
    for command in commands {
        let begun = Instant::now();
        let output = mxdrill(&[command, &path]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            matches!(output.status.code(), Some(0..=2)),
            "{command}: {said}"
        );
        assert!(!said.contains("panicked"), "{command}: {said}");
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{command}: {:?}",
            begun.elapsed()
        );
        if let Some(told) = told {
            assert!(
                said.contains(told) && output.status.code() == Some(2),
                "{command}: {said}"
            );
        }
    }
}

#[test]
fn hostile_input_ends_in_an_error_or_an_answer() {
    let head = "$ORIGIN example.test.\n$TTL 300\n@ SOA ns1 hostmaster 1 2 3 4 5\n";
    // A megabyte of mistakes, and one of a single name.
    survives(
        "x".repeat(1 << 20).as_bytes(),
        Some("example.test.zone:1:1"),
    );
    survives(
        "nonsense here\n".repeat(80_000).as_bytes(),
        Some("more mistakes"),
    );
    survives(
        &[head, &"mx1 A 192.0.2.1\n".repeat(60_000)]
            .concat()
            .into_bytes(),
        None,
    );
    // Ten thousand exchangers.
    let mut many = head.to_owned();
    for n in 0..10_000 {
        let (high, low) = (n / 250, n % 250);
        many.push_str(&format!("@ MX {n} mx{n}\nmx{n} A 198.18.{high}.{low}\n"));
    }
    survives(many.as_bytes(), None);
    survives(&[b')'; 1 << 20], Some("more mistakes"));
}

#[test]
fn hostile_input_of_many_names_ends_in_an_error_or_an_answer() {
    let head = "$ORIGIN example.test.\n$TTL 300\n@ SOA ns1 hostmaster 1 2 3 4 5\n";
    // Many domains, and aliases of a name with all the addresses there is room for.
    let domains: String = (0..5_000)
        .map(|n| format!("d{n}.test. MX 10 mx.d{n}.test.\n"))
        .collect();
    survives_at(domains.as_bytes(), None, &["plan", "lint"]);
    let mut aliases = head.to_owned();
    for n in 0..2_000 {
        aliases.push_str(&format!("@ MX 10 m{n}\nm{n} CNAME all\n"));
    }
    for n in 0..900 {
        aliases.push_str(&format!("all A 198.18.{}.{}\n", n / 250, n % 250));
    }
    survives(aliases.as_bytes(), None);
    aliases.push_str(&"all A 198.19.0.1\n".repeat(200));
    survives(aliases.as_bytes(), Some("more than 1000 addresses"));
}

#[test]
fn hostile_input_of_odd_forms_ends_in_an_error_or_an_answer() {
    let head = "$ORIGIN example.test.\n$TTL 300\n@ SOA ns1 hostmaster 1 2 3 4 5\n";
    // Another file, records that are made up, and no end.
    survives(
        format!("{head}$INCLUDE /etc/passwd\n").as_bytes(),
        Some("$INCLUDE"),
    );
    survives(
        format!("{head}$GENERATE 1-1000000 h$ A 192.0.2.1\n").as_bytes(),
        Some("$GENERATE"),
    );
    survives(
        format!("{head}@ TXT ( \"a\"\n").as_bytes(),
        Some("without a ')'"),
    );
    // Aliases that go in a circle, of the domain, its exchangers and its policies.
    let circle = "a CNAME b\nb CNAME a\n@ MX 10 a\n@ MX 20 c\nc CNAME c\n_dmarc CNAME _dmarc\n_mta-sts CNAME b\n\
        @ TXT \"v=spf1 include:s.example.test -all\"\ns TXT \"v=spf1 include:s.example.test include:example.test -all\"\n";
    survives(format!("{head}{circle}").as_bytes(), None);
    // Octets of all kinds, the same in every run.
    let mut state = 1_u32;
    let octets: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(100_000)
    .collect();
    survives(&octets, Some("not UTF-8"));
    let ascii: Vec<u8> = octets.iter().map(|octet| octet & 0x7f).collect();
    survives(&ascii, None);
    survives(b"; nothing\n", Some("found no record"));
}

#[test]
fn a_domain_that_is_nowhere_is_told_not_passed() {
    let clean = path_of("clean.zone");
    let output = mxdrill(&["lint", "other.test", "--zone", &clean]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(2) && said.contains("other.test is in none"),
        "{said}"
    );
    let output = mxdrill(&["lint", "sub.example.test", "--zone", &clean]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.code() == Some(1) && said.contains("[no-domain]"),
        "{said}"
    );
}

#[test]
fn a_first_scenario_and_a_rehearsal_are_drills_that_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    assert!(mxdrill(&["new", &at("first.toml")]).status.success());
    assert_eq!(mxdrill(&["new", &at("first.toml")]).status.code(), Some(2));
    let arguments = [
        "rehearse",
        &path_of("clean.zone"),
        "--write",
        &at("drills"),
        "--html",
        &at("r.html"),
    ];
    let rehearsed = mxdrill(&arguments);
    assert!(rehearsed.status.success(), "{rehearsed:?}");
    let table = String::from_utf8_lossy(&rehearsed.stdout).into_owned();
    // Each of the two exchangers takes what the other cannot; one that rejects everything loses it.
    for row in [
        [
            "mx1.example.test does not answer for a day",
            "none  mx2.example.test",
        ],
        ["nothing fails", "none  mx1.example.test"],
        ["mx1.example.test rejects everything", "all  nobody"],
    ] {
        let found = table
            .lines()
            .find(|line| line.starts_with(row[0]))
            .unwrap_or_default();
        assert!(found.ends_with(row[1]), "{table}");
    }
    let run = mxdrill(&[
        "run",
        &at("drills"),
        &at("first.toml"),
        "--html",
        &at("run.html"),
    ]);
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(
        run.status.success() && said.contains("13 passed, 0 failed"),
        "{said}"
    );
    for page in ["r.html", "run.html"] {
        let html = fs::read_to_string(at(page)).expect("written");
        assert!(
            html.ends_with("</html>\n") && html.contains("mx2.example.test"),
            "{page}"
        );
        assert!(
            !html.contains("<script") && !html.contains("http"),
            "{page} needs nothing else"
        );
    }
}

/// What is there is accepted, what is new is told, and so is what is not there any more.
#[test]
fn a_baseline_accepts_what_it_lists_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (baseline, zone) = (file("accepted.toml"), file("example.test.zone"));
    let clean = fs::read_to_string(path_of("clean.zone")).expect("read");
    let with = |more: &str| fs::write(&zone, format!("{clean}{more}\n")).expect("written");
    let run = |more: &[&str]| mxdrill(&[&["lint", &zone, "--fail-on", "info"], more].concat());
    let accepting = ["--baseline", &baseline];

    with("www A 192.0.2.80");
    let written = run(&["--write-baseline", &baseline]);
    assert_eq!(written.status.code(), Some(1));
    let accepted = run(&accepting);
    assert_eq!(accepted.status.code(), Some(0));
    let text = String::from_utf8_lossy(&accepted.stdout).into_owned();
    assert!(
        text.contains("no problems found") && text.contains("1 accepted"),
        "{text}"
    );
    let silent = run(&[&accepting[..], &["--quiet"]].concat());
    assert!(silent.status.success() && silent.stdout.is_empty());

    // Another finding, and the one that is listed is gone.
    with("*.lab MX 10 mx1");
    let told = run(&[&accepting[..], &["--format", "github", "--quiet"]].concat());
    assert_eq!(told.status.code(), Some(1));
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    for part in [
        "::notice file=",
        "title=mx-wildcard::*.lab",
        "::warning file=",
        "title=allowance-stale::implicit-mx",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }

    // What is said of a domain that is not looked at is not known to be gone.
    let other = mxdrill(&[
        "lint",
        &path_of("single-host.zone"),
        "--baseline",
        &baseline,
    ]);
    let text = String::from_utf8_lossy(&other.stdout).into_owned();
    assert!(!text.contains("allowance-stale"), "{text}");

    let reasonless = fs::read_to_string(&baseline).expect("written");
    let reasonless = reasonless.replace("found when the baseline was written", " ");
    fs::write(&baseline, reasonless).expect("written");
    let refused = run(&accepting);
    assert_eq!(refused.status.code(), Some(2));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        text.contains("accepted.toml:3") && text.contains("found no reason"),
        "{text}"
    );
}

/// A move to other exchangers while senders remember the old ones for a day.
#[test]
fn a_change_is_rehearsed_with_what_senders_remember() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let head =
        "$ORIGIN example.test.\n$TTL 86400\n@ SOA ns1.dns.test. h 1 2 3 4 5\n@ NS ns1.dns.test.\n";
    let old = file(
        "old.zone",
        &format!("{head}@ MX 10 mx1\n@ MX 20 mx2\nmx1 A 192.0.2.1\nmx2 A 192.0.2.2\n"),
    );
    let new = file("new.zone", &format!("{head}@ MX 10 in.provider.test.\n"));
    let drills = folder.path().join("drills").display().to_string();
    let run = mxdrill(&[
        "rehearse", &old, "--change", &new, "--format", "json", "--write", &drills,
    ]);
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let lines: Vec<Value> = String::from_utf8_lossy(&run.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let [stay, off, reject, after, lowered] = &lines[..] else {
        panic!("{lines:#?}");
    };
    const DAY: u64 = 86_400;
    let number = |line: &Value, key: &str| line[key].as_f64().unwrap_or(-1.0) as u64;
    for line in [stay, after] {
        assert!(number(line, "late_at_the_old") > 50, "{line}");
        let last = number(line, "last_at_the_old_after_seconds");
        assert!((DAY * 9 / 10..=DAY).contains(&last), "{line}");
        assert_eq!(
            (
                number(line, "returned"),
                number(line, "longest_wait_seconds")
            ),
            (0, 0),
            "{line}"
        );
    }
    assert_eq!(
        (number(off, "late_at_the_old"), number(off, "returned")),
        (0, 0),
        "{off}"
    );
    let waited = number(off, "longest_wait_seconds");
    assert!((DAY * 9 / 10..DAY * 12 / 10).contains(&waited), "{off}");
    assert!(
        number(reject, "returned") > 50 && number(reject, "longest_wait_seconds") == 0,
        "{reject}"
    );
    assert!(
        number(lowered, "last_at_the_old_after_seconds") <= 300,
        "{lowered}"
    );
    assert_eq!(number(lowered, "returned"), 0, "{lowered}");
    let replayed = mxdrill(&["run", &drills]);
    assert!(
        replayed.status.success(),
        "{}",
        String::from_utf8_lossy(&replayed.stdout)
    );

    let same = mxdrill(&["rehearse", &old, "--change", &old]);
    assert_eq!(same.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&same.stderr).contains("the same addresses before and after"));
    let none = mxdrill(&["rehearse", &old, "--change", &file("none.zone", head)]);
    assert_eq!(none.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&none.stderr).contains("no mail can be sent after the change"));
    // What is remembered for a week, and what not at all.
    for (ttl, said) in [("604800", "for 7d after"), ("0", "Nothing is remembered")] {
        let old = fs::read_to_string(&old)
            .expect("written")
            .replace("86400", ttl);
        let run = mxdrill(&["rehearse", &file("ttl.zone", &old), "--change", &new]);
        let text = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(text.contains(said), "{text}");
    }
    // The same name at another address.
    let moved = file(
        "moved.zone",
        &format!("{head}@ MX 10 mx1\n@ MX 20 mx2\nmx1 A 192.0.2.9\nmx2 A 192.0.2.2\n"),
    );
    let run = mxdrill(&["rehearse", &old, "--change", &moved]);
    let text = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(
        run.status.success()
            && text.contains("Keep mx1.example.test (its old address) taking mail for 1d"),
        "{text}"
    );
}
