//! The crashes of a drill: when the sender is to be killed, and the sessions that are held until it was.
//!
//! A lab kills nobody. Where the sender is one that can be killed, whoever drives it takes the crashes upon itself
//! ([`Crashes::take_on`]). From then on a session that comes to a stage that a crash waits for is held there: the
//! client gets no answer any more, so the crash is between what it sent and what it would have heard.
//!
//! How a crash after a stage goes:
//!
//! 1. A session comes to the stage (`come_to`): the row is taken off those that wait, and the session has a turn.
//! 2. Whoever drives the sender is told that a stage is due (`stage_is_due`), kills the sender and starts it again.
//! 3. It says so (`carried_out`), and the session whose turn it was goes on, to find that its client is gone.
//!
//! Several sessions may be held at once; their crashes are carried out in the order in which they came.

use std::collections::VecDeque;

use tokio::sync::watch;

use super::receiver::Receiver;
use crate::{
    fault::{Host, Stage},
    scenario::Crash,
    time::Moment,
};

/// The crashes that somebody carries out. Nobody does at first, and nothing is held then.
pub(super) struct Crashes(watch::Sender<Rows>);

#[derive(Default)]
struct Rows {
    /// Those that wait for a stage.
    waiting: Vec<Crash>,
    /// Those at a moment, in order.
    moments: VecDeque<Moment>,
    /// The stages that were come to, whose crashes were not carried out yet.
    due: VecDeque<Stage>,
    /// How many stages were come to and carried out, so that a held session knows when it may go on.
    carried_out: usize,
}

impl Crashes {
    pub(super) fn none() -> Self {
        Self(watch::Sender::default())
    }

    /// Waits for these crashes from now on.
    pub(super) fn take_on(&self, rows: &[Crash]) {
        let at = |crash: &Crash| match crash {
            Crash::At(at) => Some(*at),
            Crash::After { .. } => None,
        };
        let mut moments: Vec<Moment> = rows.iter().filter_map(at).collect();
        moments.sort_unstable();
        self.0.send_modify(|all| {
            all.waiting = rows
                .iter()
                .filter(|row| at(row).is_none())
                .cloned()
                .collect();
            all.moments = moments.into();
        });
    }

    /// When the next crash at a moment is; `None` if there is none left.
    pub(super) fn next_at(&self) -> Option<Moment> {
        self.0.borrow().moments.front().copied()
    }

    /// The stage that was come to and whose crash is next; `None` if there is none.
    pub(super) fn due(&self) -> Option<Stage> {
        self.0.borrow().due.front().copied()
    }

    /// Waits until a stage has been come to.
    pub(super) async fn stage_is_due(&self) {
        // The sender is here, so that it does not end.
        let due = |rows: &Rows| !rows.due.is_empty();
        drop(self.0.subscribe().wait_for(due).await);
    }

    /// Takes the next crash off the list, and lets the session go on that was held for it: that of a stage before
    /// one at a moment. The stage, if it is one's.
    pub(super) fn carried_out(&self) -> Option<Stage> {
        let mut stage = None;
        self.0.send_modify(|rows| {
            stage = rows.due.pop_front();
            if stage.is_some() {
                rows.carried_out += 1;
            } else {
                rows.moments.pop_front();
            }
        });
        stage
    }

    /// A session has come to a stage. If a crash waits for it, that is due now, and the session has to wait for its
    /// [turn](Self::turn_is_over).
    pub(super) fn come_to(&self, receiver: &Receiver, stage: Stage) -> Option<usize> {
        let mut turn = None;
        self.0.send_if_modified(|rows| {
            let is_met = |crash: &Crash| match crash {
                Crash::After {
                    stage: wanted,
                    host,
                } => {
                    let covers = |host: &Host| host.covers(receiver.address, &receiver.names);
                    *wanted == stage && host.as_ref().is_none_or(covers)
                }
                Crash::At(_) => false,
            };
            // Each row once: of two alike, the first is used up first.
            let Some(row) = rows.waiting.iter().position(is_met) else {
                return false;
            };
            rows.waiting.remove(row);
            rows.due.push_back(stage);
            // Counted over the whole drill, so that a turn never comes to mean another one's.
            turn = Some(rows.carried_out + rows.due.len());
            true
        });
        turn
    }

    /// Waits until the crash of a session was carried out.
    pub(super) async fn turn_is_over(&self, turn: usize) {
        let over = |rows: &Rows| rows.carried_out >= turn;
        drop(self.0.subscribe().wait_for(over).await);
    }
}
