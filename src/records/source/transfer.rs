//! A zone as its name server hands it over: AXFR over TCP (RFC 5936).
//!
//! A zone that arrives becomes the text of a zone file, each record a line of it.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Record, RecordType},
};

use super::Source;
use crate::{name::Domain, zone::present};

/// How long a transfer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Octets of a zone, as it is sent: more than the zones of mail domains have.
const MAX_OCTETS: usize = 64 << 20;
/// The id of the only query of a connection.
const ID: u16 = 0x6d78;

impl Source {
    /// Adds the records of a zone as a name server hands it over.
    ///
    /// # Errors
    /// That it does not, or not within a minute and 64 MiB; or that what it hands over is no zone.
    pub fn add_transfer(&mut self, server: SocketAddr, zone: &Domain) -> io::Result<()> {
        let told = |error: io::Error| {
            io::Error::new(
                error.kind(),
                format!("AXFR of {zone} from {server}: {error}"),
            )
        };
        let records = transfer(server, zone).map_err(told)?;
        let lines = records.iter().map(present::record);
        let text = lines.collect::<Vec<_>>().join("\n") + "\n";
        let path = format!("{zone} from {server}");
        self.add_text(&path, &text, Some(zone))
            .map_err(io::Error::other)
    }
}

/// The records of a zone, from its SOA record up to and without the same at the end.
fn transfer(server: SocketAddr, zone: &Domain) -> io::Result<Vec<Record>> {
    let end = Instant::now() + PATIENCE;
    let late = || io::Error::new(io::ErrorKind::TimedOut, "it took more than a minute");
    let left = || {
        let left = end.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left).ok_or_else(late)
    };
    let mut stream = TcpStream::connect_timeout(&server, left()?)?;
    stream.set_write_timeout(Some(left()?))?;
    stream.write_all(&query(zone)?)?;
    let mut zone_records = ZoneRecords::default();
    let mut octets = 0;
    while !zone_records.is_whole {
        let mut length = [0; 2];
        fill(&mut stream, &mut length, &left)?;
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        octets += message.len();
        if octets > MAX_OCTETS {
            let why =
                format!("it has more than {MAX_OCTETS} octets, which is the most that is read");
            return Err(io::Error::other(why));
        }
        fill(&mut stream, &mut message, &left)?;
        zone_records
            .take(&message, zone)
            .map_err(io::Error::other)?;
    }
    Ok(zone_records.records)
}

/// Reads as much as is asked for, in the time that is left.
fn fill(
    stream: &mut TcpStream,
    octets: &mut [u8],
    left: &impl Fn() -> io::Result<Duration>,
) -> io::Result<()> {
    let mut filled = 0;
    while filled < octets.len() {
        stream.set_read_timeout(Some(left()?))?;
        match stream.read(&mut octets[filled..]) {
            Ok(0) => {
                let why = "the connection ended before the zone did";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
            }
            Ok(some) => filled += some,
            // A wait that is over is called by one name or the other.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::Interrupted
                        | io::ErrorKind::WouldBlock
                        | io::ErrorKind::TimedOut
                ) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The question, with its length before it.
fn query(zone: &Domain) -> io::Result<Vec<u8>> {
    let mut message = Message::new(ID, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(zone.to_wire(), RecordType::AXFR));
    let message = message.to_vec().map_err(io::Error::other)?;
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    Ok([&length.to_be_bytes()[..], &message].concat())
}

/// A zone as it comes, message by message.
#[derive(Default)]
struct ZoneRecords {
    records: Vec<Record>,
    /// Whether the SOA record came a second time, which ends it (RFC 5936 section 2.2).
    is_whole: bool,
}

impl ZoneRecords {
    fn take(&mut self, message: &[u8], zone: &Domain) -> Result<(), String> {
        let message =
            Message::from_vec(message).map_err(|error| format!("found no DNS message: {error}"))?;
        if message.id != ID || message.message_type != MessageType::Response {
            return Err("found an answer to something else".to_owned());
        }
        if message.response_code != ResponseCode::NoError {
            return Err(format!("it answered {}", message.response_code));
        }
        if message.answers.is_empty() {
            return Err("found an answer without records, expected the zone".to_owned());
        }
        for record in message.answers {
            let is_soa = record.record_type() == RecordType::SOA;
            if self.records.is_empty() && !(is_soa && Domain::from(&record.name) == *zone) {
                let found = present::record(&record);
                return Err(format!(
                    "found {found:?} first, expected the SOA record of {zone}"
                ));
            }
            if is_soa && !self.records.is_empty() {
                self.is_whole = true;
                break;
            }
            self.records.push(record);
        }
        Ok(())
    }
}
