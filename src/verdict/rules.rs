//! The rules that hold for every drill, whatever its author expects. Each has a name and a source.
//!
//! They read the log through [`Knowledge`](super::views::Knowledge) and [`Attempt`] and share no code with the router.
//!
//! A rule is a row of the table: constant, name, section, level, claim. The functions that check
//! them are in the files below, and each row needs a flaw of the reference sender that breaks it
//! (`crate::sender::flaw`).

pub(super) mod delivery;
pub(super) mod routing;
pub(super) mod security;

use super::{Finding, Subject};
use crate::level::Level;

/// A rule of mail routing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// Its name, such as `preference-order`.
    pub name: &'static str,
    /// The section that asks for it, such as `RFC 5321 section 5.1`.
    pub cite: &'static str,
    /// How strongly that section asks for it, in the words of RFC 2119.
    pub level: Level,
    /// What it asks, as a sentence.
    pub claim: &'static str,
}

macro_rules! rules {
    ($($constant:ident = $name:literal, $cite:literal, $level:ident, $claim:literal;)*) => {
        $(pub(crate) const $constant: Rule = Rule { name: $name, cite: $cite, level: Level::$level, claim: $claim };)*
        /// Every rule, in the order of `docs/rules.md`.
        pub const RULES: &[Rule] = &[$($constant),*];
    };
}

rules! {
    PREFERENCE_ORDER = "preference-order", "RFC 5321 section 5.1", Must, "within a pass, lower preference numbers are tried before higher ones";
    EQUALS_SHARE = "equals-share", "RFC 5321 section 5.1", Must, "exchangers of equal preference share the first attempts";
    NEXT_CANDIDATE = "next-candidate", "RFC 5321 section 5.1", Should, "a pass that fails transiently tries a second candidate where there is one";
    WITHIN_ROUTE = "within-route", "RFC 5321 section 5.1", Must, "no address outside the route is connected to";
    MX_OVER_ADDRESS = "mx-over-address", "RFC 5321 section 5.1", Must, "mail for a domain with MX records does not go to the domain's own address";
    NULL_MX = "null-mx", "RFC 7505 section 3", Must, "a domain with a null MX is sent nothing";
    OWN_LEVEL = "own-level", "RFC 5321 section 5.1", Must, "a sender in the list tries neither itself nor its level nor worse ones";
    FAILED_LOOKUP_DEFERS = "failed-lookup-defers", "RFC 5321 section 5.1", Must, "a lookup that fails for now is no answer: the message is queued";
    NOTHING_LOST = "nothing-lost", "RFC 5321 section 6.1", Must, "every message is delivered, queued or returned";
    DELIVERED_ONCE = "delivered-once", "RFC 5321 section 4.2.5", Should, "no recipient is delivered to twice";
    PERMANENT_IS_FINAL = "permanent-is-final", "RFC 5321 section 4.2.1", Should, "after a permanent failure the same request is not repeated";
    ROUTE_IS_TRIED = "route-is-tried", "RFC 5321 section 5.1", Must, "mail for a domain that has a route is returned only after some host of it was tried";
    PERMANENT_IS_RETURNED = "permanent-is-returned", "RFC 5321 section 5.1", Should, "what can never be delivered is returned, not kept until its time is over";
    TRANSIENT_IS_RETRIED = "transient-is-retried", "RFC 5321 section 4.5.4.1", Must, "a transient failure is retried until the message expires";
    GIVES_UP_LATE = "gives-up-late", "RFC 5321 section 4.5.4.1", Should, "a message that fails transiently is retried for four days at least before it is given up";
    RETRY_WAITS = "retry-waits", "RFC 5321 section 4.5.4.1", Must, "a destination that failed is not retried at once";
    SENDER_NOTIFIED = "sender-notified", "RFC 5321 section 3.6.3", Must, "a message that is given up is returned to its sender";
    NO_BOUNCE_OF_BOUNCE = "no-bounce-of-bounce", "RFC 5321 section 6.1", Must, "a message from the null reverse-path is never returned";
    TLS_KEPT = "tls-kept", "RFC 8461 section 5", Must, "where DANE, MTA-STS, REQUIRETLS or its settings demand TLS, a sender does without it nowhere";
}

/// A finding that a rule is broken, about the drill or what is named.
fn broken(
    rule: Rule,
    subject: Subject,
    expected: impl Into<String>,
    observed: Vec<String>,
) -> Finding {
    let about = subject.message();
    let about = about.map_or(String::new(), |id| format!(" (message {id})"));
    Finding {
        subject,
        claim: format!("{}{about}", rule.claim),
        rule: Some(rule.name),
        level: rule.level,
        cites: vec![rule.cite.to_owned()],
        expected: vec![expected.into()],
        observed,
        attempts: None,
        because: Vec::new(),
    }
}
