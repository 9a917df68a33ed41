//! Changes of records: what has to go and to come so that one zone becomes another.
//!
//! Records of one name and type are a set (RFC 2181 section 5): what changes in one goes as a whole and comes as a
//! whole, in the new order. The order is part of what a scenario says, since a name server answers in it. A type that
//! no row can name by itself goes with everything that the name owns.

use hickory_proto::rr::{Record, RecordType};

use crate::{
    name::Domain,
    time::Moment,
    zone::{Zone, present},
};

/// A change of the records at a moment: what goes, then what comes.
#[derive(Debug, Clone)]
pub(in crate::scenario) struct Update {
    pub(in crate::scenario) at: Moment,
    /// Names, with a type where not all of them go.
    pub(in crate::scenario) delete: Vec<String>,
    /// Records as zone-file text, one each.
    pub(in crate::scenario) add: Vec<String>,
}

impl Update {
    /// What makes one zone of the other; `None` if they are the same. Records of one name and type change
    /// together.
    pub(super) fn between(before: &Zone, after: &Zone, at: Moment) -> Option<Self> {
        let mut update = Self {
            at,
            delete: Vec::new(),
            add: Vec::new(),
        };
        for owner in before.names() {
            let (old, new) = (records_at(before, owner), records_at(after, owner));
            let types = types_in_order(&old);
            let gone = types
                .iter()
                .filter(|kind| of(&old, **kind) != of(&new, **kind));
            let gone: Vec<RecordType> = gone.copied().collect();
            // What no row can name by its type goes with all that the name has.
            if gone
                .iter()
                .any(|kind| !crate::scenario::read::words::may_be_named(*kind))
            {
                update.delete.push(owner.to_string());
                update
                    .add
                    .extend(new.iter().map(|one| present::record(one)));
                continue;
            }
            for kind in &gone {
                update.delete.push(format!("{owner} {kind}"));
            }
            let came = new.iter().filter(|one| {
                let kind = one.record_type();
                gone.contains(&kind) || !types.contains(&kind)
            });
            update.add.extend(came.map(|one| present::record(one)));
        }
        for owner in after
            .names()
            .filter(|owner| records_at(before, owner).is_empty())
        {
            let came = records_at(after, owner).into_iter();
            update.add.extend(came.map(present::record));
        }
        (!update.delete.is_empty() || !update.add.is_empty()).then_some(update)
    }
}

/// The records that a name owns, in their order.
fn records_at<'a>(zone: &'a Zone, owner: &Domain) -> Vec<&'a Record> {
    zone.owned_by(owner).collect()
}

/// Each type once, in the order in which the records have them.
fn types_in_order(records: &[&Record]) -> Vec<RecordType> {
    let mut types = Vec::new();
    for record in records {
        if !types.contains(&record.record_type()) {
            types.push(record.record_type());
        }
    }
    types
}

/// Those of one type. Their order is part of an answer.
fn of<'a>(records: &[&'a Record], kind: RecordType) -> Vec<&'a Record> {
    let mut records = records.to_vec();
    records.retain(|record| record.record_type() == kind);
    records
}
