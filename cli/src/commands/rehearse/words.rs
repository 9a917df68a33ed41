//! How it is said what came of a rehearsal: waits, shares, who took mail, and a line of JSON.

use std::{io, time::Duration};

use serde_json::{Value, json};

use crate::report::sheet::{Weight, percentages};
use mxdrill::{
    name::Domain,
    rehearse::{PassageSum, Rehearsal, Rehearsed, SenderProfile},
    time::HumanDuration,
};

/// A wait from which on mail is called slow: an hour.
pub(super) const LONG: Duration = Duration::from_secs(3600);

/// How bad it was for mail.
pub(super) fn weight(sum: &PassageSum) -> Weight {
    match () {
        () if sum.returned > 0 => Weight::Returned,
        () if sum.longest_wait >= LONG => Weight::Waits,
        () => Weight::Fine,
    }
}

/// A wait in whole seconds, for people.
pub(super) fn waited(wait: Duration) -> String {
    match wait {
        Duration::ZERO => "none".to_owned(),
        wait => HumanDuration(Duration::from_secs(wait.as_secs())).to_string(),
    }
}

/// The shares of those that accepted messages, then that of what was returned, then that of what still waits.
pub(super) fn shares(sum: &PassageSum) -> Vec<String> {
    let mut parts: Vec<usize> = sum.takers.values().copied().collect();
    let taken: usize = parts.iter().sum();
    parts.push(sum.returned);
    parts.push(sum.messages - sum.returned - taken);
    percentages(&parts)
}

/// Hosts that are told with the share that each has; of more, how many there are.
const TAKERS_TOLD: usize = 3;

/// Which hosts accepted the mail, with shares in per cent where there are several.
pub(super) fn takers(sum: &PassageSum) -> String {
    takers_up_to(TAKERS_TOLD, sum)
}

/// The same, of so many hosts at most.
pub(super) fn takers_up_to(most_told: usize, sum: &PassageSum) -> String {
    if sum.takers.len() > most_told {
        let most = sum.takers.values().copied().max().unwrap_or(0);
        let share = percentages(&[most, sum.messages - most]).swap_remove(0);
        let up_to = if share.starts_with("under") {
            ""
        } else {
            "up to "
        };
        return format!("{} exchangers, each {up_to}{share}", sum.takers.len());
    }
    let shared = sum.takers.iter().zip(shares(sum));
    let takers = shared.map(|((host, count), share)| match *count == sum.messages {
        true => host.to_string(),
        false => format!("{host} {share}"),
    });
    let takers: Vec<String> = takers.collect();
    if takers.is_empty() {
        "nobody".to_owned()
    } else {
        takers.join(", ")
    }
}

/// The share of the mail that was returned.
pub(super) fn lost(sum: &PassageSum) -> String {
    match sum.returned {
        0 => "none".to_owned(),
        all if all == sum.messages => "all".to_owned(),
        _ => shares(sum).swap_remove(sum.takers.len()),
    }
}

/// When those who send try again, in words.
pub(super) fn tries(sender: &SenderProfile) -> String {
    /// Waits that are told; more would tell nobody anything.
    const TOLD: usize = 5;
    let mut waits: Vec<String> = sender.retry.iter().map(|wait| waited(*wait)).collect();
    let last = waits.pop().unwrap_or_default();
    while waits.last() == Some(&last) {
        waits.pop();
    }
    match &waits[..] {
        [] => format!("every {last}"),
        few if few.len() <= TOLD => format!("after {}, then every {last}", few.join(", ")),
        many => format!("after {}, ...", many[..TOLD].join(", ")),
    }
}

/// What is assumed of who sends, in words.
pub(super) fn schedule(sender: &SenderProfile) -> String {
    let (tries, patience) = (tries(sender), waited(sender.lifetime));
    format!("try again {tries}, and return mail after {patience}")
}

/// A line of JSON about a drill; what is special about it is added.
pub(super) fn line(
    domain: &Domain,
    rehearsal: &Rehearsal,
    drill: &Rehearsed,
    sender: &SenderProfile,
) -> Value {
    let sum = &drill.sum;
    let mut line = json!({
        "domain": domain,
        "drill": drill.title,
        "file": format!("{}.toml", drill.file),
        "messages": sum.messages,
        "takers": sum.takers,
        "longest_wait_seconds": sum.longest_wait.as_secs_f64(),
        "returned": sum.returned,
        "sender": {
            "name": sender.name,
            "returns_after_seconds": sender.lifetime.as_secs(),
            "retries_after_seconds": sender.retry.iter().map(Duration::as_secs).collect::<Vec<_>>(),
        },
        "stand_ins": rehearsal.stand_ins(),
        "notes": rehearsal.notes(),
    });
    if let Some(unknown) = &drill.unknown {
        line["unknown_users"] = json!({
            "messages": unknown.messages,
            "takers": unknown.takers,
            "returned": unknown.returned,
        });
    }
    line
}

/// A line of JSON about a domain that was not rehearsed, with the reason.
pub(super) fn not_rehearsed(domain: &Domain, why: &str) -> Value {
    json!({ "domain": domain, "not_rehearsed": why })
}

/// Why a domain was refused, without its name, with which the error begins.
pub(super) fn without_domain(error: &io::Error, domain: &Domain) -> String {
    let text = error.to_string();
    let why = text.strip_prefix(&format!("{domain}: ")).map(str::to_owned);
    why.unwrap_or(text)
}
