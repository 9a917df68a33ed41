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

use std::sync::Arc;

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng, seq::IndexedRandom};

use crate::{diagnostic::Mistakes, scenario::Scenario};

/// The domains that mail is for: `d0.test`, `d1.test`.
const DOMAINS: u8 = 2;
/// The hosts: `h0.test` and so on, each at up to two addresses, of its own or shared with others.
const HOSTS: u8 = 8;
/// Messages to one place, in some cases: so many that a share of nothing is no chance.
const MANY: u32 = 60;

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

/// A drill made at random from a number. Parts of it are texts as a scenario file has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RandomDrill {
    seed: u64,
    records: Vec<String>,
    faults: Vec<String>,
    messages: Vec<RandomMessages>,
    sender: Vec<&'static str>,
    certificates: bool,
}

/// A row of messages, before it is written as text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RandomMessages {
    to: Vec<String>,
    minute: u32,
    count: u32,
    from_nobody: bool,
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
        let messages = (0..random.random_range(1..5_u8)).map(|_| row(many, random));
        let messages = messages.collect();
        let mut sender = vec!["retry = [\"20m\"]", "expire = \"5h\""];
        if random.random_ratio(1, 5) {
            sender.push("remember_unreachable = \"10m\"");
        }
        if random.random_ratio(1, 6) {
            sender.push("names = [\"h0.test\"]");
        }
        let certificates = random.random_ratio(1, 4);
        if certificates && random.random_ratio(1, 2) {
            sender.push("tls = \"required\"");
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

    /// The number that the case comes from.
    pub fn number(&self) -> u64 {
        self.seed
    }

    /// The text of the scenario, which `mxdrill run` plays.
    pub fn text(&self) -> String {
        let mut text = format!(
            "summary = \"made at random, from number {}\"\nseed    = {}\n\nzone = \"\"\"\n$ORIGIN test.\n$TTL 300\n",
            self.seed, self.seed
        );
        for record in &self.records {
            text.push_str(record);
            text.push('\n');
        }
        text.push_str("\"\"\"\n\n");
        if !self.sender.is_empty() {
            text.push_str(&format!("sender   = {{ {} }}\n", self.sender.join(", ")));
        }
        text.push_str("messages = [\n");
        for (number, row) in self.messages.iter().enumerate() {
            let to: Vec<String> = row.to.iter().map(|to| format!("\"{to}\"")).collect();
            let from = if row.from_nobody { ", from = \"\"" } else { "" };
            let count = match row.count {
                1 => String::new(),
                count => format!(", count = {count}"),
            };
            text.push_str(&format!(
                "  {{ id = \"m{number}\", at = \"{}m\", to = [{}]{from}{count} }},\n",
                row.minute,
                to.join(", ")
            ));
        }
        text.push_str("]\n");
        if !self.faults.is_empty() {
            text.push_str(&format!(
                "faults   = [\n  {},\n]\n",
                self.faults.join(",\n  ")
            ));
        }
        if self.certificates {
            text.push_str("receivers = [{ certificate = \"valid\" }]\n");
        }
        text
    }

    /// The scenario.
    ///
    /// # Errors
    /// That parts are missing which others refer to, as after shrinking.
    pub fn scenario(&self) -> Result<Arc<Scenario>, Mistakes> {
        Scenario::parse(&format!("fuzz-{}.toml", self.seed), &self.text()).map(Arc::new)
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
    fn smaller(&self) -> impl Iterator<Item = Self> + '_ {
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

/// The records of a domain: exchangers or none, a null MX alone or beside others, addresses of its own,
/// an alias in their place.
fn exchangers(domain: u8, random: &mut ChaCha8Rng, records: &mut Vec<String>) {
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

/// The end of a row of faults: a window, a count, or neither.
fn extent(random: &mut ChaCha8Rng) -> String {
    match random.random_range(0..4_u8) {
        0 => format!(", until = \"{}m\"", random.random_range(1..300_u32)),
        1 => {
            let from = random.random_range(1..100_u32);
            let until = from + random.random_range(1..100_u32);
            format!(", from = \"{from}m\", until = \"{until}m\"")
        }
        2 => format!(", first = {}", random.random_range(1..4_u32)),
        _ => String::new(),
    }
}

fn session_fault(address: &str, random: &mut ChaCha8Rng) -> String {
    let (stage, effect) = SESSION_FAULTS.choose(random).copied().unwrap_or_default();
    let extent = extent(random);
    format!("{{ host = \"{address}\", stage = \"{stage}\", effect = \"{effect}\"{extent} }}")
}

fn query_fault(random: &mut ChaCha8Rng) -> String {
    let query = match random.random_ratio(1, 2) {
        true => format!("d{}.test MX", random.random_range(0..DOMAINS)),
        false => format!("h{}.test A", random.random_range(0..HOSTS)),
    };
    let effect = QUERY_FAULTS.choose(random).copied().unwrap_or_default();
    let extent = extent(random);
    format!("{{ query = \"{query}\", effect = \"{effect}\"{extent} }}")
}

// The messages of one row; `many` makes it a crowd to one recipient.
fn row(many: bool, random: &mut ChaCha8Rng) -> RandomMessages {
    let to = (0..random.random_range(1..4_u8))
        .map(|user| format!("u{user}@d{}.test", random.random_range(0..DOMAINS)));
    let mut to: Vec<String> = to.collect();
    if many {
        to.truncate(1);
    }
    RandomMessages {
        to,
        minute: match random.random_ratio(1, 2) {
            true => 0,
            false => random.random_range(0..200),
        },
        count: if many { MANY } else { 1 },
        from_nobody: random.random_ratio(1, 8),
    }
}
