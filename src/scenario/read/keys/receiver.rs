//! The tables about receivers, their limits, and policies.

use super::{Row, Shape, TEXTS, key, names};
use crate::scenario::{Certificate, Counted, CountedBy, TlsVersion, Trickle};

/// The engines by their words, and whether each is the second one.
pub(in crate::scenario) const ENGINES: [(&str, bool); 2] =
    [("lab", false), ("mailin-embedded", true)];

const CERTIFICATE: Shape = Shape::Words(|| names(&Certificate::WORDS));
pub(super) const ENGINE: Shape = Shape::Words(|| names(&ENGINES));
/// Some of a thing, and no zero of it: `10/min`.
const FREQUENCY: Shape = Shape::Pattern("^\\+?0*[1-9][0-9]*/(s|min|h|d)$");
const BANDWIDTH: Shape = Shape::Pattern("^0*[1-9][0-9]*\\s*(B/s|kB/s|MB/s)$");
const REFUSAL: Shape = Shape::Pattern("^[45][0-9]{2}");

/// A row of `receivers`.
pub(in crate::scenario) const RECEIVER: Row = Row {
    what: "a receiver",
    keys: &[
        key(
            "host",
            Shape::Text,
            "the receiver that it is about; all if it is left out",
        ),
        key(
            "ports",
            Shape::Many(&Shape::Number(1)),
            "the ports at which it listens beside 25",
        ),
        key("auth", Shape::Table(&AUTH), "it offers AUTH"),
        key(
            "certificate",
            CERTIFICATE,
            "it offers STARTTLS, with such a certificate",
        ),
        key(
            "certificate_name",
            Shape::Text,
            "the name that the certificate is for, in place of its own",
        ),
        key(
            "tls_versions",
            Shape::Many(&Shape::Words(|| names(&TlsVersion::WORDS))),
            "the versions of TLS that it speaks",
        ),
        key(
            "tlsa",
            Shape::Many(&Shape::Pattern("^\\s*[0-3]\\s+[01]\\s+[0-2]\\s*$")),
            "TLSA records that match its certificate, such as \"3 1 1\"",
        ),
        key("size", Shape::Number(0), "the SIZE limit in octets"),
        key(
            "extensions",
            TEXTS,
            "what it offers in reply to EHLO, in this order",
        ),
        key(
            "extensions_in_tls",
            TEXTS,
            "what it offers inside TLS, where that differs",
        ),
        key("engine", ENGINE, "the SMTP server behind its faults"),
        key(
            "upstream",
            Shape::Text,
            "the \"host:port\" of a server behind its faults",
        ),
        key(
            "max_sessions",
            LIMIT,
            "sessions at one time; the next is greeted with 421",
        ),
        key(
            "max_recipients",
            LIMIT,
            "recipients accepted in a transaction; the next is answered 452",
        ),
        key(
            "max_messages",
            LIMIT,
            "MAIL commands in a session; the next is answered 421",
        ),
        key(
            "rate",
            Shape::Any(&[FREQUENCY, Shape::Table(&RATE)]),
            "messages or connections in a time, such as \"10/min\"",
        ),
        key(
            "bandwidth",
            BANDWIDTH,
            "how fast content is read, such as \"10kB/s\"",
        ),
        key(
            "trickle",
            Shape::Words(|| names(&Trickle::WORDS)),
            "how replies are sent",
        ),
        key(
            "greylist",
            Shape::Any(&[Shape::Time, Shape::Table(&GREYLIST)]),
            "for how long it refuses whom it does not know",
        ),
        key(
            "silent_after",
            Shape::Time,
            "after so long without a command nothing is answered any more",
        ),
    ],
};

/// The AUTH that a receiver offers.
pub(in crate::scenario) const AUTH: Row = Row {
    what: "auth",
    keys: &[
        key("user", Shape::Text, "the name of the client that it knows"),
        key(
            "password",
            Shape::Text,
            "the password of the client that it knows",
        ),
        key(
            "required",
            Shape::Flag,
            "whether MAIL without it is answered 530",
        ),
        key(
            "plaintext",
            Shape::Flag,
            "whether it is offered outside TLS, too",
        ),
    ],
};

/// A number of one at least, or a table of it and a reply.
const LIMIT: Shape = Shape::Any(&[Shape::Number(1), Shape::Table(&BOUNDED)]);

/// A limit with a reply of its own.
pub(in crate::scenario) const BOUNDED: Row = Row {
    what: "a limit",
    keys: &[
        key("most", Shape::Number(1), "how many are taken"),
        key("reply", REFUSAL, "the reply to what is beyond"),
    ],
};

/// A rate, of what it counts, and a reply.
pub(in crate::scenario) const RATE: Row = Row {
    what: "a rate",
    keys: &[
        key("most", FREQUENCY, "how many are taken in a time"),
        key(
            "of",
            Shape::Words(|| names(&Counted::WORDS)),
            "what is counted",
        ),
        key(
            "by",
            Shape::Words(|| names(&CountedBy::WORDS)),
            "whose are counted together",
        ),
        key("reply", REFUSAL, "the reply to what is beyond"),
    ],
};

/// A greylist.
pub(in crate::scenario) const GREYLIST: Row = Row {
    what: "a greylist",
    keys: &[
        key("wait", Shape::Time, "for how long it refuses"),
        key(
            "window",
            Shape::Time,
            "who comes back later than that is new",
        ),
        key(
            "shared",
            Shape::Flag,
            "whether all receivers that share have one list",
        ),
        key("reply", REFUSAL, "the reply while it refuses"),
    ],
};

/// A row of `policies`.
pub(in crate::scenario) const POLICY: Row = Row {
    what: "a policy",
    keys: &[
        key("domain", Shape::Text, "the domain of the policy"),
        key(
            "certificate",
            CERTIFICATE,
            "what the web server's certificate is like",
        ),
        key(
            "status",
            Shape::Number(200),
            "the HTTP status of the answer",
        ),
        key("text", Shape::Text, "the policy itself"),
        key("from", Shape::Time, "the moment from which on it is served"),
        key(
            "until",
            Shape::Time,
            "the moment from which on it is served no more",
        ),
    ],
};
