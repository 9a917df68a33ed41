//! A drill as data: records, messages, faults, updates and what is expected of delivery.
//!
//! A [`Scenario`] is valid once it exists; reading one from a file is `read`'s concern, and what is
//! wrong in a file is told as [`Mistakes`](crate::diagnostic::Mistakes).

mod expected;
mod idle;
mod read;
mod sample;
mod settings;

use std::{collections::BTreeSet, net::IpAddr, path::PathBuf};

pub use self::{
    expected::{Bounds, Expect, ExpectedAttempt, ExpectedMessage, Total},
    read::ReadFile,
    sample::Share,
    settings::{
        Certificate, Engine, PolicyRow, ReceiverSettings, SenderSettings, Timeouts, TlsPolicy,
        TlsaParameters,
    },
};
pub(crate) use self::{
    read::words::{OWN_EXCHANGER, query as read_query},
    settings::policy_host,
};
use crate::{fault::Fault, level::Level, mail::Message, name::Domain, time::Moment, zone::History};

/// A drill, ready to be run.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What it is called: the file's name without `.toml`.
    pub name: String,
    /// The file it came from, as the user named it.
    pub path: String,
    /// One sentence: what is claimed.
    pub summary: String,
    /// The zone file that its records come from, if it names one.
    pub zone_file: Option<PathBuf>,
    /// What of that file was passed over that deserves a word, a line each.
    pub notes: Vec<String>,
    /// The sections that make the claim.
    pub cites: Vec<String>,
    /// How strongly they ask for it.
    pub level: Level,
    /// Numbers of the statements in `docs/requirements.md` that it covers.
    pub covers: Vec<u16>,
    /// Where randomness starts from.
    pub seed: u64,
    /// The records, as they are in the course of the drill.
    pub zones: History,
    /// What is sent.
    pub messages: Vec<Message>,
    /// How the reference sender is set.
    pub sender: SenderSettings,
    /// What fails.
    pub faults: Vec<Fault>,
    /// What is special about receivers.
    pub receivers: Vec<ReceiverSettings>,
    /// MTA-STS policies that the lab serves.
    pub policies: Vec<PolicyRow>,
    /// Domains whose answers, with what is below them, carry the AD bit.
    pub dnssec: Vec<Domain>,
    /// No delivery pass begins after this moment; `None`: the drill ends when every message is
    /// delivered or bounced.
    pub stop: Option<Moment>,
    /// What delivery is expected to do.
    pub expect: Expect,
}

impl Scenario {
    /// Whether some receiver has a server behind it that only sockets reach.
    pub fn needs_sockets(&self) -> bool {
        let behind =
            |receiver: &ReceiverSettings| !matches!(receiver.engine, None | Some(Engine::Lab));
        self.receivers.iter().any(behind)
    }

    /// A server behind a receiver that may not be on this host: a scenario of somebody else's must not
    /// send mail where nobody meant it to go. No name but `localhost` is known to stay here.
    pub fn upstream_elsewhere(&self) -> Option<&str> {
        let is_here = |address: &str| {
            let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
            let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
            address.map_or(host == "localhost", |address| address.is_loopback())
        };
        let mut upstreams = self.receivers.iter().filter_map(|row| match &row.engine {
            Some(Engine::Upstream(address)) => Some(address.as_str()),
            _ => None,
        });
        upstreams.find(|address| !is_here(address))
    }

    /// Whether a message may be left queued: nothing is tried after some moment.
    pub(crate) fn stops(&self, message: &Message) -> bool {
        self.stop.is_some() || message.leave.is_some()
    }

    /// The domain of a message's recipients, in order and without repetition: its next hops.
    pub fn next_hops(message: &Message) -> Vec<Domain> {
        let mut known = BTreeSet::new();
        let domains = message.to.iter().map(|recipient| &recipient.domain);
        domains
            .filter(|domain| known.insert(*domain))
            .cloned()
            .collect()
    }
}
