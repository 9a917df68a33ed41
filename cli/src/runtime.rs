//! The runtime that the command's sockets, clocks and processes are driven by.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// A runtime of this thread alone: no other one is there to be forked, moved into a namespace, or left
/// behind.
///
/// # Errors
/// That the system has no room for it.
pub(crate) fn of_this_thread() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}
