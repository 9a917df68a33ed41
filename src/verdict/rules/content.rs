//! The rule about what arrives of a message's content (RFC 5321 section 4.5.2).
//!
//! Only a body that differs in a way which a client's handling of dots and of the end explains is held against it.
//! Any other difference has reasons that no sentence forbids: a sender may write the message that it was asked for
//! itself, and a relay may convert a content for a server that could not take it.

use super::{CONTENT_KEPT, broken};
use crate::{
    mail::{
        BodyDigest, Message,
        content::{body_of, message as content},
    },
    verdict::{Finding, Subject, facts::MessageFacts},
};

/// The first copy of a message in which dots or lines were lost or added.
pub(in crate::verdict) fn check(facts: &MessageFacts<'_>) -> Option<Finding> {
    let mut taken = facts
        .attempts
        .iter()
        .filter(|attempt| !attempt.is_guessed());
    let mut known = None;
    taken.find_map(|attempt| {
        let arrived = attempt.body?;
        let known = known.get_or_insert_with(|| KnownBody::of(facts.message));
        let what = known.difference(arrived)?;
        let observed = vec![format!("{attempt}: {what}")];
        let subject = Subject::of_message(&facts.message.id);
        Some(broken(
            CONTENT_KEPT,
            subject,
            "the content as it was given",
            observed,
        ))
    })
}

/// Lines with a leading dot of which it is looked whether some alone lost it, and octets of the body up to which it is: each
/// line more doubles the work.
const FEW: (usize, usize) = (8, 65_536);

/// Lines as they arrive where leading dots were not doubled.
fn undone<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let lines = lines.flat_map(|line| line.strip_prefix(b".").unwrap_or(line));
    lines.copied().collect()
}

/// What arrives of a body where some of the leading dots were not doubled, whichever; without the one that ends it there,
/// nothing behind it.
fn some_undone<'a>(lines: &'a [&'a [u8]], octets: usize) -> impl Iterator<Item = Vec<u8>> + 'a {
    let dotted = lines.iter().enumerate();
    let dotted = dotted.filter(|(_, line)| line.starts_with(b"."));
    let dotted: Vec<usize> = dotted.map(|(place, _)| place).collect();
    let is_few = dotted.len() <= FEW.0 && octets <= FEW.1;
    let all = if is_few { 1_u32 << dotted.len() } else { 0 };
    (1..all).map(move |choice| {
        let mut arrived = Vec::new();
        for (place, line) in lines.iter().enumerate() {
            let among = dotted.iter().position(|dotted| *dotted == place);
            let is_undone = among.is_some_and(|among| choice & 1 << among != 0);
            match line.strip_prefix(b".").filter(|_| is_undone) {
                // It ended the content.
                Some(b"\r\n") => break,
                Some(rest) => arrived.extend_from_slice(rest),
                None => arrived.extend_from_slice(line),
            }
        }
        arrived
    })
}

/// The body of a message.
struct KnownBody {
    content: Vec<u8>,
    right: BodyDigest,
}

impl KnownBody {
    fn of(message: &Message) -> Self {
        let content = content(message);
        let right = BodyDigest::of(&content);
        Self { content, right }
    }

    /// What is wrong with a body that arrived; `None` where nothing is, or nobody can say.
    fn difference(&self, arrived: BodyDigest) -> Option<&'static str> {
        if arrived == self.right {
            return None;
        }
        let body = body_of(&self.content);
        let lines = || body.split_inclusive(|octet| *octet == b'\n');
        let before_dot = || lines().take_while(|line| *line != b".\r\n");
        let doubled = lines().flat_map(|line| {
            let dot: &[u8] = if line.starts_with(b".") { b"." } else { b"" };
            [dot, line].concat()
        });
        let doubled: Vec<u8> = doubled.collect();
        let cut: Vec<u8> = before_dot().flatten().copied().collect();
        let (undone, undone_and_cut) = (undone(lines()), undone(before_dot()));
        let digest = |octets: &[u8]| BodyDigest::EMPTY.and(octets);
        let wrong = [
            (
                digest(&undone),
                "a leading dot was lost: it was not doubled",
            ),
            (digest(&doubled), "a leading dot was doubled once too often"),
            (
                digest(&undone_and_cut),
                "leading dots were not doubled, and a dot alone ended it",
            ),
            (digest(&cut), "a dot alone was not doubled and ended it"),
            (
                self.right.and(b"\r\n"),
                "an empty line was added to its end",
            ),
        ];
        let lines: Vec<&[u8]> = lines().collect();
        let some = some_undone(&lines, body.len()).map(|octets| {
            let what = "some leading dots were lost: they were not doubled";
            (digest(&octets), what)
        });
        let mut wrong = wrong.into_iter().chain(some);
        let found = wrong.find(|(digest, _)| *digest == arrived);
        found.map(|(_, what)| what)
    }
}
