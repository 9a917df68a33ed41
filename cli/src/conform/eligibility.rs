//! Which drills a mail server can be put through, and what of them can be held against it.
//!
//! A drill is written for a sender that can be set at will. What of it a real server cannot show is left out, and
//! said with its reason; without virtual time, so is all that takes long.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Adapter, chance, feature::Feature};
use mxdrill::{
    drill::{self, Run},
    event::{EventKind, silenced},
    fault::{Effect, Failure, Fault, Host, Stage},
    lab::NetworkKind,
    mail::Message,
    observe::Attempt,
    outcome::Outcome,
    scenario::{Relay, Scenario, SenderSettings, Share, Timeouts, TlsPolicy, Total},
    sender::Reference,
    time::{HumanDuration, Moment},
    verdict::{SenderKind, judge},
};

/// The longest drill that is played in real time.
const PATIENCE: Duration = Duration::from_secs(2);

/// How time passes in a drill with a mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pace {
    /// It stands still while anything runs, and leaps when all wait.
    Virtual,
    /// As everywhere.
    Real,
}

/// What a drill has to set of a server, since what is expected depends on it.
#[derive(Debug, Clone, Default)]
pub(crate) struct SettingsTold {
    /// How long it keeps messages.
    pub(crate) lifetime: Option<Duration>,
    /// How long it waits from one attempt to the next, in order; the last one repeats.
    pub(crate) retry: Option<Vec<Duration>>,
    /// How long it waits at any stage.
    pub(crate) timeout: Option<Duration>,
    /// To whom it hands all mail, in order; none: where MX records lead.
    pub(crate) relays: Vec<Relay>,
}

impl SettingsTold {
    /// What was set, a line each.
    pub(crate) fn lines(&self) -> Vec<String> {
        let lifetime = self.lifetime.iter().map(|lifetime| {
            let lifetime = HumanDuration(*lifetime);
            format!("messages are kept for {lifetime}")
        });
        let retry = self.retry.iter().map(|waits| {
            let waits = waits.iter().map(|wait| HumanDuration(*wait).to_string());
            let waits: Vec<String> = waits.collect();
            format!("the retry intervals are {}", waits.join(", "))
        });
        let timeout = self.timeout.iter().map(|timeout| {
            let timeout = HumanDuration(*timeout);
            format!("every timeout is {timeout}")
        });
        let relays = self.relays.iter().map(ToString::to_string);
        let relays: Vec<String> = relays.collect();
        let relays =
            (!relays.is_empty()).then(|| format!("all mail goes to {}", relays.join(", ")));
        lifetime.chain(retry).chain(timeout).chain(relays).collect()
    }
}

/// What a drill is to a mail server: what of it is played, and what it takes.
#[derive(Debug, Clone)]
pub(crate) struct Eligibility {
    /// The drill, its sample if it has many messages.
    pub(crate) scenario: Arc<Scenario>,
    /// The shares of a sample, which are judged by statistics over several runs.
    pub(crate) shares: Vec<Share>,
    /// Whether chance has a part: some exchangers are equal, one has several addresses, or the server is killed. It
    /// is played several times then.
    pub(crate) chance: bool,
    /// What the server must have for it, in a fixed order: the first that is missing is given as
    /// the reason.
    pub(crate) needs: Vec<Feature>,
    /// What the server is told for the drill; all else is left to it.
    pub(crate) told: SettingsTold,
    /// Why no mail server can be put through it; `None` if some may.
    pub(crate) obstacle: Option<String>,
    /// How long it took the reference sender, of its time.
    pub(crate) took: Duration,
    /// Whether that returned a message, or kept it to the end: a server that does otherwise may keep one for days.
    pub(crate) may_be_kept: bool,
}

impl Eligibility {
    /// Finds out by letting the reference sender play the drill.
    pub(crate) fn of(scenario: &Arc<Scenario>, pace: Pace) -> Self {
        let (sampled, shares) = scenario.sample();
        let mut fit = Self {
            scenario: Arc::new(sampled),
            shares,
            chance: chance::has_part(scenario),
            needs: Vec::new(),
            told: SettingsTold::default(),
            obstacle: about_the_reference(scenario),
            took: Duration::ZERO,
            may_be_kept: false,
        };
        if fit.obstacle.is_some() {
            return fit;
        }
        if fit.scenario.messages.len() < scenario.messages.len() && needs_them_all(scenario) {
            fit.obstacle = Some("is about exact numbers of many messages".to_owned());
            return fit;
        }
        match reference(&fit.scenario) {
            Ok(run) => {
                fit.took = run.took.0;
                let mut outcomes = run.verdict.outcomes.keys();
                fit.may_be_kept = outcomes.any(|outcome| *outcome != Outcome::Delivered);
                fit.told = SettingsTold {
                    lifetime: lifetime(&fit.scenario, &run),
                    retry: retry(scenario),
                    timeout: timeout(scenario),
                    relays: scenario.sender.relays.clone(),
                };
                fit.needs = needs(scenario, &run, &fit.told);
                let is_long = pace == Pace::Real && fit.took > PATIENCE;
                fit.obstacle =
                    is_long.then(|| format!("needs virtual time: it takes {}", run.took));
            }
            Err(error) => fit.obstacle = Some(error.to_string()),
        }
        fit
    }

    /// Why this mail server cannot be put through the drill; `None` if it can.
    pub(crate) fn obstacle(&self, adapter: &Adapter) -> Option<String> {
        match self.lack(adapter) {
            Some((need, reason)) => Some(format!("needs {need}: {reason}")),
            None => self.obstacle.clone(),
        }
    }

    /// Why a server departs from a statement that something can be configured: it is known to have no setting
    /// for it. `None` if the drill is about something else, or the server has one.
    pub(crate) fn cannot_be_configured(&self, adapter: &Adapter) -> Option<String> {
        let mut covered = self.scenario.covers.iter();
        if !covered.any(|number| CONFIGURABLE.contains(number)) {
            return None;
        }
        let (need, reason) = self.lack(adapter)?;
        let is_setting = matches!(
            need,
            Feature::Lifetime | Feature::Schedule | Feature::Timeouts
        );
        is_setting.then(|| format!("it does not have {need}: {reason}"))
    }

    /// The first feature that the server does not have, with the reason.
    fn lack<'a>(&self, adapter: &'a Adapter) -> Option<(Feature, &'a str)> {
        let mut needs = self.needs.iter();
        needs.find_map(|need| Some((*need, adapter.lacks(*need)?)))
    }
}

/// Statements that something can be configured (`docs/requirements.md`).
const CONFIGURABLE: [u16; 2] = [28, 40];

/// Statements about how waits are counted: each by itself.
const COUNTED_WAITS: [u16; 2] = [21, 220];

/// Why a drill speaks of how the reference sender is set, or of what stands behind a receiver;
/// `None` if it does neither.
fn about_the_reference(scenario: &Scenario) -> Option<String> {
    let settings = &scenario.sender;
    if scenario.needs_sockets() {
        return Some("is about a server behind a receiver".to_owned());
    }
    let set = [
        (settings.max_candidates.is_some(), "max_candidates"),
        (!settings.cache, "cache"),
        (settings.max_hops != 100, "max_hops"),
    ];
    let set = set.into_iter().find(|(set, _)| *set)?.1;
    Some(format!("is about the reference sender's setting `{set}`"))
}

/// The reference sender's run of a drill.
fn reference(scenario: &Arc<Scenario>) -> Result<Run, mxdrill::Error> {
    drill::run(scenario, NetworkKind::Memory, None, Reference::default())
}

/// How long a server has to keep messages for a drill: the scenario's `expire`, if a message is given up by it, and
/// another would come to something else than what is expected.
fn lifetime(scenario: &Arc<Scenario>, run: &Run) -> Option<Duration> {
    let usual = SenderSettings::default().expire;
    let own = scenario.sender.expire;
    if own == usual || !expires(scenario, run) {
        return None;
    }
    let mut longer = Scenario::clone(scenario);
    longer.sender.expire = usual;
    let is_alike = reference(&Arc::new(longer)).is_ok_and(|run| {
        let events = silenced(&run.events);
        judge(scenario, &events, SenderKind::MailServer).passed()
    });
    (!is_alike).then_some(own)
}

/// The intervals that a server is to keep: the scenario's, if it says how long waits are to be.
fn retry(scenario: &Scenario) -> Option<Vec<Duration>> {
    let own = &scenario.sender.retry;
    let mut expected = scenario.expect.messages.iter();
    let is_about_waits = expected.any(|(_, expected)| expected.retry_waits.is_some());
    // A server keeps its own intervals unless the drill is about them and about others than usual.
    let is_own = *own != SenderSettings::default().retry;
    (is_about_waits && is_own).then(|| own.clone())
}

/// The timeout that a server is to have at every stage: the shortest that the scenario sets.
fn timeout(scenario: &Scenario) -> Option<Duration> {
    let (own, usual) = (&scenario.sender.timeouts, Timeouts::default());
    let set = Stage::ALL
        .into_iter()
        .map(|stage| (own.at(stage), usual.at(stage)));
    let set = set.filter(|(own, usual)| own != usual);
    // Servers have one timeout for several stages: the shortest makes the drill the shortest.
    set.map(|(own, _)| own).min()
}

/// What a server must have for a drill: by the scenario, and by what happened to the reference
/// sender in it.
///
/// IPv6 is read off the reference sender's attempts: a drill may have what no sender ever meets.
fn needs(scenario: &Scenario, run: &Run, told: &SettingsTold) -> Vec<Feature> {
    let settings = &scenario.sender;
    let attempts = mxdrill::observe::attempts(scenario, &run.events);
    let certified = scenario
        .world
        .receivers
        .iter()
        .any(|row| row.certificate.is_some());
    let own = settings.names != SenderSettings::default().names || !settings.addresses.is_empty();
    // Only what was tried is needed; an AAAA record that nobody comes to is not.
    let any_ipv6 = attempts.iter().any(|attempt| attempt.address.is_ipv6());
    let any = |asks: &dyn Fn(&Message) -> bool| scenario.messages.iter().any(asks);
    let relays = &settings.relays;
    let first = relays.iter().filter(|relay| relay.is_tls_first());
    let (first, all) = (first.count(), relays.len());
    let needs = [
        (all > 0, Feature::Relays),
        (all > 1, Feature::SeveralRelays),
        (first > 0 && first < all, Feature::MixedRelays),
        (all > 0 && settings.login.is_some(), Feature::RelayLogin),
        (
            !scenario.world.policies.is_empty() || settings.tls == TlsPolicy::MtaSts,
            Feature::MtaSts,
        ),
        (
            !scenario.world.dnssec.is_empty()
                || matches!(settings.tls, TlsPolicy::Dane | TlsPolicy::DaneOnly),
            Feature::Dane,
        ),
        // Who does not know either is to do as policies say.
        (
            any(&|message| message.require_tls || message.waives_tls()),
            Feature::Requiretls,
        ),
        (
            matches!(settings.tls, TlsPolicy::Required | TlsPolicy::Verified),
            Feature::TlsRequired,
        ),
        (settings.tls == TlsPolicy::Verified, Feature::TlsVerified),
        (certified, Feature::Tls),
        (any_ipv6, Feature::Ipv6),
        (own, Feature::OwnNames),
        (told.lifetime.is_some(), Feature::Lifetime),
        (told.retry.is_some(), Feature::Schedule),
        (told.timeout.is_some(), Feature::Timeouts),
        (is_about_counted_waits(scenario), Feature::Patience),
        (any(&|message| message.from.is_none()), Feature::NullSender),
        (is_beyond_ascii(scenario), Feature::Utf8),
        (
            any(&|message| message.body.as_ref().is_some_and(|body| !body.is_ascii())),
            Feature::EightBit,
        ),
        (any(&|message| message.received > 0), Feature::Received),
        (any(&|message| message.dsn.is_some()), Feature::Dsn),
        (any(&|message| message.binary), Feature::Binarymime),
        (
            any(&|message| message.priority.is_some()),
            Feature::Priority,
        ),
        (
            any(&|message| message.deliver_by.is_some()),
            Feature::DeliverBy,
        ),
    ];
    needs
        .into_iter()
        .filter(|(needed, _)| *needed)
        .map(|(_, feature)| feature)
        .collect()
}

/// Whether a drill shows how waits are counted, by replies or octets that are late, none of them too late by itself.
fn is_about_counted_waits(scenario: &Scenario) -> bool {
    let is_late = |fault: &Fault| {
        let Failure::Session { effect, .. } = &fault.failure else {
            return false;
        };
        matches!(effect, Effect::Delay(_))
    };
    let mut rows = scenario.world.receivers.iter();
    let mut covered = scenario.covers.iter();
    covered.any(|number| COUNTED_WAITS.contains(number))
        && (scenario.world.faults.iter().any(is_late)
            || rows.any(|row| row.limits.bandwidth.is_some()))
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

/// Whether a sample of the messages would be another drill: a fault that counts, or a total that allows
/// neither all of them nor none.
fn needs_them_all(scenario: &Scenario) -> bool {
    let all = scenario.messages.len() as u64;
    let totals = scenario.expect.totals.iter();
    // A total that must be all or nothing holds of a sample as well.
    let mut partial = totals.filter(|(total, bounds)| {
        *total != Total::Sessions && !bounds.allow(all) && !bounds.allow(0)
    });
    let counts = |fault: &mxdrill::fault::Fault| {
        fault.first.is_some() || fault.every.is_some() || fault.chance.is_some()
    };
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
        Eligibility::of(
            &Arc::new(scenario.expect("a bundled scenario")),
            Pace::Virtual,
        )
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
        assert!(needs("scenarios/basics/primary_times_out.toml").is_empty());
        assert!(needs("scenarios/dane/never_plaintext.toml").contains(&Feature::Dane));
        assert!(
            needs("scenarios/rfc5321/relay_at_the_top_of_the_list.toml")
                .contains(&Feature::OwnNames)
        );
    }

    #[test]
    fn what_is_asked_of_notifications_goes_to_servers_that_can_be_told() {
        let fit = fit("scenarios/dsn/envid_is_passed_on.toml");
        assert_eq!(fit.needs, [Feature::Dsn]);
        let obstacle = |name: &str| {
            let (_, adapter) = Adapter::find(name).expect("a bundled adapter");
            fit.obstacle(&adapter)
        };
        assert_eq!(obstacle("opensmtpd"), None);
        let told = obstacle("dma").expect("it is unfit");
        assert!(
            told.starts_with("needs DSN when a message is handed over: "),
            "{told}"
        );
    }

    #[test]
    fn servers_have_the_relays_that_their_configuration_can_name() {
        let obstacle = |path: &str, name: &str| {
            let (_, adapter) = Adapter::find(name).expect("a bundled adapter");
            let path = format!("scenarios/relay/{path}.toml");
            fit(&path).obstacle(&adapter).unwrap_or_default()
        };
        assert_eq!(obstacle("first_relay_refuses", "postfix"), "");
        assert_eq!(obstacle("tls_from_the_start", "opensmtpd"), "");
        let told = obstacle("first_relay_refuses", "opensmtpd");
        assert!(
            told.starts_with("needs several relays in an order: "),
            "{told}"
        );
        let told = obstacle("one_port_of_a_host_blocked", "exim");
        assert!(
            told.starts_with("needs relays at port 465 and at others: "),
            "{told}"
        );
        // Who does not say that it reads them would go by MX records, and be accused of that.
        let told = obstacle("tls_from_the_start", "sendmail");
        assert_eq!(
            told,
            "needs relays that can be set: it is not told of relays"
        );
    }

    #[test]
    fn what_is_about_the_reference_sender_is_left_out() {
        let obstacle = fit("scenarios/rfc5321/candidates_of_a_pass_may_be_limited.toml").obstacle;
        assert!(obstacle.is_some_and(|obstacle| obstacle.contains("max_candidates")));
    }
}
