//! A table with what is said around it: as text for a terminal, and as a part of a page.

use std::io::{self, Write};

use super::{
    page::Plain,
    table::{self, Align, Column},
};

/// Columns of a screen, in which a table is to fit, and those that its last column has in any case.
const SCREEN: usize = 120;
const LEAST_ROOM: usize = 28;
/// What stands between two columns.
const BETWEEN: &str = "  ";

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
        self.text_of_rows(out)?;
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

    /// The rows. What of the last column goes beyond the screen stands in lines of its own below.
    fn text_of_rows(&self, out: &mut impl Write) -> io::Result<()> {
        let width = |(index, head): (usize, &String)| {
            let cells = self.rows.iter().map(|row| &row.cells[index]);
            let widths = cells.chain([head]).map(|cell| cell.chars().count());
            widths.max().unwrap_or(0)
        };
        let mut widths: Vec<usize> = self.heads.iter().enumerate().map(width).collect();
        // The last one ends with its text.
        widths.pop();
        let aligned = |(index, width): (usize, &usize)| match index {
            0 => Column::new(Align::Left, *width),
            _ => Column::new(Align::Right, *width),
        };
        let columns: Vec<Column> = widths.iter().enumerate().map(aligned).collect();
        let before: usize = widths.iter().map(|width| width + BETWEEN.len()).sum();
        let room = SCREEN.saturating_sub(before).max(LEAST_ROOM);
        let rows = self.rows.iter().map(|row| &row.cells);
        for cells in std::iter::once(&self.heads).chain(rows) {
            let Some((last, others)) = cells.split_last() else {
                continue;
            };
            let mut lines = in_lines(last, room).into_iter();
            let first = lines.next().unwrap_or_default();
            let cells = others.iter().map(String::as_str).chain([&*first]);
            writeln!(out, "{}", table::line(&columns, BETWEEN, cells))?;
            for more in lines {
                writeln!(out, "{}{more}", " ".repeat(before))?;
            }
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

/// A list in lines of at most so many columns; what is longer itself has a line of its own.
fn in_lines(list: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in list.split_inclusive(", ") {
        match lines.last_mut() {
            Some(line) if line.chars().count() + part.trim_end().chars().count() <= room => {
                line.push_str(part);
            }
            _ => lines.push(part.to_owned()),
        }
    }
    let lines = lines.iter().map(|line| line.trim_end().to_owned());
    lines.collect()
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
    fn a_list_goes_on_in_the_next_line_where_the_screen_ends() {
        let list = "mx1.test 51 %, mx2.test 40 %, mx3.test 9 %";
        for (list, room, lines) in [
            (list, 42, &[list][..]),
            (list, 41, &["mx1.test 51 %, mx2.test 40 %,", "mx3.test 9 %"]),
            (
                list,
                5,
                &["mx1.test 51 %,", "mx2.test 40 %,", "mx3.test 9 %"],
            ),
            ("nobody", 5, &["nobody"]),
            ("", 5, &[]),
        ] {
            assert_eq!(in_lines(list, room), lines, "{list:?} in {room}");
        }
    }

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
