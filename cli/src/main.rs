//! The `mxdrill` command: drills of mail delivery from the command line. All that it judges by is in the
//! library.

mod cli;
#[cfg(target_os = "linux")]
mod command;
mod commands;
#[cfg(target_os = "linux")]
mod conform;
#[cfg(target_os = "linux")]
mod parallel;
mod report;
#[cfg(target_os = "linux")]
mod sandbox;
mod signals;

fn main() -> std::process::ExitCode {
    cli::main()
}
