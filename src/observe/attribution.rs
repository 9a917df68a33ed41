//! Whom an attempt was for, where neither its content nor the sender says so.
//!
//! What is known of a silent sender is when it was given which message, whom it asked the name server
//! about, and what its commands said. An attempt that fails before its recipients are named is told by
//! the address: it is for a message whose domain leads there, or for a notification, if only the
//! domain of an author does.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use hickory_proto::rr::{RData, Record};

use super::Attempt;
use crate::{
    event::{Event, What},
    name::Domain,
    scenario::{Mailbox, Message, MessageId, Scenario},
    time::Moment,
    zone::address_of,
};

/// An attempt, and the recipients that its commands named, those of failed commands included.
pub(crate) struct Unattributed {
    pub(crate) attempt: Attempt,
    pub(super) offered: Vec<String>,
    /// Whether it handed over a notification about a message of the drill, which is none of its messages.
    pub(super) is_about_one: bool,
}

impl Unattributed {
    /// Whether the sender said itself whom it was for.
    pub(crate) fn is_said(&self) -> bool {
        self.attempt.message.is_some() && self.attempt.hop.is_some()
    }
}

/// What is known beside the attempts, by which those of a sender that says nothing are told apart.
#[derive(Default)]
pub(crate) struct Background {
    routes: Routes,
    /// When the sender was given a message.
    given: BTreeMap<MessageId, Moment>,
    /// When a notification about a message arrived.
    returned: BTreeMap<MessageId, Moment>,
}

impl Background {
    pub(crate) fn see(&mut self, event: &Event) {
        if let Some(about) = event.what.given_up() {
            self.returned.insert(about.clone(), event.at);
        }
        match &event.what {
            What::Submitted { message, .. } => drop(self.given.insert(message.clone(), event.at)),
            What::Query { records, .. } => self.routes.learn(records),
            _ => {}
        }
    }

    /// Forgets what is known of a message.
    pub(crate) fn forget(&mut self, message: &MessageId) {
        self.given.remove(message);
        self.returned.remove(message);
    }

    /// Finds the message of attempts whose sender did not say it.
    pub(crate) fn attribute(
        &self,
        scenario: &Scenario,
        mut attempts: Vec<Unattributed>,
    ) -> Vec<Attempt> {
        if attempts.is_empty() {
            return Vec::new();
        }
        attempts.sort_by_key(|one| (one.attempt.at, one.attempt.session));
        let mut ledger = Ledger::new(scenario, self);
        attempts.into_iter().map(|one| ledger.enter(one)).collect()
    }
}

/// Where the answers of the name server lead, all of them together.
#[derive(Default)]
struct Routes {
    names: BTreeMap<Domain, BTreeSet<Domain>>,
    aliases: BTreeMap<Domain, Domain>,
    addresses: BTreeMap<Domain, BTreeSet<IpAddr>>,
}

impl Routes {
    fn learn(&mut self, records: &[Record]) {
        for record in records {
            let owner = Domain::from(&record.name);
            if let RData::CNAME(alias) = &record.data {
                let target = Domain::from(&alias.0);
                self.aliases.insert(owner.clone(), target.clone());
                self.names.entry(owner).or_default().insert(target);
            } else if let RData::MX(mx) = &record.data {
                let target = Domain::from(&mx.exchange);
                self.names.entry(owner).or_default().insert(target);
            } else if let Some(address) = address_of(&record.data) {
                self.addresses.entry(owner).or_default().insert(address);
            }
        }
    }

    /// Whether mail for a domain may have been led to an address.
    fn lead(&self, domain: &Domain, address: IpAddr) -> bool {
        let mut seen = BTreeSet::new();
        let mut next = vec![domain];
        while let Some(name) = next.pop() {
            let literal = name.as_str().parse::<IpAddr>();
            let known = self.addresses.get(name);
            if literal == Ok(address) || known.is_some_and(|known| known.contains(&address)) {
                return true;
            }
            if seen.insert(name) {
                next.extend(self.names.get(name).into_iter().flatten());
            }
        }
        false
    }

    /// Whether a name is what another one stands for.
    fn stands_for(&self, alias: &Domain, name: &str) -> bool {
        let mut at = alias;
        // As many steps as there are aliases: more would go round in a circle.
        for _ in 0..self.aliases.len() {
            let Some(next) = self.aliases.get(at) else {
                return false;
            };
            if next.as_str().eq_ignore_ascii_case(name) {
                return true;
            }
            at = next;
        }
        false
    }
}

/// A message as far as it is known at some point of the log.
struct Entry<'a> {
    message: &'a Message,
    /// When the sender was given it; nobody knows of one that is not in the log.
    given: Moment,
    /// When a notification about it arrived, if it had one recipient.
    returned: Option<Moment>,
    /// The recipients that were neither taken nor refused for good.
    open: Vec<&'a Mailbox>,
    /// How often each address was tried for it.
    tried: BTreeMap<IpAddr, usize>,
}

impl Entry<'_> {
    fn is_open(&self, at: Moment) -> bool {
        !self.open.is_empty() && self.returned.is_none_or(|returned| returned >= at)
    }

    fn is_for(&self, recipient: &str, routes: &Routes) -> bool {
        self.addressed(recipient, routes).is_some()
    }

    /// The recipient that is meant: a sender may write what an alias stands for in its place.
    fn addressed(&self, recipient: &str, routes: &Routes) -> Option<&Mailbox> {
        let same = |to: &&Mailbox| to.text.eq_ignore_ascii_case(recipient);
        let same_by_alias = |to: &&Mailbox| {
            let parts = (recipient.rsplit_once('@'), to.text.rsplit_once('@'));
            let (Some((local, domain)), Some((wanted, _))) = parts else {
                return false;
            };
            local == wanted && routes.stands_for(&to.domain, domain)
        };
        let to = &self.message.to;
        to.iter()
            .find(same)
            .or_else(|| to.iter().find(same_by_alias))
    }
}

/// The drill's messages, entered into as attempts go by.
struct Ledger<'a> {
    entries: Vec<Entry<'a>>,
    place: BTreeMap<&'a MessageId, usize>,
    routes: &'a Routes,
}

impl<'a> Ledger<'a> {
    fn new(scenario: &'a Scenario, background: &'a Background) -> Self {
        let Background {
            routes,
            given,
            returned,
        } = background;
        let entry = |message: &'a Message| Entry {
            message,
            given: given.get(&message.id).copied().unwrap_or(Moment::START),
            returned: returned
                .get(&message.id)
                .copied()
                .filter(|_| message.to.len() == 1),
            open: message.to.iter().collect(),
            tried: BTreeMap::new(),
        };
        let messages = scenario.messages.iter();
        Self {
            place: messages
                .clone()
                .map(|message| &message.id)
                .zip(0..)
                .collect(),
            entries: messages.map(entry).collect(),
            routes,
        }
    }

    fn enter(&mut self, one: Unattributed) -> Attempt {
        let Unattributed {
            mut attempt,
            offered,
            is_about_one,
        } = one;
        if is_about_one && attempt.message.is_none() {
            attempt.notification = true;
        } else if attempt.message.is_none() {
            let found = self.find(&attempt, &offered);
            attempt.message = found.map(|(index, _)| self.entries[index].message.id.clone());
            attempt.guessed = found.is_some_and(|(_, sure)| !sure);
            attempt.notification = found.is_none() && self.is_notification(&attempt);
        }
        let place = attempt.message.as_ref().and_then(|id| self.place.get(id));
        // Whether a host would take a recipient is asked from the null reverse-path.
        let is_callout = |index: &usize| {
            let has_author = self.entries[*index].message.from.is_some();
            has_author && attempt.from.as_deref() == Some("") && attempt.taken.is_empty()
        };
        attempt.incidental |= place.is_some_and(is_callout);
        if let Some(entry) = place.and_then(|index| self.entries.get_mut(*index)) {
            *entry.tried.entry(attempt.address).or_default() += usize::from(!attempt.incidental);
            let sent = attempt.recipients.iter_mut().map(|(to, _)| to);
            for to in attempt.taken.iter_mut().chain(sent) {
                if let Some(meant) = entry.addressed(to, self.routes) {
                    *to = meant.text.to_string();
                }
            }
            let settled = |to: &Mailbox| {
                attempt.taken.iter().any(|taken| **taken == *to.text)
                    || attempt
                        .recipients
                        .iter()
                        .any(|(refused, code)| **refused == *to.text && *code >= 500)
                    || (attempt.is_permanent() && entry.message.to.len() == 1)
            };
            if !attempt.incidental {
                entry.open.retain(|to| !settled(to));
            }
        }
        attempt
    }

    /// The message that an attempt was for, and whether it can be no other: open ones come before those
    /// that are done with.
    fn find(&self, attempt: &Attempt, offered: &[String]) -> Option<(usize, bool)> {
        let at = attempt.at;
        let given = |index: &usize| self.entries[*index].given <= at;
        let (open, done): (Vec<usize>, Vec<usize>) = (0..self.entries.len())
            .filter(given)
            .partition(|index| self.entries[*index].is_open(at));
        if !offered.is_empty() {
            let named = |index: &usize| {
                let mut offered = offered.iter();
                offered.any(|to| self.entries[*index].is_for(to, self.routes))
            };
            let open = open.into_iter().filter(named).collect();
            let open = self.least_tried(open, attempt.address);
            return open.or_else(|| latest(&done, named));
        }
        if self.is_notification(attempt) {
            return None;
        }
        let sent_by = |index: &usize| {
            let from = self.entries[*index].message.from.as_ref();
            let from = from.map_or("", |from| &*from.text);
            attempt
                .from
                .as_ref()
                .is_some_and(|said| said.eq_ignore_ascii_case(from))
        };
        let led = |index: &usize| {
            let mut hops = self.entries[*index].message.to.iter();
            hops.any(|to| self.routes.lead(&to.domain, attempt.address))
        };
        let open = kept(kept(open, sent_by), led);
        match open[..] {
            [] => latest(&done, led),
            // Of several that it may be for, none of which leads there, nothing is known.
            [first, _, ..] if !led(&first) => None,
            _ => self.least_tried(open, attempt.address),
        }
    }

    /// Of messages that look the same, one is not tried again before the others.
    fn least_tried(&self, entries: Vec<usize>, address: IpAddr) -> Option<(usize, bool)> {
        let sure = entries.len() == 1;
        let tried = |index: &usize| self.entries[*index].tried.get(&address).copied();
        let least = entries
            .into_iter()
            .min_by_key(|index| tried(index).unwrap_or(0));
        least.map(|index| (index, sure))
    }

    /// Whether an attempt was for a message about a message.
    fn is_notification(&self, attempt: &Attempt) -> bool {
        let lead = |domain: &Domain| self.routes.lead(domain, attempt.address);
        let mut messages = self.entries.iter().map(|entry| entry.message);
        match attempt.from.as_deref() {
            Some("") => messages.all(|message| message.from.is_some()),
            Some(_) => false,
            None => {
                let to_recipients =
                    |message: &Message| message.to.iter().any(|to| lead(&to.domain));
                let to_author =
                    |message: &Message| message.from.iter().any(|from| lead(&from.domain));
                !messages.clone().any(to_recipients) && messages.any(to_author)
            }
        }
    }
}

/// The last that satisfies a condition, and whether it is the only one.
fn latest(all: &[usize], condition: impl Fn(&usize) -> bool) -> Option<(usize, bool)> {
    let mut found = all.iter().rev().copied().filter(condition);
    let last = found.next()?;
    Some((last, found.next().is_none()))
}

/// Those that satisfy a condition, or all if none does.
fn kept(all: Vec<usize>, condition: impl Fn(&usize) -> bool) -> Vec<usize> {
    match all.iter().any(&condition) {
        true => all.into_iter().filter(condition).collect(),
        false => all,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hickory_proto::rr::RecordType;

    use super::*;
    use crate::{
        event::{Answered, Connected, Purpose, QueryOutcome, SessionId},
        fault::{Stage, Transport},
        observe::attempts,
    };

    const SCENARIO: &str = r#"
summary  = "s"
zone     = """
one.test.        300 IN MX 10 mx.one.test.
mx.one.test.     300 IN A  192.0.2.1
two.test.        300 IN CNAME real.test.
real.test.       300 IN A  192.0.2.2
"""
messages = [
  { id = "one", to = "a@one.test" },
  { id = "two", to = "b@two.test" },
  { id = "twin", to = "b@two.test" },
]
"#;

    fn scenario() -> Scenario {
        Scenario::parse("s", SCENARIO).expect("valid")
    }

    /// What a sender is told that asks for everything.
    fn told(scenario: &Scenario) -> Vec<Event> {
        let mut events: Vec<What> = scenario
            .messages
            .iter()
            .map(|message| What::Submitted {
                message: message.id.clone(),
                from: "sender@sender.test".to_owned(),
                to: message.to.iter().map(|to| to.text.to_string()).collect(),
            })
            .collect();
        let asked = [
            ("one.test", RecordType::MX),
            ("mx.one.test", RecordType::A),
            ("two.test", RecordType::A),
            ("sender.test", RecordType::MX),
            ("bounces.sender.test", RecordType::A),
        ];
        for (name, record_type) in asked {
            let name: Domain = name.parse().expect("a name");
            let zone = scenario.zones.at(Moment::START);
            events.push(What::Query {
                records: zone.answer(&name, record_type).records,
                name,
                record_type,
                over: Transport::Udp,
                answer: QueryOutcome::NoError,
                fault: None,
            });
        }
        let at = Moment::START;
        events.into_iter().map(|what| Event { at, what }).collect()
    }

    fn connect(session: u64, address: &str, result: Connected, seconds: u64) -> Event {
        Event {
            at: Moment::START.after(Duration::from_secs(seconds)),
            what: What::Connect {
                session: SessionId(session),
                address: address.parse().expect("an address"),
                hosts: Vec::new(),
                result,
                purpose: Purpose::default(),
            },
        }
    }

    fn reply(session: u64, stage: Stage, argument: &str, code: u16) -> Event {
        Event {
            at: Moment::START,
            what: What::Reply {
                session: SessionId(session),
                stage,
                argument: Some(argument.to_owned()),
                answer: Answered::Reply {
                    code,
                    reply: String::new(),
                },
            },
        }
    }

    fn about(attempt: &Attempt) -> (Option<&str>, bool) {
        let id = attempt.message.as_ref().map(|id| &*id.0);
        (id, attempt.notification)
    }

    #[test]
    fn the_address_tells_whom_a_refused_connection_was_for() {
        let scenario = scenario();
        let mut events = told(&scenario);
        events.push(connect(1, "192.0.2.1", Connected::Refused, 1));
        events.push(connect(2, "198.51.100.25", Connected::Refused, 2));
        let attempts = attempts(&scenario, &events);
        assert_eq!(about(&attempts[0]), (Some("one"), false));
        assert!(!attempts[0].guessed);
        assert_eq!(about(&attempts[1]), (None, true));
    }

    #[test]
    fn of_messages_that_look_the_same_one_is_guessed_and_none_left_out() {
        let scenario = scenario();
        let mut events = told(&scenario);
        events.push(connect(1, "192.0.2.2", Connected::Refused, 1));
        events.push(connect(2, "192.0.2.2", Connected::Refused, 2));
        let attempts = attempts(&scenario, &events);
        assert_eq!(about(&attempts[0]), (Some("two"), false));
        assert_eq!(about(&attempts[1]), (Some("twin"), false));
        assert!(attempts.iter().all(|attempt| attempt.guessed));
    }

    #[test]
    fn what_an_alias_stands_for_is_the_same_recipient() {
        let scenario = scenario();
        let mut events = told(&scenario);
        events.push(connect(1, "192.0.2.2", Connected::Accepted, 0));
        events.push(reply(1, Stage::Mail, "sender@sender.test", 250));
        events.push(reply(1, Stage::Rcpt, "b@real.test", 550));
        let attempts = attempts(&scenario, &events);
        assert_eq!(about(&attempts[0]), (Some("two"), false));
        assert_eq!(attempts[0].recipients, [("b@two.test".to_owned(), 550)]);
    }

    #[test]
    fn commands_that_failed_name_their_recipients_too() {
        let scenario = scenario();
        let mut events = told(&scenario);
        events.push(connect(1, "203.0.113.9", Connected::Accepted, 0));
        events.push(reply(1, Stage::Mail, "sender@sender.test", 451));
        events.push(reply(1, Stage::Rcpt, "a@one.test", 503));
        let attempts = attempts(&scenario, &events);
        assert_eq!(about(&attempts[0]), (Some("one"), false));
    }
}
