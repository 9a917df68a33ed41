//! What a command in a private network sees of the drill and of the host, and how it is judged.

use std::{fs, net::TcpListener};

use libtest_mimic::Failed;

use super::desk::{DeskTest, Said, TestDesk, hold, tests};

pub(crate) const TESTS: &[DeskTest] = tests! {
    dig_sees_the_zone: &["dig"],
    swaks_tries_the_primary_alone: &["swaks"],
    a_script_goes_on_to_the_backup: &["dig", "python3"],
    packets_are_written_for_wireshark: &["dig", "python3"],
    what_cannot_be_written_is_no_success: &["python3", "dig"],
    nothing_else_can_be_reached: &["dig"],
    a_connection_to_oneself_is_an_attempt: &["python3"],
    what_is_tried_outside_the_drill_is_told: &["python3", "dig"],
    public_resolvers_answer_for_the_drill: &["dig"],
    a_command_is_told_of_relays: &["python3"],
    the_network_says_that_there_is_no_way: &["python3"],
    the_exit_status_tells: &[],
};

fn dig_sees_the_zone(desk: &TestDesk) -> Result<(), Failed> {
    let said = desk.exec(&[], &["dig", "+short", "example.test", "MX"]);
    let answered = said.out == "10 mx1.example.test.\n20 mx2.example.test.\n";
    hold(answered && said.code == Some(0), &said)?;
    hold(said.err.contains("nothing to judge"), &said)
}

fn swaks_tries_the_primary_alone(desk: &TestDesk) -> Result<(), Failed> {
    let said = desk.exec(&[], &["swaks", "--to", "alice@example.test"]);
    hold(said.code == Some(1), &said)?;
    hold(
        said.err.contains("mx1.example.test refused") && said.err.contains("next-candidate"),
        &said,
    )
}

fn a_script_goes_on_to_the_backup(desk: &TestDesk) -> Result<(), Failed> {
    let said = desk.exec(&["--follow"], &["python3", "send.py", "alice@example.test"]);
    hold(said.code == Some(0), &said)?;
    hold(said.out.contains("sent by mx2.example.test"), &said)?;
    let refused = "to mx1.example.test [192.0.2.1]: refused";
    hold(
        said.err.contains(refused) && said.err.contains("took a message"),
        &said,
    )
}

fn packets_are_written_for_wireshark(desk: &TestDesk) -> Result<(), Failed> {
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

fn what_cannot_be_written_is_no_success(desk: &TestDesk) -> Result<(), Failed> {
    for option in ["--log", "--pcap"] {
        let sends = ["python3", "send.py", "alice@example.test"];
        let said = desk.exec(&[option, "/dev/full"], &sends);
        let told = said.err.contains("No space left on device");
        hold(said.code == Some(2) && told, &said)?;
    }
    Ok(())
}

fn nothing_else_can_be_reached(desk: &TestDesk) -> Result<(), Failed> {
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

fn a_connection_to_oneself_is_an_attempt(desk: &TestDesk) -> Result<(), Failed> {
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

fn what_is_tried_outside_the_drill_is_told(desk: &TestDesk) -> Result<(), Failed> {
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

fn public_resolvers_answer_for_the_drill(desk: &TestDesk) -> Result<(), Failed> {
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

/// A drill with two relays, of which the first refuses; the second may be at 587 or at 465.
fn relayed(second: u16, password: &str) -> String {
    format!(
        r#"
summary = "the second relay takes the mail while the first is down"
zone = """
smtp1.provider.test.  IN A  192.0.2.1
smtp2.provider.test.  IN A  192.0.2.2
"""
messages  = [{{ id = "m1", to = "alice@example.test" }}]
faults    = [{{ host = "smtp1.provider.test", stage = "connect", effect = "refuse" }}]
receivers = [{{ certificate = "valid", auth = {{ user = "app", password = "secret" }} }}]
sender    = {{ relays = ["smtp1.provider.test:587", "smtp2.provider.test:{second}"], user = "app", password = "{password}" }}
[expect.m1]
outcome  = "delivered"
attempts = [
  {{ host = "smtp1.provider.test", port = 587, result = "refused" }},
  {{ host = "smtp2.provider.test", port = {second}, result = "accepted", tls = true }},
]
"#
    )
}

fn a_command_is_told_of_relays(desk: &TestDesk) -> Result<(), Failed> {
    let run = |second, password| -> Result<Said, Failed> {
        fs::write(desk.path("relayed.toml"), relayed(second, password))?;
        let command = ["--", "python3", "relays.py", "alice@example.test", "out/ca"];
        let arguments = [
            &["exec", "relayed.toml", "--ca-file", "out/ca"][..],
            &command,
        ]
        .concat();
        Ok(Said::from(desk.command(&arguments).output()?))
    };
    for second in [587, 465] {
        let said = run(second, "secret")?;
        let sent = format!("sent by smtp2.provider.test:{second}");
        hold(said.code == Some(0) && said.out.contains(&sent), &said)?;
    }
    // The relay knows who is who by what the command was told.
    let said = run(587, "another")?;
    hold(said.code == Some(1) && said.out.contains("535"), &said)?;
    // Where there are none, nothing is left of what the user had in the environment.
    let arguments = [
        "exec",
        "drill.toml",
        "--",
        "sh",
        "-c",
        "echo [$MXDRILL_RELAYS]",
    ];
    let mut command = desk.command(&arguments);
    let said = Said::from(command.env("MXDRILL_RELAYS", "stray.test:25").output()?);
    hold(said.out == "[]\n", &said)
}

/// Connects with a time-out and without one, and says what the system says.
const SAY: &str = "import errno, socket, sys\n\
    for address in sys.argv[1:]:\n    \
    for wait in 5, None:\n        \
    try: print('reached', socket.create_connection((address, 25), wait).close())\n        \
    except OSError as error: print(errno.errorcode.get(error.errno, error))\n";

fn the_network_says_that_there_is_no_way(desk: &TestDesk) -> Result<(), Failed> {
    let drill = |first: &str| {
        format!(
            "summary = 's'\nzone = '''mx1.test. A 192.0.2.1\nmx1.test. AAAA 2001:db8::1\nmx2.test. A 192.0.2.2'''\n\
             messages = [{{ id = 'm', to = 'a@mx1.test' }}]\n\
             faults = [{{ host = 'mx1.test', stage = 'connect', effect = 'unreachable'{first} }}]\n"
        )
    };
    let run = |first, options: &[&str]| -> Result<Said, Failed> {
        fs::write(desk.path("away.toml"), drill(first))?;
        let mut arguments = vec!["exec", "--follow", "away.toml"];
        arguments.extend(options);
        arguments.extend(["--", "python3", "-c", SAY]);
        arguments.extend(["192.0.2.1", "2001:db8::1", "192.0.2.2"]);
        Ok(Said::from(desk.command(&arguments).output()?))
    };
    let clocked = cfg!(target_arch = "x86_64").then_some(&["--virtual-time"][..]);
    for options in clocked.into_iter().chain([&[][..]]) {
        let said = run("", options)?;
        hold(said.out.matches("EHOSTUNREACH").count() == 4, &said)?;
        hold(said.out.matches("reached").count() == 2, &said)?;
        hold(said.err.matches(": unreachable").count() == 4, &said)?;
        // What counts is over when it is over.
        let said = run(", first = 2", options)?;
        let lines: Vec<&str> = said.out.lines().collect();
        let expected = [
            "EHOSTUNREACH",
            "EHOSTUNREACH",
            "reached None",
            "reached None",
        ];
        hold(lines[..4] == expected, &said)?;
    }
    Ok(())
}

fn the_exit_status_tells(desk: &TestDesk) -> Result<(), Failed> {
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
