//! Any text is a zone or a list of mistakes, each with its place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mxdrill::{scenario::{Scenario}};

fuzz_target!(|text: &str| {
    if let Err(mistakes) = Scenario::from_zone(text) {
        let lines = text.split('\n').count();
        assert!(!mistakes.0.is_empty());
        for mistake in mistakes.0 {
            assert!((1..=lines).contains(&mistake.line) && mistake.column >= 1, "{mistake}");
        }
    }
});
