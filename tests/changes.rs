//! What changes while a lab is up: faults that are listed and lifted by their numbers, and records.

#[path = "../examples/blocking_sender.rs"]
#[expect(dead_code, reason = "an example with a main of its own")]
mod blocking_sender;

use std::{
    error::Error,
    io::{BufRead, BufReader},
    net::TcpStream,
};

use mxdrill::{Lab, verdict::SenderKind};

const ZONE: &str = "
example.test.      300 IN MX 10 mx1.example.test.
example.test.      300 IN MX 20 mx2.example.test.
mx1.example.test.  300 IN A  192.0.2.1
mx2.example.test.  300 IN A  192.0.2.2
";

fn send(lab: &Lab, to: &str) -> Result<(), Box<dyn Error>> {
    blocking_sender::send(lab.resolver(), |address| lab.socket_for(address), to)
}

/// What is put up as a row of a scenario file is listed and lifted by its number; what it struck is counted.
#[tokio::test]
async fn faults_are_listed_counted_and_lifted_one_by_one() {
    let lab = Lab::from_zone(ZONE).await.expect("a lab");
    let row =
        "host = 'mx1.example.test'\nstage = 'greeting'\neffect = '421 4.3.2 closing'\nfirst = 1";
    let id = lab.fail_row(row).expect("a fault").keep();
    lab.fail_query("example.test MX", "servfail")
        .expect("a fault")
        .keep();
    let told = |lab: &Lab| -> Vec<(String, u32)> {
        let faults = lab.faults().into_iter();
        faults.map(|fault| (fault.text, fault.struck)).collect()
    };
    let greeting = "mx1.example.test at greeting: 421 4.3.2 closing".to_owned();
    let query = ("query example.test MX: servfail".to_owned(), 0);
    assert_eq!(told(&lab), [query.clone(), (greeting.clone(), 0)]);
    let address = "192.0.2.1".parse().expect("an address");
    let stream = TcpStream::connect(lab.socket_for(address)).expect("connected");
    let mut reply = String::new();
    BufReader::new(stream)
        .read_line(&mut reply)
        .expect("a reply");
    assert!(reply.starts_with("421"), "{reply}");
    assert_eq!(told(&lab), [query.clone(), (greeting, 1)]);
    assert!(lab.lift(id) && !lab.lift(id));
    assert_eq!(told(&lab), [query]);
    assert_eq!(lab.restore_all(), 1);
    let slip = lab.fail_row("host = 'mx1.example.test'\nstage = 'connect'\neffect = 'refuze'");
    assert!(
        slip.expect_err("a slip")
            .to_string()
            .contains("did you mean \"refuse\"")
    );
}

/// A verdict by records of before would blame a sender that follows the change.
#[tokio::test]
async fn records_that_change_are_answered_and_judged_by() {
    let lab = Lab::from_zone(ZONE).await.expect("a lab");
    let change = lab.update(
        &["example.test MX"],
        "example.test. 60 MX 5 mx2.example.test.\n",
    );
    change.expect("changed");
    send(&lab, "alice@example.test").expect("sent");
    let hosts = lab.attempts().into_iter().map(|attempt| attempt.host());
    assert_eq!(hosts.collect::<Vec<_>>(), ["mx2.example.test"]);
    lab.assert_passed(SenderKind::Command);
    assert_eq!(lab.take_messages().len(), 1);
    assert!(lab.messages().is_empty());
    for (delete, add, told) in [
        (&["nowhere.test"][..], "", "expected a record that is there"),
        (&[], "a.test. A 192.0.2.99\n", "found address 192.0.2.99"),
        (&[], "$INCLUDE /etc/passwd\n", "$INCLUDE"),
        (&[], "", "nothing to delete"),
    ] {
        let why = lab.update(delete, add).expect_err("a mistake").to_string();
        assert!(why.contains(told), "{why}");
    }
}
