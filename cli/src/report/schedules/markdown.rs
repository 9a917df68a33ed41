//! Schedules as a page for a repository: two tables, and the settings that decided.

use std::io::{self, Write};

use super::{NotNow, StageWait, advice, explained, explanations};
use crate::{
    conform::schedules::Schedules,
    report::matrix::{
        plain::{anchor, escaped},
        server_settings,
    },
};
use mxdrill::fault::Stage;

/// A page for a repository.
pub(crate) fn markdown(schedules: &Schedules, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "# When mail servers try again, and how long they wait\n"
    )?;
    writeln!(
        out,
        "Measured by mxdrill {} on {} with `mxdrill conform --schedules --markdown`. How, and what the words mean, is at \
         the end.\n",
        schedules.mxdrill,
        escaped(&schedules.system)
    )?;
    let names: Vec<String> = schedules
        .servers
        .iter()
        .map(|server| {
            format!(
                "[{}](#{})",
                escaped(&server.server.name),
                anchor(&server.server.id)
            )
        })
        .collect();
    trying_again(schedules, &names, out)?;
    waiting(schedules, &names, out)?;
    settings(schedules, out)?;
    writeln!(out, "## How it is measured\n")?;
    for paragraph in explanations() {
        writeln!(out, "{paragraph}\n")?;
    }
    for (id, drill, why) in schedules.troubles() {
        writeln!(
            out,
            "- Not measured: {}, {}: {}",
            escaped(id),
            drill.name(),
            escaped(why)
        )?;
    }
    Ok(())
}

/// A row for each server: what it does about an exchanger that answers 451.
fn trying_again(schedules: &Schedules, names: &[String], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "## Trying again\n")?;
    writeln!(out, "| | version | {} |", NotNow::HEADS.join(" | "))?;
    writeln!(out, "| --- | --- |{}", " --- |".repeat(NotNow::HEADS.len()))?;
    writeln!(out, "| *RFC 5321* | | {} |", NotNow::ADVICE.join(" | "))?;
    for (server, name) in schedules.servers.iter().zip(names) {
        let cells = NotNow::of(server).cells().map(|cell| escaped(&cell));
        let version = escaped(&server.server.version);
        writeln!(out, "| {name} | {version} | {} |", cells.join(" | "))?;
    }
    writeln!(out)
}

/// A row for each stage, a column for each server: how long it waits, and what it does then.
fn waiting(schedules: &Schedules, names: &[String], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "## Waiting for a silent exchanger\n")?;
    writeln!(out, "| silent at | *RFC 5321* | {} |", names.join(" | "))?;
    writeln!(out, "| --- | --- |{}", " --- |".repeat(names.len()))?;
    for stage in Stage::ALL {
        let cells = schedules.servers.iter().map(|server| {
            let mut hangs = server.hangs.iter();
            let found = hangs.find(|(of, _)| *of == stage);
            found.map(|(_, measured)| escaped(&StageWait::of(stage, measured).words()))
        });
        let cells: Vec<Option<String>> = cells.collect();
        if cells.iter().all(Option::is_none) {
            continue;
        }
        let cells: Vec<String> = cells.into_iter().map(Option::unwrap_or_default).collect();
        writeln!(
            out,
            "| {} | {} | {} |",
            explained(stage),
            advice(stage),
            cells.join(" | ")
        )?;
    }
    writeln!(out)
}

/// What decided, for each server.
fn settings(schedules: &Schedules, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "## The settings that decided\n\nThe whole configurations are in [conformance.md](conformance.md#how-each-was-set-up).\n"
    )?;
    for server in &schedules.servers {
        server_settings(&server.server, out)?;
        writeln!(out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conform::{
        played_server::PlayedServer,
        schedules::{
            Measured, ServerSchedule,
            reading::{Ending, HangRun, NotNowRun, Seconds, Then},
        },
    };

    fn server(id: &str) -> ServerSchedule {
        let run = |late: u64| NotNowRun {
            attempts: [0, 300, 2100, 3900, 5700]
                .map(|at| Seconds(at + late))
                .to_vec(),
            warned: vec![Seconds(14_400 + late)],
            ending: Ending::Returned(Seconds(432_000 + late)),
        };
        let hang = HangRun {
            waited: Some(Seconds(300)),
            then: Then::Next(Seconds(300)),
            ending: Ending::Delivered(Seconds(300)),
        };
        let again = HangRun {
            then: Then::Same(Seconds(400)),
            ending: Ending::Returned(Seconds(432_000)),
            ..hang.clone()
        };
        let measured = |run: HangRun| Measured {
            runs: vec![run.clone(), run],
            trouble: None,
        };
        ServerSchedule {
            server: PlayedServer {
                id: id.to_owned(),
                name: "A | <b>server".to_owned(),
                home: "https://example.test/".to_owned(),
                version: "1.0".to_owned(),
                packages: vec!["package 1.0-1".to_owned()],
                settings: vec!["all as it comes".to_owned()],
            },
            not_now: Measured {
                runs: vec![run(0), run(30)],
                trouble: None,
            },
            hangs: vec![
                (Stage::Connect, measured(hang.clone())),
                (Stage::Mail, measured(hang)),
                (Stage::Dot, measured(again)),
            ],
        }
    }

    /// The whole page, word for word: `UPDATE=1` writes it.
    #[test]
    fn the_page_is_as_it_was() {
        let mut lost = server("other");
        lost.not_now = Measured {
            runs: Vec::new(),
            trouble: Some("a reason".to_owned()),
        };
        let schedules = Schedules {
            mxdrill: "0".to_owned(),
            system: "a system".to_owned(),
            servers: vec![server("one"), lost],
        };
        let mut page = Vec::new();
        markdown(&schedules, &mut page).expect("memory takes it all");
        let page = String::from_utf8(page).expect("text");
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/src/report/schedules/snapshot.md"
        );
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &page).expect("written");
        }
        let expected = std::fs::read_to_string(path).expect("the page");
        assert_eq!(page, expected, "UPDATE=1 writes it, if this is meant");
    }
}
