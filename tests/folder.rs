//! A folder of scenario files as tests of somebody's sender: here mxdrill's own.

use mxdrill::sender::{Reference, Sender, SenderContext};

async fn reference(context: SenderContext) {
    Reference::default().send(context).await;
}

mxdrill::scenario_tests!("scenarios/basics", reference);
