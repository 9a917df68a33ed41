//! A fire drill for mail delivery.
//!
//! mxdrill puts up a small private internet: a DNS server, and as many SMTP receivers as a domain has
//! mail exchangers. It fails parts of it on a schedule or on demand, lets mail be sent through it, and
//! judges whether delivery did what RFC 5321 and its relatives ask.
//!
//! # A sender of your own
//!
//! Start a [`Lab`], tell your sender its resolver and where to connect for an address, and let an exchanger die:
//!
//! ```
//! use mxdrill::{Lab, Stage};
//! # #[path = "../examples/own_sender.rs"] mod own_sender;
//! # use own_sender::send as my_sender;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let lab = Lab::from_zone("
//!     example.test.      300 IN MX 10 mx1.example.test.
//!     example.test.      300 IN MX 20 mx2.example.test.
//!     mx1.example.test.  300 IN A  192.0.2.1
//!     mx2.example.test.  300 IN A  192.0.2.2
//! ").await?;
//! let down = lab.fail("mx1.example.test", Stage::Connect, "refuse")?;
//!
//! my_sender(lab.resolver(), |address| lab.socket_for(address), "alice@example.test").await?;
//!
//! let message = lab.wait_for_message("alice@example.test").await?;
//! assert_eq!(message.hosts[0].as_str(), "mx2.example.test");
//! for attempt in lab.attempts() {
//!     println!("{attempt}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Tests that are not async have [`blocking::Lab`]. `docs/library.md` in the repository says which lab to take, what to pass
//! in, what can fail and what to assert, and `examples/` has senders under test, with lettre and mail-send among them.
//!
//! # A drill from a file
//!
//! ```
//! use std::sync::Arc;
//! use mxdrill::{drill, lab::NetworkKind, scenario::Scenario, sender::Reference};
//!
//! let text = r#"
//!     summary  = "the backup takes it while the primary is down"
//!     zone     = """
//!     example.test.      300 IN MX 10 mx1.example.test.
//!     example.test.      300 IN MX 20 mx2.example.test.
//!     mx1.example.test.  300 IN A  192.0.2.1
//!     mx2.example.test.  300 IN A  192.0.2.2
//!     """
//!     messages = [{ id = "m1", to = "alice@example.test" }]
//!     faults   = [{ host = "mx1.example.test", stage = "connect", effect = "refuse" }]
//!     [expect.m1]
//!     by = "mx2.example.test"
//! "#;
//! let scenario = Arc::new(Scenario::parse("drill.toml", text)?);
//! let run = drill::run(&scenario, NetworkKind::Memory, None, Reference::default())?;
//! assert!(run.verdict.passed());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The way through
//!
//! ```text
//! scenario ─▶ lab (name server, receivers, faults, clock; on a network)
//!               ▲ queries, sessions
//! messages ─▶ sender (the reference, a function, anything on the network)
//!               │
//!            event log ─▶ verdict (expectations, rules) ─▶ report
//! ```
//!
//! A sender may also be a command or a mail server in namespaces of their own (`mxdrill exec`,
//! `mxdrill conform`); what comes of them is read off the same log.
//!
//! The verdict reads the log as it grows, judges a message when the sender is done with it, and keeps
//! nothing of it then.
//!
//! Data moves to the right and never back. A [`Scenario`] is valid once it exists;
//! the [`lab`] knows nothing of expectations; the [`verdict`] sees the scenario and the log alone, and reports
//! see verdicts and logs. [`route`] is MX selection by itself, a pure function.
//!
//! # Features
//!
//! Each adds to what there is and changes nothing of it. `tls`, which is on unless it is turned off:
//! STARTTLS, certificates, DANE and MTA-STS. `records`: what a domain's records say (`records`, `plan`, `lint`,
//! `rehearse`). `bundled`: the drills that come with mxdrill. `mailin-embedded`: receivers by a second
//! implementation of SMTP. `private-network` (Linux): a lab in a network namespace. `proptest`, `criterion`,
//! `libtest-mimic`: property tests, benchmarks and folders of scenarios for code of one's own (`testing`).
//!
//! # Words
//!
//! *Preference*: the number of an MX record; lower is more preferred. *Exchanger*: the host that it
//! names. *Next hop*: the domain being resolved. *Candidate*: one (exchanger, address) to try.
//! *Attempt*: one try at one candidate. *Pass*: one walk over the candidates for a message. *Session*:
//! connection to QUIT. *Transaction*: MAIL to the end of data. An attempt succeeds, or fails
//! *transiently* or *permanently*; a message is *delivered*, *deferred* or *bounced*.

pub mod blocking;
#[cfg(feature = "bundled")]
pub mod bundled;
pub mod connection;
pub mod diagnostic;
pub mod drill;
pub mod error;
pub mod event;
mod extension;
pub mod fault;
mod https;
pub mod lab;
pub mod level;
#[cfg(feature = "records")]
pub mod lint;
mod lock;
pub mod mail;
pub(crate) mod mta_sts;
pub mod name;
pub mod observe;
pub mod outcome;
#[cfg(feature = "records")]
pub mod plan;
mod port;
pub mod random_drill;
pub mod recording;
#[cfg(feature = "records")]
pub mod records;
#[cfg(feature = "records")]
pub mod rehearse;
pub mod reply;
pub mod route;
mod sasl;
pub mod scenario;
pub mod sender;
pub mod stream;
#[cfg(any(feature = "criterion", feature = "libtest-mimic", feature = "proptest"))]
pub mod testing;
pub mod time;
pub(crate) mod tls;
pub mod verdict;
pub mod visible;
mod words;
pub mod zone;

pub use self::{
    diagnostic::Invalid,
    error::Error,
    extension::Extension,
    fault::{Effect, Fault, Stage},
    lab::{Lab, NetworkKind},
    scenario::Scenario,
    sender::Sender,
    verdict::Verdict,
};
