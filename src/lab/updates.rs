//! Records that change by hand, while a lab is up.
//!
//! A scenario says in advance which records change when; this is for whoever changes them as it goes. What is
//! answered from then on has the change, and so has the scenario that a verdict is made by. Hosts do not come or
//! go: sockets are bound when the lab starts, so that an address has to be one that a host of the lab has.

use std::{
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
};

use hickory_proto::rr::{Record, RecordType};

use super::Lab;
use crate::{
    diagnostic::{Invalid, Mistake, Mistakes, did_you_mean},
    event::EventKind,
    name::Domain,
    scenario::{Scenario, read_query},
    time::Moment,
    zone::{History, Zone, address_of, text},
};

/// Records of the zones at all moments together: every change makes a zone of its own.
const MAX_RECORDS: usize = 3_000_000;

/// The records of a lab, which may change.
pub(crate) struct LiveRecords {
    now: RwLock<Versions>,
    /// Those that the lab added, which stay when all others are replaced.
    own: Vec<Record>,
}

#[derive(Clone)]
struct Versions {
    /// What the name server answers from.
    served: Arc<History>,
    /// The scenario with the same changes; TLSA records for the lab's certificates are in `served` alone.
    scenario: Arc<Scenario>,
}

/// What becomes of the records.
struct Change {
    /// All but the lab's own records are deleted.
    all: bool,
    /// What is deleted, by name and perhaps type.
    deletions: Vec<(Domain, Option<RecordType>)>,
    /// What is added, after that.
    additions: Vec<Record>,
}

impl LiveRecords {
    pub(super) fn new(served: History, scenario: Arc<Scenario>, own: Vec<Record>) -> Self {
        let served = Arc::new(served);
        Self {
            now: RwLock::new(Versions { served, scenario }),
            own,
        }
    }

    // Versions are replaced as a whole, so that a panic elsewhere leaves whole ones.
    fn versions(&self) -> Versions {
        self.now
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The zones that answers come from.
    pub(super) fn served(&self) -> Arc<History> {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&now.served)
    }

    /// Makes a change at a moment, in the zones that follow by themselves, too.
    fn change(&self, at: Moment, change: &Change) -> Result<(), Invalid> {
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        let count = |history: &History| -> usize {
            history.zones().map(|zone| zone.records().count()).sum()
        };
        let all = count(&now.served) + count(&now.scenario.world.zones);
        if all + change.additions.len() > MAX_RECORDS {
            return Err(Invalid::from(format!(
                "found changes that make zones of {all} records in all, expected {MAX_RECORDS} at most; \
                 a lab that is put up anew has none"
            )));
        }
        let edit = |zone: &Zone| self.edited(zone, change);
        let served = now.served.changed_from(at, edit);
        let mut scenario = Scenario::clone(&now.scenario);
        scenario.world.zones = scenario.world.zones.changed_from(at, edit);
        *now = Versions {
            served: Arc::new(served),
            scenario: Arc::new(scenario),
        };
        Ok(())
    }

    fn edited(&self, zone: &Zone, change: &Change) -> Zone {
        let mut edited = if change.all {
            let kept = zone.records().filter(|record| self.own.contains(record));
            Zone::new(kept.cloned())
        } else {
            zone.clone()
        };
        for (name, record_type) in &change.deletions {
            edited.remove(name, *record_type);
        }
        for record in &change.additions {
            edited.add(record.clone());
        }
        edited
    }
}

/// Records changed while the lab runs.
impl Lab {
    /// The scenario of the lab, with the changes that were made to its records by hand.
    pub fn scenario(&self) -> Arc<Scenario> {
        self.state().records.versions().scenario
    }

    /// The records as the name server has them at this moment, the lab's own ones included.
    pub fn zone(&self) -> Zone {
        let state = self.state();
        state.zones().at(state.clock.now()).clone()
    }

    /// Changes records: deletes those of each `NAME` or `NAME TYPE`, then adds what the zone-file text has.
    /// `lab.update(&["example.test MX"], "example.test. 60 MX 10 mx2.example.test.")?;`
    ///
    /// # Errors
    /// Nothing to delete under a name, mistakes in the text, or an address that no host of the lab has. Nothing
    /// is changed then.
    pub fn update(&self, delete: &[&str], add: &str) -> Result<(), Mistakes> {
        let invalid = |invalid: Invalid| Mistakes::of_file("delete", invalid.to_string());
        let deletions = delete.iter().map(|text| self.deletion(text));
        let deletions: Vec<_> = deletions.collect::<Result<_, _>>().map_err(invalid)?;
        let additions = self.additions(add)?;
        if deletions.is_empty() && additions.is_empty() {
            let text = "found nothing to delete and nothing to add, expected one of them";
            return Err(Mistakes::of_file("update", text.to_owned()));
        }
        let what: Vec<String> = [("deleted", delete.join(", ")), ("added", shown(&additions))]
            .into_iter()
            .filter(|(_, what)| !what.is_empty())
            .map(|(done, what)| format!("{done} {what}"))
            .collect();
        let change = Change {
            all: false,
            deletions,
            additions,
        };
        self.make(&change, format!("records: {}", what.join("; ")))
    }

    /// Replaces all records but the lab's own ones (the domain of senders, hosts of policies, TLSA records of its
    /// certificates) by those of zone-file text.
    ///
    /// # Errors
    /// Mistakes in the text, or an address that no host of the lab has. Nothing is changed then.
    pub fn replace_zone(&self, zone: &str) -> Result<(), Mistakes> {
        let additions = self.additions(zone)?;
        let what = format!("records: all replaced by {}", shown(&additions));
        let change = Change {
            all: true,
            deletions: Vec::new(),
            additions,
        };
        self.make(&change, what)
    }

    fn make(&self, change: &Change, what: String) -> Result<(), Mistakes> {
        let state = self.state();
        state
            .records
            .change(state.clock.now(), change)
            .map_err(|invalid| Mistakes::of_file("update", invalid.to_string()))?;
        state.record(EventKind::Changed { change: what });
        Ok(())
    }

    /// What is to be deleted, which has to be there.
    fn deletion(&self, text: &str) -> Result<(Domain, Option<RecordType>), Invalid> {
        let (name, record_type) = read_query(text)?;
        let zone = self.zone();
        let is_wanted =
            |record: &&Record| record_type.is_none_or(|wanted| record.record_type() == wanted);
        if zone.owned_by(&name).any(|one| is_wanted(&one)) {
            return Ok((name, record_type));
        }
        let known: Vec<Domain> = zone.names().cloned().collect();
        let hint = did_you_mean(text::nearest_name(&name, &known).as_deref());
        let message = format!("found delete of {text:?}, expected a record that is there{hint}");
        Err(message.into())
    }

    /// The records of a text, each address among them one that a host of the lab has.
    fn additions(&self, zone: &str) -> Result<Vec<Record>, Mistakes> {
        let placed = |offset, message| Mistake::at("zone", zone, offset, message);
        let records = text::parse(zone).map_err(|mistakes| {
            let mistakes = mistakes.into_iter();
            Mistakes(
                mistakes
                    .map(|one| placed(one.offset, one.message))
                    .collect(),
            )
        })?;
        let state = self.state();
        let is_there = |address: &IpAddr| {
            state.receivers.contains_key(address) || state.policy_hosts.contains_key(address)
        };
        let mut addresses = records.iter().filter_map(|record| address_of(&record.data));
        match addresses.find(|address| !is_there(address)) {
            None => Ok(records),
            Some(address) => {
                let known: Vec<String> = state.receivers.keys().map(ToString::to_string).collect();
                let text = format!(
                    "found address {address}, expected one of a host that is up ({}); \
                     a lab that is put up anew may have others",
                    known.join(", ")
                );
                Err(Mistakes(vec![placed(0, text)]))
            }
        }
    }
}

/// Records that are named one by one in a line about a change; of more, the number is told.
const MOST_SHOWN: usize = 4;

fn shown(records: &[Record]) -> String {
    match records {
        few if few.len() <= MOST_SHOWN => {
            let lines: Vec<String> = few.iter().map(crate::zone::present::record).collect();
            lines.join(", ")
        }
        many => format!("{} records", many.len()),
    }
}
