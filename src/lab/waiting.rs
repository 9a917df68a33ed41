//! Waiting for what a lab sees. It needs no runtime of the caller's where the lab has one of its own.

use std::time::Duration;

use super::{Lab, ReceivedMessage, network, seen};
use crate::{
    error::{Error, NotSeen},
    event::{Event, EventKind},
};

impl Lab {
    /// How long [`Lab::wait_for`] and [`Lab::wait_for_message`] wait, by the lab's clock: ten seconds unless it is
    /// set here.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Waits for an event, past ones included.
    ///
    /// # Errors
    /// When none came in time ([`Lab::with_patience`]): [`Error::NotSeen`] says what the lab saw instead.
    /// When the lab has ended before.
    ///
    /// The condition sees every event once, in order, from the first one on.
    pub async fn wait_for(&self, condition: impl FnMut(&Event) -> bool) -> Result<Event, Error> {
        self.wait_for_what("an event that satisfies the condition", condition)
            .await
    }

    async fn wait_for_what(
        &self,
        what: &str,
        condition: impl FnMut(&Event) -> bool,
    ) -> Result<Event, Error> {
        if self.has_ended() {
            return Err(Error::Ended);
        }
        tokio::select! {
            biased;
            found = self.state.log.find(condition) => Ok(found),
            () = self.serving.sleep(self.patience) => Err(match self.has_ended() {
                true => Error::Ended,
                false => Error::NotSeen(NotSeen {
                    what: what.to_owned(),
                    waited: self.patience,
                    seen: seen::lines(&self.state),
                }),
            }),
        }
    }

    /// Waits until a receiver accepts a message for this recipient, one that was accepted before
    /// included, and returns the last such message. The recipient is compared as it was given in
    /// RCPT.
    ///
    /// # Errors
    /// As [`Lab::wait_for`].
    pub async fn wait_for_message(&self, recipient: &str) -> Result<ReceivedMessage, Error> {
        let taken = |event: &Event| matches!(&event.kind, EventKind::Taken { to, .. } if to.iter().any(|to| to == recipient));
        let what = format!("a message for {recipient}");
        self.wait_for_what(&what, taken).await?;
        let messages = self.messages().into_iter();
        let found = messages
            .rev()
            .find(|message| message.to.iter().any(|to| to == recipient));
        let dropped = || Error::LabFailed("this lab does not keep messages".to_owned());
        found.ok_or_else(dropped)
    }

    /// Keeps the lab's thread busy for so long.
    #[cfg(test)]
    pub(crate) async fn hold_up(&self, time: Duration) {
        let sleep = async move {
            std::thread::sleep(time);
            Ok(())
        };
        self.serving.run(sleep).await.expect("it slept");
    }

    /// Whether nothing is served any more: a lab on the caller's runtime ends with that.
    fn has_ended(&self) -> bool {
        self.state.network.has_ended() || self.serving.has_ended()
    }

    /// Waits until every session has ended.
    ///
    /// Sessions end by themselves: a client that is gone is noticed, and one that is idle is hung
    /// up on after five minutes.
    pub(crate) async fn settled(&self) {
        network::caught_up(&self.state).await;
        let log = &self.state.log;
        loop {
            // Before looking, so that an end right after is not missed.
            let seen = log.len();
            if log.open_sessions() == 0 {
                return;
            }
            log.past(seen).await;
        }
    }

    /// Waits until what the lab saw cannot be relied on. It does not return if that does not
    /// happen.
    pub async fn failed(&self) {
        let mut trouble = self.state.trouble.subscribe();
        // It ends with the lab, which is here.
        drop(trouble.wait_for(Option::is_some).await);
    }

    /// Waits until there are more events than this: with a count of n, until the one of index n is
    /// there.
    pub async fn past(&self, count: usize) {
        self.state.log.past(count).await;
    }
}
