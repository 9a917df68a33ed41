//! The names that terms are about, macros expanded (RFC 7208 section 7), and what a domain says to a sender that it
//! does not let send (section 6.2).

use std::net::IpAddr;

use hickory_proto::rr::{Name, RecordType};

use super::{
    super::{
        macros::{MacroLetter, MacroString, dotted},
        record::Record,
    },
    Lookup, SpfCheck,
};
use crate::{
    name::Domain,
    records::{DomainRecords, RecordLookup},
};

impl<L: Lookup> SpfCheck<'_, L> {
    pub(super) async fn target_or(
        &mut self,
        domain: &Domain,
        target: Option<&MacroString>,
    ) -> Option<Domain> {
        match target {
            Some(target) => self.target(domain, target).await,
            None => Some(domain.clone()),
        }
    }

    /// The name that a domain-spec stands for; nothing if it is none, or depends on the sender.
    pub(super) async fn target(&mut self, domain: &Domain, target: &MacroString) -> Option<Domain> {
        let is_plain = |letter| matches!(letter, MacroLetter::Domain | MacroLetter::SenderDomain);
        if self.sender.address.is_none() && !target.letters().all(is_plain) {
            self.depends = true;
            return None;
        }
        name_of(&self.expanded(domain, target).await)
    }

    /// The text that a macro string stands for.
    async fn expanded(&mut self, domain: &Domain, text: &MacroString) -> String {
        let needs = |letter: MacroLetter| text.letters().any(|other| other == letter);
        let validated = if needs(MacroLetter::ValidatedName) {
            best_of(&self.validated().await, domain)
        } else {
            String::new()
        };
        let local_part = || {
            let given = self.sender.local_part.as_deref();
            given
                .filter(|given| !given.is_empty())
                .unwrap_or("postmaster")
        };
        text.expanded(|letter| match letter {
            MacroLetter::Sender => format!("{}@{}", local_part(), self.sender_domain),
            MacroLetter::LocalPart => local_part().to_owned(),
            MacroLetter::SenderDomain => self.sender_domain.to_string(),
            MacroLetter::Domain => domain.to_string(),
            MacroLetter::Address => self.sender.address.map(dotted).unwrap_or_default(),
            MacroLetter::Version => match self.sender.address {
                Some(IpAddr::V6(_)) => "ip6".to_owned(),
                _ => "in-addr".to_owned(),
            },
            MacroLetter::Helo => self.sender.helo.clone().unwrap_or_default(),
            MacroLetter::ValidatedName => validated.clone(),
            MacroLetter::ReadableAddress => match self.sender.address {
                Some(address) => address.to_string(),
                None => String::new(),
            },
            // Who receives is not known here (section 7.3).
            MacroLetter::Receiver => "unknown".to_owned(),
            MacroLetter::Now => self.sender.now.to_string(),
        })
    }

    /// What keeps the explanation of a record from being given; nothing if it has none, it is right, or it depends on the
    /// sender where it stands.
    pub(in super::super) async fn unexplained(
        &mut self,
        domain: &Domain,
        record: &str,
    ) -> Option<String> {
        let target = Record::parse(record).ok()?.explanation?;
        let written = format!("exp={}", target.as_str());
        let depends = std::mem::take(&mut self.depends);
        let name = self.target(domain, &target).await;
        let is_settled = !std::mem::replace(&mut self.depends, depends);
        let Some(name) = name else {
            return is_settled.then(|| format!("has {written}, which is no name"));
        };
        let reply = self.look_up(&name, RecordType::TXT).await;
        if matches!(reply, RecordLookup::NoDomain) {
            return Some(format!("has {written}, which does not exist"));
        }
        let is_known = reply.is_none() || !reply.records().is_empty();
        match &DomainRecords::texts(&reply)[..] {
            [(text, _)] => {
                let unfit = MacroString::parse_explanation(text).err()?;
                Some(format!("has {written}, where there is a slip: {unfit}"))
            }
            texts => is_known.then(|| {
                let count = texts.len();
                format!("has {written}, which has {count} TXT records, expected one")
            }),
        }
    }

    /// What the domain says to a sender that it does not let send; nothing if that cannot be had, or has a slip
    /// in it (section 6.2).
    pub(super) async fn explained(
        &mut self,
        domain: &Domain,
        target: &MacroString,
    ) -> Option<String> {
        let name = self.target(domain, target).await?;
        let reply = self.look_up(&name, RecordType::TXT).await;
        let texts = DomainRecords::texts(&reply);
        let [(text, _)] = &texts[..] else { return None };
        let explanation = MacroString::parse_explanation(text).ok()?;
        Some(self.expanded(domain, &explanation).await)
    }
}

/// The validated name for `%{p}`: the domain itself, one below it, or any (section 7.3).
fn best_of(names: &[Domain], domain: &Domain) -> String {
    let same = names.iter().find(|name| *name == domain);
    let below = || names.iter().find(|name| name.is_within(domain));
    let best = same.or_else(below).or(names.first());
    best.map_or_else(|| "unknown".to_owned(), Domain::to_string)
}

/// A name of labels as they are, without escapes: those on the left go where it is too long (section 7.3).
fn name_of(text: &str) -> Option<Domain> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let mut labels: Vec<&[u8]> = text.split('.').map(str::as_bytes).collect();
    let length = |labels: &[&[u8]]| labels.iter().map(|label| label.len() + 1).sum::<usize>();
    while length(&labels) > 254 && labels.len() > 1 {
        labels.remove(0);
    }
    Some(Domain::from(&Name::from_labels(labels).ok()?))
}
