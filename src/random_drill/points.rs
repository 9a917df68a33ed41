//! The points at which something fails in drills: a stage of a session or a query, and how.
//!
//! The list is what random drills draw from, and what is counted to say how much of it a search has tried. It has
//! every effect of the format at every stage where senders could be expected to do something else, and of replies one
//! of each kind: another text makes no other behaviour, another first digit does (RFC 5321 section 4.2.1).
//!
//! Every effect is written as the format has it, so that a drill that was found can be written down as it is, and read
//! as the same.

use hickory_proto::rr::RecordType;

use crate::fault::{Effect, Fault, Stage};

/// A place at which something can fail: a stage of a session, or the query for a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailurePlace {
    Session(Stage),
    Query(RecordType),
}

/// A point of failure: a place, and an effect in the words of the scenario format.
pub(super) type FailurePoint = (FailurePlace, &'static str);

/// The effects of the replies to a command: transient, permanent, one that closes, and what is no reply.
const OF_SESSIONS: [(Stage, &[&str]); 10] = [
    (
        Stage::Connect,
        &["refuse", "timeout", "reset", "unreachable"],
    ),
    (
        Stage::Greeting,
        &[
            "450 4.3.2 busy",
            "554 5.3.2 no mail here",
            "421 4.3.2 busy",
            "hang",
            "close",
            "reset",
            "garbage",
            "delay 30s",
        ],
    ),
    (
        Stage::Helo,
        &[
            "450 4.3.2 busy",
            "550 5.7.1 go away",
            "421 4.3.2 busy",
            "hang",
            "close",
            "reset",
            "garbage",
        ],
    ),
    (
        Stage::Starttls,
        &[
            "not offered",
            "break",
            "inject 250 2.0.0 ok",
            "454 4.7.0 not now",
            "hang",
            "close",
            "reset",
            "garbage",
        ],
    ),
    (
        Stage::Mail,
        &[
            "451 4.3.0 later",
            "550 5.7.1 not from you",
            "552 5.2.2 full",
            "421 4.3.2 closing",
            "hang",
            "close",
            "reset",
            "garbage",
        ],
    ),
    (
        Stage::Rcpt,
        &[
            "451 4.2.1 later",
            "550 5.1.1 no such user",
            "552 5.5.3 too many recipients",
            "421 4.3.2 closing",
            "hang",
            "close",
            "reset",
            "garbage",
        ],
    ),
    (
        Stage::Data,
        &[
            "451 4.3.0 later",
            "554 5.6.0 no",
            "421 4.3.2 closing",
            "hang",
            "close",
            "reset",
            "garbage",
        ],
    ),
    (Stage::Content, &["hang", "close", "reset", "delay 30s"]),
    (
        Stage::Dot,
        &[
            "452 4.3.1 full",
            "554 5.6.0 no",
            "552 5.2.2 full",
            "421 4.3.2 closing",
            "hang",
            "close",
            "reset",
            "garbage",
            "lose reply",
            "delay 30s",
        ],
    ),
    (
        Stage::Quit,
        &["421 4.3.2 closing", "hang", "close", "reset", "garbage"],
    ),
];

/// The effects on queries, for exchangers as for addresses.
const OF_QUERIES: [&str; 10] = [
    "servfail", "timeout", "refused", "truncate", "delay 2s", "nodata", "nxdomain", "notimp",
    "formerr", "wrong id",
];

/// Every point of failure, in the order of a delivery.
pub(super) fn points() -> Vec<FailurePoint> {
    let queries = [RecordType::MX, RecordType::A].into_iter();
    let queries =
        queries.flat_map(|kind| OF_QUERIES.map(|effect| (FailurePlace::Query(kind), effect)));
    let sessions = OF_SESSIONS.into_iter().flat_map(|(stage, effects)| {
        let effects = effects.iter();
        effects.map(move |effect| (FailurePlace::Session(stage), *effect))
    });
    queries.chain(sessions).collect()
}

/// The kind of an effect: its first word, of a reply the first digit of its code. Codes that mean something of
/// their own stand for themselves: 421 closes, and 552 to RCPT may be transient (RFC 5321 section 4.5.3.1.10).
pub(super) fn kind_of_effect(effect: &str) -> String {
    let first = effect.split(' ').next().unwrap_or_default();
    match (first.as_bytes(), effect) {
        (_, "lose reply" | "not offered" | "wrong id") => effect.to_owned(),
        (_, _) if matches!(first, "421" | "552") => first.to_owned(),
        ([digit @ b'2'..=b'5', _, _], _) if first.parse::<u16>().is_ok() => {
            format!("{}yz", char::from(*digit))
        }
        _ => first.to_owned(),
    }
}

impl FailurePlace {
    /// The fault at this place: of a host in a session, of the domain's exchangers, or of a host's address.
    pub(super) fn fault(self, effect: &str, domain: &str, host: &str) -> Fault {
        match self {
            Self::Session(stage) => {
                let effect = Effect::parse(effect, stage).expect("an effect of that stage");
                Fault::of_host(host.parse().expect("a host"), stage, effect)
            }
            Self::Query(kind) => {
                let name = if kind == RecordType::MX { domain } else { host };
                let effect = effect.parse().expect("an effect on a query");
                Fault::of_query(name.parse().expect("a name"), Some(kind), effect)
            }
        }
    }
}
