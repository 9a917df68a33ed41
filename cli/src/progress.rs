//! How far a long run is, for people: a bar on the terminal.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};

/// A bar for so many things, with what stands behind it in the words of `indicatif`'s templates. Where standard
/// error is no terminal it counts and shows nothing.
///
/// # Panics
/// When the words are no template.
pub(crate) fn bar(count: u64, behind: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(&format!("{{bar:30}} {behind}"));
    ProgressBar::new(count).with_style(style.expect("a valid template"))
}
