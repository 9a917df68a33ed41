//! Scenarios as files: what stands beside them, and what is added to them.

use std::{io, path::Path};

use mxdrill::{
    fault::Host,
    mail::{Mailbox, MessageId},
    scenario::{Engine, Scenario},
};

const MX: &str = "example.test. MX 10 mx1.example.test.\nmx1.example.test. A 192.0.2.1\n";

/// A file of two lines, and whatever is written below them.
fn file(rest: &str) -> String {
    format!("summary = 's'\nmessages = [{{ id = 'm', to = 'a@example.test' }}]\n{rest}")
}

fn with_zone(zone: &str, rest: &str) -> String {
    file(&format!("zone = '''\n{zone}'''\n{rest}"))
}

/// The mistakes of a file, a line each; nothing if there are none.
fn told(text: &str) -> Vec<String> {
    match Scenario::parse("folder/f.toml", text) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.0.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_zone_file_is_found_beside_the_scenario_and_its_mistakes_are_told_in_it() {
    let read = |path: &Path| match path == Path::new("folder/zones/x.zone") {
        true => {
            Ok("example.test. MX 10 mx1.example.test.\nmx1.example.test. A nowhere\n".to_owned())
        }
        false => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    let told = |name: &str| {
        let text = file(&format!("zone_file = '{name}'\n"));
        let mistakes = Scenario::parse_with("folder/f.toml", &text, &read).expect_err("mistakes");
        mistakes.to_string()
    };
    // Either slash is read, and the system's own is shown.
    for name in ["zones/x.zone", "zones\\x.zone"] {
        assert_eq!(
            told(name).replace('\\', "/"),
            "folder/zones/x.zone:2:21: found \"nowhere\", expected an IPv4 address (four numbers from 0 to 255)"
        );
    }
    assert_eq!(
        told("y.zone"),
        "folder/f.toml:3:13: found zone_file \"y.zone\", which cannot be read: entity not found"
    );
}

#[test]
fn what_a_file_lacks_is_told_at_its_beginning() {
    assert_eq!(
        told("summary = 's'\n"),
        [
            "folder/f.toml:1:1: found a scenario without \"zone\", expected the records as zone-file text, or zone_file = \"path\"",
            "folder/f.toml:1:1: found a scenario without \"messages\", expected at least one row such as messages = [{ id = \"m1\", to = \"alice@example.test\" }]",
        ]
    );
    let empty = "summary = 's'\nmessages = []\nzone = 'a.test. A 192.0.2.1'\n";
    assert_eq!(told(empty).len(), 1);
    let zone = "zone = '''\nexample.test. MX 10 mx1\n'''\n";
    let no_summary = format!("messages = [{{ id = 'm', to = 'a@b.test' }}]\n{zone}");
    assert_eq!(
        told(&no_summary),
        [
            "folder/f.toml:1:1: found a scenario without \"summary\", expected one sentence that says what is claimed"
        ]
    );
}

#[test]
fn what_is_no_toml_is_told_once() {
    let told = told("summary = 's'\nzone = [\nlevel = 'x'\ncites = 3\n");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("folder/f.toml:3:7: "), "{told:?}");
}

#[test]
fn a_file_that_cannot_be_read_is_a_mistake_at_its_first_character() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = Scenario::load(&folder.path().join("no.toml")).expect_err("a mistake");
    let [mistake] = &missing.0[..] else {
        panic!("{missing}")
    };
    assert_eq!((mistake.line, mistake.column), (1, 1));
    assert!(mistake.message.starts_with("cannot be read: "), "{mistake}");
    let octets = folder.path().join("octets.toml");
    std::fs::write(&octets, b"summary = '\xff'").expect("written");
    let mistakes = Scenario::load(&octets).expect_err("a mistake");
    let [mistake] = &mistakes.0[..] else {
        panic!("{mistakes}")
    };
    assert_eq!(
        mistake.message,
        "found octets that are not UTF-8 after octet 11, expected UTF-8 text"
    );
    let whole = folder.path().join("drill.toml");
    std::fs::write(&whole, with_zone(MX, "")).expect("written");
    assert_eq!(Scenario::load(&whole).expect("valid").name, "drill");
}

#[test]
fn an_engine_is_that_of_every_exchanger_but_of_the_one_that_takes_notifications() {
    let receivers = |rest: &str| {
        let scenario = Scenario::parse("f", &with_zone(MX, rest)).expect("valid");
        (scenario.needs_sockets(), scenario.world.receivers)
    };
    let (needs_sockets, rows) = receivers("engine = 'mailin-embedded'");
    let hosts: Vec<&Option<Host>> = rows.iter().map(|row| &row.host).collect();
    assert_eq!(hosts, [&Some(Host::Address([192, 0, 2, 1].into()))]);
    assert_eq!(rows[0].engine, Some(Engine::MailinEmbedded));
    assert!(needs_sockets);
    let (needs_sockets, rows) = receivers("engine = 'lab'");
    assert_eq!((needs_sockets, rows.len()), (false, 1));
    let (needs_sockets, rows) = receivers("receivers = [{ size = 1000 }, { upstream = 'h:1' }]");
    assert_eq!((needs_sockets, rows.len()), (true, 2));
    assert_eq!(
        receivers("receivers = [{ size = 1000 }]"),
        (false, rows[..1].to_vec())
    );
}

#[test]
fn hosts_are_those_that_a_record_names_now_or_later() {
    let zone = format!("{MX}alias.test. CNAME mx1.example.test.\nold.test. MX 5 gone.test.\n");
    let fault = |host: &str, rest: &str| {
        let row = format!(
            "faults = [{{ host = '{host}', stage = 'connect', effect = 'refuse' }}]\n{rest}"
        );
        told(&with_zone(&zone, &row)).join("\n")
    };
    for host in [
        "mx1.example.test",
        "192.0.2.1",
        "alias.test",
        "gone.test",
        "bounces.sender.test",
        "198.51.100.25",
    ] {
        assert_eq!(fault(host, ""), "", "{host}");
    }
    let unknown = |host: &str, near: &str| {
        format!("folder/f.toml:9:20: found host \"{host}\", expected one that a record names{near}")
    };
    assert_eq!(
        fault("mx2.example.test", ""),
        unknown("mx2.example.test", "; did you mean \"mx1.example.test\"?")
    );
    assert_eq!(
        fault("192.0.2.2", ""),
        unknown("192.0.2.2", "; did you mean \"192.0.2.1\"?")
    );
    assert_eq!(
        fault("www.elsewhere.org", ""),
        unknown("www.elsewhere.org", "")
    );
    let later = "updates = [{ at = '1m', add = 'mx2.example.test. A 192.0.2.2' }]\n";
    assert_eq!(fault("mx2.example.test", later), "");
    assert_eq!(fault("192.0.2.2", later), "");
    // Where records cannot be read, any host may be meant.
    let unreadable = with_zone(
        "example.test. MX ten mx1\n",
        "faults = [{ host = 'x.test', stage = 'connect', effect = 'refuse' }]\n",
    );
    assert_eq!(
        told(&unreadable),
        ["folder/f.toml:4:18: found \"ten\", expected a preference from 0 to 65535"]
    );
}

#[test]
fn the_domain_of_senders_is_added_unless_the_drill_has_one() {
    let bounces =
        "faults = [{ host = 'bounces.sender.test', stage = 'connect', effect = 'refuse' }]";
    assert_eq!(told(&with_zone(MX, bounces)), [""; 0]);
    let own = format!("{MX}sender.test. MX 5 mx1.example.test.\n");
    assert_eq!(told(&with_zone(&own, bounces)).len(), 1);
}

#[test]
fn the_web_server_of_a_policy_gets_an_address_that_no_record_has() {
    let policies = "policies = [{ domain = 'example.test', text = 'a' }, { domain = 'example.test', text = 'b', from = '1s' }, { domain = 'other.test', text = 'c' }]\n";
    let knows = |zone: &str, host: &str| {
        let fault =
            format!("faults = [{{ host = '{host}', stage = 'connect', effect = 'refuse' }}]\n");
        told(&with_zone(zone, &format!("{policies}{fault}"))).is_empty()
    };
    let taken = format!("{MX}www.example.test. A 198.51.100.254\n");
    for (zone, hosts) in [
        (
            MX,
            [
                "mta-sts.example.test",
                "mta-sts.other.test",
                "198.51.100.254",
                "198.51.100.253",
            ],
        ),
        (
            &*taken,
            [
                "mta-sts.example.test",
                "mta-sts.other.test",
                "198.51.100.253",
                "198.51.100.252",
            ],
        ),
    ] {
        for host in hosts {
            assert!(knows(zone, host), "{host}");
        }
    }
    assert!(!knows(MX, "198.51.100.252"));
    let own = format!("{MX}mta-sts.example.test. A 192.0.2.7\nmta-sts.other.test. A 192.0.2.8\n");
    assert!(!knows(&own, "198.51.100.254"));
}

#[test]
fn updates_are_made_in_the_order_of_their_times() {
    let updates = |rows: &str| told(&with_zone(MX, &format!("updates = [{rows}]\n"))).join("\n");
    let add = "{ at = '1m', add = 'mx9.example.test. A 192.0.2.9' }";
    let delete = "{ at = '2m', delete = 'mx9.example.test A' }";
    assert_eq!(updates(&format!("{add}, {delete}")), "");
    assert_eq!(updates(&format!("{delete}, {add}")), "");
    let twice = updates(&format!("{add}, {delete}, {delete}"));
    assert_eq!(
        twice,
        "folder/f.toml:7:134: found delete of \"mx9.example.test A\", expected a record that is there at 2m; the nearest name is \"mx1.example.test\""
    );
    assert_eq!(
        updates("{ at = '1m', delete = ['example.test', 'mx1.example.test.'] }"),
        ""
    );
    let other_type = updates("{ at = '1m', delete = 'mx1.example.test MX' }");
    assert_eq!(other_type.lines().count(), 1);
}

#[test]
fn a_mailbox_has_a_local_part_and_a_domain() {
    for (text, written, domain) in [
        ("a@Example.TEST", "a@Example.TEST", "example.test"),
        ("a@example.test.", "a@example.test", "example.test"),
        (
            "\"a b\"@example.test",
            "\"a b\"@example.test",
            "example.test",
        ),
        (
            "\"a@b\"@example.test",
            "\"a@b\"@example.test",
            "example.test",
        ),
    ] {
        let mailbox: Mailbox = text.parse().expect("a mailbox");
        assert_eq!((&*mailbox.text, mailbox.domain.as_str()), (written, domain));
    }
    for text in [
        "",
        "a",
        "@example.test",
        "a b@example.test",
        "\"a b@example.test",
        "\"@example.test",
        "a b\"@example.test",
        "a<@example.test",
        "a>@example.test",
        "a\t@example.test",
        "\"a\tb\"@example.test",
        "a@",
        "a@b..c",
    ] {
        let told = text.parse::<Mailbox>().expect_err(text);
        assert!(
            told.to_string().starts_with(&format!(
                "found {text:?}, expected a mailbox such as \"alice@example.test\""
            )),
            "{told}"
        );
    }
}

#[test]
fn ids_of_a_row_with_a_count_are_numbered_and_meant_by_its_name() {
    let rows = "summary = 's'\nzone = 'a.test. A 192.0.2.1'\nmessages = [{ id = 'x', to = 'a@a.test', count = 2 }, { id = 'x-y', to = 'a@a.test' }, { id = 'xx-1', to = 'a@a.test' }]\n";
    let scenario = Scenario::parse(
        "f",
        &format!("{rows}[expect.x]\ncopies = 1\n[expect.x-y]\ncopies = 1\n"),
    )
    .expect("valid");
    let ids: Vec<&MessageId> = scenario.expect.messages.iter().map(|(id, _)| id).collect();
    assert_eq!(ids, [&MessageId::from("x-1"), &"x-2".into(), &"x-y".into()]);
    let twice = rows.replace("xx-1", "x-2");
    assert_eq!(
        told(&twice),
        ["folder/f.toml:3:90: found a second message with id \"x-2\", expected ids that differ"]
    );
    let one = Scenario::parse("f", &format!("{rows}[expect.x-2]\ncopies = 1\n")).expect("valid");
    assert_eq!(one.expect.messages[0].0, "x-2".into());
}

#[test]
fn records_alone_are_a_scenario_and_their_mistakes_have_a_place() {
    let scenario = Scenario::from_zone(MX).expect("valid");
    assert_eq!(
        (
            scenario.messages.len(),
            scenario.world.faults.len(),
            scenario.expect.messages.len()
        ),
        (0, 0, 0)
    );
    let mistakes = Scenario::from_zone("example.test. A 192.0.2.1\nexample.test. A 1\n")
        .expect_err("a mistake");
    assert!(
        mistakes.to_string().starts_with("zone:2:17: found \"1\""),
        "{mistakes}"
    );
}

#[test]
fn a_mistake_in_a_record_stands_where_it_is_written_however_the_text_is_quoted() {
    for zone in [
        r"'example.test. MX ten mx1'",
        r#""example.test. MX ten mx1""#,
        r#""example.test.\tMX ten mx1""#,
        r#""exa\u006dple.test. MX ten mx1""#,
        r#""exa\U0000006dple.test. MX ten mx1""#,
        r#""exa\x6dple.test. MX ten mx1""#,
        r#""a.test. TXT \"\\\"\"\nexample.test. MX ten mx1""#,
        "'''example.test. MX ten mx1'''",
        "'''\nexample.test. MX ten mx1\n'''",
        "'''\n\nexample.test. MX ten mx1'''",
        "'''\r\na.test. A 192.0.2.1\r\nexample.test. MX ten mx1\r\n'''",
        "\"\"\"\na.test. TXT \u{e9}\u{20ac}\nexample.test. MX ten mx1\n\"\"\"",
        "\"\"\"\r\na.test. TXT \\u00e9\r\nexample.test. MX ten mx1\"\"\"",
        "\"\"\"\n\\u0065xample.test. MX ten mx1\"\"\"",
        "\"\"\"example.test. \\\n   MX ten mx1\"\"\"",
        "\"\"\"example.test. \\  \n \n \\\n  MX ten mx1\"\"\"",
    ] {
        let text = file(&format!("zone = {zone}\n"));
        let before = text.split("ten").next().expect("it is written");
        let line = before.matches('\n').count() + 1;
        let column = before.lines().last().unwrap_or_default().chars().count() + 1;
        let message = "found \"ten\", expected a preference from 0 to 65535";
        let expected = format!("folder/f.toml:{line}:{column}: {message}");
        assert_eq!(told(&text), [expected], "{zone}");
    }
}
