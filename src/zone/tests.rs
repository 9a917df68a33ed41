//! How a zone answers.

use super::*;
use crate::time::Moment;

fn zone(text: &str) -> Zone {
    Zone::new(text::parse(text).expect("a valid zone"))
}

fn ask(zone: &Zone, name: &str, record_type: RecordType) -> (ResponseCode, Vec<String>) {
    let answer = zone.answer(&name.parse().expect("a name"), record_type);
    (
        answer.code,
        answer
            .records
            .iter()
            .map(|record| record.data.to_string())
            .collect(),
    )
}

const TEXT: &str = "$ORIGIN example.test.\n@ MX 10 mx1\nmx1 A 192.0.2.1\nwww CNAME web\nweb A 192.0.2.9\n\
    loop CNAME pool\npool CNAME loop\n*.wild A 192.0.2.7\na.deep A 192.0.2.8\ngone CNAME nowhere.test.\n";

#[test]
fn aliases_are_followed_and_dangling_ones_do_not_exist() {
    let zone = zone(TEXT);
    assert_eq!(
        ask(&zone, "WWW.example.test", RecordType::A),
        (
            ResponseCode::NoError,
            vec!["web.example.test.".into(), "192.0.2.9".into()]
        )
    );
    assert_eq!(
        ask(&zone, "gone.example.test", RecordType::MX).0,
        ResponseCode::NXDomain
    );
    assert_eq!(
        ask(&zone, "loop.example.test", RecordType::A),
        (ResponseCode::ServFail, vec![])
    );
}

#[test]
fn what_is_not_there_is_nodata_or_nxdomain() {
    let zone = zone(TEXT);
    assert_eq!(
        ask(&zone, "mx1.example.test", RecordType::MX),
        (ResponseCode::NoError, vec![])
    );
    assert_eq!(
        ask(&zone, "deep.example.test", RecordType::A),
        (ResponseCode::NoError, vec![])
    );
    assert_eq!(
        ask(&zone, "mx9.example.test", RecordType::A).0,
        ResponseCode::NXDomain
    );
    assert_eq!(
        ask(&zone, "test.invalid", RecordType::A).0,
        ResponseCode::NXDomain
    );
    assert_eq!(
        zone.answer(&"mx9.example.test".parse().expect("a name"), RecordType::A)
            .soa
            .expect("an SOA")
            .name
            .to_string(),
        "example.test."
    );
}

#[test]
fn names_below_a_dname_are_aliases() {
    let zone = zone(
        "$ORIGIN example.test.\nsub DNAME other.test.\nmx.other.test. A 192.0.2.3\nmx.sub A 192.0.2.4\n",
    );
    let (code, found) = ask(&zone, "mx.sub.example.test", RecordType::A);
    assert_eq!(code, ResponseCode::NoError);
    assert_eq!(found[1..], ["mx.other.test.", "192.0.2.3"]);
    let (code, found) = ask(&zone, "gone.sub.example.test", RecordType::A);
    assert_eq!((code, found.len()), (ResponseCode::NXDomain, 2));
    // The DNAME says nothing of its own name.
    let (code, found) = ask(&zone, "sub.example.test", RecordType::A);
    assert_eq!((code, found.len()), (ResponseCode::NoError, 0));
}

#[test]
fn a_wildcard_answers_under_the_name_asked() {
    let answer = zone(TEXT).answer(
        &"x.wild.example.test".parse().expect("a name"),
        RecordType::A,
    );
    assert_eq!(answer.records[0].name.to_string(), "x.wild.example.test.");
}

#[test]
fn history_answers_by_the_moment() {
    let mut history = History::new(zone(TEXT));
    let later = Moment::START.after(std::time::Duration::from_secs(60));
    history.change(later, Zone::default());
    assert!(
        history
            .at(Moment::START)
            .exists(&"example.test".parse().expect("a name"))
    );
    assert!(
        !history
            .at(later)
            .exists(&"example.test".parse().expect("a name"))
    );
}

#[test]
fn a_name_is_gone_with_the_last_record_at_or_below_it() {
    let name = |text: &str| text.parse::<Domain>().expect("a name");
    let mut zone = zone("b.c.d. A 192.0.2.1\na.c.d. A 192.0.2.2\na.c.d. TXT x\nc.d. MX 10 x.\n");
    assert_eq!(zone.remove(&name("a.c.d"), Some(RecordType::A)), 1);
    assert!(zone.exists(&name("a.c.d")));
    assert_eq!(zone.remove(&name("a.c.d"), None), 1);
    assert!(!zone.exists(&name("a.c.d")));
    assert_eq!(zone.remove(&name("c.d"), None), 1);
    // What stands below it keeps a name.
    assert!(zone.exists(&name("c.d")));
    assert_eq!(zone.remove(&name("b.c.d"), None), 1);
    assert!(!zone.exists(&name("c.d")));
    assert_eq!(zone.remove(&name("b.c.d"), None), 0);
}
