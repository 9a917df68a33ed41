//! The list of all tests, and which of them can be run on this machine.
//!
//! A test is ignored by name, with the reason, where namespaces may not be made, a program is not installed, or a mail
//! server is not unpacked. Tests at a desk are run as who runs them and, where that is root, as an ordinary user, too.
//!
//! A process that is asked for one test by its name, as cargo-nextest starts them, looks for what that one needs alone.

use std::{cell::OnceCell, env, fs, os::unix::fs::PermissionsExt, process::Command, sync::Arc};

use libtest_mimic::{Arguments, Failed, Trial};

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

/// Whether a program can be started by this name or path.
fn has(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    // A name that is a path is that path, whichever folder it is joined to.
    env::split_paths(&path).any(|folder| {
        let about = fs::metadata(folder.join(program));
        about.is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
    })
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

/// The tests that are asked for.
struct Trials {
    /// The name of the only one, as it was listed.
    only: Option<String>,
    trials: Vec<Trial>,
}

impl Trials {
    /// Those that these arguments ask for, none of them known yet.
    fn of(arguments: &Arguments) -> Self {
        Self {
            only: arguments.filter.clone().filter(|_| arguments.exact),
            trials: Vec::new(),
        }
    }

    /// Takes up a test, which is ignored where there is a reason: its name says that then.
    fn add(
        &mut self,
        name: &str,
        reason: impl FnOnce() -> Option<String>,
        test: impl FnOnce() -> Result<(), Failed> + Send + 'static,
    ) {
        let is_asked_for = self.only.as_ref().is_none_or(|only| {
            let rest = only.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(" ("))
        });
        if !is_asked_for {
            return;
        }
        let reason = reason();
        let suffix = reason
            .as_ref()
            .map_or(String::new(), |reason| format!(" ({reason})"));
        let trial = Trial::test(format!("{name}{suffix}"), test);
        self.trials.push(trial.with_ignored_flag(reason.is_some()));
    }
}

/// What keeps a user from private networks, looked for once and where somebody asks.
struct Networks {
    program: Arc<Program>,
    own: OnceCell<Option<String>>,
    ordinary: OnceCell<Option<String>>,
}

impl Networks {
    fn obstacle(&self, user: User) -> Option<String> {
        let known = match user {
            User::Own => &self.own,
            User::Ordinary => &self.ordinary,
        };
        known.get_or_init(|| obstacle(user, &self.program)).clone()
    }
}

/// The tests at a desk, for one user.
fn at_a_desk(user: User, title: &str, networks: &Networks, trials: &mut Trials) {
    for (name, programs, test) in AT_A_DESK.iter().copied().flatten() {
        let reason = || missing_program(programs).or_else(|| networks.obstacle(user));
        let (test, program) = (*test, Arc::clone(&networks.program));
        trials.add(&format!("{name}{title}"), reason, move || {
            test(&TestDesk::new(user, &program))
        });
    }
}

/// Whether whoever runs the tests is root.
fn is_root() -> bool {
    let told = Command::new("id").arg("-u").output();
    told.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

pub(crate) fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Trials::of(&arguments);
    let networks = Networks {
        program: Arc::new(Program::new()),
        own: OnceCell::new(),
        ordinary: OnceCell::new(),
    };
    at_a_desk(User::Own, "", &networks, &mut trials);
    if is_root() && has("setpriv") {
        at_a_desk(
            User::Ordinary,
            " as an ordinary user",
            &networks,
            &mut trials,
        );
    }
    for (server, filter) in KNOWN {
        let reason = || missing_server(server).or_else(|| networks.obstacle(User::Own));
        let name = format!("{server} passes {filter}");
        trials.add(&name, reason, move || a_mail_server_passes(server, filter));
    }
    for (name, needs, test) in schedules::TESTS {
        let missing = || match needs {
            Needs::Programs(programs) => missing_program(programs),
            Needs::Server(server) => missing_server(server),
        };
        let reason = || missing().or_else(|| networks.obstacle(User::Own));
        let program = Arc::clone(&networks.program);
        trials.add(name, reason, move || {
            test(&TestDesk::new(User::Own, &program))
        });
    }
    let trials = trials.trials;
    drop(networks);
    libtest_mimic::run(&arguments, trials).exit();
}
