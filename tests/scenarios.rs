//! Every scenario that comes with mxdrill is a test of its own, on each network that can carry it.
//!
//! Tests are listed by the paths alone, and a scenario is read when its test runs: a test runner that starts a process
//! for each test starts hundreds of this one.

mod bundled;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use mxdrill::{drill, lab::NetworkKind, scenario::Scenario, sender::Reference};

fn main() {
    let arguments = Arguments::from_args();
    let files = bundled::scenarios();
    let trials = files
        .into_iter()
        .flat_map(|(name, file)| trials(&name, file));
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// The memory network carries every drill; loopback those that need no virtual time.
fn trials(name: &str, file: PathBuf) -> [Trial; 2] {
    let on_memory = file.clone();
    [
        Trial::test(format!("memory::{name}"), move || {
            play(&read(&on_memory)?, NetworkKind::Memory)
        }),
        Trial::ignorable_test(format!("loopback::{name}"), move || {
            let scenario = read(&file)?;
            if !needs_no_time(&scenario) {
                return Ok(Completion::ignored_with("it takes time"));
            }
            play(&scenario, NetworkKind::Loopback).map(|()| Completion::Completed)
        }),
    ]
}

fn read(file: &Path) -> Result<Arc<Scenario>, Failed> {
    let scenario = Scenario::load(file).map_err(|mistakes| mistakes.to_string())?;
    Ok(Arc::new(scenario))
}

fn needs_no_time(scenario: &Arc<Scenario>) -> bool {
    drill::run(scenario, NetworkKind::Memory, None, Reference::default())
        .is_ok_and(|run| run.took.0.is_zero())
}

fn play(scenario: &Arc<Scenario>, network: NetworkKind) -> Result<(), Failed> {
    let run = drill::run(scenario, network, None, Reference::default())?;
    match run.verdict.passed() {
        true => Ok(()),
        false => Err(Failed::from(format!("{:#?}", run.verdict.findings))),
    }
}
