//! How cases are run: from a fixed seed, with what failed before in front.

use std::{panic::Location, path::PathBuf};

use proptest::{
    strategy::Strategy,
    test_runner::{Config, FileFailurePersistence, RngSeed, TestCaseError, TestError, TestRunner},
};

/// Where cases come from unless `PROPTEST_RNG_SEED` says otherwise.
const SEED: u64 = 5321;
/// How often a case is made smaller at most, and for how long.
const MOST_STEPS: u32 = 10_000;
const LONGEST: u32 = 20_000;

/// The smallest case that a check does not pass, with what it says of that one; `cases` of them unless `PROPTEST_CASES` says
/// otherwise.
pub(super) fn smallest_failing<S: Strategy>(
    strategy: S,
    cases: u32,
    caller: &'static Location<'static>,
    check: impl Fn(&S::Value) -> Result<(), String>,
) -> Option<(S::Value, String)> {
    let mut config = Config::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    if matches!(config.rng_seed, RngSeed::Random) {
        config.rng_seed = RngSeed::Fixed(SEED);
    }
    config.max_shrink_iters = config.max_shrink_iters.min(MOST_STEPS);
    if config.max_shrink_time == 0 {
        config.max_shrink_time = LONGEST;
    }
    config.source_file = Some(caller.file());
    let beside = FileFailurePersistence::WithSource("proptest-regressions");
    config.failure_persistence = Some(Box::new(beside));
    let mut runner = TestRunner::new(config);
    let found = runner.run(&strategy, |case| check(&case).map_err(TestCaseError::fail));
    match found {
        Ok(()) => None,
        Err(TestError::Fail(reason, case)) => Some((case, reason.message().to_owned())),
        Err(TestError::Abort(reason)) => panic!("no case could be made: {reason}"),
    }
}

/// The folder of the file that a test is in.
pub(super) fn folder_of(caller: &Location<'_>) -> PathBuf {
    let file = PathBuf::from(caller.file());
    // A file is named from where the compiler ran, which is the workspace; a test runs in its package.
    let mut folders = std::env::current_dir().unwrap_or_default();
    loop {
        let there = folders.join(&file);
        if there.is_file() {
            return there.parent().map(PathBuf::from).unwrap_or_default();
        }
        if !folders.pop() {
            return std::env::temp_dir();
        }
    }
}
