//! Real mail servers as senders: how each is found, set up and driven, and how the suite judges it.
//!
//! An [`Adapter`] is a short file about one of them. [`packages`] fetches and unpacks it, [`driver`] lets it
//! send a drill's messages, [`isolated_run`] is one drill of one of them in a private network of its own, and
//! [`suite`] plays the suite with many of them and makes the matrix.
//!
//! One run goes like this:
//!
//! 1. [`eligibility`] lets the reference sender play the drill, to see what a server must have for it and, where
//!    there is no virtual time, whether real time can carry it.
//! 2. [`isolated_run`] takes a [`request`], and makes a network, a process and a root folder for the drill ([`crate::sandbox`]), and
//!    starts the lab in it, on one clock with the server ([`crate::clock`]).
//! 3. [`driver`] runs the adapter's scripts ([`scripts`]): configure, start, then submissions at the drill's
//!    moments. When the server tries again is its own affair.
//! 4. The log is judged as that of a mail server: what it returns is seen, what it keeps is not. Its moments are
//!    allowed for ([`own_moments`]).
//!    What came of it goes back as a [`record`].
//! 5. [`suite`] plays again what did not pass and what chance has a part in, and [`matrix`] grades
//!    it.
//!
//! [`schedules`] plays drills of its own, which nothing is expected of: they measure what a server does by its
//! defaults.
//!
//! What is written about a matrix is `report`'s.

pub(crate) mod adapter;
mod chance;
mod chosen;
pub(crate) mod compared;
mod conduct;
pub(crate) mod counted;
pub(crate) mod driver;
pub(crate) mod eligibility;
mod feature;
pub(crate) mod isolated_run;
pub(crate) mod matrix;
mod merged;
mod one_command;
mod own_moments;
pub(crate) mod packages;
pub(crate) mod played_server;
mod processors;
pub(crate) mod record;
pub(crate) mod reference_run;
pub(crate) mod request;
pub(crate) mod run_error;
pub(crate) mod scenario_ref;
pub(crate) mod schedules;
mod scripts;
mod submission;
pub(crate) mod suite;
mod syslog;
pub(crate) mod variant;

pub(crate) use self::adapter::Adapter;
