//! `mxdrill mta`: which mail servers can be drilled, and fetching them.

use std::io;

use super::{CommandOutcome, private::MtaCommand, say};
use crate::conform::{Adapter, packages, variant::SIGN};
use crate::{progress, signals};

pub(crate) fn mta(command: &MtaCommand) -> io::Result<CommandOutcome> {
    match command {
        MtaCommand::List => list(),
        MtaCommand::Get(args) => get(&args.names),
    }
}

/// Each mail server that comes with mxdrill, and whether it is fetched.
fn list() -> io::Result<CommandOutcome> {
    for (id, adapter) in Adapter::bundled() {
        let state = match packages::find(&id, &adapter)? {
            Some(_) => "fetched",
            None => "not fetched",
        };
        say::out(format_args!(
            "{id:<10} {:<13} {state:<11} {}",
            adapter.name,
            adapter.sources()
        ))?;
        for (name, variant) in adapter.variants {
            let word = format!("{id}{SIGN}{}", String::from(name));
            say::out(format_args!("           {word}: {}", variant.changes))?;
        }
    }
    let cache = packages::cache()?.join("mta");
    say::out(format_args!("\nThey lie in {}.", cache.display()))?;
    Ok(CommandOutcome::Passed)
}

/// Lets an interrupt end the programs that fetch, and remove what they did.
fn end_when_asked() -> io::Result<()> {
    signals::when_asked_to_end(|| {
        match packages::stop() {
            Ok(()) => say::err("mxdrill: interrupted"),
            Err(error) => say::err(format_args!("mxdrill: interrupted; {error}")),
        }
        std::process::exit(2);
    })
}

/// Fetches mail servers, all of them if none is named. One that fails does not keep the others from
/// it.
fn get(names: &[String]) -> io::Result<CommandOutcome> {
    let chosen = match names {
        [] => Adapter::bundled(),
        names => names
            .iter()
            .map(|name| Adapter::find(name))
            .collect::<io::Result<_>>()?,
    };
    end_when_asked()?;
    let mut outcome = CommandOutcome::Passed;
    let bar = progress::bar(chosen.len() as u64, "{pos}/{len} mail servers");
    bar.tick();
    for (id, adapter) in bar.wrap_iter(chosen.into_iter()) {
        match packages::get(&id, &adapter) {
            Ok(tree) => say::out(format_args!("{id}: {}", tree.packages.join(", ")))?,
            Err(error) => {
                say::err(format_args!("mxdrill: {id}: {error}"));
                outcome = CommandOutcome::CouldNotRun;
            }
        }
    }
    Ok(outcome)
}
