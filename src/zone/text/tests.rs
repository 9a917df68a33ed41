//! What a zone text says, and where a mistake in it is.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

fn mistakes(text: &str) -> Vec<(usize, String)> {
    parse(text)
        .expect_err("a mistake")
        .into_iter()
        .map(|m| (m.offset, m.message))
        .collect()
}

/// The records of a file.
fn taken(text: &str, reading: &Reading<'_>) -> Result<Vec<Record>, Misread> {
    let mut records = Vec::new();
    let mut take = |entered: Entered| {
        records.push(entered.record);
        Ok(())
    };
    parse_file(text, reading, &mut take)?;
    Ok(records)
}

#[test]
fn a_zone_file_as_providers_export_it() {
    let text = "$ORIGIN example.test.\n$TTL 1h\n@ IN SOA ns hostmaster ( 1 2h ; refresh\n 3h 4w 5m )\n  IN NS ns\n\
        \tMX 10 mx1\nmx1 300 IN A 192.0.2.1\n\tIN 60 AAAA 2001:db8::1\n_dmarc TXT \"v=DMARC1; p=none\"\n\
        mail._domainkey IN TXT ( \"v=DKIM1; \" \"p=abc\" )\n1.2.0.192.in-addr.arpa. PTR mx1\n\
        _25._tcp.mx1 TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n\
        _submission._tcp SRV 0 1 587 mx1\n";
    let records = parse(text).expect("valid");
    let lines: Vec<String> = records.iter().map(ToString::to_string).collect();
    assert_eq!(records.len(), 10, "{lines:#?}");
    assert_eq!(lines[2], "example.test. 3600 IN MX 10 mx1.example.test.");
    assert_eq!(records[3].ttl, 300);
    assert_eq!(records[4].ttl, 60);
}

#[test]
fn underscores_may_stand_anywhere() {
    let text = "k_1._domainkey.a. TXT \"x\"\nmy_host.a. CNAME s_1.b_c.\na. MX 5 my_host.a.\n";
    assert_eq!(parse(text).expect("valid").len(), 3);
}

#[test]
fn the_null_mx_parses() {
    assert_eq!(
        parse("example.test. 300 IN MX 0 .").expect("valid")[0]
            .data
            .to_string(),
        "0 ."
    );
}

#[test]
fn each_mistake_is_found_at_its_token() {
    for (text, token) in [
        ("a. IN A 192.0.2.999", "192.0.2.999"),
        ("a. IN A 2001:db8::1", "2001:db8::1"),
        ("a. IN MX 65536 mx1", "65536"),
        ("a. IN MX -1 mx1", "-1"),
        ("a. IN MX ten mx1", "ten"),
        ("a. IN MX 10 a..b", "a..b"),
        ("a. IN MX 10 mx1 mx2", "mx2"),
        ("a. IN MXX 10 mx1", "MXX"),
        ("a. CH A 192.0.2.1", "CH"),
        ("$TLL 300", "$TLL"),
        ("$TTL x", "x"),
        ("$INCLUDE other", "other"),
        ("$GENERATE 9-1 a$ A 192.0.2.$", "9-1"),
        ("a. TXT \"\\300\"", "\"\\300\""),
        ("a. IN TXT \"open", "\"open"),
        ("a. IN SOA ns hostmaster ( 1 2", "( 1"),
        ("; a comment\n IN A 192.0.2.1", "IN"),
    ] {
        let found = mistakes(text);
        assert_eq!(
            found[0].0,
            text.find(token).expect("a token"),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn a_record_cut_short_is_a_mistake_not_a_panic() {
    for text in [
        "a.",
        "a. IN",
        "a. IN MX",
        "a. IN MX 10",
        "a. TXT",
        "a. SRV 1 2 3",
        "$ORIGIN",
        ")",
        "(",
        "\\",
        "\u{e9}\\",
        "a. IN TLSA 3 1",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
}

/// Words that mean something in a zone text, and others.
fn any_text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        select(vec![
            "$ORIGIN",
            "$TTL",
            "$INCLUDE",
            "$GENERATE",
            "$DATE",
            "@",
            "IN",
            "CH",
            "MX",
            "A",
            "TXT",
            "SOA",
            "TYPE15",
            "TYPE1",
            "CNAME",
            "AWS",
            "ALIAS",
            "[AGE:1]",
            "Parked",
            "\\#",
            "4",
            "c0000201",
            "1-3",
            "1-9/0",
            "${1,2,n}",
            "a$",
            "$$",
            "192.0.2.1",
            "10",
            "1h",
            "(",
            ")",
            ";",
            "\n",
            "\r\n",
            "\"",
            "\"a b\"",
            "\\",
            "\\032",
            "\\300",
            "a.b.",
            ".",
            "..",
            "x.@",
            "é",
            "\\é",
            "\u{200b}",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    vec((word, select(vec![" ", "\t", "", "\n"])), 0..40).prop_map(|words| {
        words
            .into_iter()
            .flat_map(|(word, gap)| [word, gap.to_owned()])
            .collect()
    })
}

proptest! {
    #[test]
    fn any_text_is_records_or_mistakes_with_places(text in any_text(), is_latin in any::<bool>(), has_origin in any::<bool>()) {
        let reading = Reading {
            origin: has_origin.then(Name::root),
            is_latin,
            include: Some(&|name| Ok(Included { path: "other".to_owned(), text: format!("{name} A 192.0.2.1\n$INCLUDE x\n"), is_latin, is_own: false })),
        };
        for mistakes in [parse(&text).err(), taken(&text, &reading).err().map(|misread| misread.mistakes)] {
            let mistakes = mistakes.into_iter().flatten();
            for mistake in mistakes {
                prop_assert!(mistake.offset <= text.len(), "{mistake:?}");
                prop_assert!(!mistake.message.is_empty());
            }
        }
    }
}

#[test]
fn latin_1_is_served_as_the_octets_that_it_was() {
    let reading = Reading {
        origin: None,
        is_latin: true,
        include: None,
    };
    let records = taken("a. TXT \"caf\u{e9}\"\n", &reading).expect("valid");
    let RData::TXT(txt) = &records[0].data else {
        panic!("{records:?}")
    };
    assert_eq!(&*txt.txt_data[0], b"caf\xe9");
}

#[test]
fn what_is_generated_of_quoted_strings_is_quoted_where_there_are_several() {
    let strings = |text: &str| {
        let records = parse(text).expect("valid");
        let RData::TXT(txt) = &records[0].data else {
            panic!("{records:?}")
        };
        let strings = txt.txt_data.iter();
        strings
            .map(|string| String::from_utf8_lossy(string).into_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        strings("$ORIGIN a.\n$GENERATE 7-7 @ TXT \"a $\" \"b c\"\n"),
        ["a 7", "b", "c"]
    );
    assert_eq!(
        strings("$ORIGIN a.\n$GENERATE 7-7 @ TXT \"a $\"\n"),
        ["a", "7"]
    );
}

#[test]
fn the_indentation_of_all_lines_means_nothing() {
    let owners = |text: &str| {
        let records = parse(text).expect("valid");
        let owners = records.iter().map(|record| record.name.to_string());
        owners.collect::<Vec<_>>()
    };
    assert_eq!(
        owners("    a. A 192.0.2.1\n    b. A 192.0.2.2\n"),
        ["a.", "b."]
    );
    assert_eq!(
        owners("\n    a. A 192.0.2.1\n      A 192.0.2.2\n"),
        ["a.", "a."]
    );
    assert_eq!(owners("a. A 192.0.2.1\n A 192.0.2.2\n"), ["a.", "a."]);
}

/// What named-compilezone makes of them.
#[test]
fn nibbles_are_generated_as_bind_generates_them() {
    let owners = |range: &str, pattern: &str| {
        let text = format!("$ORIGIN e.\n$TTL 60\n$GENERATE {range} {pattern} A 192.0.2.1\n");
        let records = parse(&text).expect("valid");
        let owners = records.iter().map(|record| record.name.to_string());
        owners.collect::<Vec<_>>()
    };
    assert_eq!(owners("17-18", "${0,3,n}.r"), ["1.1.r.e.", "2.1.r.e."]);
    assert_eq!(owners("17-17", "${0,1,n}.s"), ["1.1.s.e."]);
    assert_eq!(owners("10-10", "${0,5,N}.u"), ["A.0.0.u.e."]);
}

#[test]
fn an_soa_without_a_final_dot_is_that_of_the_origin() {
    let apex = |head: &str, owner: &str| {
        let text = format!("{head}{owner} 60 IN SOA ns.e.test. h.e.test. 1 2 3 4 5\n");
        let reading = Reading {
            origin: None,
            is_latin: false,
            include: None,
        };
        let records = taken(&text, &reading).ok()?;
        Some(records[0].name.to_string())
    };
    let one = |name: &str| Some(name.to_owned());
    assert_eq!(apex("", "e.test"), one("e.test."));
    assert_eq!(apex("$ORIGIN .\n", "e.test"), one("e.test."));
    assert_eq!(apex("$ORIGIN e.test.\n", "e.test"), one("e.test."));
    assert_eq!(apex("$ORIGIN test.\n", "e.test"), one("e.test.test."));
    assert_eq!(apex("$ORIGIN e.test.\n", "e.test."), one("e.test."));
}
