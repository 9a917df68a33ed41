//! A lab for tests that are not async.
//!
//! The lab is the same, on its own thread. What takes time blocks the caller here, and may do so inside a
//! runtime, too: the lab does not need it.

use std::{ops::Deref, sync::Arc, time::Duration};

use crate::{
    error::Error,
    event::Event,
    lab::{self, NetworkKind, ReceivedMessage, block_on},
    scenario::Scenario,
};

/// A running lab on the loopback network, for plain tests. Dropping it stops everything that it started.
///
/// It derefs to [`mxdrill::Lab`](crate::Lab), whose other methods take no time and are used as they are: `resolver`, `smtp_port`,
/// `fail`, `attempts`, `assert_passed`.
///
/// ```
/// use mxdrill::{Stage, blocking::Lab};
/// # #[path = "../examples/blocking_sender.rs"] mod blocking_sender;
/// # use blocking_sender::send as my_sender;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let lab = Lab::from_zone("
///     example.test.      300 IN MX 10 mx1.example.test.
///     example.test.      300 IN MX 20 mx2.example.test.
///     mx1.example.test.  300 IN A  192.0.2.1
///     mx2.example.test.  300 IN A  192.0.2.2
/// ")?;
/// let down = lab.fail("mx1.example.test", Stage::Connect, "refuse")?;
///
/// my_sender(lab.resolver(), |address| lab.socket_for(address), "alice@example.test")?;
///
/// let message = lab.wait_for_message("alice@example.test")?;
/// assert_eq!(message.hosts[0].as_str(), "mx2.example.test");
/// # Ok(())
/// # }
/// ```
pub struct Lab(lab::Lab);

impl Lab {
    /// Starts a lab from zone-file text alone.
    ///
    /// # Errors
    /// The mistakes in the zone text, or that sockets could not be bound.
    pub fn from_zone(zone: &str) -> Result<Self, Error> {
        block_on(lab::Lab::from_zone(zone)).map(Self)
    }

    /// Starts a lab for a scenario.
    ///
    /// # Errors
    /// That sockets could not be bound.
    pub fn start(scenario: Arc<Scenario>) -> Result<Self, Error> {
        block_on(lab::Lab::start(scenario, NetworkKind::Loopback)).map(Self)
    }

    /// How long what waits here waits: ten seconds unless it is set.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self(self.0.with_patience(patience))
    }

    /// Waits for an event, past ones included.
    ///
    /// # Errors
    /// As [`Lab::wait_for`](crate::Lab::wait_for).
    pub fn wait_for(&self, condition: impl FnMut(&Event) -> bool) -> Result<Event, Error> {
        block_on(self.0.wait_for(condition))
    }

    /// Waits until a receiver accepts a message for this recipient, one that was accepted before included.
    ///
    /// # Errors
    /// As [`Lab::wait_for_message`](crate::Lab::wait_for_message).
    pub fn wait_for_message(&self, recipient: &str) -> Result<ReceivedMessage, Error> {
        block_on(self.0.wait_for_message(recipient))
    }

    /// Stops everything and waits until it has stopped, so that ports are free again.
    pub fn stop(self) {
        block_on(self.0.stop());
    }
}

impl Deref for Lab {
    type Target = lab::Lab;

    fn deref(&self) -> &lab::Lab {
        &self.0
    }
}
