//! The messages that receivers took, and their content: in memory, past a size in a temporary file.

use std::{
    borrow::Cow,
    fmt,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{event::SessionId, name::Domain, reply::Status, scenario::MessageId, time::Moment};

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
    fn head(&self) -> Cow<'_, str> {
        let mut head = Vec::new();
        match self.spilled.first() {
            // What cannot be read has no ids; whoever asks for the content is told why.
            Some(extent) => drop(self.spool.read(extent, &mut head)),
            None => return String::from_utf8_lossy(&self.memory),
        }
        Cow::Owned(String::from_utf8_lossy(&head).into_owned())
    }

    /// Which of the drill's messages it is, from its header.
    pub(super) fn id(&self) -> Option<MessageId> {
        let head = self.head();
        id_in(parts(&head).0)
    }

    /// What it says in its body of a message that it may return.
    pub(super) fn report(&self) -> Report {
        let head = self.head();
        let (_, body) = parts(&head);
        let field = |name: &str| fields(body, name).map(str::to_owned).next();
        // A comment may follow it.
        let status: Option<Status> =
            field("status").and_then(|status| status.split_whitespace().next()?.parse().ok());
        // A warning that a message waits is no end of it (RFC 3464 section 2.3.3); one that its time is
        // over is, whatever its action says, unless it is still to be tried.
        let delayed = field("action").is_some_and(|action| action.eq_ignore_ascii_case("delayed"));
        let expired = status.is_some_and(Status::is_expired);
        let waits = delayed && (!expired || field("will-retry-until").is_some());
        Report {
            about: id_in(body).filter(|_| !waits),
            status,
        }
    }
}

/// Header and body.
fn parts(text: &str) -> (&str, &str) {
    text.split_at(text.find("\r\n\r\n").unwrap_or(text.len()))
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} octets", self.octets)
    }
}

/// What a content says of a message that it returns (RFC 3464).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Report {
    /// Which of the drill's messages it is about.
    pub(super) about: Option<MessageId>,
    /// Why it is returned.
    pub(super) status: Option<Status>,
}

/// The id in the first `Message-ID: <ID@mxdrill.test>`.
fn id_in(text: &str) -> Option<MessageId> {
    fields(text, "message-id").find_map(|value| {
        let id = value.strip_prefix('<')?.strip_suffix(ID_DOMAIN)?;
        Some(MessageId::from(id))
    })
}

/// The values of the fields of a name, wherever they stand.
fn fields<'a>(text: &'a str, wanted: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter_map(move |line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case(wanted).then(|| value.trim())
    })
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

    #[test]
    fn a_bounce_names_the_message_it_returns() {
        let mut content = Content::new(Arc::default());
        let text = b"Subject: x\r\nMessage-ID: <b1@elsewhere.test>\r\n\r\nhi\r\nMessage-Id: <m-7@mxdrill.test>\r\n";
        content.append(text, usize::MAX).expect("appended");
        assert_eq!(content.id(), None);
        assert_eq!(content.report().about, Some(MessageId::from("m-7")));
    }

    #[test]
    fn a_report_tells_why_and_a_warning_returns_nothing() {
        let report = |action: &str, status: &str| {
            let mut content = Content::new(Arc::default());
            let text = format!(
                "Subject: x\r\n\r\nAction: {action}\r\nStatus: {status} (as it is)\r\n\r\nMessage-ID: <m@mxdrill.test>\r\n"
            );
            content
                .append(text.as_bytes(), usize::MAX)
                .expect("appended");
            content.report()
        };
        assert_eq!(report("failed", "5.1.1").about, Some(MessageId::from("m")));
        assert_eq!(report("failed", "5.1.1").status, Some(Status(5, 1, 1)));
        assert_eq!(report("delayed", "4.4.1").about, None);
        assert_eq!(report("delayed", "4.4.7").about, Some(MessageId::from("m")));
    }
}
