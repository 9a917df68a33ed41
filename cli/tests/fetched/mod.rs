//! Which mail servers there are, for the tests that play with them.

use std::{process::Command, sync::LazyLock};

/// What `mxdrill mta list` prints.
static LISTED: LazyLock<String> = LazyLock::new(|| {
    let listed = Command::new(env!("CARGO_BIN_EXE_mxdrill"))
        .args(["mta", "list"])
        .output();
    listed.map_or_else(
        |_| String::new(),
        |listed| String::from_utf8_lossy(&listed.stdout).into_owned(),
    )
});

/// Whether a mail server has been fetched.
pub(crate) fn is_fetched(server: &str) -> bool {
    let mut lines = LISTED.lines();
    lines.any(|line| line.starts_with(server) && !line.contains("not fetched"))
}
