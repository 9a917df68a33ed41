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
    events: Pieces,
    /// How many events were taken away: they count all the same.
    taken: usize,
    /// Messages that the sender is done with, since the last taking away.
    done: Vec<MessageId>,
    /// Sessions that were accepted and have not ended.
    open: BTreeSet<SessionId>,
    /// Waiters are woken only once the log is longer than this: most events need wake nobody.
    awaited: usize,
}

/// Events in order, in pieces of [`PIECE`]: one row that grows is copied each time, into memory that is fresh.
#[derive(Debug, Default)]
struct Pieces {
    full: Vec<Vec<Event>>,
    last: Vec<Event>,
}

/// How many events a piece has.
const PIECE: usize = 1024;

impl Pieces {
    fn len(&self) -> usize {
        self.full.len() * PIECE + self.last.len()
    }

    fn push(&mut self, event: Event) {
        if self.last.len() == PIECE {
            let next = Vec::with_capacity(PIECE);
            self.full.push(std::mem::replace(&mut self.last, next));
        }
        self.last.push(event);
    }

    /// Those from an index on.
    fn since(&self, start: usize) -> Vec<Event> {
        let mut events = Vec::with_capacity(self.len().saturating_sub(start));
        let pieces = self.full.iter().chain([&self.last]);
        for (number, piece) in pieces.enumerate().skip(start / PIECE) {
            let before = start.saturating_sub(number * PIECE);
            events.extend_from_slice(piece.get(before..).unwrap_or_default());
        }
        events
    }

    /// Takes all of them away.
    fn take(&mut self) -> Vec<Event> {
        // As many again will come.
        let next = Vec::with_capacity(self.len().min(PIECE));
        let last = std::mem::replace(&mut self.last, next);
        if self.full.is_empty() {
            return last;
        }
        let mut events = Vec::with_capacity(self.full.len() * PIECE + last.len());
        events.extend(self.full.drain(..).flatten());
        events.extend(last);
        events
    }
}

impl Retained {
    fn count(&self) -> usize {
        self.taken + self.events.len()
    }
}

impl EventLog {
    pub(crate) fn new() -> Self {
        let kept = Retained {
            events: Pieces::default(),
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
        self.lock().events.since(0)
    }

    /// Takes away all there is.
    pub fn take(&self) -> Batch {
        let mut kept = self.lock();
        kept.taken = kept.count();
        Batch {
            events: kept.events.take(),
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
        kept.events.since(start.saturating_sub(kept.taken))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Records an event that its index tells from others.
    fn record(log: &EventLog, index: usize) {
        let session = SessionId(index as u64);
        log.record(Moment::default(), EventKind::Plaintext { session });
    }

    fn indices(events: &[Event]) -> Vec<usize> {
        let session = |event: &Event| match event.kind {
            EventKind::Plaintext { session } => session.0 as usize,
            _ => unreachable!("none other was recorded"),
        };
        events.iter().map(session).collect()
    }

    #[test]
    fn events_are_found_by_their_indices_wherever_a_piece_ends() {
        for count in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 7] {
            let log = EventLog::new();
            for index in 0..count {
                record(&log, index);
            }
            assert_eq!(log.len(), count);
            assert_eq!(indices(&log.events()), Vec::from_iter(0..count));
            for start in [
                0,
                1,
                PIECE - 1,
                PIECE,
                PIECE + 1,
                2 * PIECE,
                count,
                count + 9,
            ] {
                let since = log.since(start);
                assert_eq!(indices(&since), Vec::from_iter(start..count), "{start}");
            }
            assert_eq!(indices(&log.take().events), Vec::from_iter(0..count));
            // What was taken away counts, and what comes has the next index.
            record(&log, count);
            assert_eq!(indices(&log.events()), [count]);
            assert_eq!(indices(&log.since(count)), [count]);
            assert!(log.since(count + 1).is_empty());
            assert_eq!(log.len(), count + 1);
        }
    }
}
