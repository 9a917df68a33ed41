//! Tests of somebody else's code: a router, a sender, a choice among exchangers, in some ten lines.
//!
//! | what you have | what to call | feature |
//! | --- | --- | --- |
//! | a function that orders exchangers | [`router`]: any set of MX records, held against RFC 5321 section 5.1 | `proptest` |
//! | an async sender with a queue | [`sender`]: drills made at random, on the memory network | `proptest` |
//! | a property of your own | [`zones`], [`faults`], [`messages`], [`drills`]: strategies for proptest | `proptest` |
//! | a folder of scenario files | [`scenario_tests!`](crate::scenario_tests): a test for each | `libtest-mimic` |
//! | code whose speed matters | [`bench_selection`], [`bench_resolution`], [`bench_delivery`] | `criterion` |
//!
//! Cases come from a fixed seed, so that a test says the same on every machine. What fails is made smaller as long as it
//! still fails, shown in the words of zone files and scenarios, and tried first in the next run: its seed is kept in
//! `NAME.proptest-regressions` beside the file of the test, as proptest does. `PROPTEST_CASES` and the other variables of
//! proptest hold.

#[cfg(feature = "criterion")]
mod bench;
#[cfg(feature = "proptest")]
mod oracle;
mod randomness;
#[cfg(feature = "proptest")]
mod router;
#[cfg(feature = "proptest")]
mod router_case;
#[cfg(feature = "proptest")]
mod runner;
#[cfg(feature = "libtest-mimic")]
mod scenarios;
#[cfg(feature = "proptest")]
mod senders;
#[cfg(feature = "proptest")]
mod shares;
#[cfg(feature = "proptest")]
mod shrinking;
#[cfg(feature = "proptest")]
mod strategies;
#[cfg(feature = "criterion")]
mod workloads;

#[cfg(feature = "criterion")]
pub use self::bench::{bench_delivery, bench_resolution, bench_selection};
pub use self::randomness::Random;
#[cfg(feature = "libtest-mimic")]
pub use self::scenarios::play_scenarios;
#[cfg(feature = "proptest")]
pub use self::{
    router::{IntoRoute, RouterFailure, check_router, router},
    router_case::MxRecords,
    senders::{SenderFailure, check_sender, sender},
    strategies::{Zone, drills, faults, messages, zones},
};
/// The version of criterion that the benchmarks here take.
#[cfg(feature = "criterion")]
pub use criterion;
/// The version of proptest that the strategies here are of.
#[cfg(feature = "proptest")]
pub use proptest;
