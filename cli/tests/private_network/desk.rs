//! A folder with a drill and the program in it, as whoever runs mxdrill has them, and what is asked of both.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use libtest_mimic::Failed;
use tempfile::TempDir;

/// A test by its name, the programs that it needs, and what it does at a desk of its own.
pub(crate) type DeskTest = (
    &'static str,
    &'static [&'static str],
    fn(&TestDesk) -> Result<(), Failed>,
);

/// Rows of tests: a function, and the programs that it needs. The name is that of the function.
macro_rules! tests {
    ($($name:ident: $needs:expr,)+) => {
        &[$((stringify!($name), $needs, $name)),+]
    };
}
pub(crate) use tests;

const DRILL: &str = r#"
summary = "the backup takes the mail while the primary is down"
zone = """
$ORIGIN example.test.
$TTL 300
@    IN MX 10 mx1
@    IN MX 20 mx2
mx1  IN A    192.0.2.1
mx1  IN AAAA 2001:db8::1
mx2  IN A    192.0.2.2
"""
messages = [{ id = "m1", to = "alice@example.test" }]
faults   = [{ host = "mx1.example.test", stage = "connect", effect = "refuse" }]
[expect.m1]
outcome = "delivered"
by      = "mx2.example.test"
"#;

/// What tests on virtual time need: Python, and a machine on which there is such time.
pub(crate) const CLOCKED: &[&str] = if cfg!(target_arch = "x86_64") {
    &["python3"]
} else {
    &["python3", "an x86-64 processor"]
};

/// The user that tests run as who must not be root.
const NOBODY: &str = "65534";

/// How long anything may take that has to come, on a machine that has much else to do.
pub(crate) const DEADLINE: Duration = Duration::from_secs(180);

/// Who runs mxdrill.
#[derive(Clone, Copy)]
pub(crate) enum User {
    /// Whoever runs the tests.
    Own,
    /// An ordinary user, if that is root.
    Ordinary,
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("opened");
}

pub(crate) fn open_folder() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    open_to_all(folder.path());
    folder
}

/// The program where anybody may run it. It is written before the first test begins: a test that starts a
/// command while another writes a program hands it on open for writing, and then nobody can run it.
pub(crate) struct Program(TempDir);

impl Program {
    pub(crate) fn new() -> Self {
        let program = Self(open_folder());
        let built = Path::new(env!("CARGO_BIN_EXE_mxdrill"));
        let mode = fs::metadata(built).expect("built").permissions().mode();
        // A second name costs nothing, a copy of a hundred megabytes does, for each process that runs one test.
        let is_open = mode & 0o005 == 0o005;
        if !is_open || fs::hard_link(built, program.path()).is_err() {
            fs::copy(built, program.path()).expect("copied");
            open_to_all(&program.path());
        }
        program
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("mxdrill")
    }
}

/// A folder that anybody can read, with a drill in it, and the program.
pub(crate) struct TestDesk {
    folder: TempDir,
    program: Arc<Program>,
    user: User,
}

impl TestDesk {
    pub(crate) fn new(user: User, program: &Arc<Program>) -> Self {
        let desk = Self {
            folder: open_folder(),
            program: Arc::clone(program),
            user,
        };
        fs::write(desk.path("drill.toml"), DRILL).expect("written");
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/programs");
        for program in [
            "send.py",
            "scripted.toml",
            "patient.py",
            "waits.py",
            "file_times.py",
            "connects.py",
            "timers.py",
            "routes.py",
            "relays.py",
            "../senders/lib.py",
        ] {
            let name = Path::new(program).file_name().expect("a file");
            fs::copy(programs.join(program), desk.folder.path().join(name)).expect("copied");
        }
        let out = desk.path("out");
        fs::create_dir(&out).expect("made");
        fs::set_permissions(&out, fs::Permissions::from_mode(0o777)).expect("opened");
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the program is.
    pub(crate) fn program_path(&self) -> PathBuf {
        self.program.path()
    }

    /// `mxdrill` with arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match self.user {
            User::Own => Command::new(self.program.path()),
            User::Ordinary => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
                command.arg(self.program.path());
                command
            }
        };
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("TMPDIR", self.path("out"))
            .env("MXDRILL_CACHE", self.path("out/cache"))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn exec(&self, options: &[&str], program: &[&str]) -> Said {
        let arguments = [&["exec"], options, &["drill.toml", "--"], program].concat();
        Said::from(self.command(&arguments).output().expect("it runs"))
    }
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

pub(crate) fn hold(condition: bool, said: &Said) -> Result<(), Failed> {
    match condition {
        true => Ok(()),
        false => Err(format!("{said:#?}").into()),
    }
}

pub(crate) fn wait_until(condition: impl Fn() -> bool) -> Result<(), Failed> {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        if Instant::now() > deadline {
            return Err("it did not come about in time".into());
        }
        thread::yield_now();
    }
    Ok(())
}

/// Whether some process of the desk's program is the first of a namespace.
pub(crate) fn is_inside(desk: &TestDesk) -> bool {
    processes(desk, |line| line.contains("--inside")) > 0
}

/// How many processes were started for a desk: its folder is in their environment.
pub(crate) fn processes(desk: &TestDesk, is_one: impl Fn(&str) -> bool) -> usize {
    let folder = desk.folder.path().display().to_string();
    let of_desk = |entry: &fs::DirEntry| {
        let text = |file: &str| {
            let octets = fs::read(entry.path().join(file)).unwrap_or_default();
            String::from_utf8_lossy(&octets).into_owned()
        };
        text("environ").contains(&folder) && is_one(&text("cmdline"))
    };
    let entries = fs::read_dir("/proc").expect("readable");
    entries.flatten().filter(of_desk).count()
}
