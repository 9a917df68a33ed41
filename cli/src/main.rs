//! The `mxdrill` command: drills of mail delivery from the command line. All that it judges by is in the
//! library.

mod cli;
#[cfg(all(target_os = "linux", feature = "private-network"))]
#[cfg_attr(not(target_arch = "x86_64"), path = "clock/absent.rs")]
mod clock;
#[cfg(all(target_os = "linux", feature = "private-network"))]
mod command;
mod commands;
#[cfg(all(target_os = "linux", feature = "private-network"))]
mod conform;
mod control_api;
mod departures;
mod groups;
mod parallel;
mod progress;
mod report;
mod runtime;
#[cfg(all(target_os = "linux", feature = "private-network"))]
mod sandbox;
mod signals;
mod statements;
#[cfg(all(target_os = "linux", feature = "private-network"))]
mod told_relays;

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
