//! Which mail servers there are, for the tests that play with them.

use std::process::Command;

/// Whether a mail server has been fetched.
pub(crate) fn is_fetched(server: &str) -> bool {
    let listed = Command::new(env!("CARGO_BIN_EXE_mxdrill"))
        .args(["mta", "list"])
        .output();
    listed.is_ok_and(|listed| {
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let mut lines = listed.lines();
        lines.any(|line| line.starts_with(server) && !line.contains("not fetched"))
    })
}
