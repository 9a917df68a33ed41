//! `mxdrill conform --schedules`: what mail servers do by their own defaults, measured on virtual time.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    CommandOutcome,
    conform::{DrillReports, end_when_asked, entrants, fetched},
    private::{ConformArgs, MatrixFormat},
    say,
};
use crate::{
    conform::{isolated_run, schedules::Measurement},
    parallel, progress,
    report::schedules,
};

/// Drills at once for each core at most: moments stay exact only where nobody is kept waiting for long.
const MOST_PER_CORE: usize = 2;

/// Measures, and writes what came of it in every format that was asked for.
pub(crate) fn schedules(args: &ConformArgs) -> io::Result<CommandOutcome> {
    if args.format == MatrixFormat::Github || args.quiet {
        let text = "found --format github or --quiet, expected neither: --schedules finds nothing that fails";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let (chosen, paths) = entrants(args)?;
    let servers = fetched(chosen)?;
    if let Some(path) = paths.first() {
        let text = format!(
            "found scenarios ({}), expected mail servers alone: --schedules has drills of its own",
            path.display()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let stopped: Arc<AtomicBool> = Arc::default();
    end_when_asked(&stopped)?;
    if let Err(why) = isolated_run::try_virtual_time() {
        if stopped.load(Ordering::SeqCst) {
            return Ok(CommandOutcome::CouldNotRun);
        }
        say::err(format_args!(
            "mxdrill: there is no virtual time here, without which schedules take days: {why}"
        ));
        return Ok(CommandOutcome::CouldNotRun);
    }
    let reports = DrillReports::open(args)?;
    let most = parallel::cores() * MOST_PER_CORE;
    let measurement = Measurement {
        servers,
        jobs: args.jobs.unwrap_or(most).min(most),
        seed: args.seed.unwrap_or(0),
        stopped,
    };
    let bar = progress::bar(
        measurement.drills() as u64,
        "{pos}/{len} drills, {eta} to go  {msg}",
    );
    let measured = measurement.measure(|server, drill, trouble| {
        bar.inc(1);
        bar.set_message(format!("{} {}", server.id, drill.name()));
        if args.verbose {
            let came_to = trouble.unwrap_or("measured");
            let text = format!("{:<10} {:<20} {came_to}", server.id, drill.name());
            bar.suspend(|| say::err(text));
        }
    });
    bar.finish_and_clear();
    reports.write(|format, mut out| match format {
        MatrixFormat::Text => schedules::text(&measured, &mut out),
        MatrixFormat::Markdown => schedules::markdown(&measured, &mut out),
        MatrixFormat::Json => schedules::json(&measured, &mut out),
        MatrixFormat::Html => schedules::html(&measured, &mut out),
        // Nothing of schedules is right or wrong: both are refused beside --schedules.
        MatrixFormat::Badge | MatrixFormat::Github => Ok(()),
    })?;
    Ok(match measured.troubles()[..] {
        [] => CommandOutcome::Passed,
        _ => CommandOutcome::CouldNotRun,
    })
}
