//! Every scenario that comes with mxdrill is a test of its own, on each network that can carry it.

mod bundled;

use std::{path::Path, sync::Arc};

use libtest_mimic::{Arguments, Failed, Trial};
use mxdrill::{drill, lab::NetworkKind, scenario::Scenario, sender::Reference};

fn main() {
    let arguments = Arguments::from_args();
    let files = bundled::scenarios();
    let trials = files.iter().flat_map(|(name, file)| trials(name, file));
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// The memory network carries every drill; loopback those that need no virtual time.
fn trials(name: &str, file: &Path) -> Vec<Trial> {
    let scenario = match Scenario::load(file) {
        Ok(scenario) => Arc::new(scenario),
        Err(mistakes) => {
            let mistakes = mistakes.to_string();
            return vec![Trial::test(format!("memory::{name}"), move || {
                Err(Failed::from(mistakes))
            })];
        }
    };
    let on_memory = Arc::clone(&scenario);
    let mut trials = vec![Trial::test(format!("memory::{name}"), move || {
        play(&on_memory, NetworkKind::Memory)
    })];
    if needs_no_time(&scenario) {
        trials.push(Trial::test(format!("loopback::{name}"), move || {
            play(&scenario, NetworkKind::Loopback)
        }));
    }
    trials
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
