//! A lab that is gone leaves no thread and no socket. It is counted in a process that does nothing else.
#![cfg(target_os = "linux")]

use std::{fs, thread};

use mxdrill::{Stage, blocking::Lab};

const ZONE: &str = "
example.test.      300 IN MX 10 mx1.example.test.
example.test.      300 IN MX 20 mx2.example.test.
mx1.example.test.  300 IN A  192.0.2.1
mx2.example.test.  300 IN A  192.0.2.2
";

/// Threads and descriptors of this process.
fn held() -> (usize, usize) {
    let count = |folder: &str| fs::read_dir(folder).expect("there").count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

#[test]
fn a_hundred_labs_leave_nothing() {
    // The first one opens what a process has once, for signals.
    drop(Lab::from_zone(ZONE).expect("a lab"));
    let before = held();
    let labs = || (0..100).map(|_| Lab::from_zone(ZONE).expect("a lab"));
    let all: Vec<Lab> = labs().collect();
    let (threads, files) = held();
    assert!(threads >= before.0 + 100 && files > before.1 + 400);
    drop(all);
    assert_eq!(held(), before);
    // In threads of their own, with a fault that outlives its lab, and with a connection that is open.
    let others = (0..20).map(|_| {
        thread::spawn(|| {
            let lab = Lab::from_zone(ZONE).expect("a lab");
            let down = lab.fail("mx1.example.test", Stage::Connect, "refuse");
            let down = down.expect("a fault");
            let there = lab.socket_for([192, 0, 2, 2].into());
            let open = std::net::TcpStream::connect(there).expect("connected");
            drop(lab);
            drop((down, open));
        })
    });
    let others: Vec<_> = others.collect();
    others
        .into_iter()
        .for_each(|one| one.join().expect("it ended"));
    assert_eq!(held(), before);
}
