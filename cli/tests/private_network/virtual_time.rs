//! Virtual time: programs as they are, for which days pass in seconds.

use std::{
    fs,
    time::{Duration, Instant},
};

use libtest_mimic::Failed;

use super::desk::{CLOCKED, DeskTest, TestDesk, hold, tests};

pub(crate) const TESTS: &[DeskTest] = tests! {
    days_take_seconds: CLOCKED,
    timers_are_known_whoever_has_them: CLOCKED,
    connections_fail_when_the_kernel_would_give_them_up: CLOCKED,
    files_are_as_old_as_the_clock_says: CLOCKED,
    a_second_too_late_is_found: CLOCKED,
    waits_take_as_long_as_they_say: CLOCKED,
    waits_end_as_the_kernel_ends_them: CLOCKED,
    time_runs_with_what_computes: CLOCKED,
    what_cannot_be_virtual_is_said: CLOCKED,
};

/// Attempts a day apart, of which one is not greeted.
const PATIENT: &str = r#"
summary = "a sender that tries once a day for five days"
zone = """
$ORIGIN example.test.
@   300 IN MX 10 mx1
mx1 300 IN A 192.0.2.1
"""
messages = [{ id = "m1", to = "alice@example.test" }]
faults = [
  { host = "mx1.example.test", stage = "greeting", effect = "hang", from = "47h", until = "49h" },
  { host = "mx1.example.test", stage = "connect", effect = "timeout", from = "71h", until = "73h" },
  { host = "mx1.example.test", stage = "mail", effect = "delay 20s", from = "95h" },
  { host = "mx1.example.test", stage = "rcpt", effect = "451 4.3.0 later" },
]
[expect.m1]
attempts = [
  { host = "mx1.example.test", result = "451", stage = "rcpt", at = "0s" },
  { host = "mx1.example.test", result = "451", stage = "rcpt", at = "1d" },
  { host = "mx1.example.test", result = "timeout", stage = "greeting", at = "2d" },
  { host = "mx1.example.test", result = "timeout", stage = "connect", at = "72h1m40s" },
  { host = "mx1.example.test", result = "451", stage = "rcpt", at = "96h3m20s" },
  { host = "mx1.example.test", result = "451", stage = "rcpt", at = "120h3m40s" },
]
"#;

/// Days of a program that sleeps take seconds, and every moment is the one that it asked for: 100 s without a
/// greeting, 100 s without an answer to its SYN, 20 s of delay.
fn days_take_seconds(desk: &TestDesk) -> Result<(), Failed> {
    desk.write("drill.toml", PATIENT);
    let begun = Instant::now();
    let said = desk.exec(&["--virtual-time"], &["python3", "patient.py"]);
    hold(said.code == Some(0), &said)?;
    hold(
        said.err.contains("5d4m") && said.err.contains("of virtual time in"),
        &said,
    )?;
    hold(begun.elapsed() < Duration::from_secs(20), &said)
}

/// What moments of expectations are worth: one that is a second off is found.
fn a_second_too_late_is_found(desk: &TestDesk) -> Result<(), Failed> {
    desk.write(
        "drill.toml",
        &PATIENT.replace("at = \"1d\"", "at = \"24h1s\""),
    );
    let said = desk.exec(&["--virtual-time"], &["python3", "patient.py"]);
    hold(said.code == Some(1) && said.err.contains("+1d1s "), &said)
}

/// A tree of waits, as `waits.py` is told.
enum ProcessTree {
    Wait(&'static str, u64),
    After(Vec<ProcessTree>),
    Beside(Vec<ProcessTree>),
}

/// The ways of waiting that `waits.py` knows.
const WAYS: [&str; 12] = [
    "sleep", "select", "poll", "epoll", "futex", "woken", "alarm", "broken", "sigwait", "pipe",
    "ready", "socket",
];

impl ProcessTree {
    /// A tree of a number, so deep at most.
    fn of(random: &mut u64, depth: u32) -> Self {
        let draw = |random: &mut u64, below: u64| {
            // xorshift64: any numbers will do that are the same in every run.
            *random ^= *random << 13;
            *random ^= *random >> 7;
            *random ^= *random << 17;
            *random % below
        };
        if depth == 0 || draw(random, 100) < 45 {
            let way = WAYS[usize::try_from(draw(random, 12)).expect("small")];
            return Self::Wait(way, 1 + draw(random, 100_000));
        }
        let beside = draw(random, 2) == 0;
        let count = 1 + draw(random, 4);
        let parts = (0..count).map(|_| Self::of(random, depth - 1)).collect();
        if beside {
            Self::Beside(parts)
        } else {
            Self::After(parts)
        }
    }

    /// How long it takes, in tenths of a second: what a clock would say that has nothing to do but wait.
    fn tenths(&self) -> u64 {
        match self {
            Self::Wait(_, tenths) => *tenths,
            Self::After(parts) => parts.iter().map(Self::tenths).sum(),
            Self::Beside(parts) => parts.iter().map(Self::tenths).max().unwrap_or(0),
        }
    }

    fn json(&self) -> String {
        let list = |parts: &[Self]| {
            let parts: Vec<String> = parts.iter().map(Self::json).collect();
            parts.join(",")
        };
        match self {
            Self::Wait(way, tenths) => format!("[\"{way}\",{}.{}]", tenths / 10, tenths % 10),
            Self::After(parts) => format!("[\"after\",[{}]]", list(parts)),
            Self::Beside(parts) => format!("[\"beside\",[{}]]", list(parts)),
        }
    }
}

/// Whatever a program waits by, alone or in many processes and threads, it takes as long as it says, by both of
/// its clocks.
fn waits_take_as_long_as_they_say(desk: &TestDesk) -> Result<(), Failed> {
    let mut random = 0x9e37_79b9_7f4a_7c15;
    for _ in 0..8 {
        let mut trees: Vec<ProcessTree> = WAYS.map(|way| ProcessTree::Wait(way, 12_345)).into();
        trees.extend((0..20).map(|_| ProcessTree::of(&mut random, 3)));
        let json: Vec<String> = trees.iter().map(ProcessTree::json).collect();
        let said = desk.exec(
            &["--virtual-time"],
            &["python3", "waits.py", &format!("[{}]", json.join(","))],
        );
        let lines: Vec<&str> = said.out.lines().collect();
        hold(lines.len() == trees.len(), &said)?;
        for (tree, line) in trees.iter().zip(lines) {
            let expected = Duration::from_millis(100 * tree.tenths()).as_secs_f64();
            for took in line.split(' ') {
                let took: f64 = took.parse()?;
                if (took - expected).abs() > 0.05 {
                    let tree = tree.json();
                    return Err(format!("{took} s, expected {expected} s: {tree}").into());
                }
            }
        }
    }
    Ok(())
}

/// What a review found: a wait that is over at once, a signal that ends one wait and not the next, what is left of
/// a time, several who wait for the same, what is left behind.
fn waits_end_as_the_kernel_ends_them(desk: &TestDesk) -> Result<(), Failed> {
    let at_once = "import time; t = time.time(); time.sleep(3600); time.sleep(0); print(round(time.time() - t))";
    let next = "import signal, select, time\nsignal.signal(signal.SIGALRM, lambda *_: None)\nt = time.time()\n\
        import ctypes; libc = ctypes.CDLL(None)\nsignal.alarm(10)\nlibc.poll(None, 0, 3600000)\n\
        libc.poll(None, 0, 50000)\nprint(round(time.time() - t))";
    let same = "import os, select, time\nr, w = os.pipe()\nchildren = []\nfor _ in range(6):\n    pid = os.fork()\n    if pid == 0:\n        \
        os.set_blocking(r, False)\n        p = select.poll(); p.register(r, select.POLLIN)\n        p.poll(60000)\n        \
        try: os.read(r, 1)\n        except BlockingIOError: pass\n        os._exit(0)\n    children.append(pid)\n\
        time.sleep(5); os.write(w, b'.')\nt = time.time()\nfor c in children: os.waitpid(c, 0)\nprint(time.time() - t < 61)";
    let up = "import ctypes, os, time\nlibc = ctypes.CDLL(None)\ndef up():\n    room = (ctypes.c_long * 14)()\n    libc.sysinfo(room); \
        return room[0], os.times()\n(a, b) = up()\ntime.sleep(5000)\n(c, d) = up()\nprint(c - a, round(d.elapsed - b.elapsed), d.user < 60)";
    for (script, expected) in [
        (at_once, "3600\n"),
        (next, "60\n"),
        (same, "True\n"),
        (up, "5000 5000 True\n"),
    ] {
        let said = desk.exec(&["--virtual-time"], &["python3", "-c", script]);
        hold(said.out == expected, &said)?;
    }
    let behind = desk.exec(
        &["--virtual-time"],
        &["sh", "-c", "(sleep 100; echo late) & echo started"],
    );
    hold(
        behind.out == "started\n" && !behind.err.contains("Function not implemented"),
        &behind,
    )
}

/// A file that was written days ago on the clock is days old, by whichever call and path it is asked about; what was
/// set on purpose is what it was set to, and errors are the kernel's.
fn files_are_as_old_as_the_clock_says(desk: &TestDesk) -> Result<(), Failed> {
    let said = desk.exec(&["--virtual-time"], &["python3", "file_times.py", "out"]);
    hold(said.out == "done\n", &said)
}

/// Two hosts, of which one does not answer.
const SILENT: &str = r#"
summary = "a host that answers no SYN, and one that does"
zone = """
$ORIGIN example.test.
@   300 IN MX 10 mx1
mx1 300 IN A 192.0.2.1
mx2 300 IN A 192.0.2.2
"""
messages = [{ id = "m1", to = "alice@example.test" }]
faults = [{ host = "mx1.example.test", stage = "connect", effect = "timeout" }]
[expect.m1]
outcome = "deferred"
"#;

/// Where nobody answers its SYN, a connection fails when the kernel would give it up, however it was begun and is
/// waited for; one that is answered goes on.
fn connections_fail_when_the_kernel_would_give_them_up(desk: &TestDesk) -> Result<(), Failed> {
    desk.write("drill.toml", SILENT);
    let said = desk.exec(&["--virtual-time"], &["python3", "connects.py"]);
    hold(said.out == "done\n", &said)
}

/// A timer with a descriptor is the same one under any number and in any process, and another one under the same number
/// is another; locks and queues of threads have their times, too.
fn timers_are_known_whoever_has_them(desk: &TestDesk) -> Result<(), Failed> {
    let said = desk.exec(&["--virtual-time"], &["python3", "timers.py"]);
    hold(said.out == "done\n", &said)
}

/// What only computes gets as much time as the system has: it comes to an end, and that is said.
fn time_runs_with_what_computes(desk: &TestDesk) -> Result<(), Failed> {
    let spin = "import os, time\nend = time.monotonic() + 3\nwhile time.process_time() < 2.5 or time.monotonic() < end: sum(range(1000))\n\
        before = time.time()\nmade = os.open('out/made', os.O_CREAT)\n\
        print(before - 0.5 < os.fstat(made).st_mtime < time.time() + 0.5)";
    let said = desk.exec(&["--virtual-time"], &["python3", "-c", spin]);
    hold(said.err.contains("time ran with it"), &said)?;
    hold(said.out == "True\n", &said)
}

/// What this clock does not reach is said, and what would go round it is refused.
fn what_cannot_be_virtual_is_said(desk: &TestDesk) -> Result<(), Failed> {
    let script = "import socket, time\none, other = socket.socketpair()\n\
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, (1).to_bytes(8, 'little') + bytes(8))\n\
        try: time.clock_settime(time.CLOCK_REALTIME, 0)\nexcept PermissionError: print('refused')\n";
    let said = desk.exec(&["--virtual-time"], &["python3", "-c", script]);
    hold(said.out == "refused\n", &said)?;
    hold(
        said.err.contains("SO_RCVTIMEO") && said.err.contains("clock_settime"),
        &said,
    )
}

impl TestDesk {
    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }
}
