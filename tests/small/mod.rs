//! Small drills, written in the test that plays them.

use std::sync::Arc;

use mxdrill::{
    drill::{self, Run},
    lab::NetworkKind,
    scenario::Scenario,
    sender::Sender,
};

/// A scenario of records and of whatever else is written below them.
pub(crate) fn scenario(zone: &str, rest: &str) -> Arc<Scenario> {
    let text = format!("summary = \"s\"\nzone = '''\n{zone}'''\n{rest}");
    let scenario = Scenario::parse("small", &text);
    Arc::new(scenario.unwrap_or_else(|mistakes| panic!("{mistakes}")))
}

/// Plays a drill on the memory network, from its own seed.
pub(crate) fn play(scenario: &Arc<Scenario>, sender: impl Sender) -> Run {
    drill::run(scenario, NetworkKind::Memory, None, sender).expect("the drill ran")
}
