//! Planned work: exchangers that are down on purpose, and who takes the mail meanwhile.

use std::{io, str::FromStr, time::Duration};

use serde_json::json;

use super::{
    Part, some_time,
    words::{line, lost, schedule, takers, waited, weight},
};
use crate::{
    groups::{counted, named},
    report::sheet::{Sheet, SheetRow},
};
use mxdrill::{
    name::Domain,
    rehearse::{Rehearsal, SenderProfile, WorkDrill, WorkPhase, WorkWindow},
    time::Moment,
};

/// A day.
const DAY: Duration = Duration::from_secs(86_400);

/// An exchanger that is to be down, as the user says it: `mx1=2h`, `mx1=09:00+2h`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedOutage {
    host: String,
    /// The time of day at which it begins.
    start: Option<Duration>,
    length: Duration,
}

impl FromStr for PlannedOutage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("found {text:?}, expected mx1=2h, or mx1=09:00+2h");
        let (host, time) = text.split_once('=').ok_or_else(expected)?;
        if host.is_empty() {
            return Err(expected());
        }
        let (start, length) = match time.split_once('+') {
            Some((start, length)) => (Some(time_of_day(start).ok_or_else(expected)?), length),
            None => (None, time),
        };
        Ok(Self {
            host: host.to_owned(),
            start,
            length: some_time(length)?,
        })
    }
}

/// The time since midnight of `HH:MM`.
fn time_of_day(text: &str) -> Option<Duration> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str, below: u64| -> Option<u64> {
        let is_plain = text.len() == 2 && text.bytes().all(|octet| octet.is_ascii_digit());
        let number = text.parse::<u64>().ok()?;
        (is_plain && number < below).then_some(number)
    };
    let (hours, minutes) = (number(hours, 24)?, number(minutes, 60)?);
    Some(Duration::from_secs(hours * 3600 + minutes * 60))
}

/// Work that is planned.
pub(super) struct Plan {
    title: String,
    file: &'static str,
    windows: Vec<WorkWindow>,
    /// The time of day at which it begins, if that is known.
    start: Option<Duration>,
}

/// Exchangers that are down as the user says.
pub(super) fn down(rehearsal: &Rehearsal, planned: &[PlannedOutage]) -> io::Result<Plan> {
    let start = planned.iter().filter_map(|outage| outage.start).min();
    if start.is_some() && planned.iter().any(|outage| outage.start.is_none()) {
        let why = "found --down with a time of day and without one, expected one or the other";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let mut windows = Vec::new();
    let mut told = Vec::new();
    for outage in planned {
        let host = rehearsal
            .exchanger(&outage.host)
            .map_err(io::Error::other)?;
        let from = outage.start.unwrap_or_default() - start.unwrap_or_default();
        told.push(match outage.start {
            Some(start) => format!("{host} from {} for {}", clock(start), waited(outage.length)),
            None => format!("{host} for {}", waited(outage.length)),
        });
        windows.push(WorkWindow {
            host,
            from,
            length: outage.length,
        });
    }
    Ok(Plan {
        title: format!("planned work: {}", told.join(", ")),
        file: "planned-work",
        windows,
        start,
    })
}

/// Each exchanger for so long, one after the other.
pub(super) fn rolling(rehearsal: &Rehearsal, each: Duration) -> Plan {
    Plan {
        title: format!("planned work: each exchanger in turn, for {}", waited(each)),
        file: "rolling-work",
        windows: rehearsal.rolling(each),
        start: None,
    }
}

/// Rehearses planned work with one kind of sender.
pub(super) fn rehearse(
    domain: &Domain,
    from: &str,
    rehearsal: &Rehearsal,
    plan: Plan,
    sender: &SenderProfile,
) -> io::Result<Part> {
    let is_reference = sender.name == SenderProfile::default().name;
    let (title, file) = match is_reference {
        true => (plan.title, plan.file.to_owned()),
        false => (
            format!("{} ({})", plan.title, sender.name),
            format!("{}-{}", plan.file, sender.name),
        ),
    };
    let drill = rehearsal.work(title.clone(), file, &plan.windows, sender)?;
    let time = |moment: Moment| told(moment, drill.begin, plan.start);
    let sum = &drill.rehearsed.sum;
    let last = drill.phases.last().map_or(drill.begin, |phase| phase.until);
    let between = last.0 / u32::try_from(sum.messages.max(1)).unwrap_or(1);
    let mut sheet = Sheet {
        about: vec![
            format!("{domain} ({from}): {title}"),
            format!("{} messages, one every {}", sum.messages, waited(between)),
        ],
        closing: closing(&drill, sender, &time),
        notes: rehearsal.notes().to_vec(),
        ..Sheet::default()
    };
    let heads = [
        "down",
        "from",
        "until",
        "messages",
        "of these wait",
        "longest wait",
        "returned",
        "who takes the mail",
    ];
    sheet.heads = heads.map(str::to_owned).to_vec();
    let shortened = drill.shortened();
    sheet.rows = shortened.iter().map(|phase| row(phase, &time)).collect();
    let mut json = line(domain, rehearsal, &drill.rehearsed, sender);
    let phases = drill.phases.iter().map(|phase| {
        json!({
            "from_seconds": seconds(phase.from, drill.begin),
            "until_seconds": seconds(phase.until, drill.begin),
            "down": phase.down,
            "messages": phase.sum.messages,
            "takers": phase.sum.takers,
            "waited": phase.sum.waited,
            "longest_wait_seconds": phase.sum.longest_wait.as_secs_f64(),
            "returned": phase.sum.returned,
        })
    });
    json["phases"] = phases.collect();
    Ok(Part {
        what: title,
        sheet,
        lines: vec![json],
        drills: vec![drill.rehearsed],
    })
}

fn row(phase: &WorkPhase, time: &impl Fn(Moment) -> String) -> SheetRow {
    let sum = &phase.sum;
    let or_none = |text: String| match text.is_empty() {
        true => "none".to_owned(),
        false => text,
    };
    SheetRow {
        cells: vec![
            match phase.merged {
                1 => or_none(names(&phase.down)),
                _ if phase.down.len() > NAMES_TOLD => {
                    format!("{} exchangers in turn", counted(phase.down.len()))
                }
                _ => format!("{} in turn", names(&phase.down)),
            },
            time(phase.from),
            time(phase.until),
            sum.messages.to_string(),
            match sum.waited {
                0 => "none".to_owned(),
                all if all == sum.messages => "all".to_owned(),
                some => some.to_string(),
            },
            waited(sum.longest_wait),
            lost(sum),
            takers(sum),
        ],
        weight: weight(sum),
    }
}

/// Messages before the work from which it can be told where mail goes otherwise.
const ENOUGH: usize = 20;

/// What the work comes to.
fn closing(
    drill: &WorkDrill,
    sender: &SenderProfile,
    time: &impl Fn(Moment) -> String,
) -> Vec<String> {
    let sum = &drill.rehearsed.sum;
    let mut closing = vec![match sum.returned {
        0 => "No mail comes back.".to_owned(),
        count => format!(
            "{count} of {} messages come back to their senders.",
            sum.messages
        ),
    }];
    // Of few messages nobody knows where all of them go.
    let usual = drill.phases.first().map(|phase| &phase.sum);
    let usual = usual.filter(|usual| usual.messages >= ENOUGH);
    let down = |phase: &&WorkPhase| !phase.down.is_empty() && phase.sum.messages > 0;
    for phase in drill.shortened().iter().filter(down) {
        let when = format!("From {} to {}", time(phase.from), time(phase.until));
        let without = names(&phase.down);
        let hosts = &phase.sum.takers;
        // Of many in turn each takes the others' mail.
        let nobody = phase.merged == 1 && hosts.keys().all(|host| phase.down.contains(host));
        closing.push(if nobody {
            format!(
                "{when} nobody takes mail, without {without}: it waits with its senders, up to {}.",
                waited(phase.sum.longest_wait)
            )
        } else if usual.is_some_and(|usual| usual.takers.keys().eq(hosts.keys())) {
            format!("{when}, without {without}, mail goes where it always goes.")
        } else {
            let usual = usual.map_or(String::new(), |usual| {
                format!(" (usually {})", takers(usual))
            });
            let now = takers(&phase.sum);
            format!("{when}, without {without}, mail goes to {now}{usual}.")
        });
    }
    closing.push(format!("The senders here {}.", schedule(sender)));
    closing
}

/// Names that are told; of more, the first two and how many more there are.
const NAMES_TOLD: usize = 3;

fn names(hosts: &[Domain]) -> String {
    if hosts.len() > NAMES_TOLD {
        return named(&hosts.iter().collect::<Vec<_>>());
    }
    let names: Vec<&str> = hosts.iter().map(Domain::as_str).collect();
    names.join(", ")
}

/// A moment as people tell it: the time of day if that is known, else since the work began.
fn told(moment: Moment, begin: Moment, start: Option<Duration>) -> String {
    let since = |later: Moment, earlier: Moment| waited(later.since(earlier));
    match start {
        // The day before is told as a time of day, too.
        Some(start) => clock(start + DAY + moment.0 - begin.0),
        None if moment < begin => format!("-{}", since(begin, moment)),
        None if moment == begin => "0".to_owned(),
        None => format!("+{}", since(moment, begin)),
    }
}

/// A time of day, in whole minutes, counted from the beginning of the day before the work; of another day than the first
/// one of the work, with how many days later or earlier.
fn clock(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    let text = format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60);
    match time.as_secs() / DAY.as_secs() {
        0 => format!("{text} -1d"),
        1 => text,
        days => format!("{text} +{}d", days - 1),
    }
}

/// Seconds from when the work began, negative before.
fn seconds(moment: Moment, begin: Moment) -> f64 {
    moment.0.as_secs_f64() - begin.0.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planned_outages_are_a_host_a_length_and_perhaps_a_time_of_day() {
        let outage: PlannedOutage = "mx1=09:30+2h".parse().expect("an outage");
        assert_eq!(
            (outage.start, outage.length),
            (Some(Duration::from_secs(34_200)), Duration::from_secs(7200))
        );
        for text in [
            "mx1",
            "=2h",
            "mx1=",
            "mx1=0s",
            "mx1=9:00+2h",
            "mx1=24:00+1h",
            "mx1=09:00",
            "mx1=2",
        ] {
            assert!(text.parse::<PlannedOutage>().is_err(), "{text}");
        }
    }
}
