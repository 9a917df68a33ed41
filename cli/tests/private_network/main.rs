//! Commands and mail servers in a private network. Where namespaces may not be made, or a program is missing,
//! a test is ignored by name; where there is no Linux, all of them.

#[cfg(target_os = "linux")]
mod drills;
#[cfg(target_os = "linux")]
#[path = "../fetched/mod.rs"]
mod fetched;
#[cfg(target_os = "linux")]
#[path = "../hangup/mod.rs"]
mod hangup;

#[cfg(target_os = "linux")]
fn main() {
    drills::main();
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("ignored: private networks need Linux");
}
