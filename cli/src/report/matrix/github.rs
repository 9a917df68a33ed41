//! The matrix as annotations of GitHub Actions: one for each cell that departs, and a line for each mail server.

use std::io::{self, Write};

use super::{Place, Telling, reasons, text::sums};
use crate::{
    conform::matrix::{Grade, Matrix},
    report::github::{Annotation, annotate},
};

/// Annotations at the files of the drills, where those are the user's.
pub(crate) fn github(
    matrix: &Matrix,
    telling: &Telling<'_>,
    out: &mut impl Write,
) -> io::Result<()> {
    if telling.is_silent(matrix) {
        return Ok(());
    }
    for place in Telling::places(matrix) {
        let Place { row, column, cell } = place;
        let known = telling.known(place);
        let kind = match known {
            None if telling.is_wrong(place) => Annotation::Error,
            _ if telling.is_quiet || cell.grade <= Grade::Informs => continue,
            None => Annotation::Warning,
            Some(_) => Annotation::Notice,
        };
        // The drills that come with mxdrill are no files of the repository.
        let file = matrix.suite.is_none().then_some((&*row.path, 1));
        let sign = if known.is_some() { "known: " } else { "" };
        let title = format!("{sign}{} {}: {}", column.server.id, cell.grade, row.summary);
        let message = match known {
            Some(reason) => reason.to_owned(),
            None => [vec![row.name().to_owned()], reasons(cell)]
                .concat()
                .join("\n"),
        };
        annotate(out, kind, file, &title, &message)?;
    }
    sums(matrix, telling, out)
}
