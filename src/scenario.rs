//! A drill as data: records, messages, faults, updates and what is expected of delivery.
//!
//! A [`Scenario`] is valid once it exists; reading one from a file is `read`'s concern, and what is
//! wrong in a file is reported as [`Mistakes`](crate::diagnostic::Mistakes).
//!
//! The parts of a scenario are where they are used: records in `crate::zone`, messages in
//! `crate::mail`, faults in `crate::fault`; settings and expectations are below. `idle` finds rows
//! that can do nothing, and `sample` cuts a long drill short for a sender in real time.
//!
//! Words of the format are in docs/scenarios.md. Types here hold what they mean, with every default
//! filled in.

mod build;
mod crash;
mod expectation;
mod idle;
mod limits;
mod read;
mod sample;
mod schema;
mod settings;
mod write;

use std::{collections::BTreeSet, net::IpAddr, path::PathBuf};

use hickory_proto::rr::Record;

pub use self::{
    build::{Messages, ScenarioBuilder},
    crash::Crash,
    expectation::{
        Bounds, Expect, ExpectedAttempt, ExpectedDsn, ExpectedMessage, TimeBounds, Total,
    },
    limits::{Bandwidth, Counted, CountedBy, Frequency, Greylist, Limit, Limits, Rate, Trickle},
    read::ReadFile,
    sample::Share,
    schema::schema,
    settings::{
        AuthSettings, Certificate, Engine, Family, Login, PolicyRow, ReceiverSettings, Relay,
        SenderSettings, Timeouts, TlsPolicy, TlsVersion, TlsaParameters,
    },
};
pub(crate) use self::{
    limits::LimitShown,
    read::{fault_row, words::query as read_query},
    settings::policy_host,
};
use crate::{fault::Fault, level::Level, mail::Message, name::Domain, time::Moment, zone::History};

/// A drill, ready to be played: every value in it is valid, and every host that it names has
/// records.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What it is called: the name of its file without `.toml`, such as `primary_down`.
    pub name: String,
    /// The path of its file, as the user gave it.
    pub path: String,
    /// One sentence that says what is claimed.
    pub summary: String,
    /// The path of the zone file that its records come from; `None` if they stand in the scenario.
    pub zone_file: Option<PathBuf>,
    /// What was passed over in that file and deserves a word, a line each.
    pub notes: Vec<String>,
    /// The sections that make the claim, such as `RFC 5321 section 5.1`.
    pub cites: Vec<String>,
    /// How strongly those sections ask for it; `must` if the scenario does not say.
    pub level: Level,
    /// The numbers of the statements in `docs/requirements.md` that it covers, from 1.
    pub covers: Vec<u16>,
    /// Where randomness starts from; 0 if the scenario does not say.
    pub seed: u64,
    /// What the sender meets: records, and hosts that may fail.
    pub world: World,
    /// The messages, in the order of the file; each has its own moment.
    pub messages: Vec<Message>,
    /// When the sender is killed and started again: of a mail server only.
    pub crashes: Vec<Crash>,
    /// The settings of the reference sender. Foreign senders are set up like it as far as they can
    /// be.
    pub sender: SenderSettings,
    /// The moment after which no pass begins; `None`: the drill ends when every message is
    /// delivered or bounced.
    pub stop: Option<Moment>,
    /// What is expected of delivery.
    pub expect: Expect,
}

/// The world in which mail is sent: what a [`Lab`](crate::Lab) puts up. Nothing in it says what is sent, or
/// what is expected.
#[derive(Debug, Clone)]
pub struct World {
    /// The records in the course of the drill, those that the lab adds for the sender's domain and
    /// for policies included.
    pub zones: History,
    /// What fails, and when. The first row that applies decides.
    pub faults: Vec<Fault>,
    /// What is special about receivers; there is a receiver for each address in any case.
    pub receivers: Vec<ReceiverSettings>,
    /// The MTA-STS policies that the lab serves.
    pub policies: Vec<PolicyRow>,
    /// The apexes of signed zones: answers about them and names below them carry the AD bit.
    pub dnssec: Vec<Domain>,
    /// The records among those of `zones` that the lab added.
    own: Vec<Record>,
}

impl World {
    /// The records that the lab added to those of the scenario.
    pub(crate) fn own(&self) -> &[Record] {
        &self.own
    }

    /// Records alone: nothing fails, and no receiver has anything special.
    fn of(zones: History, own: Vec<Record>) -> Self {
        Self {
            zones,
            faults: Vec::new(),
            receivers: Vec::new(),
            policies: Vec::new(),
            dnssec: Vec::new(),
            own,
        }
    }
}

impl Scenario {
    /// Whether some receiver has a server behind it that is reached by sockets only: such a drill
    /// has no virtual clock.
    pub fn needs_sockets(&self) -> bool {
        let behind =
            |receiver: &ReceiverSettings| !matches!(receiver.engine, None | Some(Engine::Lab));
        self.world.receivers.iter().any(behind)
    }

    /// Why nobody but a mail server can be put through it; `None` if others can: only a server's processes are
    /// killed and started again.
    pub fn needs_a_mail_server(&self) -> Option<&'static str> {
        let reason = "needs a mail server (mxdrill conform): it is killed and started again";
        (!self.crashes.is_empty()).then_some(reason)
    }

    /// The address of a server behind a receiver that may not be on this host; `None` if there is
    /// none. A scenario of somebody else's must not send mail where nobody meant it to go. No name
    /// but `localhost` is known to stay here.
    pub fn upstream_elsewhere(&self) -> Option<&str> {
        let is_here = |address: &str| {
            let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
            let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
            address.map_or(host == "localhost", |address| address.is_loopback())
        };
        let mut upstreams = self
            .world
            .receivers
            .iter()
            .filter_map(|row| match &row.engine {
                Some(Engine::Upstream(address)) => Some(address.as_str()),
                _ => None,
            });
        upstreams.find(|address| !is_here(address))
    }

    /// Whether a message may be left queued: nothing is tried after some moment.
    pub(crate) fn stops(&self, message: &Message) -> bool {
        self.stop.is_some() || message.leave.is_some()
    }

    /// The next hops of a message: the domains of its recipients, in their order and without
    /// repetition.
    pub fn next_hops(message: &Message) -> Vec<Domain> {
        let mut known = BTreeSet::new();
        let domains = message.to.iter().map(|recipient| &recipient.domain);
        domains
            .filter(|domain| known.insert(*domain))
            .cloned()
            .collect()
    }
}
