//! Real mail servers as senders: how each is found, set up and driven, and how the suite judges it.
//!
//! An [`Adapter`] is a short file about one of them. [`packages`] fetches and unpacks it, [`drive`] lets it
//! send a drill's messages, [`cell`] is one drill of one of them in a private network of its own, and
//! [`suite`] plays the suite with many of them and makes the matrix.

pub(crate) mod adapter;
pub(crate) mod cell;
pub(crate) mod drive;
pub(crate) mod fit;
pub(crate) mod matrix;
pub(crate) mod packages;
pub(crate) mod suite;

pub(crate) use self::adapter::Adapter;
