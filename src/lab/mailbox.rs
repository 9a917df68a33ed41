//! The messages that receivers took, and their content: in memory, past a size in a temporary file.

use std::{
    borrow::Cow,
    fmt,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::report::{self, Report};
use crate::{event::SessionId, mail::MessageId, name::Domain, time::Moment};

/// Octets of content kept in memory, for each message, and those of a slot of the spool.
const IN_MEMORY: usize = 64 * 1024;
/// The domain of the Message-ID fields that the drill's messages carry.
pub(crate) const ID_DOMAIN: &str = "@mxdrill.test>";

/// A message that a receiver took.
#[derive(Debug, Clone)]
pub struct Captured {
    /// When.
    pub at: Moment,
    /// In which session.
    pub session: SessionId,
    /// The names of the receiver.
    pub hosts: Vec<Domain>,
    /// Its address in the zone.
    pub address: IpAddr,
    /// The reverse-path; empty is the null one.
    pub from: String,
    /// The recipients.
    pub to: Vec<String>,
    /// Whether it came through TLS.
    pub tls: bool,
    /// What was sent.
    pub content: Content,
}

/// One temporary file for all that a lab does not keep in memory, made when it is first needed. It is
/// divided into slots of one size, which are used again once nobody has what is in them.
#[derive(Default)]
pub(crate) struct Spool(Mutex<Slots>);

#[derive(Default)]
struct Slots {
    file: Option<File>,
    /// How many there are.
    count: u64,
    /// Those that nobody uses.
    free: Vec<u64>,
}

impl Spool {
    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(self: &Arc<Self>, octets: &[u8; IN_MEMORY]) -> io::Result<Slot> {
        let mut slots = self.slots();
        let number = slots.free.pop().unwrap_or(slots.count);
        slots.count = slots.count.max(number + 1);
        let slot = Slot {
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

/// A part of the spool, for as long as somebody has it.
struct Slot {
    spool: Arc<Spool>,
    number: u64,
}

impl Slot {
    fn start(&self) -> u64 {
        self.number * IN_MEMORY as u64
    }

    fn read(&self, into: &mut Vec<u8>) -> io::Result<()> {
        let mut slots = self.spool.slots();
        let file = slots.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
        file.seek(SeekFrom::Start(self.start()))?;
        let before = into.len();
        into.resize(before + IN_MEMORY, 0);
        file.read_exact(&mut into[before..])
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut slots = self.spool.slots();
        slots.free.push(self.number);
        if slots.free.len() as u64 == slots.count {
            slots.free.clear();
            slots.count = 0;
            // A file that keeps its size is used again all the same.
            drop(slots.file.as_ref().map(|file| file.set_len(0)));
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
#[derive(Clone)]
pub struct Content {
    spool: Arc<Spool>,
    keeps: Keeps,
    /// What was spilled, in order; what is in memory follows it.
    spilled: Vec<Arc<Slot>>,
    memory: Vec<u8>,
    octets: usize,
    cut: bool,
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
        }
    }

    /// Appends octets; past the limit they are counted and dropped.
    pub(super) fn append(&mut self, octets: &[u8], limit: usize) -> io::Result<()> {
        self.octets += octets.len();
        self.cut |= self.octets > limit;
        if self.cut {
            self.spilled.clear();
            self.memory = Vec::new();
            return Ok(());
        }
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

    /// Whether some of it was dropped.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// How many octets it has.
    pub fn len(&self) -> usize {
        self.octets
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.octets == 0
    }

    /// All of it; in a lab that keeps no messages, of a long one the first 64 KiB.
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

    /// The beginning of it, all of a short one.
    fn head(&self) -> Cow<'_, [u8]> {
        let mut head = Vec::new();
        match self.spilled.first() {
            // What cannot be read has no ids; whoever asks for the content is told why.
            Some(slot) => drop(slot.read(&mut head)),
            None => return Cow::Borrowed(&self.memory),
        }
        Cow::Owned(head)
    }

    /// Which of the drill's messages it is, from its header.
    pub(super) fn id(&self) -> Option<MessageId> {
        report::id(&self.head())
    }

    /// What it says in its body of a message that it may be about.
    pub(super) fn report(&self) -> Report {
        report::report(&self.head())
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
