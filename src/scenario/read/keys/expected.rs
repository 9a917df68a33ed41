//! The tables about what is expected.

use super::{PORT, Row, STAGE, Shape, TEXTS, key, names};
use crate::{
    mail::{Action, Returned},
    outcome::{AttemptResult, Outcome},
};

const OUTCOME: Shape = Shape::Words(|| names(&Outcome::WORDS));
/// A number by itself, or a range of it.
pub(in crate::scenario) const BOUNDS: Shape = Shape::Any(&[Shape::Number(0), Shape::Table(&RANGE)]);

/// A range of numbers.
pub(in crate::scenario) const RANGE: Row = Row {
    what: "a range",
    keys: &[
        key("min", Shape::Number(0), "the least"),
        key("max", Shape::Number(0), "the most"),
    ],
};

/// A range of times.
pub(in crate::scenario) const TIME_RANGE: Row = Row {
    what: "a range of a time",
    keys: &[
        key("min", Shape::Time, "the least"),
        key("max", Shape::Time, "the most"),
    ],
};

/// A row of `first_attempts`.
pub(in crate::scenario) const SHARE: Row = Row {
    what: "a share",
    keys: &[
        key(
            "host",
            Shape::Text,
            "the host whose first attempts are counted",
        ),
        key("min", Shape::Number(0), "the least"),
        key("max", Shape::Number(0), "the most"),
    ],
};

/// What is expected of a message.
pub(in crate::scenario) const EXPECTED: Row = Row {
    what: "what is expected of a message",
    keys: &[
        key("outcome", OUTCOME, "what becomes of it"),
        key("by", Shape::Text, "the host that takes it"),
        key("copies", BOUNDS, "how often it is taken"),
        key(
            "status",
            Shape::Text,
            "the enhanced status code (RFC 3463) of its bounce or last deferral",
        ),
        key(
            "recipients",
            Shape::Map(&OUTCOME),
            "what becomes of it, by recipient",
        ),
        key("attempts", ATTEMPTS, "every attempt, in order"),
        key("starts_with", ATTEMPTS, "the first attempts, in order"),
        key("attempt_count", BOUNDS, "how many attempts there are"),
        key(
            "retry_waits",
            Shape::Table(&TIME_RANGE),
            "the time from each attempt at an address to the next one there",
        ),
        key(
            "returned_after",
            Shape::Table(&TIME_RANGE),
            "the time from its submission to its return",
        ),
        key(
            "dsn",
            Shape::OneOrMany(&Shape::Table(&NOTIFICATION)),
            "what notifications tell of it, a row for each recipient in each of them",
        ),
    ],
};

const ATTEMPTS: Shape = Shape::Many(&Shape::Table(&ATTEMPT));

/// An expected attempt.
pub(in crate::scenario) const ATTEMPT: Row = Row {
    what: "an attempt",
    keys: &[
        key("host", Shape::Text, "the exchanger that is tried"),
        key(
            "any",
            TEXTS,
            "exchangers of which any will do, in place of host",
        ),
        key("port", PORT, "the port that is tried"),
        key("address", Shape::Text, "the address that is tried"),
        key("result", RESULT, "how it ends: a word, or a reply code"),
        key("stage", STAGE, "where in the session it ends"),
        key("at", Shape::Time, "when it begins"),
        key("tls", Shape::Flag, "whether it is inside TLS"),
        key("sni", Shape::Text, "the server name of the handshake"),
    ],
};

const RESULT: Shape = Shape::Any(&[
    Shape::Words(|| names(&AttemptResult::WORDS)),
    Shape::Pattern("^[45][0-9]{2}$"),
    Shape::Number(400),
]);

/// What a notification tells of a recipient.
pub(in crate::scenario) const NOTIFICATION: Row = Row {
    what: "what a notification tells",
    keys: &[
        key("recipient", Shape::Text, "the recipient that it is about"),
        key(
            "action",
            Shape::Words(|| names(&Action::WORDS)),
            "what it says was done",
        ),
        key("status", Shape::Text, "its enhanced status code (RFC 3463)"),
        key("remote_mta", Shape::Text, "the host that it names"),
        key("diagnostic", Shape::Text, "how its diagnostic text begins"),
        key(
            "original_recipient",
            Shape::Text,
            "whom the author wrote to",
        ),
        key(
            "envelope_id",
            Shape::Text,
            "the author's own name for the message",
        ),
        key(
            "returned",
            Shape::Words(|| names(&Returned::WORDS)),
            "how much of the message it returns",
        ),
    ],
};
