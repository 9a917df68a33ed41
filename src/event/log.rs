//! The log of a running lab, written by many and read as it grows.

use std::{
    collections::BTreeSet,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::Notify;

use super::{Connected, Event, EventKind, SessionId};
use crate::{lock::lock, mail::MessageId, time::Moment};

/// A part of the log, taken away from it.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Batch {
    /// What happened, in order.
    pub events: Vec<Event>,
    /// The messages that the sender is done with: nothing it does from now on is for them.
    pub done: Vec<MessageId>,
}

/// The log of a running lab: append-only, watched by those who wait for something. Events have
/// indices that stay, also when the events before them are taken away.
#[derive(Debug, Clone)]
pub struct EventLog(Arc<LogState>);

#[derive(Debug)]
struct LogState {
    kept: Mutex<Retained>,
    grown: Notify,
}

#[derive(Debug)]
struct Retained {
    events: Vec<Event>,
    /// How many events were taken away: they count all the same.
    taken: usize,
    /// Messages that the sender is done with, since the last taking away.
    done: Vec<MessageId>,
    /// Sessions that were accepted and have not ended.
    open: BTreeSet<SessionId>,
    /// Waiters are woken only once the log is longer than this: most events need wake nobody.
    awaited: usize,
}

impl Retained {
    fn count(&self) -> usize {
        self.taken + self.events.len()
    }
}

impl EventLog {
    pub(crate) fn new() -> Self {
        let kept = Retained {
            events: Vec::new(),
            taken: 0,
            done: Vec::new(),
            open: BTreeSet::new(),
            awaited: usize::MAX,
        };
        Self(Arc::new(LogState {
            kept: Mutex::new(kept),
            grown: Notify::new(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Retained> {
        lock(&self.0.kept)
    }

    /// Appends an event.
    pub(crate) fn record(&self, at: Moment, what: EventKind) {
        let mut kept = self.lock();
        match &what {
            EventKind::Connect {
                session,
                result: Connected::Accepted,
                ..
            } => drop(kept.open.insert(*session)),
            EventKind::End { session, .. } => drop(kept.open.remove(session)),
            _ => {}
        }
        kept.events.push(Event { at, kind: what });
        if kept.count() > kept.awaited {
            kept.awaited = usize::MAX;
            drop(kept);
            self.0.grown.notify_waiters();
        }
    }

    /// Notes that the sender is done with a message and with what came of it.
    pub(crate) fn done_with(&self, message: MessageId) {
        self.lock().done.push(message);
    }

    /// All events so far, those that were taken away left out.
    pub fn events(&self) -> Vec<Event> {
        self.lock().events.clone()
    }

    /// Takes away all there is.
    pub fn take(&self) -> Batch {
        let mut kept = self.lock();
        kept.taken = kept.count();
        let events = std::mem::take(&mut kept.events);
        // As many again will come.
        kept.events.reserve(events.len());
        Batch {
            events,
            done: std::mem::take(&mut kept.done),
        }
    }

    /// How many events there were, those taken away included.
    pub fn len(&self) -> usize {
        self.lock().count()
    }

    /// Whether nothing has happened yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many sessions with receivers are under way.
    pub fn open_sessions(&self) -> usize {
        self.lock().open.len()
    }

    /// The events from an index on.
    pub fn since(&self, start: usize) -> Vec<Event> {
        let kept = self.lock();
        let start = start.saturating_sub(kept.taken);
        kept.events.get(start..).unwrap_or_default().to_vec()
    }

    /// Waits until there are more events than this.
    pub async fn past(&self, count: usize) {
        let mut grown = pin!(self.0.grown.notified());
        loop {
            // Before looking, so that what comes right after is not missed.
            grown.as_mut().enable();
            {
                let mut kept = self.lock();
                if kept.count() > count {
                    return;
                }
                kept.awaited = kept.awaited.min(count);
            }
            grown.as_mut().await;
            grown.set(self.0.grown.notified());
        }
    }

    /// Waits for an event, past ones included, that satisfies a condition.
    pub(crate) async fn find(&self, mut condition: impl FnMut(&Event) -> bool) -> Event {
        let mut seen = self.lock().taken;
        loop {
            let fresh = self.since(seen);
            seen += fresh.len();
            if let Some(event) = fresh.into_iter().find(|event| condition(event)) {
                return event;
            }
            self.past(seen).await;
        }
    }
}
