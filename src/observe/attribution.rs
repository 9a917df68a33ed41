//! Whom an attempt was for, where neither its content nor the sender says so.
//!
//! What is known of a silent sender is when it was given which message, whom it asked the name server
//! about, and what its commands said. An attempt that fails before its recipients are named is told by
//! the address: it is for a message whose domain leads there, or for a notification, if only the
//! domain of an author does.
//!
//! Messages are sorted into pools by what commands may say of them. An attempt is looked up in the
//! pools of its recipients, else of its author and address, else of its address. Of the open
//! messages there, it is for the one least tried at that address; if none is open, for the last
//! that was done with.

mod names;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use self::names::{Named, Names};
use super::{
    Attempt, Certainty,
    pool::{Pool, certainty_of_open, latest_done},
    routes::Routes,
};
use crate::{
    event::{Event, EventKind},
    mail::mailbox,
    mail::{Mailbox, Message, MessageId},
    name::Domain,
    scenario::Scenario,
    time::Moment,
};

/// An attempt, of which it may have to be found out whom it was for.
pub struct Unattributed {
    // A notification handed over is not for the message that it is about.
    pub(crate) attempt: Attempt,
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
///
/// It takes in events as they come; attempts are attributed when all of them are known.
#[derive(Default)]
// Where names lead, by all answers together.
pub(crate) struct LogFacts {
    routes: Routes,
    /// When the sender was given a message.
    given: BTreeMap<MessageId, Moment>,
    /// When a notification about a message arrived.
    returned: BTreeMap<MessageId, Moment>,
}

impl LogFacts {
    pub(crate) fn see(&mut self, event: &Event) {
        if let Some(about) = event.kind.given_up() {
            self.returned.insert(about.clone(), event.at);
        }
        match &event.kind {
            EventKind::Submitted { message, .. } => {
                self.given.insert(message.clone(), event.at);
            }
            EventKind::Query { records, .. } => self.routes.learn(records),
            _ => {}
        }
    }

    /// Takes in the records of an answer.
    pub(crate) fn learn(&mut self, records: &[hickory_proto::rr::Record]) {
        self.routes.learn(records);
    }

    /// Forgets what is known of a message.
    pub(crate) fn forget(&mut self, message: &MessageId) {
        self.given.remove(message);
        self.returned.remove(message);
    }

    /// Finds the messages of attempts whose sender did not say them. The attempts are taken in the
    /// order in which they began.
    pub(crate) fn attribute(
        &self,
        scenario: &Scenario,
        mut attempts: Vec<Unattributed>,
    ) -> Vec<Attempt> {
        if attempts.is_empty() {
            return Vec::new();
        }
        // Sessions overlap: one that began first may have ended last, and came here last.
        attempts.sort_by_key(|one| (one.attempt.at, one.attempt.session));
        let mut attribution = Attribution::new(scenario, self);
        attempts
            .into_iter()
            .map(|one| attribution.enter(one))
            .collect()
    }
}

/// A message as far as it is known at some point of the log.
struct OpenMessage<'a> {
    message: &'a Message,
    /// The recipients that were neither taken nor refused for good.
    open: BTreeSet<&'a str>,
    /// Whether the sender has been given it.
    is_given: bool,
    /// Whether nothing more of it is to be expected.
    is_done: bool,
    /// How often each address was tried for it.
    tried: BTreeMap<IpAddr, usize>,
    /// The pools that it belongs to.
    pools: BTreeSet<usize>,
}

impl OpenMessage<'_> {
    fn tried(&self, address: IpAddr) -> usize {
        self.tried.get(&address).copied().unwrap_or(0)
    }
}

/// The drill's messages, entered into as attempts go by.
struct Attribution<'a> {
    entries: Vec<OpenMessage<'a>>,
    /// By the id of the message.
    place: BTreeMap<&'a MessageId, usize>,
    /// The pools, addressed by their place here.
    pools: Vec<Pool>,
    names: Names,
    everybody: usize,
    /// The pools of messages with the same author.
    by_author: BTreeMap<String, usize>,
    /// The pools of messages whose domains lead to the same addresses; those of one author among them.
    by_route: BTreeMap<usize, usize>,
    by_author_and_route: BTreeMap<(String, usize), usize>,
    /// The routes that lead to an address.
    led: BTreeMap<IpAddr, BTreeSet<usize>>,
    /// Where notifications may be led to.
    authors_at: BTreeSet<IpAddr>,
    /// The messages that will be given and those that will be returned, the next one last.
    to_be_given: Vec<(Moment, usize)>,
    to_be_returned: Vec<(Moment, usize)>,
}

impl<'a> Attribution<'a> {
    fn new(scenario: &'a Scenario, log_facts: &'a LogFacts) -> Self {
        let messages = &scenario.messages;
        let entry = |message: &'a Message| OpenMessage {
            message,
            open: message.to.iter().map(|to| &*to.text).collect(),
            is_given: false,
            is_done: false,
            tried: BTreeMap::new(),
            pools: BTreeSet::new(),
        };
        let mut attribution = Self {
            entries: messages.iter().map(entry).collect(),
            place: messages.iter().map(|one| &one.id).zip(0..).collect(),
            pools: vec![Pool::default()],
            names: Names::default(),
            everybody: 0,
            by_author: BTreeMap::new(),
            by_route: BTreeMap::new(),
            by_author_and_route: BTreeMap::new(),
            led: BTreeMap::new(),
            authors_at: BTreeSet::new(),
            to_be_given: Vec::new(),
            to_be_returned: Vec::new(),
        };
        attribution.pool_all(&log_facts.routes, &relays_of(scenario));
        for (message, index) in messages.iter().zip(0..) {
            // Nobody knows of one that is not in the log.
            let given = log_facts.given.get(&message.id);
            let given = given.copied().unwrap_or(Moment::START);
            attribution.to_be_given.push((given, index));
            let returned = log_facts.returned.get(&message.id);
            // A notification about one of several recipients says nothing of the others: the message may stay open.
            let alone = returned.filter(|_| message.to.len() == 1);
            attribution
                .to_be_returned
                .extend(alone.map(|at| (*at, index)));
        }
        attribution
            .to_be_given
            .sort_unstable_by(|one, other| other.cmp(one));
        attribution
            .to_be_returned
            .sort_unstable_by(|one, other| other.cmp(one));
        attribution
    }

    /// Sorts the messages into pools.
    fn pool_all(&mut self, routes: &Routes, relays: &BTreeSet<IpAddr>) {
        // With relays, all mail goes there.
        let lead = |domain: &Domain| match relays.is_empty() {
            true => routes.reach(domain),
            false => relays.clone(),
        };
        let mut reached: BTreeMap<&Domain, BTreeSet<IpAddr>> = BTreeMap::new();
        // Messages whose domains lead to the same addresses share a pool, however their domains are called; hops tell
        // apart those that lead there by different names.
        let mut kinds_of_routes: BTreeMap<BTreeSet<IpAddr>, usize> = BTreeMap::new();
        let mut kinds_of_hops: BTreeMap<Vec<Domain>, usize> = BTreeMap::new();
        for index in 0..self.entries.len() {
            let message = self.entries[index].message;
            let domains = message.to.iter().map(|to| &to.domain);
            let mut addresses = BTreeSet::new();
            for domain in domains.collect::<BTreeSet<_>>() {
                let reached = reached.entry(domain);
                addresses.extend(reached.or_insert_with(|| lead(domain)).iter());
            }
            let next = kinds_of_routes.len();
            let route = *kinds_of_routes.entry(addresses.clone()).or_insert(next);
            for address in addresses {
                self.led.entry(address).or_default().insert(route);
            }
            // The null reverse-path is an author like any other: empty text.
            let author = author_of(message);
            let mut pools = BTreeSet::from([
                self.everybody,
                pool_of(&mut self.by_author, author.clone(), &mut self.pools),
                pool_of(&mut self.by_route, route, &mut self.pools),
                pool_of(
                    &mut self.by_author_and_route,
                    (author, route),
                    &mut self.pools,
                ),
            ]);
            self.name_recipients(index, routes, &mut pools);
            let next = kinds_of_hops.len();
            let hops = kinds_of_hops.entry(Scenario::next_hops(message));
            let hops = *hops.or_insert(next);
            for pool in &pools {
                self.pools[*pool].lead_to(hops);
            }
            self.entries[index].pools = pools;
        }
        let authors = self
            .entries
            .iter()
            .filter_map(|one| one.message.from.as_ref());
        let domains: BTreeSet<&Domain> = authors.map(|from| &from.domain).collect();
        // Where only these lead, no message of the drill goes: an attempt there is a notification's.
        let authors_at = domains.into_iter().flat_map(lead);
        self.authors_at = authors_at.collect();
    }

    /// Enters what commands may name the recipients of a message: a sender may write what an alias stands for
    /// in its place.
    fn name_recipients(&mut self, index: usize, routes: &Routes, pools: &mut BTreeSet<usize>) {
        let message = self.entries[index].message;
        let mut name = |names: &mut BTreeMap<String, Named>, text: String, place: usize| {
            let all = &mut self.pools;
            let named = names.entry(text).or_insert_with(|| Named {
                pool: new_pool(all),
                places: BTreeMap::new(),
            });
            named.places.entry(index).or_insert(place);
            pools.insert(named.pool);
        };
        for (place, to) in message.to.iter().enumerate() {
            name(&mut self.names.exact, mailbox::key(&to.text), place);
            name(&mut self.names.folded, to.text.to_ascii_lowercase(), place);
        }
        for (place, to) in message.to.iter().enumerate() {
            let Some((local, _)) = to.text.rsplit_once('@') else {
                continue;
            };
            // RFC 5321 section 2.3.5: what an alias stands for may be written in its place, and older senders do so.
            for meant in routes.stands_for(&to.domain) {
                name(&mut self.names.exact, format!("{local}@{meant}"), place);
            }
        }
    }

    /// Brings the pools to a moment, which is none before the last.
    fn advance(&mut self, at: Moment) {
        // Given at this very moment counts, returned at this very moment does not yet: what a sender does last before
        // it returns a message has the same time.
        while let Some((_, index)) = self.to_be_given.pop_if(|(given, _)| *given <= at) {
            let entry = &mut self.entries[index];
            entry.is_given = true;
            for pool in &entry.pools {
                if entry.is_done {
                    self.pools[*pool].close(index, &entry.tried)
                } else {
                    self.pools[*pool].add(index, &entry.tried)
                }
            }
        }
        while let Some((_, index)) = self.to_be_returned.pop_if(|(returned, _)| *returned < at) {
            self.close(index);
        }
    }

    fn close(&mut self, index: usize) {
        let entry = &mut self.entries[index];
        entry.is_done = true;
        if entry.is_given {
            for pool in &entry.pools {
                self.pools[*pool].close(index, &entry.tried);
            }
        }
    }

    fn enter(&mut self, one: Unattributed) -> Attempt {
        let Unattributed {
            mut attempt,
            is_about_one,
        } = one;
        self.advance(attempt.at);
        if is_about_one && attempt.message.is_none() {
            attempt.notification = true;
        } else if attempt.message.is_none() {
            let found = self.find(&attempt);
            attempt.message = found.map(|(index, _)| self.entries[index].message.id.clone());
            attempt.certainty = found.map_or(Certainty::Sure, |(_, certainty)| certainty);
            attempt.notification = found.is_none() && self.is_notification(&attempt);
        }
        let place = attempt.message.as_ref().and_then(|id| self.place.get(id));
        if let Some(index) = place.copied() {
            self.enter_for(index, &mut attempt);
        }
        attempt
    }

    /// Enters an attempt for a message.
    fn enter_for(&mut self, index: usize, attempt: &mut Attempt) {
        let message = self.entries[index].message;
        // Whether a host would take a recipient is asked from the null reverse-path.
        attempt.incidental |= message.from.is_some()
            && attempt.from.as_deref() == Some("")
            && attempt.taken.is_empty();
        let sent = attempt.recipients.iter_mut().map(|(to, _)| to);
        for to in attempt
            .taken
            .iter_mut()
            .chain(sent)
            .chain(&mut attempt.offered)
        {
            if let Some(meant) = self.addressed(index, to) {
                *to = meant.text.to_string();
            }
        }
        if attempt.incidental {
            return;
        }
        let entry = &mut self.entries[index];
        // Pools keep their members in order of how often they were tried, and have to know what that was.
        let before = entry.tried(attempt.address);
        for pool in &entry.pools {
            self.pools[*pool].tried(index, attempt.address, before);
        }
        entry.tried.insert(attempt.address, before + 1);
        let replies = attempt.recipients.iter();
        // A recipient that was refused for good is done with (RFC 5321 section 4.2.1), though others are tried again.
        let refused = replies.filter(|(_, code)| *code >= 500).map(|(to, _)| to);
        for settled in attempt.taken.iter().chain(refused) {
            entry.open.remove(settled.as_str());
        }
        // What fails for good before a recipient is named, as at the greeting, ends a message of one; of several it may
        // have been meant for any.
        let is_refused = attempt.is_permanent() && message.to.len() == 1;
        if is_refused || entry.open.is_empty() {
            entry.open.clear();
            self.close(index);
        }
    }

    /// The recipient of a message that is meant.
    fn addressed(&self, index: usize, text: &str) -> Option<&'a Mailbox> {
        let place = self.names.place(text, index)?;
        Some(&self.entries[index].message.to[place])
    }

    /// The message that an attempt was for, and whether it can be no other: open ones come before those
    /// that are done with.
    fn find(&mut self, attempt: &Attempt) -> Option<(usize, Certainty)> {
        if !attempt.offered.is_empty() {
            let offered = attempt.offered.iter();
            let named = offered.filter_map(|to| self.names.pool(to));
            let named: BTreeSet<usize> = named.collect();
            // A recipient was named: it is one of those messages, and where it leads is of no matter.
            let open = self.least_tried(&named, attempt.address);
            return open.or_else(|| self.latest_done(&named));
        }
        if self.is_notification(attempt) {
            return None;
        }
        let routes = self.led.get(&attempt.address);
        let routes = routes.into_iter().flatten();
        let author = attempt.from.as_deref().map(mailbox::key);
        // MAIL was seen and RCPT was not: the author narrows it down, if a message of that author is open at all.
        let of_author = author.and_then(|author| {
            let pool = *self.by_author.get(&author)?;
            self.pools[pool].has_open().then_some((author, pool))
        });
        let (led, all): (BTreeSet<usize>, usize) = match of_author {
            Some((author, pool)) => {
                let led = routes.clone().filter_map(|route| {
                    let key = (author.clone(), *route);
                    self.by_author_and_route.get(&key).copied()
                });
                (led.collect(), pool)
            }
            None => {
                let led = routes.clone();
                let led = led.filter_map(|route| self.by_route.get(route).copied());
                (led.collect(), self.everybody)
            }
        };
        if self.pools[all].has_open() {
            // Of several that it may be for, none of which leads there, nothing is known.
            let only = self.pools[all].only_open();
            let led = self.least_tried(&led, attempt.address);
            return led.or_else(|| Some((only?, Certainty::Sure)));
        }
        // Nothing is open: one of those that are done with is tried again, and is one that leads there.
        let led = self.led.get(&attempt.address).into_iter().flatten();
        let led = led.filter_map(|route| self.by_route.get(route).copied());
        self.latest_done(&led.collect())
    }

    /// Of messages that look the same, one is not tried again before the others.
    fn least_tried(
        &mut self,
        pools: &BTreeSet<usize>,
        address: IpAddr,
    ) -> Option<(usize, Certainty)> {
        let entries = &self.entries;
        let tried = |index: usize| entries[index].tried(address);
        let mut least: Option<(usize, usize)> = None;
        // Pools may share messages; the least tried of all of them is looked for, and of equals the first.
        for pool in pools {
            let found = self.pools[*pool].least_tried(address, tried);
            least = least.into_iter().chain(found).min();
        }
        let (_, index) = least?;
        let pools: Vec<&Pool> = pools.iter().map(|pool| &self.pools[*pool]).collect();
        Some((index, certainty_of_open(&pools)))
    }

    /// The last that is done with.
    fn latest_done(&self, pools: &BTreeSet<usize>) -> Option<(usize, Certainty)> {
        let pools: Vec<&Pool> = pools.iter().map(|pool| &self.pools[*pool]).collect();
        latest_done(&pools)
    }

    /// Whether an attempt was for a message about a message.
    fn is_notification(&self, attempt: &Attempt) -> bool {
        match attempt.from.as_deref() {
            // Then no message of the drill is from the null reverse-path.
            Some("") => !self.by_author.contains_key(""),
            Some(_) => false,
            None => {
                !self.led.contains_key(&attempt.address)
                    && self.authors_at.contains(&attempt.address)
            }
        }
    }
}

/// The reverse-path of a message, as commands are compared with it.
fn author_of(message: &Message) -> String {
    let from = message.from.as_ref();
    from.map_or(String::new(), |from| mailbox::key(&from.text))
}

/// The addresses of the relays that the sender was told to use, by the records.
fn relays_of(scenario: &Scenario) -> BTreeSet<IpAddr> {
    let owners = scenario.world.zones.addresses();
    let relays = scenario.sender.relays.iter();
    relays
        .flat_map(|relay| {
            let meant = owners.iter();
            meant.filter(|(address, names)| relay.host.covers(**address, names))
        })
        .map(|(address, _)| *address)
        .collect()
}

fn new_pool(pools: &mut Vec<Pool>) -> usize {
    pools.push(Pool::default());
    pools.len() - 1
}

fn pool_of<K: Ord>(known: &mut BTreeMap<K, usize>, key: K, pools: &mut Vec<Pool>) -> usize {
    *known.entry(key).or_insert_with(|| new_pool(pools))
}

#[cfg(test)]
mod tests;
