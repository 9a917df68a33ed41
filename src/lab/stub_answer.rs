//! An answer as the stub resolver reads it.
//!
//! On most networks it comes out of octets; on the memory network the name server hands it over (`name_server`).

use hickory_proto::{
    op::{DnsResponse, Message, ResponseCode},
    rr::{RData, Record},
};

/// What was answered, as far as it matters to a sender.
#[derive(Debug)]
pub(crate) struct StubAnswer {
    pub(crate) code: ResponseCode,
    /// The TC bit: it was cut off.
    pub(crate) truncated: bool,
    /// The AD bit: the name server vouches for it.
    pub(crate) secure: bool,
    /// The records of the answer section.
    pub(crate) records: Vec<Record>,
    /// For how many seconds it may be kept that something is not there, if the answer says so (RFC 2308 section 5).
    pub(crate) negative_ttl: Option<u32>,
}

impl StubAnswer {
    /// Whether it says nothing of the name: SERVFAIL and its like.
    pub(crate) fn is_failure(&self) -> bool {
        !matches!(self.code, ResponseCode::NoError | ResponseCode::NXDomain)
    }

    /// For how long an SOA record in an answer lets it be kept that something is not there.
    pub(super) fn negative_ttl(soa: &Record) -> Option<u32> {
        match &soa.data {
            RData::SOA(data) => Some(soa.ttl.min(data.minimum)),
            _ => None,
        }
    }
}

impl From<DnsResponse> for StubAnswer {
    fn from(response: DnsResponse) -> Self {
        Self {
            code: response.response_code,
            truncated: response.truncation,
            secure: response.authentic_data,
            negative_ttl: response.negative_ttl(),
            records: Message::from(response).answers,
        }
    }
}
