//! Which drills a mail server can be put through, and what of them can be held against it.
//!
//! A drill written for virtual time and a sender that can be set at will is cut to what a real server
//! in real time can show; what is left out is said with its reason.

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use hickory_proto::rr::RData;
use serde::{Deserialize, Serialize};

use super::Adapter;
use mxdrill::{
    drill::{self, Run},
    event::EventKind,
    fault::{Effect, Failure, Host, QueryEffect},
    lab::NetworkKind,
    name::Domain,
    observe::Attempt,
    outcome::{AttemptResult, Outcome},
    scenario::{Scenario, Share, TlsPolicy, Total},
    sender::Reference,
    time::{HumanDuration, Moment},
    zone::Zone,
};

/// The longest delay of a drill that is waited for in real time; a longer one needs virtual time.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most passes over the queue in one drill: each costs real time.
pub(crate) const MOST_PASSES: usize = 12;
/// Something that a drill may need and a mail server may not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Feature {
    /// STARTTLS.
    Tls,
    /// TLS that is required, or required and verified.
    TlsRequired,
    /// TLS whose certificates are verified.
    TlsVerified,
    /// DANE (RFC 7672).
    Dane,
    /// MTA-STS (RFC 8461).
    MtaSts,
    /// REQUIRETLS (RFC 8689).
    Requiretls,
    /// IPv6.
    Ipv6,
    /// Names in a list of exchangers that are its own.
    OwnNames,
    /// Giving a message up when its time is over, at a moment that a drill can choose.
    Expire,
    /// Waits that are short enough for a drill.
    Timeouts,
    /// Waits for queries without an answer that are short enough for a drill.
    LostQueries,
    /// Messages from the null reverse-path, handed over from outside.
    NullSender,
    /// Addresses and domains beyond ASCII.
    Utf8,
    /// Messages that already carry Received fields.
    Received,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tls => "STARTTLS",
            Self::TlsRequired => "TLS that is required",
            Self::TlsVerified => "certificates that are verified",
            Self::Dane => "DANE",
            Self::MtaSts => "MTA-STS",
            Self::Requiretls => "REQUIRETLS",
            Self::Ipv6 => "IPv6",
            Self::OwnNames => "names of its own in a list of exchangers",
            Self::Expire => "a queue lifetime that a drill can end",
            Self::Timeouts => "timeouts that are short enough for a drill",
            Self::LostQueries => "lost queries that are soon given up",
            Self::NullSender => "messages from the null reverse-path",
            Self::Utf8 => "addresses beyond ASCII",
            Self::Received => "messages with Received fields",
        })
    }
}

/// What a drill is to a mail server: what of it is played, and what it takes.
#[derive(Debug, Clone)]
pub(crate) struct Eligibility {
    /// The drill, its sample if it has many messages.
    pub(crate) scenario: Arc<Scenario>,
    /// The shares of a sample, which are judged by statistics over several runs.
    pub(crate) shares: Vec<Share>,
    /// Whether chance has a part: some exchangers are equal, or one has several addresses. It is
    /// played several times then.
    pub(crate) chance: bool,
    /// What the server must have for it, in a fixed order: the first that is missing is given as
    /// the reason.
    pub(crate) needs: Vec<Feature>,
    /// Why no mail server can be put through it; `None` if some may.
    pub(crate) obstacle: Option<String>,
}

impl Eligibility {
    /// Finds out by letting the reference sender play the drill.
    pub(crate) fn of(scenario: &Arc<Scenario>) -> Self {
        let (sampled, shares) = scenario.sample();
        let mut fit = Self {
            scenario: Arc::new(sampled),
            shares,
            chance: has_equals(scenario),
            needs: Vec::new(),
            obstacle: about_the_reference(scenario),
        };
        if fit.obstacle.is_some() {
            return fit;
        }
        if fit.scenario.messages.len() < scenario.messages.len() && needs_them_all(scenario) {
            fit.obstacle = Some("is about exact numbers of many messages".to_owned());
            return fit;
        }
        match drill::run(
            &fit.scenario,
            NetworkKind::Memory,
            None,
            Reference::default(),
        ) {
            Ok(run) => {
                fit.needs = needs(scenario, &run);
                fit.obstacle = too_long(&fit.scenario, &run);
            }
            Err(error) => fit.obstacle = Some(error.to_string()),
        }
        fit
    }

    /// Why this mail server cannot be put through the drill; `None` if it can.
    pub(crate) fn obstacle(&self, adapter: &Adapter) -> Option<String> {
        let lacks = |need: &&Feature| adapter.cannot.contains_key(need);
        match self.needs.iter().find(lacks) {
            Some(need) => Some(format!("needs {need}: {}", adapter.cannot[need])),
            None if self.needs.contains(&Feature::Expire) && adapter.expire.is_none() => {
                Some(format!("needs {}: its adapter has none", Feature::Expire))
            }
            None => self.obstacle.clone(),
        }
    }
}

/// Statements of RFC 5321 section 4.5.4.1 about a sender's own schedule: when it tries again, and when it
/// gives up (`docs/requirements.md`).
const SCHEDULE: [u16; 5] = [24, 25, 26, 28, 33];

/// Why a drill speaks of how the reference sender is set, or of what stands behind a receiver;
/// `None` if it does neither.
fn about_the_reference(scenario: &Scenario) -> Option<String> {
    let settings = &scenario.sender;
    if scenario.needs_sockets() {
        return Some("is about a server behind a receiver".to_owned());
    }
    if scenario
        .covers
        .iter()
        .any(|number| SCHEDULE.contains(number))
    {
        let reason =
            "is about a sender's own schedule, and every pass over the queue is begun for it";
        return Some(reason.to_owned());
    }
    let set = [
        (settings.max_candidates.is_some(), "max_candidates"),
        (
            settings.remember_unreachable.is_some(),
            "remember_unreachable",
        ),
        (!settings.cache, "cache"),
        (settings.timeouts != Default::default(), "timeouts"),
        (settings.max_hops != 100, "max_hops"),
    ];
    let set = set.into_iter().find(|(set, _)| *set)?.1;
    Some(format!("is about the reference sender's setting `{set}`"))
}

/// What a server must have for a drill: by the scenario, and by what happened to the reference
/// sender in it.
///
/// IPv6 and time-outs are read off the reference sender's attempts: a drill may have what no sender
/// ever meets.
fn needs(scenario: &Scenario, run: &Run) -> Vec<Feature> {
    let settings = &scenario.sender;
    let attempts = mxdrill::observe::attempts(scenario, &run.events);
    let waits = |effect: &Effect| matches!(effect, Effect::Hang | Effect::Garbage);
    let timed_out = attempts
        .iter()
        .any(|attempt| attempt.result == AttemptResult::Timeout)
        || scenario
            .world
            .faults
            .iter()
            .any(|fault| match &fault.failure {
                // A line that is no reply may be taken for the beginning of one.
                Failure::Session { effect, .. } => waits(effect),
                Failure::Query { .. } => false,
            });
    let lost = scenario
        .world
        .faults
        .iter()
        .any(|fault| match &fault.failure {
            Failure::Query { effect, .. } => {
                matches!(effect, QueryEffect::Timeout | QueryEffect::WrongId)
            }
            Failure::Session { .. } => false,
        });
    let expires = expires(scenario, run);
    let certified = scenario
        .world
        .receivers
        .iter()
        .any(|row| row.certificate.is_some());
    let own = settings.names != mxdrill::scenario::SenderSettings::default().names
        || !settings.addresses.is_empty();
    let any_ipv6 = attempts.iter().any(|attempt| attempt.address.is_ipv6());
    let needs = [
        (
            !scenario.world.policies.is_empty() || settings.tls == TlsPolicy::MtaSts,
            Feature::MtaSts,
        ),
        (
            !scenario.world.dnssec.is_empty() || settings.tls == TlsPolicy::Dane,
            Feature::Dane,
        ),
        (
            scenario.messages.iter().any(|message| message.require_tls),
            Feature::Requiretls,
        ),
        (
            matches!(settings.tls, TlsPolicy::Required | TlsPolicy::Verified),
            Feature::TlsRequired,
        ),
        (settings.tls == TlsPolicy::Verified, Feature::TlsVerified),
        (lost, Feature::LostQueries),
        (certified, Feature::Tls),
        (any_ipv6, Feature::Ipv6),
        (own, Feature::OwnNames),
        (expires, Feature::Expire),
        (timed_out, Feature::Timeouts),
        (
            scenario
                .messages
                .iter()
                .any(|message| message.from.is_none()),
            Feature::NullSender,
        ),
        (is_beyond_ascii(scenario), Feature::Utf8),
        (
            scenario.messages.iter().any(|message| message.received > 0),
            Feature::Received,
        ),
    ];
    needs
        .into_iter()
        .filter(|(needed, _)| *needed)
        .map(|(_, feature)| feature)
        .collect()
}

/// Whether some mailbox of an envelope can be written in SMTPUTF8 only (RFC 6531).
fn is_beyond_ascii(scenario: &Scenario) -> bool {
    let mut messages = scenario.messages.iter();
    messages.any(|message| {
        let mut all = message.to.iter().chain(&message.from);
        all.any(|mailbox| !mailbox.text.is_ascii())
    })
}

/// Whether the reference sender gave a message up because its time was over.
fn expires(scenario: &Scenario, run: &Run) -> bool {
    let expired = |what: &EventKind, at: Moment| match what {
        EventKind::Report {
            message,
            outcome: Outcome::Bounced,
            ..
        } => {
            let sent = scenario.messages.iter().find(|sent| sent.id == *message);
            sent.is_some_and(|sent| at.since(sent.at) >= scenario.sender.expire)
        }
        _ => false,
    };
    run.events
        .iter()
        .any(|event| expired(&event.kind, event.at))
}

/// Why real time cannot carry a drill; `None` if it can.
fn too_long(scenario: &Scenario, run: &Run) -> Option<String> {
    let waits = scenario
        .world
        .faults
        .iter()
        .filter_map(|fault| match &fault.failure {
            Failure::Session {
                effect: Effect::Delay(wait),
                ..
            }
            | Failure::Query {
                effect: QueryEffect::Delay(wait),
                ..
            } => Some(*wait),
            _ => None,
        });
    if let Some(wait) = waits.max().filter(|wait| *wait > PATIENCE) {
        return Some(format!(
            "needs virtual time: something waits {}",
            HumanDuration(wait)
        ));
    }
    let later = scenario
        .messages
        .iter()
        .any(|message| message.at > Moment::START);
    if later && !scenario.world.policies.is_empty() {
        return Some(
            "needs virtual time: a policy is kept from one message to a later one".to_owned(),
        );
    }
    // The queue is gone through for all messages together.
    let passes: BTreeSet<Moment> = run
        .events
        .iter()
        .filter(|event| {
            let outcome = Outcome::Deferred;
            matches!(&event.kind, EventKind::Report { outcome: said, .. } if *said == outcome)
        })
        .map(|event| event.at)
        .collect();
    (passes.len() > MOST_PASSES)
        .then(|| format!("needs virtual time: more than {MOST_PASSES} passes over the queue"))
}

/// When a message given at some moment is tried, from the first time on, until it expires.
///
/// The same intervals as the reference sender's, without the time that attempts take.
pub(crate) fn schedule(scenario: &Scenario, at: Moment) -> impl Iterator<Item = Moment> + '_ {
    let waits = &scenario.sender.retry;
    let last = waits.last().copied().unwrap_or(Duration::MAX);
    let waits = waits.iter().copied().chain(std::iter::repeat(last));
    let end = at.after(scenario.sender.expire);
    let later = waits.scan(at, |moment, wait| {
        *moment = moment.after(wait.max(Duration::from_millis(1)));
        Some(*moment)
    });
    std::iter::once(at)
        .chain(later)
        .take_while(move |moment| *moment < end)
}

/// Whether some choice is left to a sender: between exchangers of one preference, or addresses of one
/// host.
fn has_equals(scenario: &Scenario) -> bool {
    let mut seen = BTreeSet::new();
    let mut records = scenario
        .world
        .zones
        .zones()
        .next()
        .into_iter()
        .flat_map(Zone::records);
    records.any(|record| {
        let owner = Domain::from(&record.name);
        match &record.data {
            RData::MX(mx) => !seen.insert((owner, Some(mx.preference))),
            RData::A(_) | RData::AAAA(_) => !seen.insert((owner, None)),
            _ => false,
        }
    })
}

/// Whether a sample of the messages would be another drill: a fault that counts, or a total that allows
/// neither all of them nor none.
fn needs_them_all(scenario: &Scenario) -> bool {
    let all = scenario.messages.len() as u64;
    let totals = scenario.expect.totals.iter();
    let mut partial = totals.filter(|(total, bounds)| {
        *total != Total::Sessions && !bounds.allow(all) && !bounds.allow(0)
    });
    let counts = |fault: &mxdrill::fault::Fault| fault.first.is_some();
    partial.next().is_some() || scenario.world.faults.iter().any(counts)
}

/// How often a message of a drill was tried first at a host.
pub(crate) fn first_attempts(attempts: &[Attempt], host: &Host) -> usize {
    let mut seen = BTreeSet::new();
    let first = |attempt: &&Attempt| {
        let id = attempt.message.as_ref();
        id.is_some_and(|id| seen.insert(id.clone()))
    };
    let firsts = attempts.iter().filter(first);
    firsts.filter(|attempt| attempt.went_to(host)).count()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn fit(path: &str) -> Eligibility {
        let scenario = mxdrill::bundled::scenario(Path::new(path));
        Eligibility::of(&Arc::new(scenario.expect("a bundled scenario")))
    }

    #[test]
    fn many_messages_become_a_sample_with_shares() {
        let fit = fit("scenarios/basics/equal_preference_shares.toml");
        assert_eq!(fit.scenario.messages.len(), 24);
        assert!(fit.scenario.expect.first_attempts.is_empty());
        let shares = fit.shares.iter().map(|share| (share.low, share.high));
        assert_eq!(
            shares.collect::<Vec<_>>(),
            [(0.41, 0.59), (0.41, 0.59), (0.0, 0.0)]
        );
    }

    #[test]
    fn a_drill_says_what_it_needs() {
        let needs = |path: &str| fit(path).needs;
        assert!(needs("scenarios/basics/best_preference_takes_it.toml").is_empty());
        assert_eq!(
            needs("scenarios/basics/primary_times_out.toml"),
            [Feature::Timeouts]
        );
        assert!(needs("scenarios/basics/all_down_for_good.toml").contains(&Feature::Expire));
        assert!(needs("scenarios/dane/never_plaintext.toml").contains(&Feature::Dane));
        assert!(
            needs("scenarios/rfc5321/relay_at_the_top_of_the_list.toml")
                .contains(&Feature::OwnNames)
        );
    }

    #[test]
    fn what_is_about_the_reference_sender_is_left_out() {
        let obstacle = fit("scenarios/rfc5321/unreachable_host_is_remembered.toml").obstacle;
        assert!(obstacle.is_some_and(|obstacle| obstacle.contains("remember_unreachable")));
    }
}
