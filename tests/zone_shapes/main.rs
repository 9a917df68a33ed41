//! Zone files of as many shapes as people have them: where each leads mail, or what is wrong in it. What BIND
//! reads in them, mxdrill reads too.

mod bind;
mod numbers;
mod shapes;

use std::{fs, sync::Arc};

use hickory_proto::rr::{RData, RecordType};
use mxdrill::{
    lab::{Lab, NetworkKind},
    plan::Plan,
    records::{DomainRecords, Source},
    scenario::Scenario,
};

use self::{
    bind::{compare, has_bind, of_bind},
    numbers::Numbers,
    shapes::{HEAD, SHAPES, text_of},
};

#[tokio::test]
async fn mail_goes_where_each_shape_says() {
    assert!(SHAPES.len() >= 60, "{}", SHAPES.len());
    for (what, shape, expected) in SHAPES {
        let mut source = Source::default();
        let added = source.add_text("a.zone", &text_of(shape), None);
        let found = match added {
            Ok(()) => {
                let domain_records =
                    DomainRecords::of(&source, &"example.test".parse().expect("a name")).await;
                let plan = Plan::of(&domain_records);
                let levels = plan.levels.iter().flat_map(|level| {
                    level.exchangers.iter().map(|planned| {
                        let words = planned.addresses.iter().map(ToString::to_string);
                        let head = format!("{} {}", level.preference, planned.host);
                        std::iter::once(head)
                            .chain(words)
                            .collect::<Vec<_>>()
                            .join(" ")
                    })
                });
                Ok(levels.collect::<Vec<_>>().join("; "))
            }
            Err(mistakes) => Err(mistakes.to_string()),
        };
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, *expected, "{what}"),
            (Err(found), Err(expected)) => {
                assert!(found.contains(expected), "{what}: {found}");
            }
            (found, _) => panic!("{what}: {found:?}"),
        }
    }
}

#[tokio::test]
async fn included_files_lie_beside_the_file() {
    let outer = tempfile::tempdir().expect("a folder");
    let folder = outer.path().join("zones");
    fs::create_dir_all(folder.join("hosts")).expect("made");
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("written");
    write(
        "main.zone",
        &format!(
            "{HEAD}@ MX 10 mx1.in\n$INCLUDE hosts/in.inc in ; with an origin\nmx2 A 192.0.2.2\n"
        ),
    );
    write("hosts/in.inc", "mx1 A 192.0.2.1\n");
    let mut source = Source::default();
    let main = folder.join("main.zone");
    source.add_file(&main, None).expect("it can be read");
    for (name, address) in [("mx1.in", "192.0.2.1"), ("mx2", "192.0.2.2")] {
        let name = format!("{name}.example.test").parse().expect("a name");
        let reply = source.ask(&name, RecordType::A).await;
        assert_eq!(reply.records()[0].record.data.to_string(), address);
    }
    let placed = source
        .ask(
            &"mx1.in.example.test".parse().expect("a name"),
            RecordType::A,
        )
        .await;
    let place = placed.records()[0]
        .place
        .as_ref()
        .expect("a place")
        .to_string();
    assert!(place.ends_with("hosts/in.inc:1"), "{place}");
    // A mistake is told where it stands, of one line; of what is no zone file nothing is quoted.
    let told = |text: &str| {
        write("wrong.zone", text);
        let added = Source::default().add_file(&folder.join("wrong.zone"), None);
        added.expect_err("a mistake").to_string()
    };
    write(
        "hosts/wrong.inc",
        "\nok A 192.0.2.1\nmx1 A 192.0.2.999\nmx2 A x\n",
    );
    let said = told(&format!("{HEAD}$INCLUDE hosts/wrong.inc\n"));
    assert!(
        said.contains("wrong.inc:3:7: found \"192.0.2.999\"") && said.lines().count() == 1,
        "{said}"
    );
    write("secrets", "password=hunter2\nroot:hunter2:0:0\n");
    let said = told(&format!("{HEAD}$INCLUDE secrets\n"));
    assert!(
        said.contains("expected a zone file") && !said.contains("hunter2"),
        "{said}"
    );
    fs::write(outer.path().join("outside.inc"), "mx1 A 192.0.2.1\n").expect("written");
    let said = told(&format!("{HEAD}$INCLUDE ../outside.inc\n"));
    assert!(said.contains("--allow-outside"), "{said}");
    let said = told(&format!("{HEAD}$INCLUDE wrong.zone\n"));
    assert!(said.contains("found $INCLUDE within 8 others"), "{said}");
}

/// What the name server sends is what the text says, octet by octet.
#[tokio::test]
async fn the_name_server_serves_exactly_these_octets() {
    let zone = "$ORIGIN example.test.\n@ MX 10 mx1\nmx1 A 192.0.2.1\n\
        t TXT \"x\\059y\\195\\169\\000\\255\" v\\;w\\ z @ \"a;b\"\ng TXT \\# 4 03616200\n\
        a\\032b\\.c TXT \"spaced\"\nsub DNAME other\nx.other TXT \"below\"\n";
    let scenario = Arc::new(Scenario::from_zone(zone).unwrap_or_else(|told| panic!("{told}")));
    let lab = Lab::start(scenario, NetworkKind::Loopback)
        .await
        .expect("a lab");
    let source = Source::resolver(Some(lab.resolver())).expect("a resolver");
    let expected: [(&str, &[&[u8]]); 4] = [
        (
            "t.example.test",
            &[b"x;y\xc3\xa9\x00\xff", b"v;w z", b"@", b"a;b"],
        ),
        ("g.example.test", &[b"ab\x00"]),
        ("a\\032b\\.c.example.test", &[b"spaced"]),
        ("x.sub.example.test", &[b"below"]),
    ];
    for (name, strings) in expected {
        let reply = source
            .ask(&name.parse().expect("a name"), RecordType::TXT)
            .await;
        let [placed] = reply.records() else {
            panic!("{name}: {reply:?}")
        };
        let RData::TXT(txt) = &placed.record.data else {
            panic!("{name}: {reply:?}")
        };
        let found: Vec<&[u8]> = txt.txt_data.iter().map(AsRef::as_ref).collect();
        assert_eq!(found, strings, "{name}");
    }
    lab.stop().await;
}

#[tokio::test]
async fn shapes_are_read_as_bind_reads_them() {
    if !has_bind() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut compared = 0;
    for (what, shape, expected) in SHAPES {
        let text = text_of(shape);
        if let Some(sets) = of_bind(folder.path(), &text) {
            // BIND merges versions of a zone only where they are the same, and reads files beside it.
            assert!(
                expected.is_ok()
                    || *what == "no origin"
                    || what.starts_with("more than $GENERATE makes"),
                "{what}: BIND takes it"
            );
            if expected.is_ok() {
                compare(what, &text, &sets).await;
                compared += 1;
            }
        }
    }
    assert!(compared > 35, "{compared}");
}

#[tokio::test]
async fn a_corpus_is_read_as_bind_reads_it() {
    if !has_bind() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut numbers = Numbers(1);
    let mut compared = 0;
    for count in 0..300 {
        let text = numbers.zone();
        if let Some(sets) = of_bind(folder.path(), &text) {
            compare(&format!("zone {count}"), &text, &sets).await;
            compared += 1;
        }
    }
    assert!(compared > 200, "{compared}");
}
