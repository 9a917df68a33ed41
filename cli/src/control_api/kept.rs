//! What is kept of what a lab sees: the latest events and messages, bounded, since a lab may stay up for weeks.
//!
//! Events and messages have numbers from 1 that are never used again, not by a lab that is put up later either, so
//! that a reader can go on where it stopped. What was dropped is counted.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::SystemTime,
};

use mxdrill::{
    event::{Event, EventKind},
    lab::ReceivedMessage,
};
use tokio::sync::watch;

use crate::parallel;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeptLimits {
    /// The latest events.
    pub(crate) events: usize,
    /// The latest messages.
    pub(crate) messages: usize,
    /// Octets of the contents of messages.
    pub(crate) octets: usize,
}

impl KeptLimits {
    /// What `mxdrill up --control` keeps. Half a kilobyte for an event; long messages are in a file.
    pub(crate) const USUAL: Self = Self {
        events: 50_000,
        messages: 1000,
        octets: 256 * 1024 * 1024,
    };
}

/// An event with its number, and that of the message that it tells of.
#[derive(Debug, Clone)]
pub(crate) struct KeptEvent {
    pub(crate) id: u64,
    pub(crate) event: Event,
    /// The number of the message that was taken.
    pub(crate) received: Option<u64>,
}

/// A message with its number.
#[derive(Debug, Clone)]
pub(crate) struct KeptMessage {
    pub(crate) id: u64,
    pub(crate) message: ReceivedMessage,
}

/// The latest events and messages.
#[derive(Debug)]
pub(crate) struct Kept {
    limits: KeptLimits,
    events: VecDeque<KeptEvent>,
    /// The number of the next event.
    next_event: u64,
    /// The first event of the lab that is up, or the first since all was forgotten.
    since: u64,
    messages: VecDeque<KeptMessage>,
    /// The number of the next message, and that of the next event of one: the event may be a little later.
    next_message: u64,
    next_taken: u64,
    octets: usize,
    /// Messages dropped since then for lack of room.
    dropped_messages: u64,
    /// When the lab was put up, by the system's clock.
    started: SystemTime,
}

impl Kept {
    pub(crate) fn new(limits: KeptLimits) -> Self {
        Self {
            limits,
            events: VecDeque::new(),
            next_event: 1,
            since: 1,
            messages: VecDeque::new(),
            next_message: 1,
            next_taken: 1,
            octets: 0,
            dropped_messages: 0,
            started: SystemTime::now(),
        }
    }

    /// Takes in what a lab saw since: its events, and the messages that it took.
    fn take_in(&mut self, events: Vec<Event>, messages: Vec<ReceivedMessage>) {
        for event in events {
            let received = matches!(event.kind, EventKind::Taken { .. }).then_some(self.next_taken);
            self.next_taken += u64::from(received.is_some());
            self.events.push_back(KeptEvent {
                id: self.next_event,
                event,
                received,
            });
            self.next_event += 1;
            if self.events.len() > self.limits.events {
                self.events.pop_front();
            }
        }
        for message in messages {
            self.octets += message.content.len();
            self.messages.push_back(KeptMessage {
                id: self.next_message,
                message,
            });
            self.next_message += 1;
            // The latest one is kept, however long it is.
            while self.messages.len() > self.limits.messages
                || self.octets > self.limits.octets && self.messages.len() > 1
            {
                self.drop_oldest();
                self.dropped_messages += 1;
            }
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.messages.pop_front() {
            self.octets -= oldest.message.content.len();
        }
    }

    /// Forgets the messages.
    pub(crate) fn forget_messages(&mut self) {
        self.messages.clear();
        self.octets = 0;
        self.dropped_messages = 0;
    }

    /// Forgets all that was seen: what is judged begins anew.
    pub(crate) fn forget(&mut self) {
        self.forget_messages();
        self.events.clear();
        self.since = self.next_event;
    }

    /// Another lab is up. The events of the one before stay for those who read on.
    fn begin_lab(&mut self) {
        self.forget_messages();
        self.since = self.next_event;
        // A message may have been lost with the lab before.
        self.next_message = self.next_message.max(self.next_taken);
        self.next_taken = self.next_message;
        self.started = SystemTime::now();
    }

    /// The events with a higher number, at most so many of them, and how many were dropped before the first.
    pub(crate) fn events_after(&self, id: u64, most: usize) -> (Vec<KeptEvent>, u64) {
        let first = self.next_event - self.events.len() as u64;
        let wanted = id.saturating_add(1);
        let skip = usize::try_from(wanted.saturating_sub(first)).unwrap_or(usize::MAX);
        let events = self.events.iter().skip(skip).take(most).cloned().collect();
        (events, first.saturating_sub(wanted))
    }

    /// The number of the last event; 0 before any.
    pub(crate) fn last_event(&self) -> u64 {
        self.next_event - 1
    }

    /// The number of the first event of the lab that is up, or of the first since all was forgotten.
    pub(crate) fn first_event(&self) -> u64 {
        self.since
    }

    /// How many events of the lab that is up were dropped.
    pub(crate) fn dropped_events(&self) -> u64 {
        self.events_after(self.since - 1, 0).1
    }

    /// The events of the lab that is up, and how many of them were dropped.
    pub(crate) fn of_this_lab(&self) -> (Vec<Event>, u64) {
        let (events, dropped) = self.events_after(self.since - 1, usize::MAX);
        let events = events.into_iter().map(|kept| kept.event);
        (events.collect(), dropped)
    }

    /// The messages, the oldest first.
    pub(crate) fn messages(&self) -> impl DoubleEndedIterator<Item = &KeptMessage> {
        self.messages.iter()
    }

    /// A message by its number.
    pub(crate) fn message(&self, id: u64) -> Option<&KeptMessage> {
        self.messages.iter().find(|kept| kept.id == id)
    }

    /// How many messages were dropped for lack of room.
    pub(crate) fn dropped_messages(&self) -> u64 {
        self.dropped_messages
    }

    pub(crate) fn limits(&self) -> KeptLimits {
        self.limits
    }

    pub(crate) fn started(&self) -> SystemTime {
        self.started
    }
}

/// What is kept, shared by whoever follows the lab and whoever is asked about it.
#[derive(Clone)]
pub(crate) struct SharedKept {
    kept: Arc<Mutex<Kept>>,
    /// Changes whenever something was taken in.
    changed: watch::Sender<()>,
}

impl SharedKept {
    pub(crate) fn new(limits: KeptLimits) -> Self {
        Self {
            kept: Arc::new(Mutex::new(Kept::new(limits))),
            changed: watch::Sender::new(()),
        }
    }

    /// For one look, never over an await.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Kept> {
        parallel::lock(&self.kept)
    }

    pub(crate) fn take_in(&self, events: Vec<Event>, messages: Vec<ReceivedMessage>) {
        if events.is_empty() && messages.is_empty() {
            return;
        }
        self.lock().take_in(events, messages);
        self.changed.send_replace(());
    }

    pub(crate) fn begin_lab(&self) {
        self.lock().begin_lab();
        self.changed.send_replace(());
    }

    /// Tells of changes from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mxdrill::time::Moment;

    fn events(count: usize) -> Vec<Event> {
        let event = |number| Event {
            at: Moment::START,
            kind: EventKind::Changed {
                change: format!("{number}"),
            },
        };
        (0..count).map(event).collect()
    }

    #[test]
    fn the_latest_events_are_kept_and_the_dropped_ones_counted() {
        let mut kept = Kept::new(KeptLimits {
            events: 10,
            ..KeptLimits::USUAL
        });
        kept.take_in(events(25), Vec::new());
        let ids = |(events, dropped): (Vec<KeptEvent>, u64)| {
            let ids = events.iter().map(|kept| kept.id);
            (ids.collect::<Vec<_>>(), dropped)
        };
        assert_eq!(ids(kept.events_after(22, 10)), (vec![23, 24, 25], 0));
        assert_eq!(ids(kept.events_after(15, 2)), (vec![16, 17], 0));
        assert_eq!(ids(kept.events_after(5, 2)), (vec![16, 17], 10));
        // A number that none has yet.
        assert_eq!(ids(kept.events_after(99, 10)), (vec![], 0));
        assert_eq!(kept.of_this_lab().1, 15);
    }

    #[test]
    fn another_lab_is_judged_by_its_own_events_alone() {
        let mut kept = Kept::new(KeptLimits::USUAL);
        kept.take_in(events(3), Vec::new());
        kept.begin_lab();
        kept.take_in(events(2), Vec::new());
        assert_eq!(kept.of_this_lab().0.len(), 2);
        assert_eq!(kept.of_this_lab().1, 0);
        // Who reads on misses nothing of the one before.
        assert_eq!(kept.events_after(0, 10).0.len(), 5);
        kept.forget();
        assert_eq!(kept.of_this_lab(), (Vec::new(), 0));
        assert_eq!(kept.last_event(), 5);
    }
}
