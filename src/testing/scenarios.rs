//! A folder of scenario files as tests: one for each, by its path.

use std::{
    fs,
    future::Future,
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::{
    drill,
    lab::NetworkKind,
    scenario::Scenario,
    sender::{self, SenderContext},
};

/// Makes the scenario files of a folder tests of a crate, each played with the crate's own sender on the memory
/// network, where hours take no time.
///
/// It is the `main` of a test without a harness. In `Cargo.toml`:
///
/// ```toml
/// [dev-dependencies]
/// mxdrill = { version = "0.1", features = ["libtest-mimic"] }
///
/// [[test]]
/// name = "drills"
/// harness = false
/// ```
///
/// and in `tests/drills.rs`, with the folder from the top of the package, and a function from a
/// [`SenderContext`](crate::sender::SenderContext) to a future:
///
/// ```ignore
/// mxdrill::scenario_tests!("drills/", my_sender);
/// ```
///
/// `cargo test --test drills` and `cargo nextest run` play them all; a name, which is the path without `.toml`, chooses.
#[macro_export]
macro_rules! scenario_tests {
    ($folder:expr, $sender:expr $(,)?) => {
        fn main() -> ::std::process::ExitCode {
            let folder = ::std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join($folder);
            $crate::testing::play_scenarios(&folder, $sender)
        }
    };
}

/// What [`scenario_tests!`](crate::scenario_tests) is made of: plays the scenario files below a folder, as the arguments of
/// this process choose.
pub fn play_scenarios<F, W>(folder: &Path, send: F) -> ExitCode
where
    F: Fn(SenderContext) -> W + Clone + Send + 'static,
    W: Future<Output = ()>,
{
    let arguments = Arguments::from_args();
    let files = match files(folder) {
        Ok(files) if files.is_empty() => {
            eprintln!(
                "found no scenario file in {}, expected one that ends with .toml at least",
                folder.display()
            );
            return ExitCode::FAILURE;
        }
        Ok(files) => files,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let trials = files.into_iter().map(|file| {
        let name = file.strip_prefix(folder).unwrap_or(&file);
        let name = name
            .with_extension("")
            .display()
            .to_string()
            .replace('\\', "/");
        let send = send.clone();
        // A file is read when it is its turn, and only if it is.
        Trial::test(name, move || play(&file, send))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn play<F, W>(file: &Path, send: F) -> Result<(), Failed>
where
    F: FnOnce(SenderContext) -> W,
    W: Future<Output = ()>,
{
    let scenario = Arc::new(Scenario::load(file).map_err(|mistakes| mistakes.to_string())?);
    let run = drill::run(&scenario, NetworkKind::Memory, None, sender::from_fn(send))?;
    match run.verdict.passed() {
        true => Ok(()),
        false => Err(Failed::from(drill::findings(&run.verdict.findings))),
    }
}

/// The scenario files below a folder, in the order of their names.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let at = |error: io::Error| {
            io::Error::new(error.kind(), format!("{}: {error}", folder.display()))
        };
        for entry in fs::read_dir(&folder).map_err(at)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "toml") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
