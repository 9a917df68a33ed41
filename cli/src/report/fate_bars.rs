//! Outages down the side of a page, each with a bar: what becomes of all domains in it.
//!
//! What a bar shows is written beside it, too, and the names behind each number can be opened.

use std::io::{self, Write};

use super::{
    page::{self, Plain},
    sheet::Sheet,
};

/// Names of domains that are listed for each number; how many more there are is said.
const NAMED: usize = 60;

/// A part of a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BarPart {
    Lost,
    /// Waits, and is lost if the outage outlasts the senders' patience.
    AtStake,
    Waits,
    Another,
    Unnoticed,
}

impl BarPart {
    const ALL: [Self; 5] = [
        Self::Lost,
        Self::AtStake,
        Self::Waits,
        Self::Another,
        Self::Unnoticed,
    ];

    fn class(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::AtStake => "at-stake",
            Self::Waits => "later",
            Self::Another => "another",
            Self::Unnoticed => "unnoticed",
        }
    }

    /// What becomes of the mail, for the key and for the numbers beside a bar.
    fn told(self, patience: &str) -> String {
        match self {
            Self::Lost => "lose mail".to_owned(),
            Self::AtStake => format!("wait, and lose mail after {patience}"),
            Self::Waits => "wait, and lose nothing".to_owned(),
            Self::Another => "deliver by another exchanger".to_owned(),
            Self::Unnoticed => "notice nothing".to_owned(),
        }
    }
}

/// An outage, and what becomes of all domains.
pub(crate) struct FateBar {
    /// What fails.
    pub(crate) what: String,
    /// How many domains have each fate.
    pub(crate) parts: Vec<(BarPart, usize)>,
    /// The domains behind those numbers that matter, by name.
    pub(crate) names: Vec<(BarPart, Vec<String>)>,
}

/// Writes the part of a page about what domains share: what it comes to, then the bars. It is known last, and shown
/// first.
pub(crate) fn write(
    out: &mut impl Write,
    domains: &str,
    from: &str,
    sheet: &Sheet,
    bars: &[FateBar],
    patience: &str,
) -> io::Result<()> {
    writeln!(out, "<section class=\"shared\">")?;
    page::heading(
        out,
        domains,
        "shared fate: what one outage takes with it",
        from,
    )?;
    writeln!(out, "<div class=\"closing\">")?;
    for line in &sheet.closing {
        writeln!(out, "<p>{}</p>", Plain(line))?;
    }
    writeln!(
        out,
        "</div>\n<p class=\"fate-key\">In an outage of a day, domains:"
    )?;
    // The key explains what can be seen, and nothing else.
    for part in BarPart::ALL {
        let used = bars.iter().flat_map(|bar| &bar.parts);
        if used
            .into_iter()
            .any(|(one, count)| *one == part && *count > 0)
        {
            let (class, told) = (part.class(), part.told(patience));
            writeln!(out, "<span><b class=\"{class}\"></b>{}</span>", Plain(told))?;
        }
    }
    writeln!(
        out,
        "</p>\n<div class=\"wide\"><table class=\"fates\"><thead><tr><th>What fails<th>Domains<th>What becomes of their mail</tr></thead><tbody>"
    )?;
    for bar in bars {
        row(out, bar, patience)?;
    }
    writeln!(out, "</tbody></table></div>")?;
    // What the table leaves out for want of room, a page leaves out as well.
    let folded = sheet.folded.iter();
    let folded = folded.map(|(what, rows)| format!("{what}: {}.", rows.join("; ")));
    let notes = sheet
        .notes
        .iter()
        .map(|note| format!("{}.", super::sheet::capital(note)));
    writeln!(out, "<ul class=\"soft\">")?;
    for note in folded.chain(notes) {
        writeln!(out, "<li>{}</li>", Plain(note))?;
    }
    writeln!(out, "</ul>\n</section>")
}

fn row(out: &mut impl Write, bar: &FateBar, patience: &str) -> io::Result<()> {
    let there = || bar.parts.iter().filter(|(_, count)| *count > 0);
    let said = |part: BarPart, count: usize| {
        let count = crate::groups::counted(count);
        format!("{count} {}", part.told(patience))
    };
    let told: Vec<String> = there().map(|(part, count)| said(*part, *count)).collect();
    write!(
        out,
        "<tr><td>{}</td><td><div class=\"bar\" role=\"img\" aria-label=\"{}\">",
        Plain(&bar.what),
        Plain(told.join("; "))
    )?;
    // A part is as wide as its share; one that is there can always be seen (`min-width`).
    for (part, count) in there() {
        let class = part.class();
        write!(out, "<b class=\"{class}\" style=\"flex-grow:{count}\"></b>")?;
    }
    write!(out, "</div></td><td>")?;
    for (part, count) in there() {
        let said = Plain(said(*part, *count)).to_string();
        let names = bar.names.iter().find(|(named, _)| named == part);
        let Some((_, names)) = names else {
            // Who notices nothing is of no interest, and most do.
            write!(out, "<div>{said}</div>")?;
            continue;
        };
        let more = match names.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {} more", crate::groups::counted(more)),
        };
        let listed = names[..names.len().min(NAMED)].join(", ");
        write!(
            out,
            "<details><summary>{said}</summary>{}{more}</details>",
            Plain(listed)
        )?;
    }
    writeln!(out, "</td></tr>")
}
