//! However a run ends, nothing of it is left; and who is asked to end says what was seen so far.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
};

use libtest_mimic::Failed;

use super::desk::{
    DEADLINE, DeskTest, Said, TestDesk, hold, is_inside, processes, tests, wait_until,
};

pub(crate) const TESTS: &[DeskTest] = tests! {
    nothing_is_left: &[],
    nothing_is_left_of_a_matrix: &[],
    a_drill_that_is_ended_is_judged: &["python3", "dig"],
    a_matrix_that_is_ended_is_written: &["dig", "/usr/bin/python3"],
    an_endless_script_is_cut_off: &["dig", "/usr/bin/python3"],
};

/// Runs of which half are killed; see `nothing_is_left`.
const RUNS: usize = 20;

/// What a private network could leave behind on the host, as one text to compare.
fn traces(desk: &TestDesk) -> String {
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
enum RunEnding {
    Ordinary,
    KilledAtOnce,
    KilledInTheMiddle,
}

fn nothing_is_left(desk: &TestDesk) -> Result<(), Failed> {
    let before = traces(desk);
    let endings = [
        RunEnding::Ordinary,
        RunEnding::KilledInTheMiddle,
        RunEnding::Ordinary,
        RunEnding::KilledAtOnce,
    ];
    for ending in endings.into_iter().cycle().take(RUNS) {
        let script = match ending {
            RunEnding::Ordinary => "sleep 1000 & echo ready",
            _ => "sleep 1000 & echo ready; sleep 1000",
        };
        let mut run = desk
            .command(&["exec", "drill.toml", "--", "sh", "-c", script])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut out = BufReader::new(run.stdout.take().expect("piped"));
        let mut line = String::new();
        if !matches!(ending, RunEnding::KilledAtOnce) {
            out.read_line(&mut line)?;
        }
        if !matches!(ending, RunEnding::Ordinary) {
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
fn same(desk: &TestDesk, before: &str) -> Result<(), Failed> {
    wait_until(|| traces(desk) == before)
        .map_err(|_| format!("before: {before}\nafter: {}", traces(desk)).into())
}

/// Who is asked to end says what was seen so far.
fn a_drill_that_is_ended_is_judged(desk: &TestDesk) -> Result<(), Failed> {
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
pub(crate) fn fetch_endless(desk: &TestDesk) -> Result<(), Failed> {
    let adapter = fs::read_to_string(desk.path("scripted.toml"))?;
    let submit = "submit = \"python3 /run/mta.py submit\"";
    let adapter = adapter.replace(submit, "submit = \"sleep 1000\"");
    fs::write(desk.path("endless.toml"), adapter)?;
    let fetched = Said::from(desk.command(&["mta", "get", "./endless.toml"]).output()?);
    hold(fetched.code == Some(0), &fetched)
}

/// A matrix of which drills are under way when it is killed: they go with it.
fn nothing_is_left_of_a_matrix(desk: &TestDesk) -> Result<(), Failed> {
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
fn a_matrix_that_is_ended_is_written(desk: &TestDesk) -> Result<(), Failed> {
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
fn an_endless_script_is_cut_off(desk: &TestDesk) -> Result<(), Failed> {
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
