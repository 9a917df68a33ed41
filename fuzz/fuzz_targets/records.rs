//! Any text is a zone file with a plan and findings that have their places, or a list of mistakes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mxdrill::{lint::{lint}, plan::{Plan}, survey::{Source, Survey}};

/// Domains of a file that are looked at.
const MOST_DOMAINS: usize = 20;

fuzz_target!(|text: &str| {
    let lines = text.split('\n').count();
    let mut source = Source::default();
    let origin = "example.test".parse().expect("a domain");
    if let Err(mistakes) = source.add_text("zone", text, Some(&origin)) {
        assert!(!mistakes.0.is_empty());
        for mistake in mistakes.0 {
            assert!((1..=lines).contains(&mistake.line) && mistake.column >= 1, "{mistake}");
        }
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut surveys = Vec::new();
    for domain in source.mail_domains().into_iter().take(MOST_DOMAINS) {
        surveys.push(runtime.block_on(Survey::of(&source, &domain)));
    }
    for survey in &surveys {
        let plan = Plan::of(survey);
        assert!(plan.is_deliverable() || plan.usable().next().is_none());
    }
    for finding in lint(&source, &surveys) {
        let place = finding.place.as_ref();
        assert!(place.is_none_or(|place| (1..=lines).contains(&place.line)), "{}", finding.message);
    }
});
