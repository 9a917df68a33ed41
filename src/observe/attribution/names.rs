//! By which names commands may speak of the drill's recipients.
//!
//! Domains are compared without case and local parts as they are (RFC 5321 section 2.4). A sender may change the case
//! of a local part all the same, so what is found in no other way is looked for in lower case.

use std::collections::BTreeMap;

use crate::mail::mailbox;

/// A recipient that commands may name.
pub(super) struct Named {
    pub(super) pool: usize,
    /// The messages that have it, and which of their recipients it is.
    pub(super) places: BTreeMap<usize, usize>,
}

/// The recipients that commands may name: as they are written, and with the local part in lower
/// case, too.
#[derive(Default)]
pub(super) struct Names {
    pub(super) exact: BTreeMap<String, Named>,
    pub(super) folded: BTreeMap<String, Named>,
}

impl Names {
    /// A name as it is written, or else in lower case: a sender may not change a local part, and some do.
    pub(super) fn pool(&self, text: &str) -> Option<usize> {
        let exact = self.exact.get(&mailbox::key(text));
        let named = exact.or_else(|| self.folded.get(&text.to_ascii_lowercase()));
        Some(named?.pool)
    }

    /// Which recipient of a message is meant.
    pub(super) fn place(&self, text: &str, index: usize) -> Option<usize> {
        let place = |named: &Named| named.places.get(&index).copied();
        let exact = self.exact.get(&mailbox::key(text)).and_then(place);
        exact.or_else(|| self.folded.get(&text.to_ascii_lowercase()).and_then(place))
    }
}
