//! The verdict as a whole: what is counted, what is noted, and how much of it is told.

use mxdrill::{
    outcome::Outcome,
    verdict::{SenderKind, Verdict, judge},
};

use crate::{
    log::{SENDER, events, judged, lines, scenario},
    trial::{ONE, Trial, ZONE},
};

fn verdict(rest: &str, log: &str, sender_kind: SenderKind) -> Verdict {
    let scenario = scenario(ZONE, rest);
    judged(&scenario, &events(&scenario, log), sender_kind)
}

#[test]
fn attempts_and_outcomes_are_counted() {
    let rest = "stop = '0s'\nmessages = [{ id = 'm', to = 'a@example.test', count = 5 }]";
    let log = "0s m-1 tries mx1[1] accepted
               0s m-2 tries mx1[1] 550 at rcpt
               0s reports m-2 a@example.test bounced 5.1.1
               0s m-2.bounce.1 tries bounces.sender.test[198.51.100.25] refused
               0s m-3 tries mx1[1] refused
               0s m-3 tries mx2[2] refused
               0s m-4 tries mx1[1] accepted";
    let Verdict {
        findings,
        outcomes,
        attempts,
        ..
    } = verdict(rest, log, SENDER);
    assert_eq!((findings.len(), attempts), (0, 5));
    let outcomes: Vec<(Outcome, usize)> = outcomes.into_iter().collect();
    assert_eq!(
        outcomes,
        [
            (Outcome::Delivered, 2),
            (Outcome::Deferred, 2),
            (Outcome::Bounced, 1)
        ]
    );
    // What a stranger tries is an attempt, too.
    let silent =
        "0s given m-1\n0s asks mx1 A: 1\n0s m-1 tries mx1[1] accepted\n0s ? tries www[80] accepted";
    assert_eq!(verdict(rest, silent, SenderKind::MailServer).attempts, 2);
}

#[test]
fn sessions_are_those_that_were_accepted_for_the_drills_own_messages() {
    for sender_kind in [SENDER, SenderKind::Command, SenderKind::MailServer] {
        let trial = Trial {
            rest: "messages = [{ id = 'm', to = 'a@example.test' }]\n[expect]\nsessions = { max = 1 }\nnotifications = 0",
            log: "0s given m
                  0s asks example.test MX: 10 mx1, 20 mx2
                  0s asks mx1 A: 1
                  0s asks mx2 A: 2
                  0s asks sender.test MX: 10 bounces.sender.test
                  0s asks bounces.sender.test A: 198.51.100.25
                  0s m tries mx1[1] refused
                  0s m tries mx2[2] accepted
                  9s m.bounce.1 tries bounces.sender.test[198.51.100.25] 451 at rcpt
                  9s m.bounce.1 tries bounces.sender.test[198.51.100.25] refused",
            sender_kind,
            ..ONE
        };
        trial.breaks_nothing();
        let two = trial.found_with("mx1[1] refused", "mx1[1] 451 at rcpt");
        assert_eq!(two, "number of sessions");
        let taken = trial.found_with("451 at rcpt", "accepted");
        assert_eq!(taken, "number of notifications");
    }
    let trial = Trial {
        rest: "messages = [{ id = 'm', to = 'a@example.test' }]\n[expect]\nsessions = 2",
        log: "0s m tries mx1[1] 451 at rcpt\n0s m tries mx2[2] accepted",
        ..ONE
    };
    trial.breaks_nothing();
    assert_eq!(
        trial.with("451 at rcpt", "refused").0,
        ["MUST number of sessions: 2; not 1"]
    );
}

#[test]
fn findings_and_notes_are_told_up_to_a_number_and_counted_beyond() {
    for (messages, told, note) in [
        (10_000, 10_000, None),
        (10_001, 10_000, Some("and 1 findings more than are listed")),
        (10_003, 10_000, Some("and 3 findings more than are listed")),
    ] {
        // Nothing is seen of any of them. What is said of the whole comes before.
        let rest = format!(
            "messages = [{{ id = 'm', to = 'a@example.test', count = {messages} }}]\n[expect]\ndelivered = 1"
        );
        let scenario = scenario(ZONE, &rest);
        let Verdict {
            findings, notes, ..
        } = judge(&scenario, &[], SENDER);
        assert_eq!(findings.len(), told + 1);
        assert_eq!(
            (findings[0].rule, findings[1].rule),
            (None, Some("nothing-lost"))
        );
        assert_eq!(notes, Vec::from_iter(note.map(str::to_owned)));
    }
    for (messages, note) in [
        (1000, None),
        (1001, Some("and 1 notes more like these")),
        (1003, Some("and 3 notes more like these")),
    ] {
        let rest =
            format!("messages = [{{ id = 'm', to = 'a@example.test', count = {messages} }}]");
        let twice = |n| {
            format!("0s m-{n} tries mx1[1] lose at dot\n1h m-{n} tries mx1[1] pass=2 accepted\n")
        };
        let log: String = (1..=messages).map(twice).collect();
        let Verdict {
            findings, notes, ..
        } = verdict(&rest, &log, SENDER);
        assert_eq!(findings.len(), 0);
        assert_eq!(
            notes[0],
            "message m-1 reached a@example.test 2 times after a lost reply"
        );
        assert_eq!(notes.get(1000).map(String::as_str), note);
    }
}

#[test]
fn a_message_that_is_taken_up_late_is_noted_of_a_sender_inside() {
    let rest = "messages = [{ id = 'm', at = '1s', to = 'a@example.test', count = 3 }]";
    let log = "1s m-1 tries mx1[1] accepted
               1s m-2 tries mx1[1] accepted
               2s given m-2
               3s given m-3
               3s m-3 tries mx1[1] accepted";
    let late = |count, first| {
        format!(
            "{count} messages were taken up later than they came, {first} first: as many as can be were under way"
        )
    };
    assert_eq!(verdict(rest, log, SENDER).notes, [late(2, "m-2")]);
    assert_eq!(
        verdict(rest, &log.replace("2s given", "1s given"), SENDER).notes,
        [late(1, "m-3")]
    );
    let within = SenderKind::InProcess {
        tolerance: std::time::Duration::from_secs(1),
    };
    assert_eq!(verdict(rest, log, within).notes, [late(1, "m-3")]);
    assert_eq!(verdict(rest, log, SenderKind::MailServer).notes, [""; 0]);
}

#[test]
fn findings_come_in_the_order_of_what_they_are_about() {
    let rest = "level = 'SHOULD'
                messages = [{ id = 'm', to = 'a@example.test' }, { id = 'n', to = 'b@example.test' }]
                [expect]
                delivered = 1
                first_attempts = [{ host = 'mx1.example.test', min = 2 }]
                [expect.n]
                copies = 3
                [expect.m]
                copies = 4";
    let log = "0s m tries mx2[2] accepted
               0s n tries mx2[2] accepted
               1h n tries mx2[2] pass=2 accepted";
    let found = lines(&verdict(rest, log, SENDER));
    let claims: Vec<&str> = found
        .iter()
        .filter_map(|line| line.split(": ").next())
        .collect();
    assert_eq!(
        claims,
        [
            "SHOULD delivered messages",
            "SHOULD first attempts at mx1.example.test",
            "SHOULD copies of message n",
            "SHOULD copies of message m",
            "MUST preference-order",
            "MUST preference-order",
            "SHOULD delivered-once",
        ]
    );
    assert!(
        found[3].ends_with("4; not 1") && found[2].ends_with("3; not 2"),
        "{found:?}"
    );
}

#[test]
fn a_broken_rule_names_its_section_and_the_message() {
    let found = verdict(ONE.rest, "0s m tries mx2[2] accepted", SENDER).findings;
    let [finding] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(
        finding.claim,
        "within a pass, lower preference numbers are tried before higher ones (message m)"
    );
    assert_eq!(finding.cites, ["RFC 5321 section 5.1"]);
}
