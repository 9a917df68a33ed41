//! What an outage takes with it, for programs: a line for each outage, and one for what to mend first.

use serde_json::{Value, json};

use super::{
    mend::Mend,
    portfolio::{Counts, Portfolio, Toll},
};
use mxdrill::{
    name::Domain,
    rehearse::{Fate, SenderProfile},
};

/// How long an outage lasts, in seconds.
const DAY: u64 = 86_400;

/// All outages, the worst first, then what to mend.
pub(super) fn lines(
    portfolio: &Portfolio<'_>,
    mends: &[Mend<'_>],
    sender: &SenderProfile,
) -> Vec<Value> {
    let tolls = portfolio.tolls.iter();
    let mut tolls: Vec<(Counts, &Toll)> = tolls
        .filter(|toll| portfolio.hit(toll) > 0)
        .map(|toll| (portfolio.counts_now(toll), toll))
        .collect();
    tolls.sort_by(|(one, _), (other, _)| other.cmp(one));
    let mut lines: Vec<Value> = tolls
        .into_iter()
        .map(|(counts, toll)| {
            let names = |is_it: fn(Fate) -> bool| portfolio.domains(toll, is_it);
            let mut line = of(toll, &counts);
            // Those who notice nothing are all others, and are not named outage by outage.
            line["lasts_seconds"] = json!(DAY);
            line["lost_if_longer_than_seconds"] = json!(sender.lifetime.as_secs());
            line["names"] = json!({
                "another": names(|fate| fate == Fate::Another),
                "waits": names(|fate| matches!(fate, Fate::Waits | Fate::AtStake)),
                "lost_if_longer": names(|fate| fate >= Fate::AtStake),
                "lost": names(|fate| fate == Fate::Lost),
            });
            line
        })
        .collect();
    let mends = mends.iter().map(|mend| {
        let left = mend.left.iter();
        let left = left.map(|(toll, counts)| of(&portfolio.tolls[*toll], counts));
        json!({
            "outage": outage(&portfolio.tolls[mend.toll]),
            "domains_without_an_exchanger_outside": mend.domains,
            "left": left.collect::<Vec<_>>(),
        })
    });
    // The last line: what is not about one outage.
    let not_counted = |domains: &[&Domain]| json!(domains);
    lines.push(json!({
        "mend_first": mends.collect::<Vec<_>>(),
        "counted": portfolio.counted(),
        "not_counted": {
            "take_no_mail": not_counted(&portfolio.without_mail),
            "fail_without_an_outage": not_counted(&portfolio.failing),
            "not_rehearsed": not_counted(&portfolio.unplayed),
        },
    }));
    lines
}

fn outage(toll: &Toll) -> Value {
    json!({ "kind": toll.outage.part.word(), "name": toll.outage.name })
}

/// An outage with its numbers of domains.
fn of(toll: &Toll, counts: &Counts) -> Value {
    json!({
        "outage": outage(toll),
        "domains": {
            "unnoticed": counts.unnoticed,
            "another": counts.another,
            "waits": counts.waits,
            "lost_if_longer": counts.in_danger(),
            "lost": counts.lost,
        },
    })
}
