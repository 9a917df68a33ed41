//! The name that a client calls itself by, and the records of the drill.

use mxdrill::{Scenario, verdict::SenderKind};

use super::wire::{GOOD, ZONE, found_in};

/// What is found of a command that says this name, with these further records.
fn called(records: &str, more: &str, name: &str) -> Vec<String> {
    let text = ZONE.replacen("mx1 A ", &format!("{records}\nmx1 A "), 1) + more;
    let scenario = Scenario::parse("f", &text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let log = GOOD.replace("helo mail.sender.test", &format!("helo {name}"));
    found_in(&scenario, &log, SenderKind::Command)
}

const SOA: &str = "@ SOA ns hostmaster 1 7200 3600 1209600 300";

#[test]
fn who_is_called_by_a_name_without_an_address_is_found_out_where_the_zone_is_whole() {
    let of = |name: &str| {
        format!(
            "MUST ehlo-resolves: a name with an address in the DNS, or an address literal; not session 1 with mx1.example.test: {name}"
        )
    };
    for (records, name) in [
        (SOA.to_owned(), "box.example.test"),
        (SOA.to_owned(), "example.test"),
        (SOA.to_owned(), "Box.Example.Test"),
        (format!("{SOA}\nbox TXT x"), "box.example.test"),
        (format!("{SOA}\nbox CNAME gone"), "box.example.test"),
    ] {
        assert_eq!(called(&records, "", name), [of(name)], "{records}");
    }
}

#[test]
fn whose_name_may_have_an_address_somewhere_is_not_held_to_have_none() {
    let given = "sender = { names = ['box.example.test'] }\n";
    let later = "updates = [{ at = '1d', add = 'box.example.test. A 192.0.2.9' }]\n";
    for (records, more, name) in [
        // The zone may be more than what the drill has of it.
        ("", "", "box.example.test"),
        // A name of another domain, one of the lab's own, a literal, and one's own host.
        (SOA, "", "box.example.com"),
        (SOA, "", "client.sender.test"),
        (SOA, "", "sender.test"),
        (SOA, "", "[192.0.2.9]"),
        (SOA, "", "[IPv6:2001:db8::9]"),
        (SOA, "", "box.localhost"),
        // The scenario gave it the name.
        (SOA, given, "box.example.test"),
        // It leads to an address: by itself, by an alias, by a wildcard, later.
        (
            &format!("{SOA}\nbox AAAA 2001:db8::9"),
            "",
            "BOX.example.test",
        ),
        (&format!("{SOA}\nbox CNAME mx1"), "", "box.example.test"),
        (&format!("{SOA}\n* A 192.0.2.9"), "", "box.example.test"),
        (SOA, later, "box.example.test"),
        // An alias leads out of the zone, and a delegation, too.
        (
            &format!("{SOA}\nbox CNAME box.example.com."),
            "",
            "box.example.test",
        ),
        (
            &format!("{SOA}\nsub NS ns.example.com."),
            "",
            "box.sub.example.test",
        ),
    ] {
        assert_eq!(called(records, more, name), [""; 0], "{name} in {records}");
    }
}
