//! Faults that come and go by hand, while a lab is up.
//!
//! A scenario says in advance what fails when; a test in Rust may rather say it as it goes. Such a
//! fault has no window and no count: it begins when it is put up and ends when its guard is dropped
//! or it is lifted. Each beginning and end is an event of the log (`Changed`), and listeners that
//! the kernel refuses or ignores for are turned at once.

use std::sync::Arc;

use super::{Lab, LabState, serving::block_on};
use crate::{
    diagnostic::{Invalid, Mistakes, did_you_mean, nearest},
    event::EventKind,
    fault::{Effect, Failure, Fault, Host, QueryEffect, Stage},
    name::Domain,
    scenario::{fault_row, read_query},
    time::Moment,
};

/// Returns when the listeners do what the faults now ask: a connection that is made after it meets them. A lab
/// that others wait for here is on another thread.
fn take_effect(state: &LabState) {
    let change = state.faults_have_changed();
    block_on(state.all_turned(change));
}

/// A fault that was put up by hand: it ends when this is dropped.
#[must_use = "the fault ends when this is dropped; keep() lets it last"]
pub struct Failing {
    // The row of the fault among all of the lab. After `keep` it is one that no fault has, and
    // nothing is ended on drop.
    state: Arc<LabState>,
    row: usize,
    /// What ends with it, in words.
    what: String,
}

impl std::fmt::Debug for Failing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Failing").field(&self.what).finish()
    }
}

impl Failing {
    /// Lets the fault last after this guard is gone, until it is lifted ([`Lab::restore`],
    /// [`Lab::restore_queries`], [`Lab::lift`]) or the lab ends; by which number it can be.
    pub fn keep(mut self) -> FaultId {
        FaultId(std::mem::replace(&mut self.row, usize::MAX))
    }
}

/// The number of a fault in a lab: its place in the scenario, or a later one. It stays as long as the fault does and
/// is not used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FaultId(pub usize);

/// A fault that a lab has at the moment, whether its window is open or not.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StandingFault {
    /// By what it can be lifted ([`Lab::lift`]).
    pub id: FaultId,
    /// What fails, and when; moments count from the start of the lab.
    pub fault: Fault,
    /// The same in words, without a beginning that is past.
    pub text: String,
    /// Whether it was put up by hand, and not by the scenario.
    pub by_hand: bool,
    /// How often it has struck.
    pub struck: u32,
}

impl Drop for Failing {
    fn drop(&mut self) {
        let ended = self.state.faults().end(self.row);
        if ended.is_some() {
            let change = format!("{} no more", self.what);
            self.state.record(EventKind::Changed { change });
            take_effect(&self.state);
        }
    }
}

/// A fault without a beginning that is past.
fn in_words(fault: &Fault, now: Moment) -> String {
    let from = match fault.from {
        past if past <= now => Moment::START,
        ahead => ahead,
    };
    fault.clone().from(from).to_string()
}

/// Faults put up and lifted while the lab runs.
impl Lab {
    /// Lets a host fail, as long as what comes back is kept:
    /// `let down = lab.fail("mx1.example.test", Stage::Connect, "refuse")?;`.
    ///
    /// The host is a name or an address of the zone. The effect is a word of the scenario format:
    /// `"refuse"`, `"timeout"`, `"451 4.3.0 busy"`.
    ///
    /// # Errors
    /// A host that the lab does not have, or an effect that the stage does not.
    pub fn fail(&self, host: &str, stage: Stage, effect: &str) -> Result<Failing, Invalid> {
        let host = self.known_host(host)?;
        let effect = Effect::parse(effect, stage)?;
        let what = format!("{host} fails at {stage}: {effect}");
        let failure = Failure::of_host(host, stage, effect);
        Ok(self.put_up(Fault::lasting(failure), what))
    }

    /// Lets lookups fail, as long as what comes back is kept:
    /// `let lost = lab.fail_query("example.test MX", "servfail")?;`.
    ///
    /// # Errors
    /// What is no name and type, or no effect on a query.
    ///
    /// The query is a name and a type, separated by a space. The effect is a word such as
    /// `"timeout"`, `"nxdomain"` or `"truncate"`.
    pub fn fail_query(&self, query: &str, effect: &str) -> Result<Failing, Invalid> {
        let (name, record_type) = read_query(query)?;
        let effect: QueryEffect = effect.parse()?;
        let what = format!("lookups of {query} fail: {effect}");
        let failure = Failure::Query {
            name,
            record_type,
            over: None,
            effect,
        };
        Ok(self.put_up(Fault::lasting(failure), what))
    }

    /// Puts up a fault that is written as a row of a scenario's `faults`, with each of their keys on a line:
    /// `lab.fail_row("host = 'mx1.example.test'\nstage = 'rcpt'\neffect = '450 4.2.0 later'\nfirst = 2")?`.
    /// The moments of `from` and `until` count from now.
    ///
    /// # Errors
    /// Every mistake in the row, such as a host that the lab does not have.
    pub fn fail_row(&self, row: &str) -> Result<Failing, Mistakes> {
        let fault = fault_row(row, &self.state.zones())?;
        if let Failure::Session { hosts, .. } = &fault.failure {
            for host in hosts {
                let known = self.known_host(&host.to_string());
                known.map_err(|invalid| Mistakes::of_file("fault", invalid.to_string()))?;
            }
        }
        let now = self.state.clock.now();
        let what = fault.to_string();
        let fault = Fault {
            from: now.after(fault.from.0),
            until: fault.until.map(|until| now.after(until.0)),
            ..fault
        };
        Ok(self.put_up(fault, what))
    }

    /// Every fault that the lab has, in the order in which they are asked: those put up by hand first, the latest
    /// before all.
    pub fn faults(&self) -> Vec<StandingFault> {
        let now = self.state.clock.now();
        let faults = self.state.faults();
        let standing = faults.all().into_iter();
        standing
            .map(|(number, fault, by_hand, struck)| StandingFault {
                id: FaultId(number),
                text: in_words(fault, now),
                fault: fault.clone(),
                by_hand,
                struck,
            })
            .collect()
    }

    /// Lifts one fault, of the scenario or put up by hand; whether there was one.
    pub fn lift(&self, id: FaultId) -> bool {
        let Some(fault) = self.state.faults().end(id.0) else {
            return false;
        };
        let what = in_words(&fault, self.state.clock.now());
        self.lifted(format!("{what} no more"));
        true
    }

    /// Lifts every fault, of hosts and of lookups, those of the scenario too; how many there were.
    pub fn restore_all(&self) -> usize {
        let lifted = self.state.faults().lift(|_| true);
        self.lifted("everything is restored".to_owned());
        lifted
    }

    fn lifted(&self, change: String) {
        self.state.record(EventKind::Changed { change });
        take_effect(&self.state);
    }

    /// Puts up a fault, and records that it is there.
    fn put_up(&self, fault: Fault, what: String) -> Failing {
        let row = self.state.faults().fail(fault);
        let change = what.clone();
        self.state.record(EventKind::Changed { change });
        take_effect(&self.state);
        Failing {
            state: Arc::clone(&self.state),
            row,
            what,
        }
    }

    /// Lifts every fault of a host, those of the scenario too.
    ///
    /// # Errors
    /// A host that the lab does not have.
    pub fn restore(&self, host: &str) -> Result<(), Invalid> {
        let host = self.known_host(host)?;
        self.state.faults().lift(
            |failure| matches!(failure, Failure::Session { hosts, .. } if hosts[..] == [host.clone()]),
        );
        self.lifted(format!("{host} is restored"));
        Ok(())
    }

    /// Lifts every fault of lookups.
    pub fn restore_queries(&self) {
        self.state
            .faults()
            .lift(|failure| matches!(failure, Failure::Query { .. }));
        self.state.record(EventKind::Changed {
            change: "lookups are restored".to_owned(),
        });
    }

    /// The host of a name or address; an error with the nearest name of the lab if no receiver has
    /// it.
    fn known_host(&self, text: &str) -> Result<Host, Invalid> {
        let host: Host = text.parse()?;
        let receivers = self.state.receivers.values();
        let names = receivers
            .clone()
            .flat_map(|receiver| &*receiver.names)
            .map(Domain::as_str);
        let mut receivers = receivers;
        if receivers.any(|receiver| host.covers(receiver.address, &receiver.names)) {
            return Ok(host);
        }
        let hint = did_you_mean(nearest(text, names));
        let message = format!("found host {text:?}, expected one that a record names{hint}");
        Err(message.into())
    }
}
