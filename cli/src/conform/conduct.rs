//! A sender in a lab until it is done, however it is started; and what was seen, written down.

use std::{io, sync::Arc, time::Duration};

use mxdrill::{
    drill::{self, Run},
    lab::Lab,
    scenario::Scenario,
    sender::Sender,
    verdict::SenderKind,
};

/// The longest a drill may take in real time; one that takes longer is inconclusive.
pub(super) const LIMIT: Duration = Duration::from_secs(600);
/// The longest by its own clock: longer than a mail server is waited for.
const VIRTUAL_LIMIT: Duration = Duration::from_secs(1000 * 86_400);

/// Lets a sender send in a lab until it is done, and not for ever by any clock.
pub(super) async fn conducted(
    lab: &Lab,
    sender: impl Sender,
    seed: u64,
    limit: Duration,
) -> Result<Run, mxdrill::Error> {
    let kind = SenderKind::MailServer;
    let run = drill::conduct(lab, sender, Some(seed), VIRTUAL_LIMIT, kind);
    let run = tokio::time::timeout(limit, run).await;
    run.unwrap_or_else(|_| Err(mxdrill::Error::BrokenOff(format!("{limit:?} of real time"))))
}

/// The drill written down, as `mxdrill run --format json` does.
pub(super) fn written_down(scenario: &Arc<Scenario>, run: &Run) -> io::Result<String> {
    let mut lines = Vec::new();
    mxdrill::recording::write(&mut lines, scenario, run)?;
    String::from_utf8(lines).map_err(io::Error::other)
}
