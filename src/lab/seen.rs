//! What a lab saw, in words: for a person whose test fails.

use std::collections::BTreeMap;

use super::LabState;
use crate::{
    event::{Connected, EventKind, SessionId},
    fault::Stage,
};

/// Events that are shown of a lab that saw more, the last ones.
const SHOWN: usize = 25;

/// Where the lab can be reached, what it saw of late, and what is still open; a line each.
pub(crate) fn lines(state: &LabState) -> Vec<String> {
    let mut lines = vec![format!(
        "the lab's name server is at {}",
        state.network.resolver()
    )];
    for receiver in state.receivers.values() {
        let names: Vec<&str> = receiver.names.iter().map(|name| name.as_str()).collect();
        let there = state.network.endpoint(receiver.address);
        lines.push(format!("{} is at {there}", names.join(", ")));
    }
    let events = state.log.events();
    if events.is_empty() {
        lines.push("the lab saw nothing: no query, and no connection".to_owned());
        return lines;
    }
    let (left_out, shown) = events.split_at(events.len().saturating_sub(SHOWN));
    lines.push(match left_out.len() {
        0 => "the lab saw:".to_owned(),
        more => format!("the lab saw, after {more} other events:"),
    });
    lines.extend(shown.iter().map(|event| format!("  {}", event.line())));
    lines.extend(open_sessions(state));
    lines
}

/// The sessions that have not ended, with how far each came.
pub(crate) fn open_sessions(state: &LabState) -> Vec<String> {
    let mut open: BTreeMap<SessionId, (String, String)> = BTreeMap::new();
    for event in state.log.events() {
        match event.kind {
            EventKind::Connect {
                session,
                address,
                hosts,
                result: Connected::Accepted,
                ..
            } => {
                let host = hosts
                    .first()
                    .map_or_else(String::new, |host| format!("{host} "));
                let host = format!("{host}[{address}]");
                open.insert(session, (host, "nothing was said".to_owned()));
            }
            // It ends by itself now.
            EventKind::Reply {
                session,
                stage: Stage::Quit,
                ..
            } => drop(open.remove(&session)),
            EventKind::Reply { session, stage, .. } => {
                if let Some((_, last)) = open.get_mut(&session) {
                    *last = format!("the last reply was at {stage}");
                }
            }
            EventKind::End { session, .. } => drop(open.remove(&session)),
            _ => {}
        }
    }
    let lines = open.into_iter().map(|(session, (host, last))| {
        format!("session {} with {host} is still open: {last}", session.0)
    });
    lines.collect()
}

/// Says on standard error which sessions are open when a lab ends whose caller looks at it: their clients
/// are cut off, and somebody may have forgotten to wait.
pub(super) struct SaysWhatIsOpen(pub(super) std::sync::Arc<LabState>);

impl Drop for SaysWhatIsOpen {
    fn drop(&mut self) {
        let looked_at = self.0.mailbox.is_some() && self.0.network.is_of_this_machine();
        if looked_at && self.0.log.open_sessions() > 0 {
            for line in open_sessions(&self.0) {
                eprintln!("mxdrill: the lab ends, and {line}");
            }
        }
    }
}
