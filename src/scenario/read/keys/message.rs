//! The keys of messages.

use super::{Row, Shape, TEXT_OR_TEXTS, TEXTS, key, names};
use crate::mail::{ByMode, Notify, Occasion, Priority, Ret};

/// A row of `messages`.
pub(in crate::scenario) const MESSAGE: Row = Row {
    what: "a message",
    keys: &[
        key(
            "id",
            Shape::Pattern("^[A-Za-z0-9_.-]{1,64}$"),
            "what it is called in expectations and reports",
        ),
        key("to", TEXT_OR_TEXTS, "a mailbox, or several of them"),
        key(
            "at",
            Shape::Time,
            "when the sender is given it; \"0s\" if it is left out",
        ),
        key(
            "from",
            Shape::Text,
            "where bounces go; \"\" is the null reverse-path",
        ),
        key(
            "count",
            Shape::Number(1),
            "that many messages, with ids id-1, id-2 and so on",
        ),
        key("size", Shape::Number(0), "octets of its content"),
        key(
            "received",
            Shape::Number(0),
            "Received fields that it already carries",
        ),
        key("body", Shape::Text, "the text of its body"),
        key(
            "binary",
            Shape::Flag,
            "whether its body is octets as they are, for BINARYMIME (RFC 3030)",
        ),
        key("header", TEXTS, "further fields of its header"),
        key("requiretls", Shape::Flag, "asks for REQUIRETLS (RFC 8689)"),
        key(
            "priority",
            Shape::Between(Priority::BOUNDS),
            "how much it matters, from -9 to 9 (RFC 6710)",
        ),
        key(
            "deliver_by",
            Shape::Table(&DELIVER_BY),
            "in what time it is to be delivered (RFC 2852)",
        ),
        key(
            "notify",
            Shape::Any(&[NOTIFY, Shape::Map(&NOTIFY)]),
            "of what its author wants to be notified (RFC 3461), for all recipients or by recipient",
        ),
        key(
            "ret",
            Shape::Words(|| names(&Ret::WORDS)),
            "how much a notification of failure returns",
        ),
        key("envid", Shape::Text, "the author's own name for it"),
        key(
            "orcpt",
            Shape::Map(&Shape::Text),
            "whom the author wrote to, by recipient",
        ),
    ],
};

const NOTIFY: Shape = Shape::OneOrMany(&Shape::Words(|| {
    [names(&Occasion::WORDS), vec![Notify::NEVER]].concat()
}));

/// In what time a message is to be delivered.
pub(in crate::scenario) const DELIVER_BY: Row = Row {
    what: "deliver_by",
    keys: &[
        key(
            "within",
            Shape::Time,
            "the time, from the moment at which the sender is given it",
        ),
        key(
            "mode",
            Shape::Words(|| names(&ByMode::WORDS)),
            "what happens when it is over; \"notify\" if it is left out",
        ),
        key(
            "trace",
            Shape::Flag,
            "whether each relay is to be told of, too",
        ),
    ],
};
