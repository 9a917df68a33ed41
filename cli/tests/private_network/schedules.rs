//! What mail servers do by their own defaults, as `mxdrill conform --schedules` measures it.

use std::{
    fs,
    process::{Command, Stdio},
};

use libtest_mimic::Failed;
use serde_json::Value;

use super::{
    desk::{CLOCKED, Said, TestDesk, hold, is_inside, wait_until},
    endings::fetch_endless,
};

/// What a test needs of the machine.
pub(crate) enum Needs {
    Programs(&'static [&'static str]),
    /// A mail server that is unpacked.
    Server(&'static str),
}

type ScheduleTest = fn(&TestDesk) -> Result<(), Failed>;

/// Each with its name, for whoever runs the tests: an ordinary user has the same clock.
pub(crate) const TESTS: [(&str, Needs, ScheduleTest); 4] = [
    (
        "a_schedule_is_measured",
        Needs::Programs(CLOCKED),
        a_schedule_is_measured,
    ),
    (
        "schedules_have_drills_of_their_own",
        Needs::Programs(&[]),
        schedules_have_drills_of_their_own,
    ),
    (
        "a_measurement_that_is_ended_is_written",
        Needs::Programs(CLOCKED),
        a_measurement_that_is_ended_is_written,
    ),
    (
        "exim_does_as_its_manual_says",
        Needs::Server("exim"),
        exim_does_as_its_manual_says,
    ),
];

/// The scripted server, which tries for ever and waits for three seconds. It tries each second day here, since a
/// Python for each half hour of twelve days takes minutes.
fn a_schedule_is_measured(desk: &TestDesk) -> Result<(), Failed> {
    let adapter = fs::read_to_string(desk.path("scripted.toml"))?;
    let adapter = adapter.replace("sleep 1800", "sleep 172800");
    fs::write(desk.path("rare.toml"), adapter)?;
    let files = [
        "--json",
        "out/s.json",
        "--markdown",
        "out/s.md",
        "--html",
        "out/s.html",
    ];
    let arguments = [&["conform", "./rare.toml", "--schedules"][..], &files].concat();
    let said = Said::from(desk.command(&arguments).output()?);
    hold(said.code == Some(0), &said)?;
    for line in [
        "at once, then every 2d",
        "not returned within 12d",
        "the final dot                      10m       3s △   next",
    ] {
        hold(said.out.contains(line), &said)?;
    }
    let json: Value = serde_json::from_str(&fs::read_to_string(desk.path("out/s.json"))?)?;
    let server = &json["servers"][0];
    let runs = server["not_now"]["runs"].as_array().ok_or("no runs")?;
    let attempts = runs[0]["attempts"].as_array().ok_or("no attempts")?;
    let whole = runs.len() == 2 && attempts.len() == 6 && attempts[1] == 172_800;
    let stages = server["hangs"].as_array().ok_or("no stages")?;
    if !whole || stages.len() != 8 {
        return Err(format!("{server:#}").into());
    }
    let page = fs::read_to_string(desk.path("out/s.md"))?;
    hold(page.contains("| the final dot | 10m | 3s △, next |"), &said)?;
    let page = fs::read_to_string(desk.path("out/s.html"))?;
    hold(page.matches("<title>").count() > 6, &said)
}

fn schedules_have_drills_of_their_own(desk: &TestDesk) -> Result<(), Failed> {
    for (more, told) in [
        (&["--filter", "basics"][..], "--filter"),
        (&["--logs", "out"], "--logs"),
        (&["--real-time"], "--real-time"),
        (&["drill.toml"], "drill.toml"),
    ] {
        let arguments = [&["conform", "./scripted.toml", "--schedules"][..], more].concat();
        let said = Said::from(desk.command(&arguments).output()?);
        hold(said.code == Some(2) && said.err.contains(told), &said)?;
    }
    Ok(())
}

fn a_measurement_that_is_ended_is_written(desk: &TestDesk) -> Result<(), Failed> {
    fetch_endless(desk)?;
    let run = desk
        .command(&["conform", "./endless.toml", "--schedules"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    wait_until(|| is_inside(desk))?;
    let id = run.id().to_string();
    Command::new("kill").args(["-s", "INT", &id]).status()?;
    let said = Said::from(run.wait_with_output()?);
    hold(
        said.code == Some(2) && said.err.contains("interrupted"),
        &said,
    )?;
    wait_until(|| !is_inside(desk))
}

/// Its retry rule is F,2h,15m; G,16h,1h,1.5; F,4d,6h with a queue runner every half hour. A client that half-closes
/// after the final dot waits all the same.
fn exim_does_as_its_manual_says(_: &TestDesk) -> Result<(), Failed> {
    let output = Command::new(env!("CARGO_BIN_EXE_mxdrill"))
        .args(["conform", "exim", "--schedules"])
        .output()?;
    let said = Said::from(output);
    hold(said.code == Some(0), &said)?;
    for line in [
        "at once, 30m, 1h, 1h30m, 2h, 2h30m, 3h30m, 5h, 7h30m, 11h, 16h30m",
        "1d, 2d, 3d, 4d",
        "4d30m",
        "greeting                           5m        5m     next",
        "the final dot                      10m       10m1s  next",
    ] {
        hold(said.out.contains(line), &said)?;
    }
    Ok(())
}
