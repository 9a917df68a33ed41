//! Which names of a zone exist: those that own records, and all above them (RFC 8020).
//!
//! A name that owns records counts at the one above it, and makes that exist; so a record costs one step up where
//! its neighbours are there already.

use super::Zone;
use crate::name::Domain;

impl Zone {
    /// Whether a name exists: it owns records, or a name below it does (RFC 8020).
    pub(crate) fn exists(&self, name: &Domain) -> bool {
        self.exists_text(name.as_str())
    }

    /// As [`Self::exists`], of a name's text.
    pub(super) fn exists_text(&self, name: &str) -> bool {
        self.records.contains_key(name) || self.parents.contains_key(name)
    }

    /// Counts a name at the one above it. Where that did not exist either, it does now.
    pub(super) fn exists_from_now_on(&mut self, mut name: Domain) {
        while let Some(above) = name.text_above() {
            if let Some(below) = self.parents.get_mut(above) {
                *below += 1;
                return;
            }
            self.parents.insert(above.into(), 1);
            match name.parent() {
                Some(parent) if !self.records.contains_key(&parent) => name = parent,
                _ => return,
            }
        }
    }

    /// The reverse of [`Self::exists_from_now_on`].
    pub(super) fn exists_no_more(&mut self, mut name: Domain) {
        while let Some(parent) = name.parent() {
            let Some(below) = self.parents.get_mut(parent.as_str()) else {
                return;
            };
            *below -= 1;
            if *below > 0 {
                return;
            }
            self.parents.remove(parent.as_str());
            if self.records.contains_key(&parent) {
                return;
            }
            name = parent;
        }
    }
}
