//! What all pages for a browser have in common: one file that needs nothing else, no script, nothing from the network.

use std::{
    fmt,
    io::{self, Write},
    time::{SystemTime, UNIX_EPOCH},
};

use mail_parser::DateTime;
use mxdrill::visible::visible;

const HEAD: &str = include_str!("page.html");
/// Where the title of a page stands in its head.
const TITLE: &str = "TITLE";

/// Begins a page.
pub(crate) fn begin(out: &mut impl Write, title: &str) -> io::Result<()> {
    let (before, after) = HEAD.split_once(TITLE).expect("the page has a title");
    write!(out, "{before}{}{after}", Plain(title))
}

/// Ends it.
pub(crate) fn end(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "</main>\n</body>\n</html>")?;
    out.flush()
}

/// The heading of a page about a domain: what it is, where its records are from, when it was made.
pub(crate) fn heading(
    out: &mut impl Write,
    domain: &str,
    what: &str,
    from: &str,
) -> io::Result<()> {
    writeln!(
        out,
        "<header><h1>{} <small>{}</small></h1>\n<p class=\"soft\">{}, {}. mxdrill {}</p></header>",
        Plain(domain),
        Plain(what),
        Plain(from),
        today(),
        env!("CARGO_PKG_VERSION")
    )
}

/// The date (UTC) in the form of ISO 8601.
fn today() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = now.map_or(0, |since| since.as_secs());
    let date = DateTime::from_timestamp(i64::try_from(seconds).unwrap_or_default());
    format!("{:04}-{:02}-{:02}", date.year, date.month, date.day)
}

/// Text that is data, in HTML.
///
/// Everything that comes from a scenario, a log, a record or a reply goes through it: such a text must not
/// become an element or an attribute.
pub(crate) struct Plain<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for Plain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in visible(&self.0.to_string()).chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}
