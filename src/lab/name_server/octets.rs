//! How responses become octets, and how many those may be.

use std::sync::{Arc, Mutex};

use hickory_proto::{
    op::{Edns, Header, HeaderCounts, Metadata, ResponseCode},
    rr::{RData, Record},
    serialize::binary::BinEncoder,
};
use hickory_server::{
    net::{NetError, xfer::Protocol},
    server::{ResponseHandler, ResponseInfo},
    zone_handler::MessageResponse,
};

use crate::{lock::lock, name::Domain};

/// Octets of a datagram that every client takes (RFC 1035 section 2.3.4).
pub(super) const MIN_PAYLOAD: usize = 512;
/// Octets of a message's header, and its bits of the third (RFC 1035 section 4.1.1): that it is a response; of what kind,
/// and that recursion is desired.
pub(super) const HEADER: usize = 12;
pub(super) const IS_RESPONSE: u8 = 0x80;
const KIND_AND_RECURSION: u8 = 0x79;

/// An upper bound of the octets of an answer, names uncompressed. For types whose size is not
/// easily told it is more than 512, and the answer is then tried.
pub(super) fn most_octets(asked: &Domain, records: &[Record], soa: Option<&Record>) -> usize {
    const QUESTION: usize = 4;
    const OPT: usize = 11;
    const RECORD: usize = 10;
    let of = |record: &Record| {
        let data = match &record.data {
            RData::A(_) => 4,
            RData::AAAA(_) => 16,
            RData::MX(mx) => 2 + mx.exchange.len() + 1,
            RData::CNAME(name) => name.0.len() + 1,
            RData::SOA(soa) => soa.mname.len() + soa.rname.len() + 2 + 20,
            _ => return MIN_PAYLOAD + 1,
        };
        record.name.len() + 1 + RECORD + data
    };
    let all: usize = records.iter().chain(soa).map(of).sum();
    HEADER + asked.as_str().len() + 2 + QUESTION + OPT + all
}

/// What a message that cannot be read is answered with: its header, without what follows, and FORMERR.
pub(super) fn malformed(asked: [u8; HEADER]) -> Vec<u8> {
    let mut answer = vec![0; HEADER];
    answer[..2].copy_from_slice(&asked[..2]);
    answer[2] = IS_RESPONSE | asked[2] & KIND_AND_RECURSION;
    answer[3] = ResponseCode::FormErr.low();
    answer
}

/// A header for a response that is not sent.
pub(super) fn header(metadata: Metadata) -> Header {
    Header {
        metadata,
        counts: HeaderCounts::default(),
    }
}

/// Sends a response through hickory.
pub(super) async fn send<'a, R: ResponseHandler>(
    responder: &mut R,
    response: MessageResponse<
        '_,
        'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
    >,
    metadata: Metadata,
) -> ResponseInfo {
    // A client that went away needs no answer.
    responder
        .send_response(response)
        .await
        .unwrap_or_else(|_| ResponseInfo::from(header(metadata)))
}

/// Whether all of a response goes into a datagram that its client accepts: 512 octets, or what its
/// EDNS record says (RFC 6891 section 6.2.3).
pub(super) fn fits<'a>(
    response: MessageResponse<
        '_,
        'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
        impl Iterator<Item = &'a Record> + Send + 'a,
    >,
) -> bool {
    let mut bytes = Vec::with_capacity(MIN_PAYLOAD);
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_max_size(response.edns().map_or(512, Edns::max_payload));
    let emitted = response.destructive_emit(&mut encoder);
    emitted.is_ok_and(|info| !info.truncation)
}

/// Collects the encoded answer for in-process transports.
#[derive(Clone)]
pub(super) struct Encoded {
    protocol: Protocol,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Encoded {
    pub(super) fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            bytes: Arc::default(),
        }
    }

    /// What was sent, if anything was; it is taken out.
    pub(super) fn octets(&self) -> Option<Vec<u8>> {
        let bytes = std::mem::take(&mut *lock(&self.bytes));
        (!bytes.is_empty()).then_some(bytes)
    }
}

#[async_trait::async_trait]
impl ResponseHandler for Encoded {
    async fn send_response<'a>(
        &mut self,
        response: MessageResponse<
            '_,
            'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
        >,
    ) -> Result<ResponseInfo, NetError> {
        let mut bytes = Vec::with_capacity(512);
        let mut encoder = BinEncoder::new(&mut bytes);
        // Past the limit hickory's encoder leaves records out and sets the TC bit.
        encoder.set_max_size(match self.protocol {
            Protocol::Udp => response.edns().map_or(512, Edns::max_payload),
            _ => u16::MAX,
        });
        let info = response.destructive_emit(&mut encoder)?;
        *lock(&self.bytes) = bytes;
        Ok(info)
    }
}
