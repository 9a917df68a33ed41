//! The rule about fetching the policies of MTA-STS (RFC 8461 section 3.3): after a failure not again at once.

use std::{collections::BTreeMap, time::Duration};

use super::{POLICY_FETCH_WAITS, broken};
use crate::{
    event::{Event, EventKind},
    name::Domain,
    scenario::policy_host,
    time::{HumanDuration, Moment},
    verdict::{Finding, Subject},
};

/// How long to wait after a fetch of a policy failed.
const WAITS: Duration = Duration::from_secs(300);
/// How near to each other two fetches are one: to another address, or by a connection that was not taken.
const SAME_FETCH: Duration = Duration::from_secs(10);
/// Fetches that the finding tells of.
const MOST: usize = 3;

/// When policies were fetched, by their hosts.
#[derive(Default)]
pub(in crate::verdict) struct PolicyFetches {
    hosts: BTreeMap<Domain, Fetch>,
    /// What was seen against the rule.
    lines: Vec<String>,
}

/// What is known of one policy.
#[derive(Default)]
struct Fetch {
    /// The record that was read last.
    record: Vec<String>,
    /// When a fetch failed for that record last.
    failed: Option<Moment>,
}

impl PolicyFetches {
    /// Takes in what happened next.
    pub(in crate::verdict) fn see(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Query { name, records, .. } => {
                let Some(host) = host_of(name) else { return };
                let record: Vec<String> = records.iter().map(|one| one.data.to_string()).collect();
                let fetch = self.hosts.entry(host).or_default();
                if !record.is_empty() && fetch.record != record {
                    (fetch.record, fetch.failed) = (record, None);
                }
            }
            EventKind::Fetched { host, answer } => self.fetched(host, answer.is_ok(), event.at),
            _ => {}
        }
    }

    fn fetched(&mut self, host: &Domain, is_ok: bool, at: Moment) {
        let fetch = self.hosts.entry(host.clone()).or_default();
        let before = match is_ok {
            true => fetch.failed.take(),
            false => fetch.failed.replace(at),
        };
        let Some(before) = before else { return };
        let waited = at.since(before);
        if (SAME_FETCH..WAITS).contains(&waited) && self.lines.len() < MOST {
            let waited = HumanDuration(waited);
            let line = format!("{host} asked again {waited} after a failure");
            self.lines.push(line);
        }
    }

    /// The finding, if there is one.
    pub(in crate::verdict) fn finding(&self) -> Option<Finding> {
        let expected = "five minutes between them";
        let seen = Some(&self.lines).filter(|lines| !lines.is_empty());
        seen.map(|lines| broken(POLICY_FETCH_WAITS, Subject::Drill, expected, lines.clone()))
    }
}

/// The host of the policy that a record of this name announces; `None` for any other name.
fn host_of(record: &Domain) -> Option<Domain> {
    let domain: Domain = record.as_str().strip_prefix("_mta-sts.")?.parse().ok()?;
    Some(policy_host(&domain))
}
