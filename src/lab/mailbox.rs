//! The messages that receivers took, and their content: in memory, past a size in a temporary file.

use std::{
    borrow::Cow,
    fmt,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use super::report::{self, Report};
use crate::{event::SessionId, name::Domain, scenario::MessageId, time::Moment};

/// Octets of content kept in memory, for each message.
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

/// One temporary file for all that a lab does not keep in memory, made when it is first needed.
#[derive(Default)]
pub(crate) struct Spool {
    file: Mutex<Option<File>>,
}

impl Spool {
    fn write(&self, octets: &[u8]) -> io::Result<Extent> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match &mut *file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        let start = file.seek(SeekFrom::End(0))?;
        file.write_all(octets)?;
        Ok(Extent {
            start,
            octets: octets.len(),
        })
    }

    fn read(&self, extent: &Extent, into: &mut Vec<u8>) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let file = file.as_mut().ok_or(io::ErrorKind::NotFound)?;
        file.seek(SeekFrom::Start(extent.start))?;
        let before = into.len();
        into.resize(before + extent.octets, 0);
        file.read_exact(&mut into[before..])
    }
}

/// A part of the spool.
#[derive(Clone)]
struct Extent {
    start: u64,
    octets: usize,
}

/// The content of a message, dot-stuffing undone.
#[derive(Clone)]
pub struct Content {
    spool: Arc<Spool>,
    /// What was spilled, in order; what is in memory follows it.
    spilled: Vec<Extent>,
    memory: Vec<u8>,
    octets: usize,
    cut: bool,
}

impl Content {
    pub(super) fn new(spool: Arc<Spool>) -> Self {
        Self {
            spool,
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
            return Ok(());
        }
        self.memory.extend_from_slice(octets);
        if self.memory.len() > IN_MEMORY {
            self.spilled.push(self.spool.write(&self.memory)?);
            self.memory = Vec::new();
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

    /// All of it.
    ///
    /// # Errors
    /// When the temporary file of large messages cannot be read.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let mut octets = Vec::new();
        self.spilled
            .iter()
            .try_for_each(|extent| self.spool.read(extent, &mut octets))?;
        octets.extend_from_slice(&self.memory);
        Ok(octets)
    }

    /// The beginning of it, all of a short one.
    fn head(&self) -> Cow<'_, [u8]> {
        let mut head = Vec::new();
        match self.spilled.first() {
            // What cannot be read has no ids; whoever asks for the content is told why.
            Some(extent) => drop(self.spool.read(extent, &mut head)),
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

    #[test]
    fn contents_spill_side_by_side_and_read_back() {
        let spool = Arc::new(Spool::default());
        let mut contents = [
            Content::new(Arc::clone(&spool)),
            Content::new(Arc::clone(&spool)),
        ];
        for _ in 0..40 {
            for (content, octet) in contents.iter_mut().zip(b"ab") {
                content
                    .append(&[*octet; 5000], usize::MAX)
                    .expect("appended");
            }
        }
        for (content, octet) in contents.iter().zip(b"ab") {
            assert!(!content.spilled.is_empty() && content.memory.len() <= IN_MEMORY);
            assert_eq!(content.read().expect("read"), vec![*octet; 200_000]);
        }
    }

    #[test]
    fn past_the_limit_content_is_dropped() {
        let mut content = Content::new(Arc::default());
        content.append(b"12345", 8).expect("appended");
        content.append(b"67890", 8).expect("appended");
        assert!(content.is_cut());
    }
}
