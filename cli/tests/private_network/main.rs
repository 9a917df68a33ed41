//! Commands and mail servers in a private network. Where namespaces may not be made, or a program is missing,
//! a test is ignored by name; where there is no Linux, all of them.

#[cfg(all(target_os = "linux", feature = "private-network"))]
mod conform;
#[cfg(all(target_os = "linux", feature = "private-network"))]
mod crashes;
#[cfg(all(target_os = "linux", feature = "private-network"))]
mod desk;
#[cfg(all(target_os = "linux", feature = "private-network"))]
mod drills;
#[cfg(all(target_os = "linux", feature = "private-network"))]
mod endings;
#[cfg(all(target_os = "linux", feature = "private-network"))]
mod exec;
#[cfg(all(target_os = "linux", feature = "private-network"))]
#[path = "../fetched/mod.rs"]
mod fetched;
#[cfg(all(target_os = "linux", feature = "private-network"))]
mod fuzz;
#[cfg(all(target_os = "linux", feature = "private-network"))]
#[path = "../hangup/mod.rs"]
mod hangup;
#[cfg(all(target_os = "linux", feature = "private-network"))]
mod lint;
#[cfg(all(target_os = "linux", feature = "private-network"))]
mod matrices;
#[cfg(all(target_os = "linux", feature = "private-network"))]
mod schedules;
#[cfg(all(target_os = "linux", feature = "private-network"))]
mod virtual_time;

#[cfg(all(target_os = "linux", feature = "private-network"))]
fn main() {
    drills::main();
}

#[cfg(not(all(target_os = "linux", feature = "private-network")))]
fn main() {
    println!("ignored: private networks need Linux");
}
