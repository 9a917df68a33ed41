//! Any text is a scenario or a list of mistakes, each with its place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mxdrill::{scenario::{Scenario}};

fuzz_target!(|text: &str| {
    let read = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
    if let Err(mistakes) = Scenario::parse_with("fuzz.toml", text, &read) {
        let lines = text.split('\n').count();
        assert!(!mistakes.0.is_empty());
        for mistake in mistakes.0 {
            assert!((1..=lines).contains(&mistake.line) && mistake.column >= 1, "{mistake}");
        }
    }
});
