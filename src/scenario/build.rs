//! Scenarios made in code: a builder of typed parts, and the parts that a scenario is made of.
//!
//! What is built is written as a scenario file (`write`) and read as one, so that there is one place
//! that says what is valid, and a mistake names its line in the text that
//! [`ScenarioBuilder::to_toml`] returns. The same way leads back from a [`Scenario`] to its text.

mod messages;
mod update;

use std::sync::Arc;

use hickory_proto::rr::Record;

pub use self::messages::Messages;
use self::messages::rows;
pub(super) use self::update::Update;
use super::{
    Bounds, Crash, Expect, ExpectedMessage, PolicyRow, ReceiverSettings, Scenario, SenderSettings,
    Total,
};
use crate::{
    diagnostic::Mistakes,
    fault::{Fault, Host},
    level::Level,
    mail::{Message, MessageId},
    name::Domain,
    time::Moment,
    zone::present,
};

/// Makes a [`Scenario`] part by part; [`Scenario::builder`] begins one.
///
/// ```
/// use mxdrill::{Effect, Fault, Scenario, Stage, scenario::{ExpectedMessage, Messages}};
///
/// let scenario = Scenario::builder("the backup takes it while the primary is down")
///     .zone("
///         example.test. MX 10 mx1.example.test.
///         example.test. MX 20 mx2.example.test.
///         mx1.example.test. A 192.0.2.1
///         mx2.example.test. A 192.0.2.2
///     ")
///     .messages(Messages::new("m", "alice@example.test").count(3))
///     .fault(Fault::of_host("mx1.example.test".parse()?, Stage::Connect, Effect::Refuse))
///     .expect("m", ExpectedMessage {
///         by: Some("mx2.example.test".parse()?),
///         ..ExpectedMessage::default()
///     })
///     .build()?;
/// assert_eq!(scenario.messages.len(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct ScenarioBuilder {
    pub(super) summary: String,
    pub(super) cites: Vec<String>,
    pub(super) level: Level,
    pub(super) covers: Vec<u16>,
    pub(super) seed: u64,
    pub(super) zone: String,
    pub(super) updates: Vec<Update>,
    pub(super) messages: Vec<Messages>,
    pub(super) sender: SenderSettings,
    pub(super) faults: Vec<Fault>,
    pub(super) crashes: Vec<Crash>,
    pub(super) receivers: Vec<ReceiverSettings>,
    pub(super) policies: Vec<PolicyRow>,
    pub(super) dnssec: Vec<Domain>,
    pub(super) stop: Option<Moment>,
    pub(super) totals: Vec<(Total, Bounds)>,
    pub(super) first_attempts: Vec<(Host, Bounds)>,
    pub(super) expected: Vec<(String, Arc<ExpectedMessage>)>,
}

impl Scenario {
    /// Begins a scenario; `summary` is one sentence that says what is claimed.
    pub fn builder(summary: impl Into<String>) -> ScenarioBuilder {
        ScenarioBuilder {
            summary: summary.into(),
            cites: Vec::new(),
            level: Level::Must,
            covers: Vec::new(),
            seed: 0,
            zone: String::new(),
            updates: Vec::new(),
            messages: Vec::new(),
            sender: SenderSettings::default(),
            faults: Vec::new(),
            crashes: Vec::new(),
            receivers: Vec::new(),
            policies: Vec::new(),
            dnssec: Vec::new(),
            stop: None,
            totals: Vec::new(),
            first_attempts: Vec::new(),
            expected: Vec::new(),
        }
    }

    /// The scenario as a file, which reads as the same drill. Records that came from a zone file stand in it;
    /// its name, its path and the notes on its zone file are no part of it.
    pub fn to_toml(&self) -> String {
        ScenarioBuilder::of(self).to_toml()
    }
}

impl ScenarioBuilder {
    /// Adds records: zone-file text.
    pub fn zone(mut self, text: &str) -> Self {
        self.zone.push_str(text);
        if !text.ends_with('\n') {
            self.zone.push('\n');
        }
        self
    }

    /// Where randomness starts from.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How strongly it is asked for.
    pub fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// A section that makes the claim, such as `RFC 5321 section 5.1`.
    pub fn cites(mut self, section: impl Into<String>) -> Self {
        self.cites.push(section.into());
        self
    }

    /// Another sentence that says what is claimed, in place of the first.
    pub fn summary(mut self, summary: impl Into<String>) -> Self {
        self.summary = summary.into();
        self
    }

    /// The number of a statement in `docs/requirements.md` that it covers.
    pub fn covers(mut self, statement: u16) -> Self {
        self.covers.push(statement);
        self
    }

    /// Changes records at a moment: `delete` is `NAME` or `NAME TYPE`, `add` is zone-file text; either may
    /// be empty.
    pub fn update(mut self, at: Moment, delete: &str, add: &str) -> Self {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        self.updates.push(Update {
            at,
            delete: some(delete).into_iter().collect(),
            add: some(add).into_iter().collect(),
        });
        self
    }

    /// Adds messages to send; ids are unique over all calls.
    pub fn messages(mut self, messages: Messages) -> Self {
        self.messages.push(messages);
        self
    }

    /// How the reference sender behaves.
    pub fn sender(mut self, settings: SenderSettings) -> Self {
        self.sender = settings;
        self
    }

    /// What fails; of several that apply the first decides.
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// When the sender is killed and started again, which only a mail server can be (`mxdrill conform`).
    pub fn crash(mut self, crash: Crash) -> Self {
        self.crashes.push(crash);
        self
    }

    /// What is special about a receiver, or about all.
    pub fn receiver(mut self, settings: ReceiverSettings) -> Self {
        self.receivers.push(settings);
        self
    }

    /// An MTA-STS policy that the lab serves.
    pub fn policy(mut self, policy: PolicyRow) -> Self {
        self.policies.push(policy);
        self
    }

    /// An apex below which answers are signed: they carry the AD bit.
    pub fn dnssec(mut self, apex: Domain) -> Self {
        self.dnssec.push(apex);
        self
    }

    /// The moment after which no pass begins.
    pub fn stop(mut self, at: Moment) -> Self {
        self.stop = Some(at);
        self
    }

    /// What is expected of a message, by its id or, for messages with a count, that of all of them.
    pub fn expect(mut self, id: impl Into<String>, expected: ExpectedMessage) -> Self {
        self.expected.push((id.into(), Arc::new(expected)));
        self
    }

    /// What is expected of a number over all messages.
    pub fn expect_total(mut self, total: Total, bounds: Bounds) -> Self {
        self.totals.push((total, bounds));
        self
    }

    /// How many messages are expected to have their first attempt at a host.
    pub fn expect_first_attempts(mut self, host: Host, bounds: Bounds) -> Self {
        self.first_attempts.push((host, bounds));
        self
    }

    /// The scenario.
    ///
    /// # Errors
    /// What does not fit together, such as a fault of a host that no record names; each with its line in
    /// [`ScenarioBuilder::to_toml`].
    pub fn build(&self) -> Result<Scenario, Mistakes> {
        self.build_as("built.toml")
    }

    /// As [`ScenarioBuilder::build`], with the path that it has by name, as if it came from a file.
    ///
    /// # Errors
    /// As [`ScenarioBuilder::build`].
    pub fn build_as(&self, path: &str) -> Result<Scenario, Mistakes> {
        Scenario::parse(path, &self.to_toml())
    }

    /// The parts that a scenario would be built of.
    fn of(scenario: &Scenario) -> Self {
        let Scenario { world, expect, .. } = scenario;
        let mut zones = world.zones.spans();
        let (.., first) = zones.next().expect("a drill has records from its start");
        let mut before = first;
        let updates = zones.filter_map(|(at, _, zone)| {
            let update = Update::between(before, zone, at);
            before = zone;
            update
        });
        Self {
            summary: scenario.summary.clone(),
            cites: scenario.cites.clone(),
            level: scenario.level,
            covers: scenario.covers.clone(),
            seed: scenario.seed,
            updates: updates.collect(),
            zone: text(first.records().filter(|record| !world.own.contains(record))),
            messages: rows(&scenario.messages),
            sender: scenario.sender.clone(),
            faults: world.faults.clone(),
            crashes: scenario.crashes.clone(),
            receivers: world.receivers.clone(),
            policies: world.policies.clone(),
            dnssec: world.dnssec.clone(),
            stop: scenario.stop,
            totals: expect.totals.clone(),
            first_attempts: expect.first_attempts.clone(),
            expected: expected(expect, &scenario.messages),
        }
    }
}

fn text<'a>(records: impl Iterator<Item = &'a Record>) -> String {
    records.fold(String::new(), |text, record| {
        text + &present::record(record) + "\n"
    })
}

/// What is expected, by the keys of a file: messages of a row with a count that share it have one key.
fn expected(expect: &Expect, messages: &[Message]) -> Vec<(String, Arc<ExpectedMessage>)> {
    let mut keys: Vec<(String, Arc<ExpectedMessage>)> = Vec::new();
    let mut rest = &expect.messages[..];
    while let Some((id, expected)) = rest.first() {
        let same = rest
            .iter()
            .take_while(|(_, other)| Arc::ptr_eq(expected, other));
        let ids: Vec<&MessageId> = same.map(|(id, _)| id).collect();
        let row = id.0.rsplit_once('-').map(|(row, _)| row);
        let meant = row.filter(|row| {
            let meant = super::read::expect::ids_meant(row, messages);
            meant.iter().collect::<Vec<_>>() == ids
        });
        match meant {
            Some(row) => keys.push((row.to_owned(), Arc::clone(expected))),
            None => keys.extend(ids.iter().map(|id| (id.to_string(), Arc::clone(expected)))),
        }
        rest = &rest[ids.len()..];
    }
    keys
}
