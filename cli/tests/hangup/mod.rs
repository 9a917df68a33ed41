//! Whether HUP ends anything here, for the tests that send it.

/// Whether what is started here goes on when its terminal goes, as under nohup: HUP ends nothing then, a shell
/// that sends it to itself included.
pub(crate) fn is_ignored() -> bool {
    let mut shell = std::process::Command::new("sh");
    let ended = shell.args(["-c", "kill -s HUP $$"]).status();
    ended.is_ok_and(|status| status.success())
}
