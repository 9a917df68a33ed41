//! Schedules for a terminal: a table for each server.

use std::io::{self, Write};

use super::{NotNow, StageWait, advice, explained};
use crate::{
    conform::schedules::{Schedules, ServerSchedule},
    report::table::{self, Align, Column},
};
use mxdrill::visible::visible;

/// A table for each server.
pub(crate) fn text(schedules: &Schedules, out: &mut impl Write) -> io::Result<()> {
    for (index, server) in schedules.servers.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        of_server(server, out)?;
    }
    writeln!(
        out,
        "\n△ below what RFC 5321 advises (sections 4.5.3.2 and 4.5.4.1)"
    )?;
    for (id, drill, why) in schedules.troubles() {
        writeln!(out, "not measured: {id} {}: {}", drill.name(), visible(why))?;
    }
    Ok(())
}

fn of_server(server: &ServerSchedule, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{} {}",
        visible(&server.server.name),
        visible(&server.server.version)
    )?;
    let heads = NotNow::HEADS.map(str::to_owned);
    let columns = [Column::fitting(Align::Left, &heads)];
    for (head, cell) in heads.iter().zip(NotNow::of(server).cells()) {
        if !cell.is_empty() {
            writeln!(
                out,
                "  {}",
                table::line(&columns, "  ", [head, &*visible(&cell)])
            )?;
        }
    }
    let mut rows = vec![["silent at", "RFC 5321", "waits", "then"].map(str::to_owned)];
    for (stage, measured) in &server.hangs {
        let wait = StageWait::of(*stage, measured);
        rows.push([
            explained(*stage).to_owned(),
            advice(*stage),
            wait.waits,
            wait.then,
        ]);
    }
    let columns: Vec<Column> = (0..3)
        .map(|column| Column::fitting(Align::Left, rows.iter().map(|row| &row[column])))
        .collect();
    for row in &rows {
        let line = table::line(
            &columns,
            "  ",
            row.iter().map(|cell| visible(cell).into_owned()),
        );
        writeln!(out, "  {line}")?;
    }
    Ok(())
}
