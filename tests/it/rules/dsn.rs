//! Notifications: what asks for them, and what they say.

use mxdrill::verdict::SenderKind;

use crate::{
    log::SENDER,
    trial::{ONE, Trial},
};

/// A message whose author asks for this besides.
fn rest(asked: &str) -> String {
    format!("sender = {{}}\nmessages = [{{ id = 'm', to = 'Alice@example.test', {asked} }}]")
}

const EXTRAS: &str = "envid = 'QQ+1', ret = 'hdrs', notify = ['failure', 'delay'], orcpt = { 'Alice@example.test' = 'rfc822;Bob@old.test' }";

#[test]
fn what_is_asked_is_passed_on_where_dsn_is_offered() {
    let asked = rest(EXTRAS);
    let log = "0s m tries mx1[1] offers=SIZE,DSN +RET=HDRS +ENVID=QQ+2B1 ++NOTIFY=FAILURE,DELAY ++ORCPT=rfc822;bob@old.test accepted";
    let trial = Trial {
        rest: &asked,
        log,
        ..ONE
    };
    trial.breaks(
        "MUST dsn-parameters-kept: ORCPT=rfc822;Bob@old.test; not ORCPT=rfc822;bob@old.test at mx1.example.test +0s",
        &[
            ("rfc822;bob@old.test", "RFC822;Bob@old.test"),
            ("offers=SIZE,DSN ", ""),
        ],
    );
    let right = log.replace(";bob@", ";Bob@");
    let trial = Trial {
        log: &right,
        ..trial
    };
    for (written, instead, wrong) in [
        ("+RET=HDRS ", "", "RET=HDRS; not no RET"),
        ("RET=HDRS", "RET=FULL", "RET=HDRS; not RET=FULL"),
        ("QQ+2B1", "QQ+2B2", "ENVID=QQ+2B1; not ENVID=QQ+2B2"),
        (
            "++NOTIFY=FAILURE,DELAY ",
            "",
            "NOTIFY=FAILURE,DELAY; not no NOTIFY",
        ),
        (
            " ++ORCPT=rfc822;Bob@old.test",
            "",
            "ORCPT=rfc822;Bob@old.test; not no ORCPT",
        ),
    ] {
        let finding = format!("MUST dsn-parameters-kept: {wrong} at mx1.example.test +0s");
        trial.also(&finding, &[(written, instead)]);
    }
    // Case and order of words mean nothing.
    for (written, instead) in [
        ("NOTIFY=FAILURE,DELAY", "NOTIFY=delay,Failure"),
        ("RET=HDRS", "RET=hdrs"),
    ] {
        assert_eq!(trial.with(written, instead).0, [""; 0]);
    }
}

#[test]
fn nothing_is_asked_that_was_not_but_for_the_recipients_own_address() {
    let asked = rest("envid = 'x'");
    let trial = Trial {
        rest: &asked,
        log: "0s m tries mx1[1] offers=DSN +ENVID=x ++NOTIFY=FAILURE accepted",
        ..ONE
    };
    let finding = "MUST dsn-parameters-kept: no NOTIFY; not NOTIFY=FAILURE at mx1.example.test +0s";
    trial.breaks(
        finding,
        &[("++NOTIFY=FAILURE", "++ORCPT=rfc822;Alice@example.test")],
    );
    // A command is not given it by SMTP.
    let command = Trial {
        sender_kind: SenderKind::Command,
        ..trial
    };
    assert!(
        !command
            .verdict()
            .0
            .iter()
            .any(|line| line.contains("dsn-parameters-kept"))
    );
}

/// A recipient that is refused, and what its author is told.
const REFUSED: &str = "0s m tries mx1[1] offers=DSN 550 at rcpt
                       0s reports m Alice@example.test bounced 5.1.1
                       0s notifies m of=Alice@example.test action=failed status=5.1.1 remote=mx1.example.test code=550 returned=headers";

#[test]
fn who_wants_to_be_told_nothing_is() {
    let asked = rest("notify = 'never'");
    let log = REFUSED.replace("offers=DSN", "offers=DSN ++NOTIFY=NEVER");
    let trial = Trial {
        rest: &asked,
        log: &log,
        ..ONE
    };
    let finding =
        "MUST notify-kept: nothing beside NOTIFY=NEVER; not failed for Alice@example.test +0s";
    assert_eq!(trial.verdict().0, [finding]);
    let silent: Vec<&str> = log.lines().take(2).collect();
    let silent = silent.join("\n");
    Trial {
        log: &silent,
        ..trial
    }
    .breaks_nothing();
    let failure = rest("notify = ['failure']");
    let log = log.replace("NEVER", "FAILURE");
    Trial {
        rest: &failure,
        log: &log,
        ..trial
    }
    .breaks_nothing();
    let of_success = rest("notify = ['success']");
    let log = log.replace("NOTIFY=FAILURE", "NOTIFY=SUCCESS");
    let finding =
        "MUST notify-kept: nothing beside NOTIFY=SUCCESS; not failed for Alice@example.test +0s";
    assert_eq!(
        Trial {
            rest: &of_success,
            log: &log,
            ..trial
        }
        .verdict()
        .0,
        [finding]
    );
}

#[test]
fn of_a_delay_is_told_who_wants_to_know() {
    let asked = rest("notify = ['failure']");
    let trial = Trial {
        rest: &asked,
        log: "0s m tries mx1[1] refused
              0s m tries mx2[2] refused
              5h notifies m of=Alice@example.test action=delayed status=4.4.1 until returned=headers
              5h m tries mx1[1] pass=2 accepted",
        ..ONE
    };
    trial.breaks(
        "MUST notify-kept: nothing beside NOTIFY=FAILURE; not delayed for Alice@example.test +5h",
        &[
            ("['failure']", "['failure', 'delay']"),
            ("notify = ['failure']", "ret = 'hdrs'"),
        ],
    );
}

#[test]
fn where_dsn_ends_success_is_reported() {
    let asked = rest("notify = ['success']");
    for sender_kind in [SENDER, SenderKind::MailServer] {
        let trial = Trial {
            rest: &asked,
            log: "0s given m
                  0s asks example.test MX: 10 mx1, 20 mx2
                  0s asks mx1 A: 1
                  0s m tries mx1[1] offers=SIZE accepted
                  9s is empty",
            sender_kind,
            ..ONE
        };
        trial.breaks(
            "MUST relayed-report: a notification that it was relayed for Alice@example.test; \
             not none; it was taken without DSN at mx1.example.test +0s",
            &[
                ("offers=SIZE", "offers=DSN ++NOTIFY=SUCCESS"),
                ("offers=SIZE ", ""),
                ("['success']", "['failure']"),
                ("9s is empty", "9s notifies m of=Alice@example.test action=relayed status=2.0.0 remote=mx1.example.test returned=headers"),
            ],
        );
    }
    // It may be on its way.
    let early = Trial {
        rest: &asked,
        log: "0s given m\n0s asks mx1 A: 1\n0s m tries mx1[1] offers=SIZE accepted",
        sender_kind: SenderKind::MailServer,
        ..ONE
    };
    early.breaks_nothing();
}

#[test]
fn notifications_go_back_from_nobody_and_ask_for_none() {
    let asked = rest("ret = 'hdrs'");
    let log = REFUSED.replace("offers=DSN", "offers=DSN +RET=HDRS") + " offers=DSN +RET=HDRS";
    let log = log.replace("offers=DSN +RET=HDRS 550", "offers=DSN +RET=HDRS  550");
    let trial = Trial {
        rest: &asked,
        log: &log,
        ..ONE
    };
    let finding = |wrong: &str| {
        format!(
            "MUST report-envelope: from <> to <sender@sender.test>, without RET and with NOTIFY=NEVER at most; not {wrong} +0s"
        )
    };
    let sent = "returned=headers offers=DSN +RET=HDRS";
    trial.breaks(
        &finding("RET=HDRS"),
        &[
            (sent, "returned=headers offers=DSN"),
            (sent, "returned=headers offers=DSN ++NOTIFY=NEVER"),
        ],
    );
    trial.also(
        &finding("NOTIFY=FAILURE"),
        &[(sent, "returned=headers ++NOTIFY=FAILURE")],
    );
    let elsewhere = "returned=headers from=postmaster@sender.test";
    trial.also(
        &finding("MAIL FROM:<postmaster@sender.test>"),
        &[(sent, elsewhere)],
    );
    trial.also(
        &finding("RCPT TO:<x@sender.test>"),
        &[(sent, "returned=headers to=x@sender.test")],
    );
}

#[test]
fn a_notification_is_a_report_to_the_author() {
    let asked = rest("ret = 'hdrs'");
    let log = REFUSED.replace("offers=DSN", "offers=DSN +RET=HDRS") + " To=x@sender.test";
    let trial = Trial {
        rest: &asked,
        log: &log,
        ..ONE
    };
    trial.breaks(
        "MUST report-form: a multipart/report of delivery-status, To: sender@sender.test; not To: x@sender.test +0s",
        &[(" To=x@sender.test", "")],
    );
    trial.also(
        "MUST report-form: a multipart/report of delivery-status, To: sender@sender.test; not no multipart/report with delivery-status +0s",
        &[("To=x@sender.test", "plain")],
    );
}

#[test]
fn a_report_repeats_what_its_author_gave() {
    let asked = rest("envid = 'QQ+1', orcpt = { 'Alice@example.test' = 'rfc822;Bob@old.test' }");
    let log = REFUSED.replace(
        "offers=DSN",
        "offers=DSN +ENVID=QQ+2B1 ++ORCPT=rfc822;Bob@old.test",
    ) + " envid=QQ+1 original=rfc822;Bob@old.test";
    let trial = Trial {
        rest: &asked,
        log: &log,
        ..ONE
    };
    trial.breaks_nothing();
    for (written, instead, wrong) in [
        (
            "envid=QQ+1",
            "envid=QQ+2B1",
            "Original-Envelope-Id: QQ+1; not Original-Envelope-Id: QQ+2B1",
        ),
        (
            " envid=QQ+1",
            "",
            "Original-Envelope-Id: QQ+1; not no Original-Envelope-Id",
        ),
        (
            " original=rfc822;Bob@old.test",
            "",
            "Original-Recipient: rfc822;Bob@old.test; not no Original-Recipient",
        ),
        (
            "original=rfc822;Bob",
            "original=rfc822;bob",
            "Original-Recipient: rfc822;Bob@old.test; not Original-Recipient: rfc822;bob@old.test",
        ),
        (
            "of=Alice@",
            "of=alice@",
            "Final-Recipient: Alice@example.test; not Final-Recipient: alice@example.test",
        ),
        (
            "action=failed ",
            "",
            "Action; not Action left out, or malformed",
        ),
        (
            "action=failed status=5.1.1",
            "action=failed",
            "Status; not Status left out, or malformed",
        ),
        (
            "action=failed",
            "action=failed until",
            "Will-Retry-Until with Action: delayed only; not Will-Retry-Until with Action: failed",
        ),
    ] {
        trial.also(
            &format!("MUST report-fields: {wrong}"),
            &[(written, instead)],
        );
    }
}

#[test]
fn a_report_names_the_server_that_refused_and_no_other() {
    let asked = rest("ret = 'hdrs'");
    let log = "0s m tries mx1[1] offers=DSN +RET=HDRS 451 at rcpt
               0s m tries mx2[2] offers=DSN +RET=HDRS 550 at rcpt
               0s reports m Alice@example.test bounced 5.1.1
               0s notifies m of=Alice@example.test action=failed status=5.1.1 remote=mx1.example.test code=550 returned=headers";
    let trial = Trial {
        rest: &asked,
        log,
        ..ONE
    };
    trial.breaks(
        "MUST report-fields: Remote-MTA: mx2.example.test; not Remote-MTA: mx1.example.test",
        &[
            ("remote=mx1.example.test", "remote=mx2.example.test"),
            ("remote=mx1.example.test", "remote=[192.0.2.2]"),
            ("remote=mx1.example.test", "remote=gateway.elsewhere.test"),
        ],
    );
    let right = log.replace("remote=mx1", "remote=mx2");
    let trial = Trial {
        log: &right,
        ..trial
    };
    for (written, instead, wrong) in [
        (
            "code=550",
            "code=451",
            "Diagnostic-Code: smtp; 550; not Diagnostic-Code: smtp; 451 no",
        ),
        (
            "code=550 ",
            "",
            "Diagnostic-Code: smtp; 550; not Diagnostic-Code left out",
        ),
        (
            "remote=mx2.example.test ",
            "",
            "Remote-MTA: mx2.example.test; not Remote-MTA left out",
        ),
    ] {
        trial.also(
            &format!("MUST report-fields: {wrong}"),
            &[(written, instead)],
        );
    }
    let nowhere = Trial {
        zone: "example.test. MX 0 .\n",
        rest: &asked,
        log: "0s asks example.test MX: 0 .
              0s reports m Alice@example.test bounced 5.1.10
              0s notifies m of=Alice@example.test action=failed status=5.1.10 remote=mx1.example.test returned=headers",
        ..ONE
    };
    nowhere.breaks(
        "MUST report-fields: no Remote-MTA: no server was tried; not Remote-MTA: mx1.example.test",
        &[("remote=mx1.example.test ", "")],
    );
}

#[test]
fn as_much_comes_back_as_was_asked_for() {
    let asked = rest("ret = 'hdrs'");
    let log = REFUSED
        .replace("offers=DSN", "offers=DSN +RET=HDRS")
        .replace("returned=headers", "returned=full");
    let trial = Trial {
        rest: &asked,
        log: &log,
        ..ONE
    };
    trial.breaks(
        "SHOULD report-returns: as RET=HDRS asks; not full returned +0s",
        &[
            ("returned=full", "returned=headers"),
            ("returned=full", "returned=nothing"),
        ],
    );
    let whole = rest("ret = 'full'");
    let log = log
        .replace("RET=HDRS", "RET=FULL")
        .replace("returned=full", "returned=headers");
    let trial = Trial {
        rest: &whole,
        log: &log,
        ..ONE
    };
    trial.breaks(
        "SHOULD report-returns: as RET=FULL asks; not headers returned +0s",
        &[
            ("returned=headers", "returned=full"),
            ("ret = 'full'", "ret = 'full', size = 30000"),
        ],
    );
}

#[test]
fn without_notify_nobody_is_told_of_success() {
    let asked = rest("ret = 'hdrs'");
    let trial = Trial {
        rest: &asked,
        log: "0s given m
              0s m tries mx1[1] offers=DSN +RET=HDRS accepted
              0s notifies m of=Alice@example.test action=delivered status=2.0.0 returned=headers",
        ..ONE
    };
    let finding = "MUST notify-kept: nothing beside NOTIFY=FAILURE,DELAY; not delivered for Alice@example.test +0s";
    assert_eq!(trial.verdict().0, [finding]);
    let wanted = rest("notify = ['success']");
    let log = trial.log.replace("+RET=HDRS", "++NOTIFY=SUCCESS");
    Trial {
        rest: &wanted,
        log: &log,
        ..trial
    }
    .breaks_nothing();
}

#[test]
fn with_requiretls_the_header_is_returned_whatever_is_asked() {
    let asked = rest("ret = 'full', requiretls = true");
    let trial = Trial {
        rest: &asked,
        log: "0s given m
              0s m tries mx1[1] offers=DSN +RET=FULL 550 at rcpt
              0s notifies m of=Alice@example.test action=failed status=5.1.1 returned=full",
        ..ONE
    };
    let findings = trial.verdict().0;
    let finding = "SHOULD report-returns: as RET=HDRS asks; not full returned +0s";
    assert!(findings.iter().any(|one| one == finding), "{findings:?}");
    let right = trial.log.replace("returned=full", "returned=headers");
    let findings = Trial {
        log: &right,
        ..trial
    }
    .verdict()
    .0;
    assert!(
        !findings.iter().any(|one| one.contains("report-returns")),
        "{findings:?}"
    );
}
