//! What commands and mail servers see, how they are judged, and that nothing is left of it.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use tempfile::TempDir;

use super::crashes::mail_that_a_crash_loses_is_found_out;
use super::fuzz::{
    a_command_that_cannot_be_tested_is_refused, a_search_that_is_killed_goes_on,
    nothing_is_found_of_a_sender_by_the_book, planted_faults_are_found_and_made_small,
    what_is_found_again_is_counted,
};
use super::schedules::{self, Needs};
use super::virtual_time::{
    a_second_too_late_is_found, connections_fail_when_the_kernel_would_give_them_up,
    days_take_seconds, files_are_as_old_as_the_clock_says, time_runs_with_what_computes,
    timers_are_known_whoever_has_them, waits_end_as_the_kernel_ends_them,
    waits_take_as_long_as_they_say, what_cannot_be_virtual_is_said,
};

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
/// Runs of which half are killed; see `nothing_is_left`.
const RUNS: usize = 20;

/// How long anything may take that has to come.
const DEADLINE: Duration = Duration::from_secs(30);

/// Who runs mxdrill.
#[derive(Clone, Copy)]
enum User {
    /// Whoever runs the tests.
    Own,
    /// An ordinary user, if that is root.
    Ordinary,
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("opened");
}

fn open_folder() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    open_to_all(folder.path());
    folder
}

/// The program where anybody may run it. It is written before the first test begins: a test that starts a
/// command while another writes a program hands it on open for writing, and then nobody can run it.
struct Program(TempDir);

impl Program {
    fn new() -> Self {
        let program = Self(open_folder());
        fs::copy(env!("CARGO_BIN_EXE_mxdrill"), program.path()).expect("copied");
        open_to_all(&program.path());
        program
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("mxdrill")
    }
}

/// A folder that anybody can read, with a drill in it, and the program.
pub(crate) struct Desk {
    folder: TempDir,
    program: Arc<Program>,
    user: User,
}

impl Desk {
    fn new(user: User, program: &Arc<Program>) -> Self {
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

fn dig_sees_the_zone(desk: &Desk) -> Result<(), Failed> {
    let said = desk.exec(&[], &["dig", "+short", "example.test", "MX"]);
    let answered = said.out == "10 mx1.example.test.\n20 mx2.example.test.\n";
    hold(answered && said.code == Some(0), &said)?;
    hold(said.err.contains("nothing to judge"), &said)
}

fn swaks_tries_the_primary_alone(desk: &Desk) -> Result<(), Failed> {
    let said = desk.exec(&[], &["swaks", "--to", "alice@example.test"]);
    hold(said.code == Some(1), &said)?;
    hold(
        said.err.contains("mx1.example.test refused") && said.err.contains("next-candidate"),
        &said,
    )
}

fn a_script_goes_on_to_the_backup(desk: &Desk) -> Result<(), Failed> {
    let said = desk.exec(&["--follow"], &["python3", "send.py", "alice@example.test"]);
    hold(said.code == Some(0), &said)?;
    hold(said.out.contains("sent by mx2.example.test"), &said)?;
    let refused = "to mx1.example.test [192.0.2.1]: refused";
    hold(
        said.err.contains(refused) && said.err.contains("took a message"),
        &said,
    )
}

fn packets_are_written_for_wireshark(desk: &Desk) -> Result<(), Failed> {
    let said = desk.exec(
        &["--pcap", "out/drill.pcap", "--log", "out/log.json"],
        &["python3", "send.py", "alice@example.test"],
    );
    hold(said.code == Some(0), &said)?;
    let packets = fs::read(desk.path("out/drill.pcap"))?;
    let word = |at: usize| u32::from_le_bytes(packets[at..at + 4].try_into().expect("four"));
    hold(word(0) == 0xa1b2_c3d4 && word(20) == 1, &said)?;
    // Every record says how long it is: the lengths lead to the end of the file.
    let (mut at, mut count) = (24, 0);
    while at < packets.len() {
        at += 16 + word(at + 8) as usize;
        count += 1;
    }
    hold(at == packets.len() && count > 20, &said)?;
    let log = fs::read_to_string(desk.path("out/log.json"))?;
    hold(log.contains(r#""result":"refused""#), &said)
}

fn what_cannot_be_written_is_no_success(desk: &Desk) -> Result<(), Failed> {
    for option in ["--log", "--pcap"] {
        let sends = ["python3", "send.py", "alice@example.test"];
        let said = desk.exec(&[option, "/dev/full"], &sends);
        let told = said.err.contains("No space left on device");
        hold(said.code == Some(2) && told, &said)?;
    }
    Ok(())
}

fn nothing_else_can_be_reached(desk: &Desk) -> Result<(), Failed> {
    let script = "cat /etc/resolv.conf; hostname; ls /sys/class/net /proc/sys/net/ipv4/conf; \
                  for process in /proc/[0-9]*; do echo process; done";
    let said = desk.exec(&[], &["sh", "-c", script]);
    hold(said.out.contains("nameserver 127.0.0.1"), &said)?;
    // This shell and mxdrill.
    hold(said.out.matches("process").count() <= 3, &said)?;
    let said = desk.exec(&[], &["dig", "+short", "example.com", "A"]);
    hold(said.out.is_empty(), &said)?;
    // What listens on the host is not there inside.
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    let connect = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && echo reached");
    let said = desk.exec(&[], &["bash", "-c", &connect]);
    hold(!said.out.contains("reached"), &said)?;
    hold(said.err.contains("refused"), &said)
}

/// Connects as often as the arguments say, whatever comes of it.
const CONNECT: &str = "import socket, sys\n\
    for address, port in zip(sys.argv[1::2], sys.argv[2::2]):\n    \
    try: socket.create_connection((address, int(port)), 5).close()\n    \
    except OSError: pass\n";

fn a_connection_to_oneself_is_an_attempt(desk: &Desk) -> Result<(), Failed> {
    for address in ["127.0.0.1", "::1"] {
        let said = desk.exec(&[], &["python3", "-c", CONNECT, address, "25"]);
        let seen = format!("{address} refused");
        hold(said.code == Some(1) && said.err.contains(&seen), &said)?;
    }
    // At another port it is the host's own affair.
    let said = desk.exec(
        &["--follow"],
        &["python3", "-c", CONNECT, "127.0.0.1", "26"],
    );
    hold(!said.err.contains("session"), &said)?;
    hold(!said.err.contains("where nothing is"), &said)
}

fn what_is_tried_outside_the_drill_is_told(desk: &Desk) -> Result<(), Failed> {
    let strays = [
        "192.0.2.1",
        "587",
        "203.0.113.9",
        "853",
        "203.0.113.9",
        "853",
    ];
    let command = [&["python3", "-c", CONNECT][..], &strays].concat();
    let said = desk.exec(&["--follow"], &command);
    let tried = "tried 203.0.113.9:853 over tcp, where nothing is";
    hold(said.err.matches(tried).count() == 2, &said)?;
    hold(said.err.contains("tried 192.0.2.1:587 over tcp"), &said)?;
    // What belongs to the drill is not of that kind.
    let script = "dig +short example.test MX; python3 send.py alice@example.test";
    let said = desk.exec(&["--follow"], &["sh", "-c", script]);
    hold(said.code == Some(0), &said)?;
    hold(!said.err.contains("where nothing is"), &said)
}

fn public_resolvers_answer_for_the_drill(desk: &Desk) -> Result<(), Failed> {
    for server in ["@8.8.8.8", "@1.0.0.1", "@9.9.9.9", "@2001:4860:4860::8844"] {
        for over in ["+notcp", "+tcp"] {
            let said = desk.exec(&[], &["dig", over, "+short", server, "mx2.example.test"]);
            hold(said.out == "192.0.2.2\n", &said)?;
        }
    }
    // No other host does.
    let said = desk.exec(
        &[],
        &[
            "dig",
            "+time=1",
            "+tries=1",
            "@203.0.113.53",
            "mx2.example.test",
        ],
    );
    hold(said.code == Some(1), &said)
}

fn the_exit_status_tells(desk: &Desk) -> Result<(), Failed> {
    // Whoever does nothing has not delivered, nor who only asks.
    let said = desk.exec(&[], &["sh", "-c", "getent hosts mx1.example.test"]);
    hold(said.code == Some(1), &said)?;
    let said = desk.exec(&[], &["true"]);
    hold(
        said.code == Some(1) && said.err.contains("not delivered"),
        &said,
    )?;
    let said = desk.exec(&[], &["no-such-program"]);
    hold(
        said.code == Some(2) && said.err.contains("no-such-program"),
        &said,
    )
}

/// What a private network could leave behind on the host, as one text to compare.
fn traces(desk: &Desk) -> String {
    let names = |folder: &Path| {
        let mut names: Vec<String> = fs::read_dir(folder)
            .expect("readable")
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .collect();
        names.sort();
        names.join(" ")
    };
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("readable");
    let running = processes(desk, |_| true);
    format!(
        "{} mounts; interfaces {}; files {}; {} processes",
        mounts.lines().count(),
        names(Path::new("/sys/class/net")),
        names(&desk.path("out")),
        running
    )
}

/// Whether a run is killed, and when.
#[derive(Clone, Copy)]
enum MessageResult {
    Ordinary,
    KilledAtOnce,
    KilledInTheMiddle,
}

fn nothing_is_left(desk: &Desk) -> Result<(), Failed> {
    let before = traces(desk);
    let endings = [
        MessageResult::Ordinary,
        MessageResult::KilledInTheMiddle,
        MessageResult::Ordinary,
        MessageResult::KilledAtOnce,
    ];
    for ending in endings.into_iter().cycle().take(RUNS) {
        let script = match ending {
            MessageResult::Ordinary => "sleep 1000 & echo ready",
            _ => "sleep 1000 & echo ready; sleep 1000",
        };
        let mut run = desk
            .command(&["exec", "drill.toml", "--", "sh", "-c", script])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut out = BufReader::new(run.stdout.take().expect("piped"));
        let mut line = String::new();
        if !matches!(ending, MessageResult::KilledAtOnce) {
            out.read_line(&mut line)?;
        }
        if !matches!(ending, MessageResult::Ordinary) {
            run.kill()?;
        }
        run.wait()?;
        nobody_has(out)?;
    }
    same(desk, &before)
}

/// Whatever was started has the pipe: its end comes when nothing of it is left.
fn nobody_has(mut pipe: impl Read + Send + 'static) -> Result<(), Failed> {
    let (ended, end) = mpsc::channel();
    thread::spawn(move || {
        let read = pipe.read_to_end(&mut Vec::new());
        // Nobody listens after the deadline.
        ended.send(read.is_ok()).unwrap_or_default();
    });
    match end.recv_timeout(DEADLINE) {
        Ok(true) => Ok(()),
        _ => Err("something that was started is still there".into()),
    }
}

/// That everything comes to be as it was: what ends takes a moment to be gone.
fn same(desk: &Desk, before: &str) -> Result<(), Failed> {
    wait_until(|| traces(desk) == before)
        .map_err(|_| format!("before: {before}\nafter: {}", traces(desk)).into())
}

/// Who is asked to end says what was seen so far.
fn a_drill_that_is_ended_is_judged(desk: &Desk) -> Result<(), Failed> {
    for signal in ["TERM", "HUP"] {
        if signal == "HUP" && crate::hangup::is_ignored() {
            continue;
        }
        let script = "python3 send.py alice@example.test; echo ready; sleep 1000";
        let run = desk
            .command(&[
                "exec",
                "--log",
                "out/log.json",
                "drill.toml",
                "--",
                "sh",
                "-c",
                script,
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut run = run?;
        let mut out = BufReader::new(run.stdout.take().expect("piped"));
        let mut line = String::new();
        while line.trim() != "ready" {
            line.clear();
            if out.read_line(&mut line)? == 0 {
                return Err("it never was ready".into());
            }
        }
        let id = run.id().to_string();
        Command::new("kill").args(["-s", signal, &id]).status()?;
        let said = Said::from(run.wait_with_output()?);
        hold(said.code == Some(0), &said)?;
        let log = fs::read_to_string(desk.path("out/log.json"))?;
        hold(log.contains(r#""event":"verdict""#), &said)?;
        nobody_has(out)?;
    }
    Ok(())
}

/// Writes `endless.toml`, a mail server that never has done with a message, and fetches it: its tree is no part of
/// what a test undoes.
pub(crate) fn fetch_endless(desk: &Desk) -> Result<(), Failed> {
    let adapter = fs::read_to_string(desk.path("scripted.toml"))?;
    let submit = "submit = \"python3 /run/mta.py submit\"";
    let adapter = adapter.replace(submit, "submit = \"sleep 1000\"");
    fs::write(desk.path("endless.toml"), adapter)?;
    let fetched = Said::from(desk.command(&["mta", "get", "./endless.toml"]).output()?);
    hold(fetched.code == Some(0), &fetched)
}

/// A matrix of which drills are under way when it is killed: they go with it.
fn nothing_is_left_of_a_matrix(desk: &Desk) -> Result<(), Failed> {
    fetch_endless(desk)?;
    let before = traces(desk);
    for _ in 0..4 {
        let arguments = ["conform", "./endless.toml", "--filter", "basics", "-j", "2"];
        let mut run = desk
            .command(&arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        // Once a first process of a namespace runs there is something to leave.
        wait_until(|| is_inside(desk))?;
        run.kill()?;
        run.wait()?;
        wait_until(|| !is_inside(desk))?;
    }
    same(desk, &before)
}

/// Who ends a matrix gets what was played by then.
fn a_matrix_that_is_ended_is_written(desk: &Desk) -> Result<(), Failed> {
    fetch_endless(desk)?;
    let before = traces(desk);
    for signal in ["TERM", "INT"] {
        let run = desk
            .command(&["conform", "./endless.toml", "--filter", "basics", "-j", "2"])
            .args(["--json", "out/matrix.json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        wait_until(|| is_inside(desk))?;
        let id = run.id().to_string();
        Command::new("kill").args(["-s", signal, &id]).status()?;
        let said = Said::from(run.wait_with_output()?);
        hold(said.code == Some(2), &said)?;
        hold(said.err.contains("interrupted"), &said)?;
        fs::remove_file(desk.path("out/matrix.json"))?;
    }
    same(desk, &before)
}

/// What a script prints without end is not kept without end.
fn an_endless_script_is_cut_off(desk: &Desk) -> Result<(), Failed> {
    let adapter = fs::read_to_string(desk.path("scripted.toml"))?;
    let adapter = adapter.replace("version = \"echo 1\"", "version = \"yes\"");
    fs::write(desk.path("endless.toml"), adapter)?;
    let arguments = [
        "conform",
        "./endless.toml",
        "--filter",
        "primary_down",
        "-j",
        "1",
    ];
    let said = Said::from(desk.command(&arguments).output()?);
    let all = format!("{}{}", said.out, said.err);
    let told = all.contains("version printed more than");
    hold(said.code == Some(2) && told, &said)
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
pub(crate) fn is_inside(desk: &Desk) -> bool {
    processes(desk, |line| line.contains("--inside")) > 0
}

/// How many processes were started for a desk: its folder is in their environment.
fn processes(desk: &Desk, is_one: impl Fn(&str) -> bool) -> usize {
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

/// The grades of an adapter in some scenarios, by name.
pub(crate) fn grades(
    desk: &Desk,
    adapter: &str,
    filter: &str,
) -> Result<Vec<(String, String)>, Failed> {
    let arguments = ["conform", adapter, "--filter", filter, "--format", "json"];
    let said = Said::from(desk.command(&arguments).output()?);
    let matrix: Value = serde_json::from_str(&said.out).map_err(|_| format!("{said:#?}"))?;
    let rows = matrix["rows"].as_array().ok_or("no rows")?.iter();
    let grade = |row: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&row["path"]), text(&row["cells"][0]["grade"]))
    };
    Ok(rows.map(grade).collect())
}

fn an_adapter_is_all_it_takes(desk: &Desk) -> Result<(), Failed> {
    let graded = grades(desk, "./scripted.toml", "basics/primary_down")?;
    let expected = ("scenarios/basics/primary_down.toml", "pass");
    let wanted = (expected.0.to_owned(), expected.1.to_owned());
    if graded != [wanted] {
        return Err(format!("{graded:?}").into());
    }
    let graded = grades(desk, "./scripted.toml", "down_then_recovered")?;
    if !graded.iter().all(|(_, grade)| grade == "pass") || graded.is_empty() {
        return Err(format!("{graded:?}").into());
    }
    // A drill of the user's, whose records lie beside its folder.
    fs::create_dir(desk.path("drills"))?;
    fs::write(
        desk.path("a.zone"),
        "a.test. MX 0 b.test.\nb.test. A 192.0.2.1\n",
    )?;
    let drill = "summary = 's'\nzone_file = '../a.zone'\nmessages = [{ id = 'm', to = 'x@a.test' }]\n[expect]\ndelivered = 1\n";
    fs::write(desk.path("drills/a.toml"), drill)?;
    let arguments = [
        "conform",
        "./scripted.toml",
        "drills/a.toml",
        "--allow-outside",
    ];
    let said = Said::from(desk.command(&arguments[..3]).output()?);
    hold(
        said.code == Some(2) && said.err.contains("--allow-outside"),
        &said,
    )?;
    let said = Said::from(desk.command(&arguments).output()?);
    hold(said.code == Some(0), &said)?;
    // What it names must be bundled where the bundled drills are played, and may be the user's own where those are.
    let adapter = fs::read_to_string(desk.path("scripted.toml"))?;
    let adapter = adapter.replacen("version", "chance = [\"drills/a\"]\nversion", 1);
    fs::write(desk.path("stale.toml"), adapter)?;
    let stale = ["conform", "./stale.toml", "--filter", "primary_down"];
    let said = Said::from(desk.command(&stale).output()?);
    let told = ":5:11: found \"drills/a\", expected the name of a bundled scenario";
    hold(said.code == Some(2) && said.err.contains(told), &said)?;
    let own = [
        "conform",
        "./stale.toml",
        "drills/a.toml",
        "--allow-outside",
    ];
    let said = Said::from(desk.command(&own).output()?);
    hold(said.code == Some(0), &said)
}

fn the_wrong_order_is_found_out(desk: &Desk) -> Result<(), Failed> {
    let adapter = fs::read_to_string(desk.path("scripted.toml"))?;
    let adapter = adapter.replace("ORDER = \"best first\"", "ORDER = \"worst first\"");
    fs::write(desk.path("worst_first.toml"), adapter)?;
    let graded = grades(desk, "./worst_first.toml", "basics/best_preference")?;
    match &graded[..] {
        [(_, grade)] if grade == "violates" => Ok(()),
        _ => Err(format!("{graded:?}").into()),
    }
}

/// Mail servers that are unpacked on some machines, and drills that each is known to pass.
const KNOWN: [(&str, &str); 10] = [
    ("postfix", "basics/primary_down"),
    ("postfix", "rfc5321/relay_is_the_implicit_mx"),
    ("postfix", "wire/every_extension_is_offered"),
    ("postfix", "wire/without_extensions"),
    ("exim", "wire/every_extension_is_offered"),
    ("exim", "wire/without_extensions"),
    ("exim", "basics/primary_down"),
    ("exim", "basics/one_of_two_recipients_rejected"),
    ("opensmtpd", "basics/primary_down"),
    ("opensmtpd", "basics/all_down_then_recovered"),
];

fn a_mail_server_passes(server: &str, filter: &str) -> Result<(), Failed> {
    let arguments = ["conform", server, "--filter", filter, "--format", "json"];
    let output = Command::new(env!("CARGO_BIN_EXE_mxdrill"))
        .args(arguments)
        .output()?;
    let said = Said::from(output);
    let matrix: Value = serde_json::from_str(&said.out).map_err(|_| format!("{said:#?}"))?;
    let cell = &matrix["rows"][0]["cells"][0];
    match cell["grade"].as_str() == Some("pass") {
        true => Ok(()),
        false => Err(format!("{cell:#}").into()),
    }
}

fn has(program: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output();
    found.is_ok_and(|found| found.status.success())
}

/// Why private networks cannot be had here.
fn obstacle(user: User, program: &Arc<Program>) -> Option<String> {
    let said = Desk::new(user, program).exec(&[], &["true"]);
    (said.code != Some(1)).then(|| said.err.trim().to_owned())
}

pub(crate) fn main() {
    type Test = fn(&Desk) -> Result<(), Failed>;
    let tests: [(&str, &[&str], Test); 32] = [
        (
            "a_connection_to_oneself_is_an_attempt",
            &["python3"],
            a_connection_to_oneself_is_an_attempt,
        ),
        (
            "what_is_tried_outside_the_drill_is_told",
            &["python3", "dig"],
            what_is_tried_outside_the_drill_is_told,
        ),
        (
            "public_resolvers_answer_for_the_drill",
            &["dig"],
            public_resolvers_answer_for_the_drill,
        ),
        ("dig_sees_the_zone", &["dig"], dig_sees_the_zone),
        (
            "swaks_tries_the_primary_alone",
            &["swaks"],
            swaks_tries_the_primary_alone,
        ),
        (
            "a_script_goes_on_to_the_backup",
            &["dig", "python3"],
            a_script_goes_on_to_the_backup,
        ),
        (
            "packets_are_written_for_wireshark",
            &["dig", "python3"],
            packets_are_written_for_wireshark,
        ),
        (
            "nothing_else_can_be_reached",
            &["dig"],
            nothing_else_can_be_reached,
        ),
        ("the_exit_status_tells", &[], the_exit_status_tells),
        (
            "a_drill_that_is_ended_is_judged",
            &["python3", "dig"],
            a_drill_that_is_ended_is_judged,
        ),
        (
            "what_cannot_be_written_is_no_success",
            &["python3", "dig"],
            what_cannot_be_written_is_no_success,
        ),
        (
            "an_endless_script_is_cut_off",
            &["dig", "/usr/bin/python3"],
            an_endless_script_is_cut_off,
        ),
        (
            "a_matrix_that_is_ended_is_written",
            &["dig", "/usr/bin/python3"],
            a_matrix_that_is_ended_is_written,
        ),
        ("nothing_is_left", &[], nothing_is_left),
        (
            "nothing_is_left_of_a_matrix",
            &[],
            nothing_is_left_of_a_matrix,
        ),
        (
            "an_adapter_is_all_it_takes",
            &["dig", "/usr/bin/python3"],
            an_adapter_is_all_it_takes,
        ),
        (
            "the_wrong_order_is_found_out",
            &["dig", "/usr/bin/python3"],
            the_wrong_order_is_found_out,
        ),
        (
            "mail_that_a_crash_loses_is_found_out",
            &["dig", "/usr/bin/python3"],
            mail_that_a_crash_loses_is_found_out,
        ),
        ("days_take_seconds", CLOCKED, days_take_seconds),
        (
            "timers_are_known_whoever_has_them",
            CLOCKED,
            timers_are_known_whoever_has_them,
        ),
        (
            "connections_fail_when_the_kernel_would_give_them_up",
            CLOCKED,
            connections_fail_when_the_kernel_would_give_them_up,
        ),
        (
            "files_are_as_old_as_the_clock_says",
            CLOCKED,
            files_are_as_old_as_the_clock_says,
        ),
        (
            "a_second_too_late_is_found",
            CLOCKED,
            a_second_too_late_is_found,
        ),
        (
            "waits_take_as_long_as_they_say",
            CLOCKED,
            waits_take_as_long_as_they_say,
        ),
        (
            "waits_end_as_the_kernel_ends_them",
            CLOCKED,
            waits_end_as_the_kernel_ends_them,
        ),
        (
            "time_runs_with_what_computes",
            CLOCKED,
            time_runs_with_what_computes,
        ),
        (
            "what_cannot_be_virtual_is_said",
            CLOCKED,
            what_cannot_be_virtual_is_said,
        ),
        (
            "planted_faults_are_found_and_made_small",
            CLOCKED,
            planted_faults_are_found_and_made_small,
        ),
        (
            "nothing_is_found_of_a_sender_by_the_book",
            CLOCKED,
            nothing_is_found_of_a_sender_by_the_book,
        ),
        (
            "what_is_found_again_is_counted",
            CLOCKED,
            what_is_found_again_is_counted,
        ),
        (
            "a_search_that_is_killed_goes_on",
            CLOCKED,
            a_search_that_is_killed_goes_on,
        ),
        (
            "a_command_that_cannot_be_tested_is_refused",
            CLOCKED,
            a_command_that_cannot_be_tested_is_refused,
        ),
    ];
    let is_root = Command::new("id").arg("-u").output();
    let is_root = is_root.is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    let program = Arc::new(Program::new());
    let mut trials = Vec::new();
    for (user, title) in [(User::Own, ""), (User::Ordinary, " as an ordinary user")] {
        if matches!(user, User::Ordinary) && !(is_root && has("setpriv")) {
            continue;
        }
        let obstacle = obstacle(user, &program);
        for (name, programs, test) in &tests {
            let missing = programs.iter().find(|program| !has(program));
            let missing = missing.map(|program| format!("{program} is not installed"));
            let reason = obstacle.clone().or(missing);
            let suffix = reason
                .as_ref()
                .map_or(String::new(), |reason| format!(" ({reason})"));
            let (test, program) = (*test, Arc::clone(&program));
            let trial = Trial::test(format!("{name}{title}{suffix}"), move || {
                test(&Desk::new(user, &program))
            });
            trials.push(trial.with_ignored_flag(reason.is_some()));
        }
    }
    let obstacle = obstacle(User::Own, &program);
    for (server, filter) in KNOWN {
        let missing = (!crate::fetched::is_fetched(server))
            .then(|| format!("mxdrill mta get {server} fetches it"));
        let reason = obstacle.clone().or(missing);
        let suffix = reason
            .as_ref()
            .map_or(String::new(), |reason| format!(" ({reason})"));
        let trial = Trial::test(format!("{server} passes {filter}{suffix}"), move || {
            a_mail_server_passes(server, filter)
        });
        trials.push(trial.with_ignored_flag(reason.is_some()));
    }
    for (name, needs, test) in schedules::TESTS {
        let missing = match needs {
            Needs::Programs(programs) => {
                let missing = programs.iter().find(|program| !has(program));
                missing.map(|program| format!("{program} is not installed"))
            }
            Needs::Server(server) => (!crate::fetched::is_fetched(server))
                .then(|| format!("mxdrill mta get {server} fetches it")),
        };
        let reason = obstacle.clone().or(missing);
        let suffix = reason
            .as_ref()
            .map_or(String::new(), |reason| format!(" ({reason})"));
        let program = Arc::clone(&program);
        let trial = Trial::test(format!("{name}{suffix}"), move || {
            test(&Desk::new(User::Own, &program))
        });
        trials.push(trial.with_ignored_flag(reason.is_some()));
    }
    drop(program);
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
