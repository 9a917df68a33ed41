//! A call that came.

use std::{ops::Deref, rc::Rc};

use mxdrill_notify::{Call, Listener};

/// A call, and where it came.
pub(super) struct ReceivedCall {
    pub(super) call: Call,
    pub(super) from: Rc<Listener>,
}

impl Deref for ReceivedCall {
    type Target = Call;

    fn deref(&self) -> &Self::Target {
        &self.call
    }
}
