//! What an SPF record costs a receiver that checks it: lookups, of which ten are allowed.

use hickory_proto::rr::RecordType;
use mail_auth::{
    common::parse::TxtRecordParser,
    spf::{Macro, Mechanism, Spf},
};

use super::{Reply, Source, spf_records};
use crate::name::Domain;

/// Lookups after which nobody counts on.
const ENOUGH: usize = 50;

/// What a check of an SPF record may cost (RFC 7208 section 4.6.4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpfCost {
    /// Terms that cause lookups, those of included records too.
    pub lookups: usize,
    /// Whether there may be more: an included record is not at hand.
    pub more: bool,
}

/// Counts the lookups that a check of a record causes; nothing if it is not valid.
pub(super) async fn cost(source: &Source, record: &str) -> Option<SpfCost> {
    let mut cost = SpfCost::default();
    let mut open = vec![Spf::parse(record.as_bytes()).ok()?];
    while let Some(record) = open.pop() {
        let mut others: Vec<&Macro> = Vec::new();
        let mut directives = record.directives.iter();
        // What stands after "all" is never looked at (RFC 7208 sections 5.1 and 6.1).
        let all = directives.position(|directive| directive.mechanism == Mechanism::All);
        for directive in &record.directives[..all.unwrap_or(record.directives.len())] {
            match &directive.mechanism {
                Mechanism::Include { macro_string } => others.push(macro_string),
                Mechanism::A { .. }
                | Mechanism::Mx { .. }
                | Mechanism::Ptr { .. }
                | Mechanism::Exists { .. } => cost.lookups += 1,
                _ => {}
            }
        }
        others.extend(record.redirect.iter().filter(|_| all.is_none()));
        cost.lookups += others.len();
        // One that includes itself comes here too.
        if cost.lookups > ENOUGH {
            cost.more = true;
            return Some(cost);
        }
        for other in others {
            let target = match other {
                Macro::Literal(octets) => String::from_utf8_lossy(octets).parse::<Domain>().ok(),
                // It depends on the message.
                _ => None,
            };
            let Some(target) = target else {
                cost.more = true;
                continue;
            };
            let reply = source.ask(&target, RecordType::TXT).await;
            cost.more |= matches!(reply, Reply::Failed | Reply::Unknown);
            if let [(text, _)] = &spf_records(&reply)[..] {
                open.extend(Spf::parse(text.as_bytes()));
            }
        }
    }
    Some(cost)
}
