//! Drills made at random: zones, faults and messages of all kinds, and the smallest that still fails.
//!
//! Nothing is expected of them but the rules, which hold for every drill. A case comes from a number and
//! is the same for the same number.
//!
//! What is drawn stays in a small world (two domains, eight hosts, thirty addresses), so that
//! records collide: exchangers that share an address, hosts without one, domains without
//! exchangers. Rare things have their odds beside them.
//!
//! When a case fails, [`RandomDrill::shrunk`] leaves out one part after the other as long as it still
//! fails: what is left is worth reading.

use std::{sync::Arc, time::Duration};

use hickory_proto::rr::RecordType;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng, seq::IndexedRandom};

use crate::{
    diagnostic::Mistakes,
    fault::{Effect, Fault, Stage},
    scenario::{
        Certificate, Messages, ReceiverSettings, Scenario, ScenarioBuilder, SenderSettings,
        TlsPolicy,
    },
    time::Moment,
};

/// The domains that mail is for: `d0.test`, `d1.test`.
pub(crate) const DOMAINS: u8 = 2;
/// The hosts: `h0.test` and so on, each at up to two addresses, of its own or shared with others.
pub(crate) const HOSTS: u8 = 8;
/// Messages to one place, in some cases: so many that a share of nothing is no chance.
const MANY: usize = 60;

/// Faults of sessions, as stage and effect in the words of the scenario format.
const SESSION_FAULTS: [(&str, &str); 20] = [
    ("connect", "refuse"),
    ("connect", "timeout"),
    ("connect", "reset"),
    ("greeting", "554 5.3.2 no mail here"),
    ("greeting", "421 4.3.2 busy"),
    ("helo", "hang"),
    ("helo", "550 5.7.1 go away"),
    ("mail", "close"),
    ("mail", "garbage"),
    ("rcpt", "451 4.2.1 later"),
    ("rcpt", "550 5.1.1 no such user"),
    ("rcpt", "552 5.5.3 too many recipients"),
    ("data", "reset"),
    ("data", "554 5.6.0 no"),
    ("content", "close"),
    ("dot", "452 4.3.1 full"),
    ("dot", "hang"),
    ("dot", "lose reply"),
    ("quit", "close"),
    ("starttls", "not offered"),
];
/// Faults of queries, in the words of the scenario format.
const QUERY_FAULTS: [&str; 7] = [
    "servfail", "timeout", "refused", "truncate", "delay 2s", "nodata", "nxdomain",
];

/// A drill made at random from a number.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RandomDrill {
    seed: u64,
    /// Lines of a zone file below `test.`.
    records: Vec<String>,
    faults: Vec<Fault>,
    messages: Vec<RandomMessages>,
    sender: Vec<Setting>,
    certificates: bool,
}

/// A row of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RandomMessages {
    /// Its number among those of the drill before any was left out.
    number: u8,
    to: Vec<String>,
    minute: u64,
    count: usize,
    from_nobody: bool,
}

/// A way in which the sender may differ from the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Setting {
    RetriesEvery20Minutes,
    ExpiresAfter5Hours,
    RemembersUnreachable,
    IsAnExchanger,
    RequiresTls,
}

impl RandomDrill {
    /// The case of a number. The same number gives the same case, as long as nothing in this file
    /// changes.
    pub fn new(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let random = &mut random;
        let mut records = Vec::new();
        for domain in 0..DOMAINS {
            exchangers(domain, random, &mut records);
        }
        let mut addresses = Vec::new();
        for host in 0..HOSTS {
            for _ in 0..random.random_range(0..3_u8) {
                let last = random.random_range(1..16_u8);
                let (kind, address) = match random.random_ratio(1, 4) {
                    true => ("AAAA", format!("2001:db8::{last}")),
                    false => ("A", format!("192.0.2.{last}")),
                };
                records.push(format!("h{host} IN {kind} {address}"));
                addresses.push(address);
            }
        }
        let mut faults = Vec::new();
        for _ in 0..random.random_range(0..6_u8) {
            if let Some(address) = addresses.choose(random) {
                faults.push(session_fault(address, random));
            }
        }
        for _ in 0..random.random_range(0..3_u8) {
            faults.push(query_fault(random));
        }
        let many = random.random_ratio(1, 20);
        let messages = (0..random.random_range(1..5_u8)).map(|number| row(number, many, random));
        let messages = messages.collect();
        let mut sender = vec![Setting::RetriesEvery20Minutes, Setting::ExpiresAfter5Hours];
        if random.random_ratio(1, 5) {
            sender.push(Setting::RemembersUnreachable);
        }
        if random.random_ratio(1, 6) {
            sender.push(Setting::IsAnExchanger);
        }
        let certificates = random.random_ratio(1, 4);
        if certificates && random.random_ratio(1, 2) {
            sender.push(Setting::RequiresTls);
        }
        Self {
            seed,
            records,
            faults,
            messages,
            sender,
            certificates,
        }
    }

    /// The case for a sender that has no settings but the default ones: none, and no certificates.
    #[cfg(feature = "proptest")]
    pub(crate) fn plain(self) -> Self {
        Self {
            sender: Vec::new(),
            certificates: false,
            ..self
        }
    }

    /// The number that the case comes from.
    pub fn number(&self) -> u64 {
        self.seed
    }

    /// The drill as a builder makes it.
    fn builder(&self) -> ScenarioBuilder {
        let zone = format!("$ORIGIN test.\n$TTL 300\n{}", self.records.join("\n"));
        let mut builder = Scenario::builder(format!("made at random, from number {}", self.seed))
            .seed(self.seed)
            .zone(&zone);
        for row in &self.messages {
            builder = builder.messages(row.messages());
        }
        for fault in &self.faults {
            builder = builder.fault(fault.clone());
        }
        if self.certificates {
            builder = builder.receiver(ReceiverSettings {
                certificate: Some(Certificate::Valid),
                ..ReceiverSettings::default()
            });
        }
        let mut settings = SenderSettings::default();
        self.sender.iter().for_each(|one| one.apply(&mut settings));
        builder.sender(settings)
    }

    /// The text of the scenario, which `mxdrill run` plays.
    pub fn text(&self) -> String {
        self.builder().to_toml()
    }

    /// The drill as a scenario.
    ///
    /// # Errors
    /// That parts are missing which others refer to, as after shrinking.
    pub fn scenario(&self) -> Result<Arc<Scenario>, Mistakes> {
        let path = format!("fuzz-{}.toml", self.seed);
        self.builder().build_as(&path).map(Arc::new)
    }

    /// How many MX records the case has, as a measure of its size.
    pub fn exchangers(&self) -> usize {
        let is_mx = |record: &&String| record.contains(" IN MX ");
        self.records.iter().filter(is_mx).count()
    }

    /// The smallest case, as far as leaving out one part after the other goes, that still fails.
    ///
    /// The order is greedy: the first smaller case that fails is the next one.
    #[must_use]
    pub fn shrunk(self, fails: impl Fn(&Arc<Scenario>) -> bool) -> Self {
        let still = |case: &Self| case.scenario().is_ok_and(|scenario| fails(&scenario));
        let mut case = self;
        // Every step makes it smaller, so this ends.
        loop {
            let smaller = case.smaller().find(&still);
            match smaller {
                Some(smaller) => case = smaller,
                None => return case,
            }
        }
    }

    /// The case with one part less, for each part.
    pub(crate) fn smaller(&self) -> impl Iterator<Item = Self> + '_ {
        let messages = self.without(|case| &mut case.messages);
        let faults = self.without(|case| &mut case.faults);
        let records = self.without(|case| &mut case.records);
        let settings = self.without(|case| &mut case.sender);
        let rows = (0..self.messages.len()).flat_map(|at| self.smaller_row(at));
        // Fewer messages first: every step after that is the faster.
        messages
            .chain(rows)
            .chain(faults)
            .chain(records)
            .chain(settings)
    }

    /// The case without one part of a list, for each part.
    fn without<T: 'static>(
        &self,
        list: fn(&mut Self) -> &mut Vec<T>,
    ) -> impl Iterator<Item = Self> + '_ {
        let count = list(&mut self.clone()).len();
        (0..count).map(move |at| {
            let mut case = self.clone();
            list(&mut case).remove(at);
            case
        })
    }

    /// The case with a row of messages that says less.
    fn smaller_row(&self, at: usize) -> Vec<Self> {
        let row = &self.messages[at];
        let with = |row: RandomMessages| {
            let mut case = self.clone();
            case.messages[at] = row;
            case
        };
        let mut smaller = Vec::new();
        if row.count > 1 {
            smaller.extend([1, row.count / 2].map(|count| {
                with(RandomMessages {
                    count,
                    ..row.clone()
                })
            }));
        }
        if row.to.len() > 1 {
            smaller.extend((0..row.to.len()).map(|to| {
                let mut row = row.clone();
                row.to.remove(to);
                with(row)
            }));
        }
        if row.minute > 0 {
            smaller.push(with(RandomMessages {
                minute: 0,
                ..row.clone()
            }));
        }
        smaller
    }
}

impl RandomMessages {
    fn messages(&self) -> Messages {
        let id = format!("m{}", self.number);
        let (first, others) = self.to.split_first().expect("a recipient at least");
        let mut messages = others
            .iter()
            .fold(Messages::new(id, first), Messages::also_to);
        if self.from_nobody {
            messages = messages.from("");
        }
        if self.count > 1 {
            messages = messages.count(self.count);
        }
        messages.at(minutes(self.minute))
    }
}

impl Setting {
    fn apply(self, settings: &mut SenderSettings) {
        match self {
            Self::RetriesEvery20Minutes => settings.retry = vec![minutes(20).0],
            Self::ExpiresAfter5Hours => settings.expire = minutes(300).0,
            Self::RemembersUnreachable => settings.remember_unreachable = Some(minutes(10).0),
            Self::IsAnExchanger => settings.names = vec!["h0.test".parse().expect("a name")],
            Self::RequiresTls => settings.tls = TlsPolicy::Required,
        }
    }
}

fn minutes(count: u64) -> Moment {
    Moment(Duration::from_secs(60 * count))
}

/// The records of a domain: exchangers or none, a null MX alone or beside others, addresses of its own,
/// an alias in their place.
pub(crate) fn exchangers(domain: u8, random: &mut ChaCha8Rng, records: &mut Vec<String>) {
    if random.random_ratio(1, 12) {
        let target = random.random_range(0..HOSTS);
        records.push(format!("d{domain} IN CNAME h{target}"));
        return;
    }
    let null = random.random_ratio(1, 10);
    if null {
        records.push(format!("d{domain} IN MX 0 ."));
    }
    let most = match (null, random.random_range(0..8_u8)) {
        (true, 0..6) => 0,
        (_, 0) => 20,
        (_, 1) => 0,
        _ => 4,
    };
    let preferences = [0_u16, 10, 10, 20, 65535];
    for _ in 0..random.random_range(0..=most) {
        let preference = preferences.choose(random).copied().unwrap_or(0);
        let host = random.random_range(0..HOSTS);
        records.push(format!("d{domain} IN MX {preference} h{host}"));
    }
    if random.random_ratio(1, 10) {
        records.push(format!("d{domain} IN MX 10 mail.sender.test."));
    }
    if random.random_ratio(1, 2) {
        records.push(format!("d{domain} IN A 203.0.113.{}", domain + 1));
    }
    if random.random_ratio(1, 6) {
        records.push(format!("www.d{domain} IN A 203.0.113.{}", domain + 11));
    }
}

/// A fault with a window, a count, or neither.
fn bounded(fault: Fault, random: &mut ChaCha8Rng) -> Fault {
    match random.random_range(0..4_u8) {
        0 => fault.until(minutes(random.random_range(1..300_u32).into())),
        1 => {
            let from = random.random_range(1..100_u32);
            let until = from + random.random_range(1..100_u32);
            fault
                .from(minutes(from.into()))
                .until(minutes(until.into()))
        }
        2 => fault.first(random.random_range(1..4_u32)),
        _ => fault,
    }
}

fn session_fault(address: &str, random: &mut ChaCha8Rng) -> Fault {
    let (stage, effect) = SESSION_FAULTS.choose(random).copied().unwrap_or_default();
    let stage: Stage = stage.parse().expect("a stage");
    let effect = Effect::parse(effect, stage).expect("an effect of that stage");
    let host = address.parse().expect("an address or a name");
    bounded(Fault::of_host(host, stage, effect), random)
}

/// A fault of some host, by its name, or of some query.
#[cfg(feature = "proptest")]
pub(crate) fn any_fault(random: &mut ChaCha8Rng) -> Fault {
    match random.random_ratio(2, 3) {
        true => session_fault(&format!("h{}.test", random.random_range(0..HOSTS)), random),
        false => query_fault(random),
    }
}

/// The messages of one row.
#[cfg(feature = "proptest")]
pub(crate) fn any_messages(number: u8, random: &mut ChaCha8Rng) -> Messages {
    row(number, false, random).messages()
}

fn query_fault(random: &mut ChaCha8Rng) -> Fault {
    let (name, record_type) = match random.random_ratio(1, 2) {
        true => (
            format!("d{}.test", random.random_range(0..DOMAINS)),
            RecordType::MX,
        ),
        false => (
            format!("h{}.test", random.random_range(0..HOSTS)),
            RecordType::A,
        ),
    };
    let effect = QUERY_FAULTS.choose(random).copied().unwrap_or_default();
    let effect = effect.parse().expect("an effect on a query");
    let name = name.parse().expect("a name");
    bounded(Fault::of_query(name, Some(record_type), effect), random)
}

// The messages of one row; `many` makes it a crowd to one recipient.
fn row(number: u8, many: bool, random: &mut ChaCha8Rng) -> RandomMessages {
    let to = (0..random.random_range(1..4_u8))
        .map(|user| format!("u{user}@d{}.test", random.random_range(0..DOMAINS)));
    let mut to: Vec<String> = to.collect();
    if many {
        to.truncate(1);
    }
    RandomMessages {
        number,
        to,
        minute: match random.random_ratio(1, 2) {
            true => 0,
            false => random.random_range(0..200_u32).into(),
        },
        count: if many { MANY } else { 1 },
        from_nobody: random.random_ratio(1, 8),
    }
}
