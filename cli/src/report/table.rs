//! Columns that line up, for people: how wide each is, and a line of cells in it.
//!
//! Widths are counted in characters, and colours take no room. Nothing follows the last cell of a line that
//! has something in it.

use anstyle::Style;

/// On which side of its column a cell stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A column: its side, and its least width. What is wider stands out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    align: Align,
    width: usize,
}

impl Column {
    /// A column of this width.
    pub(crate) fn new(align: Align, width: usize) -> Self {
        Self { align, width }
    }

    /// A column as wide as the widest of these cells.
    pub(crate) fn fitting<T: AsRef<str>>(align: Align, cells: impl IntoIterator<Item = T>) -> Self {
        let widths = cells.into_iter().map(|cell| cell.as_ref().chars().count());
        Self::new(align, widths.max().unwrap_or(0))
    }
}

/// A line of cells in their columns, with what stands between two of them; what is beyond the last column
/// has no width.
pub(crate) fn line<T: AsRef<str>>(
    columns: &[Column],
    between: &str,
    cells: impl IntoIterator<Item = T>,
) -> String {
    let plain = cells.into_iter().map(|cell| (cell, Style::new()));
    coloured_line(columns, between, plain)
}

/// As [`line()`], with a colour for each cell.
pub(crate) fn coloured_line<T: AsRef<str>>(
    columns: &[Column],
    between: &str,
    cells: impl IntoIterator<Item = (T, Style)>,
) -> String {
    let mut line = String::new();
    for (index, (cell, style)) in cells.into_iter().enumerate() {
        if index > 0 {
            line.push_str(between);
        }
        let cell = cell.as_ref();
        let column = columns.get(index);
        let width = column.map_or(0, |column| column.width);
        let room = " ".repeat(width.saturating_sub(cell.chars().count()));
        let cell = format!("{style}{cell}{style:#}");
        match column.map(|column| column.align) {
            Some(Align::Right) => line.push_str(&(room + &cell)),
            Some(Align::Left) | None => line.push_str(&(cell + &room)),
        }
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use anstyle::AnsiColor;

    use super::*;

    #[test]
    fn cells_stand_on_their_side_and_what_is_too_wide_stands_out() {
        let columns = [
            Column::fitting(Align::Left, ["drill", "größer"]),
            Column::new(Align::Right, 4),
        ];
        for (cells, told) in [
            (["größer", "1", "a"], "größer |    1 | a"),
            (["drill", "12345", "b"], "drill  | 12345 | b"),
            (["drill", "", ""], "drill  |      |"),
        ] {
            assert_eq!(line(&columns, " | ", cells), told);
        }
    }

    #[test]
    fn a_colour_takes_no_room() {
        let columns = [Column::new(Align::Left, 6); 2];
        let red = AnsiColor::Red.on_default();
        let line = coloured_line(
            &columns,
            " ",
            [("pass", red), ("x", Style::new()), ("y", red)],
        );
        let plain = anstream::adapter::strip_str(&line).to_string();
        assert_eq!(plain, "pass   x      y");
    }
}
