//! How handlers of requests reach the lab: by asking whoever keeps it.
//!
//! The lab has one owner (`commands::up`), which follows its log, and puts up another one when it is asked to. A
//! request is a piece of work that is handed over and comes back with an answer; before it is done, all that the lab
//! saw by then has been taken in.

use std::sync::Arc;

use mxdrill::{lab::Lab, scenario::Scenario};
use tokio::sync::{mpsc, oneshot};

use super::{kept::SharedKept, problem::Problem};

/// Requests that may wait for the owner of the lab; further ones wait at their sockets.
const MOST_WAITING: usize = 64;

/// What the owner of the lab is asked for.
pub(crate) enum Ask {
    /// A look at the lab, or a change of it.
    Look(Box<dyn FnOnce(&Lab) + Send>),
    /// Another lab for this scenario, in place of the one that is up; why it could not be put up.
    PutUp(Arc<Scenario>, oneshot::Sender<Result<(), String>>),
}

/// What handlers have of the lab.
#[derive(Clone)]
pub(crate) struct Desk {
    asks: mpsc::Sender<Ask>,
    pub(crate) kept: SharedKept,
}

impl Desk {
    /// A desk, and what the owner of the lab is asked for at it.
    pub(crate) fn new(kept: SharedKept) -> (Self, mpsc::Receiver<Ask>) {
        let (asks, asked) = mpsc::channel(MOST_WAITING);
        (Self { asks, kept }, asked)
    }

    /// What comes of a look at the lab.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Lab) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let (answer, answered) = oneshot::channel();
        let look = move |lab: &Lab| {
            // Whoever asked may be gone.
            answer.send(look(lab)).ok();
        };
        self.ask(Ask::Look(Box::new(look))).await?;
        answered.await.map_err(|_| Problem::no_lab())
    }

    /// Returns when all that the lab saw by now has been taken in.
    pub(crate) async fn caught_up(&self) -> Result<(), Problem> {
        self.look(|_| ()).await
    }

    /// Puts up a lab for another scenario.
    pub(crate) async fn put_up(&self, scenario: Scenario) -> Result<(), Problem> {
        let (answer, answered) = oneshot::channel();
        self.ask(Ask::PutUp(Arc::new(scenario), answer)).await?;
        let done = answered.await.map_err(|_| Problem::no_lab())?;
        done.map_err(Problem::conflict)
    }

    async fn ask(&self, ask: Ask) -> Result<(), Problem> {
        let asked = self.asks.send(ask).await;
        asked.map_err(|_| Problem::no_lab())
    }
}
