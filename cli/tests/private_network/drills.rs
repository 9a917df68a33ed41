//! The list of all tests, and which of them can be run on this machine.
//!
//! A test is ignored by name, with the reason, where namespaces may not be made, a program is not installed, or a mail
//! server is not unpacked. Tests at a desk are run as who runs them and, where that is root, as an ordinary user, too.

use std::{process::Command, sync::Arc};

use libtest_mimic::{Arguments, Trial};

use super::{
    conform::{self, KNOWN, a_mail_server_passes},
    crashes,
    desk::{DeskTest, Program, TestDesk, User},
    endings, exec, fuzz, lint, matrices,
    schedules::{self, Needs},
    virtual_time,
};

/// Tests at a desk, by what they are about.
const AT_A_DESK: [&[DeskTest]; 8] = [
    exec::TESTS,
    endings::TESTS,
    conform::TESTS,
    matrices::TESTS,
    crashes::TESTS,
    virtual_time::TESTS,
    fuzz::TESTS,
    lint::TESTS,
];

fn has(program: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output();
    found.is_ok_and(|found| found.status.success())
}

/// Why private networks cannot be had here.
fn obstacle(user: User, program: &Arc<Program>) -> Option<String> {
    let said = TestDesk::new(user, program).exec(&[], &["true"]);
    (said.code != Some(1)).then(|| said.err.trim().to_owned())
}

/// Why a test cannot be run for want of a program.
fn missing_program(programs: &[&str]) -> Option<String> {
    let missing = programs.iter().find(|program| !has(program));
    missing.map(|program| format!("{program} is not installed"))
}

/// Why it cannot be run for want of a mail server.
fn missing_server(server: &str) -> Option<String> {
    (!crate::fetched::is_fetched(server)).then(|| format!("mxdrill mta get {server} fetches it"))
}

/// A test that is ignored where there is a reason, which its name then says.
fn trial(
    name: &str,
    reason: Option<String>,
    test: impl FnOnce() -> Result<(), libtest_mimic::Failed> + Send + 'static,
) -> Trial {
    let suffix = reason
        .as_ref()
        .map_or(String::new(), |reason| format!(" ({reason})"));
    Trial::test(format!("{name}{suffix}"), test).with_ignored_flag(reason.is_some())
}

/// The tests at a desk, for one user.
fn at_a_desk(user: User, title: &str, program: &Arc<Program>) -> Vec<Trial> {
    let obstacle = obstacle(user, program);
    let tests = AT_A_DESK.iter().copied().flatten();
    let trials = tests.map(|(name, programs, test)| {
        let reason = obstacle.clone().or(missing_program(programs));
        let (test, program) = (*test, Arc::clone(program));
        trial(&format!("{name}{title}"), reason, move || {
            test(&TestDesk::new(user, &program))
        })
    });
    trials.collect()
}

/// Whether whoever runs the tests is root.
fn is_root() -> bool {
    let told = Command::new("id").arg("-u").output();
    told.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

pub(crate) fn main() {
    let program = Arc::new(Program::new());
    let mut trials = at_a_desk(User::Own, "", &program);
    if is_root() && has("setpriv") {
        trials.extend(at_a_desk(User::Ordinary, " as an ordinary user", &program));
    }
    let obstacle = obstacle(User::Own, &program);
    for (server, filter) in KNOWN {
        let reason = obstacle.clone().or(missing_server(server));
        let name = format!("{server} passes {filter}");
        trials.push(trial(&name, reason, move || {
            a_mail_server_passes(server, filter)
        }));
    }
    for (name, needs, test) in schedules::TESTS {
        let missing = match needs {
            Needs::Programs(programs) => missing_program(programs),
            Needs::Server(server) => missing_server(server),
        };
        let reason = obstacle.clone().or(missing);
        let program = Arc::clone(&program);
        trials.push(trial(name, reason, move || {
            test(&TestDesk::new(User::Own, &program))
        }));
    }
    drop(program);
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
