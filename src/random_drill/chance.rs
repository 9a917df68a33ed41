//! Drills drawn by chance: a number gives the same drill each time.
//!
//! What is drawn stays in a small world (two domains, eight hosts, thirty addresses), so that records collide:
//! exchangers that share an address, hosts without one, domains without exchangers. Rare things have their odds
//! beside them. A sender that is not in the process is spared what cannot be known or set of it.

use hickory_proto::rr::RecordType;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng, seq::IndexedRandom};

use super::{
    Asks, Body, RandomDrill, RandomMessages, Setting, minutes,
    parts::{Bears, Offered},
    points::{FailurePlace, points},
};
#[cfg(feature = "proptest")]
use crate::scenario::Messages;
use crate::{
    fault::{Chance, Effect, Fault, Stage},
    scenario::{Certificate, ReceiverSettings},
    verdict::SenderKind,
};

/// The domains that mail is for: `d0.test`, `d1.test`.
pub(crate) const DOMAINS: u8 = 2;
/// The hosts: `h0.test` and so on, each at up to two addresses, of its own or shared with others.
pub(crate) const HOSTS: u8 = 8;
/// Messages to one place, in some cases: so many that a share of nothing is no chance.
const MANY: usize = 60;

/// Faults of sessions that are drawn as often as all others together, as stage and effect in the words of the
/// scenario format: those that decide where mail goes next.
const USUAL: [(&str, &str); 12] = [
    ("connect", "refuse"),
    ("connect", "timeout"),
    ("connect", "reset"),
    ("greeting", "554 5.3.2 no mail here"),
    ("helo", "hang"),
    ("mail", "close"),
    ("rcpt", "451 4.2.1 later"),
    ("rcpt", "550 5.1.1 no such user"),
    ("data", "554 5.6.0 no"),
    ("dot", "452 4.3.1 full"),
    ("dot", "lose reply"),
    ("quit", "close"),
];

/// Who sends, as far as it matters to what is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// The reference sender, which can be set.
    Reference,
    /// A command, which sends one message and ends.
    Command,
    /// A mail server, left to its own settings.
    Server,
}

impl From<SenderKind> for For {
    fn from(sender: SenderKind) -> Self {
        match sender {
            SenderKind::InProcess { .. } => Self::Reference,
            SenderKind::Command | SenderKind::ClockedCommand => Self::Command,
            SenderKind::MailServer => Self::Server,
        }
    }
}

/// The drill of a number.
pub(super) fn drill(seed: u64, sender: SenderKind) -> RandomDrill {
    let sender = For::from(sender);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let random = &mut random;
    let mut records = Vec::new();
    let domains = if sender == For::Command { 1 } else { DOMAINS };
    for domain in 0..domains {
        exchangers(domain, sender, random, &mut records);
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
    let messages = match sender {
        For::Command => vec![one_message()],
        For::Server => messages(3, false, random),
        For::Reference => {
            let many = random.random_ratio(1, 20);
            let mut rows = messages(4, many, random);
            // A mail server is not handed such messages.
            rows.iter_mut().for_each(|row| ask(row, random));
            rows
        }
    };
    let mut receivers = Vec::new();
    let certified = random.random_ratio(1, 4);
    if certified {
        receivers.push(ReceiverSettings {
            certificate: Some(Certificate::Valid),
            ..ReceiverSettings::default()
        });
    }
    receivers.extend(drawn_receivers(sender, random));
    RandomDrill {
        seed,
        records,
        faults,
        messages,
        sender: settings(sender, certified, random),
        receivers,
    }
}

/// The records of a domain, whose exchangers are among the hosts.
#[cfg(feature = "proptest")]
pub(crate) fn any_exchangers(domain: u8, random: &mut ChaCha8Rng, records: &mut Vec<String>) {
    exchangers(domain, For::Reference, random, records);
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
    let row = RandomMessages {
        body: Body::Plain,
        ..row(number, false, random)
    };
    row.messages()
}

/// What is special about receivers: about all, or about one of the hosts.
fn drawn_receivers(sender: For, random: &mut ChaCha8Rng) -> Vec<ReceiverSettings> {
    let mut rows = Vec::new();
    if random.random_ratio(1, 3) {
        let offered = Offered::ALL.choose(random).copied();
        rows.extend(offered.and_then(Offered::receivers));
    }
    if random.random_ratio(1, 4) {
        // What counts messages and sessions is for those who send several.
        let kinds = match sender {
            For::Reference => Bears::ALL.to_vec(),
            For::Server => Bears::of_others(),
            For::Command => Bears::of_one(),
        };
        let bears = kinds.choose(random).copied();
        rows.extend(bears.and_then(Bears::receivers));
    }
    rows
}

/// How the sender differs from the default.
fn settings(sender: For, certified: bool, random: &mut ChaCha8Rng) -> Vec<Setting> {
    if sender != For::Reference {
        return Vec::new();
    }
    let mut settings = vec![Setting::RetriesEvery20Minutes, Setting::ExpiresAfter5Hours];
    if random.random_ratio(1, 5) {
        settings.push(Setting::RemembersUnreachable);
    }
    if random.random_ratio(1, 6) {
        settings.push(Setting::IsAnExchanger);
    }
    if certified && random.random_ratio(1, 2) {
        settings.push(Setting::RequiresTls);
    }
    settings
}

/// The records of a domain: exchangers or none, a null MX alone or beside others, addresses of its own,
/// an alias in their place.
fn exchangers(domain: u8, sender: For, random: &mut ChaCha8Rng, records: &mut Vec<String>) {
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
    // A command does not know by which names a list of exchangers may mean it.
    if random.random_ratio(1, 10) && sender != For::Command {
        records.push(format!("d{domain} IN MX 10 mail.sender.test."));
    }
    if random.random_ratio(1, 2) {
        records.push(format!("d{domain} IN A 203.0.113.{}", domain + 1));
    }
    if random.random_ratio(1, 6) {
        records.push(format!("www.d{domain} IN A 203.0.113.{}", domain + 11));
    }
}

/// A fault with a window, a count, odds, or none of these.
fn bounded(fault: Fault, random: &mut ChaCha8Rng) -> Fault {
    match random.random_range(0..6_u8) {
        0 => fault.until(minutes(random.random_range(1..300_u32).into())),
        1 => {
            let from = random.random_range(1..100_u32);
            let until = from + random.random_range(1..100_u32);
            fault
                .from(minutes(from.into()))
                .until(minutes(until.into()))
        }
        2 => fault.first(random.random_range(1..4_u32)),
        3 => fault.every(random.random_range(2..4_u32)),
        4 => {
            let odds = [0.2, 0.5, 0.8].choose(random).copied();
            let odds = odds.and_then(Chance::of);
            odds.into_iter().fold(fault, Fault::chance)
        }
        _ => fault,
    }
}

fn session_fault(address: &str, random: &mut ChaCha8Rng) -> Fault {
    if random.random_ratio(1, 2) {
        let (stage, effect) = USUAL.choose(random).copied().unwrap_or_default();
        let stage: Stage = stage.parse().expect("a stage");
        let effect = Effect::parse(effect, stage).expect("an effect of that stage");
        let host = address.parse().expect("an address or a name");
        return bounded(Fault::of_host(host, stage, effect), random);
    }
    let is_session = |(place, _): &(FailurePlace, &str)| matches!(place, FailurePlace::Session(_));
    drawn_fault(is_session, "", address, random)
}

fn query_fault(random: &mut ChaCha8Rng) -> Fault {
    let domain = format!("d{}.test", random.random_range(0..DOMAINS));
    let host = format!("h{}.test", random.random_range(0..HOSTS));
    let kind = match random.random_ratio(1, 2) {
        true => RecordType::MX,
        false => RecordType::A,
    };
    let is_query = |(place, _): &(FailurePlace, &str)| *place == FailurePlace::Query(kind);
    drawn_fault(is_query, &domain, &host, random)
}

/// A fault at one of the points that will do.
fn drawn_fault(
    will_do: impl Fn(&(FailurePlace, &str)) -> bool,
    domain: &str,
    host: &str,
    random: &mut ChaCha8Rng,
) -> Fault {
    let points: Vec<_> = points().into_iter().filter(will_do).collect();
    let (place, effect) = points.choose(random).copied().expect("there are some");
    bounded(place.fault(effect, domain, host), random)
}

/// The message of a command, whose content is its own.
fn one_message() -> RandomMessages {
    RandomMessages {
        number: 0,
        to: vec!["u0@d0.test".to_owned()],
        minute: 0,
        count: 1,
        from_nobody: false,
        body: Body::Plain,
        asks: None,
    }
}

/// Makes of some messages one that asks more of those who carry it.
fn ask(row: &mut RandomMessages, random: &mut ChaCha8Rng) {
    match random.random_range(0..20_u8) {
        0 => row.body = Body::Binary,
        1 => row.asks = Some(Asks::Priority),
        2 => row.asks = Some(Asks::BackInAnHour),
        3 => row.asks = Some(Asks::TellInAnHour),
        _ => {}
    }
}

/// Up to so many rows of messages; `many` makes each a crowd.
fn messages(most: u8, many: bool, random: &mut ChaCha8Rng) -> Vec<RandomMessages> {
    let rows = 1..=random.random_range(1..=most);
    rows.map(|number| row(number - 1, many, random)).collect()
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
        body: match random.random_range(0..10_u8) {
            0 => Body::EightBit,
            1 => Body::Dots,
            _ => Body::Plain,
        },
        asks: None,
    }
}
