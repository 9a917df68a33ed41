//! The messages that receivers took, and their content: in memory, past a size in a temporary file.

use std::{
    fmt,
    io::{self, Read, Seek, SeekFrom, Write},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tempfile::SpooledTempFile;

use crate::{event::SessionId, name::Domain, scenario::MessageId, time::Moment};

/// Octets of content kept in memory, for each message.
const IN_MEMORY: usize = 64 * 1024;
/// Octets searched for the ids of the drill's messages.
const SEARCHED: usize = 64 * 1024;
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

/// The content of a message, dot-stuffing undone.
#[derive(Clone)]
pub struct Content {
    file: Arc<Mutex<SpooledTempFile>>,
    octets: usize,
    cut: bool,
}

impl Content {
    pub(super) fn new() -> Self {
        Self {
            file: Arc::new(Mutex::new(SpooledTempFile::new(IN_MEMORY))),
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
        self.file
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(octets)
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
    /// When the temporary file of a large message cannot be read.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        self.head(usize::MAX)
    }

    fn head(&self, limit: usize) -> io::Result<Vec<u8>> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(0))?;
        let mut octets = Vec::new();
        Read::by_ref(&mut *file)
            .take(limit as u64)
            .read_to_end(&mut octets)?;
        file.seek(SeekFrom::End(0))?;
        Ok(octets)
    }

    /// The ids of drill messages in it: its own, from the header, and that of one it returns, from
    /// the body.
    pub(super) fn ids(&self) -> (Option<MessageId>, Option<MessageId>) {
        // What cannot be read has no ids; whoever asks for the content is told why.
        let text = String::from_utf8_lossy(&self.head(SEARCHED).unwrap_or_default()).into_owned();
        let end = text.find("\r\n\r\n").unwrap_or(text.len());
        let (header, body) = text.split_at(end);
        (id_in(header), id_in(body))
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} octets", self.octets)
    }
}

/// The id in the first `Message-ID: <ID@mxdrill.test>`.
fn id_in(text: &str) -> Option<MessageId> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let id = value.trim().strip_prefix('<')?.strip_suffix(ID_DOMAIN)?;
        name.eq_ignore_ascii_case("message-id")
            .then(|| MessageId::from(id))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_spills_and_reads_back() {
        let mut content = Content::new();
        for _ in 0..40 {
            content.append(&[b'a'; 5000], usize::MAX).expect("appended");
        }
        assert!(content.file.lock().expect("unpoisoned").is_rolled());
        assert_eq!(content.read().expect("read"), vec![b'a'; 200_000]);
    }

    #[test]
    fn past_the_limit_content_is_dropped() {
        let mut content = Content::new();
        content.append(b"12345", 8).expect("appended");
        content.append(b"67890", 8).expect("appended");
        assert!(content.is_cut());
    }

    #[test]
    fn a_bounce_names_the_message_it_returns() {
        let mut content = Content::new();
        let text = b"Subject: x\r\nMessage-ID: <b1@elsewhere.test>\r\n\r\nhi\r\nMessage-Id: <m-7@mxdrill.test>\r\n";
        content.append(text, usize::MAX).expect("appended");
        assert_eq!(content.ids(), (None, Some(MessageId::from("m-7"))));
    }
}
