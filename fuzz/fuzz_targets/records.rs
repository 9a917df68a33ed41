//! Any text is a zone file with a plan and findings that have their places, or a list of mistakes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mxdrill::{lint::{lint}, plan::{Plan}, records::{Source, DomainRecords}};

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
    let mut domains = Vec::new();
    for domain in source.mail_domains().into_iter().take(MOST_DOMAINS) {
        domains.push(runtime.block_on(DomainRecords::of(&source, &domain)));
    }
    for domain_records in &domains {
        let plan = Plan::of(domain_records);
        assert!(plan.is_deliverable() || plan.usable().next().is_none());
    }
    for finding in lint(&source, &domains) {
        let place = finding.place.as_ref();
        assert!(place.is_none_or(|place| (1..=lines).contains(&place.line)), "{}", finding.message);
    }
});
