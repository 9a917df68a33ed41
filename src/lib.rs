#[doc(hidden)]
pub mod cli;
pub(crate) mod connection;
pub mod drill;
pub mod event;
pub mod fault;
pub mod lab;
pub mod name;
pub mod reply;
pub mod report;
pub mod route;
pub mod scenario;
pub mod sender;
pub mod stream;
pub mod time;
pub mod verdict;
pub mod zone;
