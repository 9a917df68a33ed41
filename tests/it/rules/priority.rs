//! How much a message matters.

use mxdrill::verdict::SenderKind;

use crate::trial::{ONE, Trial};

const ASKED: &str = "sender = {}\nmessages = [{ id = 'm', to = 'a@example.test', priority = 6 }]";

#[test]
fn a_server_that_wants_to_know_is_told_the_priority() {
    let trial = Trial {
        rest: ASKED,
        log: "0s m tries mx1[1] offers=SIZE,MT-PRIORITY accepted",
        ..ONE
    };
    trial.breaks(
        "MUST priority-passed-on: MT-PRIORITY=6; not no MT-PRIORITY at mx1.example.test +0s",
        &[
            ("offers=SIZE,MT-PRIORITY", "offers=SIZE"),
            // Nobody knows what was offered.
            ("offers=SIZE,MT-PRIORITY ", ""),
            // A message of which nothing is said has this one.
            ("priority = 6", "priority = 0"),
            ("MT-PRIORITY ", "MT-PRIORITY +MT-PRIORITY=6 "),
            // A server may give it another one.
            ("MT-PRIORITY ", "mt-priority +mt-priority=2 "),
        ],
    );
    // A command is not told.
    let command = Trial {
        sender_kind: SenderKind::Command,
        ..trial
    };
    let found = command.verdict().0;
    assert!(
        !found.iter().any(|line| line.contains("priority")),
        "{found:?}"
    );
}

#[test]
fn a_notification_matters_as_much_as_what_it_is_about() {
    let trial = Trial {
        rest: ASKED,
        log: "0s m tries mx1[1] offers=SIZE 550 at rcpt
              0s reports m a@example.test bounced 5.1.1
              0s notifies m of=a@example.test action=failed status=5.1.1 remote=mx1.example.test code=550 offers=DSN,MT-PRIORITY",
        ..ONE
    };
    trial.breaks(
        "SHOULD report-priority: MT-PRIORITY=6; not no MT-PRIORITY at bounces.sender.test +0s",
        &[
            ("offers=DSN,MT-PRIORITY", "offers=DSN"),
            (
                "offers=DSN,MT-PRIORITY",
                "offers=DSN,MT-PRIORITY +MT-PRIORITY=6",
            ),
            ("priority = 6", "priority = 0"),
        ],
    );
}
