//! The moments of another sender, for the reference sender to keep to.
//!
//! With them the reference sender does what another one did, at the moments at which that one did it: whether the
//! judge finds the same in both is a test of the judge, and not of a schedule.

use std::collections::BTreeMap;

use crate::{mail::MessageId, time::Moment};

/// When a sender tried messages: what another one did, for [`Reference::at_moments`](super::Reference::at_moments) to
/// do at the same moments.
#[derive(Debug, Clone, Default)]
pub struct Moments {
    /// When passes over the candidates of each message began, in order. The first one is at the message's own
    /// moment, whatever is here.
    pub passes: BTreeMap<MessageId, Vec<Moment>>,
    /// When each message was given up because its time was over; others are kept.
    pub given_up: BTreeMap<MessageId, Moment>,
}
