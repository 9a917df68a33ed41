//! What a client may say where: parameters, octets and addresses of what was offered, and answers of what was asked.

use mxdrill::{Scenario, verdict::SenderKind};

use super::wire::{GOOD, ZONE, breaks, found, found_in};

#[test]
fn only_what_was_offered_is_used() {
    let offered = "[PIPELINING, 8BITMIME, SIZE, CHUNKING]";
    breaks(
        "MUST rcpt-parameters: parameters of what was offered; not session 1 with mx1.example.test: RCPT with NOTIFY=NEVER",
        (
            "rcpt Anna@example.test 250 [ahead]",
            "rcpt Anna@example.test 555 NOTIFY=NEVER",
        ),
        &[
            "rcpt Anna@example.test 250\nrset 250\nmail a@sender.test 555 FOO=BAR\nmail a@sender.test 250",
        ],
    );
    breaks(
        "MUST dsn-offered: parameters of what was offered; not session 1 with mx1.example.test: MAIL with RET=HDRS",
        ("mail a@sender.test 450", "mail a@sender.test 555 RET=HDRS"),
        &["helo mail.sender.test 250 [DSN]\nmail a@sender.test 450 RET=HDRS ENVID=x"],
    );
    breaks(
        "MUST eight-bit-offered: 8BITMIME offered, or octets up to 127; not session 1 with mx1.example.test: \
         octets over 127 in the content",
        (offered, "[PIPELINING, SIZE]"),
        &[],
    );
    breaks(
        "MUST smtputf8-offered: SMTPUTF8 offered, or an address in ASCII; not session 1 with mx1.example.test: \
         MAIL with ä@sender.test",
        ("mail a@sender.test 450", "mail ä@sender.test 450"),
        &["helo mail.sender.test 250 [SMTPUTF8]\nmail ä@sender.test 450 SMTPUTF8"],
    );
}

#[test]
fn what_is_beyond_ascii_is_said_where_it_has_to_be() {
    // Only what comes says whether a header needs it.
    let asked = "250 SIZE=100 SMTPUTF8 [ahead]";
    breaks(
        "SHOULD smtputf8-needed: MAIL without SMTPUTF8; not session 1 with mx1.example.test: MAIL with SMTPUTF8",
        ("250 SIZE=100 [ahead]", asked),
        &[],
    );
    let offered = GOOD.replacen("SIZE, CHUNKING", "SIZE, SMTPUTF8", 1);
    let in_header = offered.replacen("eight-bit", "eight-bit header", 1);
    let asked_for_header = in_header.replacen("250 SIZE=100 [ahead]", asked, 1);
    let told = |text: &str| found(text, SenderKind::Command);
    assert_eq!(told(&asked_for_header), [""; 0]);
    let before = GOOD.replacen(
        "mail a@sender.test 450",
        "mail a@sender.test 450 SMTPUTF8",
        1,
    );
    assert_eq!(told(&before), [""; 0]);
    let unoffered = GOOD.replacen("eight-bit", "eight-bit header", 1);
    assert_eq!(
        told(&unoffered),
        [
            "MUST smtputf8-offered: SMTPUTF8 offered, or a header in ASCII; not session 1 with mx1.example.test: octets \
             over 127 in the header"
        ]
    );
    let unasked = offered.replacen("mail a@sender.test 450", "mail ä@sender.test 450", 1);
    assert_eq!(
        told(&unasked),
        [
            "MUST smtputf8-asked: MAIL with SMTPUTF8; not session 1 with mx1.example.test: MAIL with ä@sender.test, and \
             MAIL without it"
        ]
    );
    breaks(
        "MUST ehlo-ascii: a name in ASCII; not session 1 with mx1.example.test: müller.sender.test",
        (
            "helo mail.sender.test 250 [PIPELINING, STARTTLS]",
            "helo müller.sender.test 250 [PIPELINING, STARTTLS]",
        ),
        &["helo xn--mller-kva.sender.test 250 [PIPELINING, STARTTLS]"],
    );
}

#[test]
fn an_answer_is_not_given_before_it_is_asked_for() {
    let ahead = |mechanism: &str| {
        let auth = format!("auth {mechanism} 235 [ahead]\nmail a@sender.test 250");
        found(
            &GOOD.replacen("mail a@sender.test 250", &auth, 1),
            SenderKind::Command,
        )
    };
    let early = "MUST group-ends: the reply to AUTH waited for; not session 1 with mx1.example.test: more was sent before AUTH was answered";
    assert_eq!(ahead("LOGIN"), [early]);
    // With its message in the command it is answered once (RFC 4954 section 4).
    assert_eq!(ahead("PLAIN"), [""; 0]);
}

#[test]
fn the_case_of_a_local_part_is_kept_in_the_reverse_path_as_well() {
    let zone = ZONE.replacen("id = 'm',", "id = 'm', from = 'Sender@sender.test',", 1);
    let scenario = Scenario::parse("wire.toml", &zone).expect("a scenario");
    let said = |from: &str| {
        let text = GOOD.replacen("mail a@sender.test 450", &format!("mail {from} 450"), 1);
        found_in(&scenario, &text, SenderKind::Command)
    };
    assert_eq!(
        said("sender@sender.test"),
        [
            "MUST local-part-kept: Sender@sender.test; not session 1 with mx1.example.test: sender@sender.test"
        ]
    );
    assert_eq!(said("Sender@sender.test"), [""; 0]);
    // It is rewritten as whole, as for a list.
    assert_eq!(said("list-sender=sender.test@elsewhere.test"), [""; 0]);
}

/// Whichever of the dots was not doubled; what differs in another way has other reasons.
#[test]
fn every_leading_dot_is_doubled() {
    let zone = ZONE.replacen("body = '.a'", r#"body = ".\n.foo\nx\n..bar""#, 1);
    let scenario = Scenario::parse("wire.toml", &zone).expect("a scenario");
    let arrives = |body: &str| {
        let step = |hash: u64, octet: u8| (hash ^ u64::from(octet)).wrapping_mul(0x100_0000_01b3);
        let digest = body.bytes().fold(0xcbf2_9ce4_8422_2325, step);
        let text = GOOD.replacen("taken", &format!("taken {digest}"), 1);
        found_in(&scenario, &text, SenderKind::Command)
    };
    let some = "MUST content-kept: the content as it was given; not mx1.example.test accepted [192.0.2.1] in TLS +0s: some \
                leading dots were lost: they were not doubled";
    for wrong in [
        ".\r\nfoo\r\nx\r\n.bar\r\n",
        ".\r\n.foo\r\nx\r\n.bar\r\n",
        ".\r\nfoo\r\nx\r\n..bar\r\n",
    ] {
        assert_eq!(arrives(wrong), [some], "{wrong}");
    }
    for right in [".\r\n.foo\r\nx\r\n..bar\r\n", ".\r\n.FOO\r\nx\r\n..bar\r\n"] {
        assert_eq!(arrives(right), [""; 0], "{right}");
    }
}

#[test]
fn after_an_error_to_bdat_no_chunk_follows() {
    let instead = |text: &str| {
        let good = GOOD.replacen("data 354\neight-bit\ntaken\ndot 250\n", text, 1);
        found(&good, SenderKind::Command)
    };
    let on = "MUST chunks-end: RSET after an error to BDAT; not session 1 with mx1.example.test: BDAT after one that was refused";
    assert_eq!(instead("BDAT 250\nBDAT 451\nBDAT 503\n"), [on]);
    // They were on their way already, or belong to another transaction.
    assert_eq!(instead("BDAT 451 [ahead]\nBDAT 503\n"), [""; 0]);
    let anew = "BDAT 451\nrset 250\nmail a@sender.test 250\nrcpt Anna@example.test 250\nBDAT 250\n";
    assert_eq!(instead(anew), [""; 0]);
}

#[test]
fn a_large_message_is_announced_to_who_names_no_limit() {
    let large = GOOD.replacen("taken", "large", 1);
    let unsaid = large.replacen(" SIZE=100 ", " ", 1);
    let told = |text: &str| found(text, SenderKind::Command);
    let some = "SHOULD size-announced: MAIL with SIZE; not session 1 with mx1.example.test: MAIL without it, and 65537 octets";
    assert_eq!(told(&unsaid), [some]);
    assert_eq!(told(&unsaid.replacen("SIZE,", "SIZE 0,", 1)), [some]);
    let lower = large.replacen(" SIZE=100 ", " size=100 ", 1);
    // Of a limit that is named it may have seen that it is kept; and what is small needs no word.
    let named = unsaid.replacen("SIZE,", "SIZE 1000000,", 1);
    // Twenty digits are allowed (RFC 1870 section 4), which are more than fit into 64 bits.
    let huge = unsaid.replacen("SIZE,", "SIZE 99999999999999999999,", 1);
    let unoffered = unsaid.replacen("SIZE, ", "", 1);
    let small = GOOD.replacen(" SIZE=100 ", " ", 1);
    // It may have had to encode the message anew, after which it has another size.
    let seven_bit = unsaid.replacen("8BITMIME, ", "", 1);
    let seven_bit = seven_bit.replacen("eight-bit\n", "", 1);
    for innocent in [large, lower, named, huge, unoffered, small, seven_bit] {
        assert_eq!(told(&innocent), [""; 0], "{innocent}");
    }
}
