//! A table with what is said around it: as text for a terminal, and as a part of a page.

use std::io::{self, Write};

use super::{
    page::Plain,
    table::{self, Align, Column},
};

/// How bad a row is for mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// All of it arrives, within an hour.
    Fine,
    /// Some of it waits for an hour or more.
    Waits,
    /// Some of it comes back.
    Returned,
}

impl Weight {
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Waits => "waits",
            Self::Returned => "returned",
        }
    }
}

/// A row of a table.
pub(crate) struct SheetRow {
    pub(crate) cells: Vec<String>,
    pub(crate) weight: Weight,
}

/// A table, what stands before it and what it comes to.
#[derive(Default)]
pub(crate) struct Sheet {
    /// What was done, in lines.
    pub(crate) about: Vec<String>,
    /// The heads of the columns. The first and the last stand at the left, what is between at the right.
    pub(crate) heads: Vec<String>,
    pub(crate) rows: Vec<SheetRow>,
    /// What rows that are left out have in common, and these.
    pub(crate) folded: Option<(String, Vec<String>)>,
    /// What it comes to.
    pub(crate) closing: Vec<String>,
    /// What is assumed, and what is left out.
    pub(crate) notes: Vec<String>,
}

impl Sheet {
    /// As text.
    pub(crate) fn text(&self, out: &mut impl Write) -> io::Result<()> {
        for line in &self.about {
            writeln!(out, "{line}")?;
        }
        writeln!(out)?;
        let fitting = |(index, head): (usize, &String)| {
            let cells = self.rows.iter().map(|row| &row.cells[index]);
            let align = if index == 0 {
                Align::Left
            } else {
                Align::Right
            };
            Column::fitting(align, cells.chain([head]))
        };
        let mut columns: Vec<Column> = self.heads.iter().enumerate().map(fitting).collect();
        // The last one ends with its text.
        columns.pop();
        writeln!(out, "{}", table::line(&columns, "  ", &self.heads))?;
        for row in &self.rows {
            writeln!(out, "{}", table::line(&columns, "  ", &row.cells))?;
        }
        writeln!(out)?;
        if let Some((what, rows)) = &self.folded {
            writeln!(out, "{what}:")?;
            for row in rows {
                writeln!(out, "  {row}")?;
            }
            writeln!(out)?;
        }
        for line in &self.closing {
            writeln!(out, "{line}")?;
        }
        for note in &self.notes {
            writeln!(out, "{}.", capital(note))?;
        }
        Ok(())
    }

    /// As a part of a page: what it comes to first.
    pub(crate) fn html(&self, out: &mut impl Write) -> io::Result<()> {
        let about = self.about.iter().filter(|line| !line.is_empty());
        let about: Vec<String> = about.map(|line| Plain(line).to_string()).collect();
        writeln!(out, "<p>{}</p>", about.join("<br>\n"))?;
        if !self.closing.is_empty() {
            writeln!(out, "<div class=\"closing\">")?;
            for line in &self.closing {
                writeln!(out, "<p>{}</p>", Plain(line))?;
            }
            writeln!(out, "</div>")?;
        }
        writeln!(out, "<div class=\"wide\"><table>\n<thead><tr>")?;
        for head in &self.heads {
            writeln!(out, "<th>{}</th>", Plain(head))?;
        }
        writeln!(out, "</tr></thead>\n<tbody>")?;
        for row in &self.rows {
            write!(out, "<tr class=\"{}\">", row.weight.class())?;
            for cell in &row.cells {
                // A number stays with its sign.
                let cell = cell.replace(" %", "\u{a0}%");
                write!(out, "<td>{}</td>", Plain(cell))?;
            }
            writeln!(out, "</tr>")?;
        }
        writeln!(out, "</tbody></table></div>")?;
        if let Some((what, rows)) = &self.folded {
            writeln!(out, "<details><summary>{}</summary><ul>", Plain(what))?;
            for row in rows {
                writeln!(out, "<li>{}</li>", Plain(row))?;
            }
            writeln!(out, "</ul></details>")?;
        }
        if !self.notes.is_empty() {
            writeln!(out, "<ul class=\"soft\">")?;
            for note in &self.notes {
                writeln!(out, "<li>{}.</li>", Plain(capital(note)))?;
            }
            writeln!(out, "</ul>")?;
        }
        Ok(())
    }
}

/// A line with a capital at its beginning.
pub(crate) fn capital(line: &str) -> String {
    let mut letters = line.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

/// Parts of a whole in per cent, which make a hundred together: those that lose most by being cut off are rounded up.
/// A part that there is never is 0 %, and one beside others never 100 %.
pub(crate) fn percentages(parts: &[usize]) -> Vec<String> {
    let all: usize = parts.iter().sum();
    if all == 0 {
        return vec!["0 %".to_owned(); parts.len()];
    }
    let mut whole: Vec<usize> = parts.iter().map(|part| part * 100 / all).collect();
    let mut by_rest: Vec<usize> = (0..parts.len()).collect();
    by_rest.sort_by_key(|index| std::cmp::Reverse(parts[*index] * 100 % all));
    let missing = 100 - whole.iter().sum::<usize>();
    for index in by_rest.into_iter().take(missing) {
        whole[index] += 1;
    }
    let shown = |(part, whole): (&usize, usize)| match whole {
        0 if *part > 0 => "under 1 %".to_owned(),
        100 if *part < all => "over 99 %".to_owned(),
        whole => format!("{whole} %"),
    };
    parts.iter().zip(whole).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_make_a_hundred_and_nothing_that_is_there_is_none() {
        for (parts, told) in [
            (&[91, 109][..], &["46 %", "54 %"][..]),
            (&[1, 1, 1], &["34 %", "33 %", "33 %"]),
            (&[200, 0], &["100 %", "0 %"]),
            (&[1, 999], &["under 1 %", "over 99 %"]),
            (&[], &[]),
        ] {
            assert_eq!(percentages(parts), told, "{parts:?}");
        }
    }
}
