//! The quick tests of what is expected of a drill, of the rules, and of reading scenario files: each holds
//! as it is written, and fails in the one way that it should when one thing is changed.

mod expectations;
mod files;
mod foreign;
mod format;
mod idle;
mod judge;
mod log;
mod routes;
mod rules;
mod surroundings;
mod trial;
