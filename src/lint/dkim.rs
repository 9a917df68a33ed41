//! Checks of DKIM keys (RFC 6376 section 3.6): whether signatures by them can be verified.
//!
//! Which selectors a domain has only its zone file tells: all names below `_domainkey` are looked at there.

use std::collections::BTreeSet;

use data_encoding::BASE64;
use hickory_proto::rr::RData;

use super::{
    Check,
    catalogue::{DKIM_KEY, DKIM_KEY_SHORT, DKIM_REVOKED, DKIM_TESTING},
    policies::tags::{tags, value},
};
use crate::{
    name::Domain,
    records::{LocatedRecord, joined},
};

/// Bits of an RSA key: fewer are not verified (RFC 8301 section 3.2), and fewer are not advised.
const LEAST: usize = 1024;
const ADVISED: usize = 2048;
/// Octets of an Ed25519 key (RFC 8463 section 4.2).
const ED25519: usize = 32;

/// Checks the records of a name, if it is that of a selector.
pub(super) fn check(
    owner: &Domain,
    set: &[LocatedRecord],
    add: &mut impl FnMut(&'static Check, &LocatedRecord, String),
) {
    // Names of selectors have no underscores: `_adsp._domainkey` and its like are something else.
    let selector = owner.as_str().split_once("._domainkey.");
    if selector.is_none_or(|(selector, _)| selector.contains('_')) {
        return;
    }
    let texts = set.iter().filter_map(|placed| match &placed.record.data {
        RData::TXT(txt) => Some((joined(txt), placed)),
        _ => None,
    });
    let texts: Vec<(String, &LocatedRecord)> = texts.collect();
    if let [_, (_, second), ..] = &texts[..] {
        let message = format!("{owner} has {} TXT records, expected one key", texts.len());
        return add(DKIM_KEY, second, message);
    }
    let Some((text, placed)) = texts.first() else {
        return;
    };
    // The version may be left out; another one is none (section 3.6.1).
    if value(text, "v").is_some_and(|version| version != "DKIM1") {
        let message = format!("the DKIM key {owner} has no version DKIM1: {text}");
        return add(DKIM_KEY, placed, message);
    }
    if let Some(wrong) = unusable(text) {
        return add(DKIM_KEY, placed, format!("the DKIM key {owner} {wrong}"));
    }
    let flags = value(text, "t").unwrap_or_default();
    if flags
        .split(':')
        .any(|flag| flag.trim().eq_ignore_ascii_case("y"))
    {
        add(
            DKIM_TESTING,
            placed,
            format!("the DKIM key {owner} is marked as a test (t=y)"),
        );
    }
    let key: String = match value(text, "p") {
        None => {
            let message = format!("the DKIM key {owner} has no p, expected a key");
            return add(DKIM_KEY, placed, message);
        }
        Some(key) => key.chars().filter(|c| !c.is_whitespace()).collect(),
    };
    if key.is_empty() {
        return add(
            DKIM_REVOKED,
            placed,
            format!("the DKIM key {owner} is revoked"),
        );
    }
    let kind = value(text, "k").unwrap_or("rsa").to_ascii_lowercase();
    match bits(&kind, &key) {
        Err(wrong) => add(DKIM_KEY, placed, format!("the DKIM key {owner} {wrong}")),
        Ok(Some(bits)) if bits < LEAST => {
            let message =
                format!("the DKIM key {owner} has {bits} bits, expected {LEAST} at least");
            add(DKIM_KEY, placed, message);
        }
        Ok(Some(bits)) if bits < ADVISED => {
            let message =
                format!("the DKIM key {owner} has {bits} bits, expected {ADVISED} or more");
            add(DKIM_KEY_SHORT, placed, message);
        }
        Ok(_) => {}
    }
}

/// What keeps a record from being used, whatever its key is.
fn unusable(text: &str) -> Option<String> {
    let mut seen = BTreeSet::new();
    let names = tags(text).map(|tag| tag.name);
    // A list with a tag twice is none (section 3.2); tags are told apart by case.
    if let Some(twice) = names.into_iter().find(|name| !seen.insert(*name)) {
        return Some(format!("has {twice} twice, which makes all of it invalid"));
    }
    let lists = |tag: &str, wanted: &[&str]| {
        let mut values = value(text, tag)?.split(':').map(str::trim);
        Some(values.any(|one| wanted.iter().any(|word| word.eq_ignore_ascii_case(one))))
    };
    // Signatures with SHA-1 do not count (RFC 8301 section 3.1).
    if lists("h", &["sha256"]) == Some(false) {
        let hashes = value(text, "h").unwrap_or_default();
        return Some(format!(
            "is for h={hashes} alone, expected sha256 among them"
        ));
    }
    if lists("s", &["*", "email"]) == Some(false) {
        let services = value(text, "s").unwrap_or_default();
        return Some(format!("is for s={services}, expected email or *"));
    }
    None
}

/// How many bits an RSA key has; nothing for a key of another kind that is as it should be.
fn bits(kind: &str, key: &str) -> Result<Option<usize>, String> {
    let octets = BASE64
        .decode(key.as_bytes())
        .map_err(|error| format!("is not in base64: {error}"))?;
    match kind {
        "rsa" => modulus(&octets)
            .map(Some)
            .ok_or_else(|| "is no RSA key that can be read".to_owned()),
        "ed25519" if octets.len() == ED25519 => Ok(None),
        "ed25519" => Err(format!("has {} octets, expected {ED25519}", octets.len())),
        // What a verifier does not know it passes over.
        _ => Ok(None),
    }
}

/// The bits of the modulus of an RSA public key, by itself or in a SubjectPublicKeyInfo (RFC 8017 appendix A.1.1).
fn modulus(octets: &[u8]) -> Option<usize> {
    const SEQUENCE: u8 = 0x30;
    const BIT_STRING: u8 = 0x03;
    const INTEGER: u8 = 0x02;
    let (key, _) = element(octets, SEQUENCE)?;
    let key = match element(key, SEQUENCE) {
        Some((_, rest)) => {
            let (string, _) = element(rest, BIT_STRING)?;
            element(string.strip_prefix(&[0])?, SEQUENCE)?.0
        }
        None => key,
    };
    let (modulus, rest) = element(key, INTEGER)?;
    element(rest, INTEGER)?;
    let zeros = modulus.iter().take_while(|octet| **octet == 0).count();
    let modulus = &modulus[zeros..];
    // A key of 2048 bits may begin with a bit that is 0: whole octets are what people call it by.
    (!modulus.is_empty()).then_some(modulus.len() * 8)
}

/// An element of DER with its tag, and what follows it.
fn element(octets: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let [found, length, rest @ ..] = octets else {
        return None;
    };
    if *found != tag {
        return None;
    }
    let (length, rest) = match *length {
        short @ ..0x80 => (usize::from(short), rest),
        long => {
            let count = usize::from(long & 0x7f);
            let digits = rest.get(..count).filter(|_| (1..=2).contains(&count))?;
            let length = digits
                .iter()
                .fold(0, |sum, digit| sum << 8 | usize::from(*digit));
            (length, &rest[count..])
        }
    };
    Some((rest.get(..length)?, &rest[length..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_measured() {
        // A modulus of two octets, by itself; then within what certificates have around it.
        let key = [0x30, 0x07, 0x02, 0x02, 0x01, 0xff, 0x02, 0x01, 0x03];
        assert_eq!(modulus(&key), Some(16));
        let around = [0x30, 0x0e, 0x30, 0x00, 0x03, 0x0a, 0x00];
        assert_eq!(modulus(&[&around[..], &key].concat()), Some(16));
        assert_eq!(modulus(&key[..8]), None);
        assert_eq!(modulus(b"no key"), None);
        assert_eq!(bits("ed25519", &BASE64.encode(&[7; 32])), Ok(None));
        assert!(bits("ed25519", &BASE64.encode(&[7; 31])).is_err());
        assert!(bits("rsa", "a").is_err() && bits("rsa", "AAAA").is_err());
        assert_eq!(bits("other", "AAAA"), Ok(None));
    }
}
