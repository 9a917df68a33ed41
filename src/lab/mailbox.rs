//! The messages that receivers took, and their content: in memory, past a size in a temporary file.
//!
//! Short messages stay in memory. A long one goes, in pieces of 64 KiB, into one temporary file of
//! the lab, so that a drill with many megabytes of mail needs little memory and no more than one
//! descriptor. The system deletes the file when it is closed.
//!
//! What the content says (which message it is, whether it is a notification) is read in `dsn`,
//! from the head alone.
//!
//! A slot of the spool belongs to whoever has a piece of a message in it, and is free when the last clone is dropped.
//! Pieces are written when they are full, so that no slot is half used; what is left over stays in memory, behind the
//! pieces.

use std::{
    borrow::Cow,
    fmt,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use super::dsn::{self, DeliveryStatus};
use crate::{event::SessionId, lock::lock, mail::BodyDigest, name::Domain, time::Moment};

/// Octets of content kept in memory for each message, and the size of a slot of the spool: most
/// mail is shorter. The head that `dsn` reads is as long.
const IN_MEMORY: usize = 64 * 1024;
/// A message that a receiver accepted.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReceivedMessage {
    /// When the receiver accepted it, on the drill's clock.
    pub at: Moment,
    /// The session in which it came.
    pub session: SessionId,
    /// The names of the receiver in the zone.
    pub hosts: Arc<[Domain]>,
    /// The address of the receiver in the zone.
    pub address: IpAddr,
    /// The reverse-path as it was given in MAIL, without angle brackets; empty is the null one.
    pub from: String,
    /// The recipients as they were given in RCPT, those alone that were accepted.
    pub to: Vec<String>,
    /// Whether the session was inside TLS when it came.
    pub tls: bool,
    /// The content, from the first octet after DATA's reply to the last one before the final dot.
    pub content: Content,
}

/// One temporary file for all that a lab does not keep in memory, made when it is first needed. It is
/// divided into slots of one size, which are used again once nobody has what is in them.
///
/// A message that is dropped gives its slots back; when nobody has any, the file is cut to nothing.
#[derive(Default)]
pub(crate) struct Spool(Mutex<Slots>);

#[derive(Default)]
struct Slots {
    /// Made with the first slot.
    file: Option<File>,
    /// How many slots the file has, used or free.
    count: u64,
    /// The numbers of those that nobody uses.
    free: Vec<u64>,
}

impl Spool {
    // A panic elsewhere while the lock is held leaves slots that are taken and never freed, which
    // harms nothing.
    fn slots(&self) -> MutexGuard<'_, Slots> {
        lock(&self.0)
    }

    /// Writes a full piece into a free slot, or into a new one at the end.
    fn write(self: &Arc<Self>, octets: &[u8; IN_MEMORY]) -> io::Result<SpoolSlot> {
        let mut slots = self.slots();
        let number = slots.free.pop().unwrap_or(slots.count);
        slots.count = slots.count.max(number + 1);
        let slot = SpoolSlot {
            spool: Arc::clone(self),
            number,
        };
        let written = slots.file().and_then(|file| {
            file.seek(SeekFrom::Start(slot.start()))?;
            file.write_all(octets)
        });
        // The slot is given back, if it was not written, when the spool is free to take it.
        drop(slots);
        written.map(|()| slot)
    }

    /// How many octets the file has.
    #[cfg(test)]
    fn size(&self) -> u64 {
        let slots = self.slots();
        slots
            .file
            .as_ref()
            .map_or(0, |file| file.metadata().expect("a file").len())
    }
}

impl Slots {
    fn file(&mut self) -> io::Result<&mut File> {
        match &mut self.file {
            Some(file) => Ok(file),
            none => Ok(none.insert(tempfile::tempfile()?)),
        }
    }
}

/// A part of the spool, for as long as somebody has it. Clones of a message share it.
struct SpoolSlot {
    spool: Arc<Spool>,
    number: u64,
}

impl SpoolSlot {
    fn start(&self) -> u64 {
        self.number * IN_MEMORY as u64
    }

    /// Appends the octets of the slot.
    fn read(&self, into: &mut Vec<u8>) -> io::Result<()> {
        let mut slots = self.spool.slots();
        let file = slots.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
        file.seek(SeekFrom::Start(self.start()))?;
        let before = into.len();
        into.resize(before + IN_MEMORY, 0);
        file.read_exact(&mut into[before..])
    }
}

impl Drop for SpoolSlot {
    fn drop(&mut self) {
        let mut slots = self.spool.slots();
        slots.free.push(self.number);
        if slots.free.len() as u64 == slots.count {
            slots.free.clear();
            slots.count = 0;
            // A file that keeps its size is used again all the same.
            if let Some(file) = &slots.file {
                file.set_len(0).ok();
            }
        }
    }
}

/// How much of a content is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// All of it: somebody may ask for it.
    All,
    /// Its beginning, which says which message it is.
    Head,
}

/// The content of a message, dot-stuffing undone.
///
/// A clone copies less than 64 KiB: what was spilled is shared.
#[derive(Clone)]
pub struct Content {
    spool: Arc<Spool>,
    keeps: Keeps,
    /// What was spilled, in order; what is in memory follows it.
    spilled: Vec<Arc<SpoolSlot>>,
    memory: Vec<u8>,
    /// Octets that arrived, kept or not.
    octets: usize,
    /// Whether it grew over the limit and was dropped.
    cut: bool,
    /// How much of the end of the header the last octets are, up to the four of `CRLF CRLF`; all of it: this is the
    /// body.
    header_end: usize,
    digest: BodyDigest,
}

impl Content {
    pub(super) fn new(spool: Arc<Spool>, keeps: Keeps) -> Self {
        Self {
            spool,
            keeps,
            spilled: Vec::new(),
            memory: Vec::new(),
            octets: 0,
            cut: false,
            header_end: 0,
            digest: BodyDigest::EMPTY,
        }
    }

    /// Takes octets in for the digest of the body.
    fn digest(&mut self, octets: &[u8]) {
        // An empty line ends the header (RFC 5322 section 2.1), and may come in two pieces.
        const END: &[u8] = b"\r\n\r\n";
        let mut body = octets;
        while self.header_end < END.len() {
            let Some((octet, rest)) = body.split_first() else {
                return;
            };
            body = rest;
            self.header_end = match *octet {
                octet if octet == END[self.header_end] => self.header_end + 1,
                b'\r' => 1,
                _ => 0,
            };
        }
        self.digest = self.digest.and(body);
    }

    /// What tells its body from another.
    pub(super) fn body(&self) -> BodyDigest {
        self.digest
    }

    /// Appends octets. Past the limit of the receiver's SIZE they are counted and dropped: such a
    /// message is refused at its end (552, RFC 5321 section 4.5.3.1.9), and the octets that came
    /// are of no use.
    pub(super) fn append(&mut self, octets: &[u8], limit: usize) -> io::Result<()> {
        self.octets += octets.len();
        // Once and for all: a message is not taken again because nothing more of it is kept.
        self.cut |= self.octets > limit;
        if self.cut {
            self.spilled.clear();
            self.memory = Vec::new();
            return Ok(());
        }
        self.digest(octets);
        if self.keeps == Keeps::Head {
            let room = IN_MEMORY - self.memory.len();
            self.memory
                .extend_from_slice(&octets[..octets.len().min(room)]);
            return Ok(());
        }
        self.memory.extend_from_slice(octets);
        while let Some(piece) = self.memory.first_chunk() {
            self.spilled.push(Arc::new(self.spool.write(piece)?));
            self.memory.drain(..IN_MEMORY);
        }
        Ok(())
    }

    /// Whether it was longer than the limit.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// How many octets arrived.
    pub fn len(&self) -> usize {
        self.octets
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.octets == 0
    }

    /// All octets. In a lab that keeps no messages, the first 64 KiB of a longer one.
    ///
    /// # Errors
    /// When the temporary file of large messages cannot be read.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut octets = Vec::new();
        self.spilled
            .iter()
            .try_for_each(|slot| slot.read(&mut octets))?;
        octets.extend_from_slice(&self.memory);
        Ok(octets)
    }

    /// The first 64 KiB, or all of a shorter message.
    pub fn head(&self) -> Cow<'_, [u8]> {
        let mut head = Vec::new();
        match self.spilled.first() {
            // An unreadable spool yields no ids; `read` reports the error.
            Some(slot) => {
                slot.read(&mut head).ok();
            }
            None => return Cow::Borrowed(&self.memory),
        }
        Cow::Owned(head)
    }

    /// What its header says: which of the drill's messages it is, and whether it is made as a notification.
    pub(super) fn header(&self) -> dsn::Header {
        dsn::header(&self.head())
    }

    /// What it says as a notification (RFC 3464) about another message.
    pub(super) fn report(&self) -> DeliveryStatus {
        dsn::report(&self.head())
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} octets", self.octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(spool: &Arc<Spool>, keeps: Keeps) -> Content {
        Content::new(Arc::clone(spool), keeps)
    }

    #[test]
    fn contents_spill_side_by_side_and_read_back() {
        let spool = Arc::new(Spool::default());
        let mut contents = [(); 2].map(|()| content(&spool, Keeps::All));
        for _ in 0..40 {
            for (content, octet) in contents.iter_mut().zip(b"ab") {
                content
                    .append(&[*octet; 5000], usize::MAX)
                    .expect("appended");
            }
        }
        for (content, octet) in contents.iter().zip(b"ab") {
            assert!(!content.spilled.is_empty() && content.memory.len() < IN_MEMORY);
            assert_eq!(content.read().expect("read"), vec![*octet; 200_000]);
        }
    }

    #[test]
    fn what_nobody_has_any_more_takes_no_room() {
        let spool = Arc::new(Spool::default());
        let large = || {
            let mut content = content(&spool, Keeps::All);
            content
                .append(&vec![b'x'; 1_000_000], usize::MAX)
                .expect("appended");
            content
        };
        let kept = large();
        let most = spool.size() * 2;
        for _ in 0..20 {
            let copy = large().clone();
            assert_eq!(copy.read().expect("read"), vec![b'x'; 1_000_000]);
            assert!(spool.size() <= most);
        }
        assert_eq!(kept.read().expect("read"), vec![b'x'; 1_000_000]);
        drop(kept);
        assert_eq!(spool.size(), 0);
    }

    #[test]
    fn where_nobody_may_ask_the_beginning_is_kept() {
        let spool = Arc::new(Spool::default());
        let mut content = content(&spool, Keeps::Head);
        for _ in 0..100 {
            content
                .append(&[b'x'; 10_000], usize::MAX)
                .expect("appended");
        }
        assert_eq!(
            (content.len(), content.memory.len()),
            (1_000_000, IN_MEMORY)
        );
        assert_eq!(spool.size(), 0);
    }

    #[test]
    fn past_the_limit_content_is_dropped() {
        let mut content = content(&Arc::default(), Keeps::All);
        content.append(b"12345", 8).expect("appended");
        content.append(b"67890", 8).expect("appended");
        assert!(content.is_cut());
    }
}
