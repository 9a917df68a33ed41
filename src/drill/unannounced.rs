//! The messages that a sender must have had, where no scenario says so.
//!
//! A lab of records alone is told nothing of messages. What it is judged by are envelopes: the reverse-path and the
//! recipients that receivers were offered. A sender that never got as far as RCPT has offered nothing, and is
//! judged by nothing; whether anybody connected at all is for the caller to ask.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    mail::{Mailbox, Message, MessageId},
    observe::Attempt,
    time::Moment,
};

/// One message for each reverse-path and set of recipients that receivers were offered; several where more
/// copies were accepted by a receiver than one message needs. Two of the same envelope cannot be told from one
/// that came twice, and nobody is blamed for what may have been meant.
pub(super) fn messages(attempts: &[Attempt]) -> Vec<Message> {
    let mut seen: BTreeMap<(&str, BTreeSet<&str>), BTreeMap<&str, usize>> = BTreeMap::new();
    for attempt in attempts {
        let Some(from) = attempt
            .from
            .as_deref()
            .filter(|_| !attempt.offered.is_empty())
        else {
            continue;
        };
        let offered = attempt.offered.iter().map(String::as_str).collect();
        let copies = seen.entry((from, offered)).or_default();
        for recipient in &attempt.taken {
            *copies.entry(recipient).or_default() += 1;
        }
    }
    let mut messages = Vec::new();
    for ((from, to), copies) in seen {
        let to: Vec<Mailbox> = to.into_iter().filter_map(|one| one.parse().ok()).collect();
        if to.is_empty() {
            continue;
        }
        for _ in 0..copies.into_values().max().unwrap_or(1).max(1) {
            let id = MessageId(format!("m{}", messages.len() + 1).into());
            let (from, to) = (from.parse().ok(), to.clone().into());
            messages.push(Message::plain(id, Moment::START, from, to));
        }
    }
    messages
}
