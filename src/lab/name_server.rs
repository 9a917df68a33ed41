//! The lab's name server: the recursive resolver that a mail host talks to, on hickory-server.
//!
//! [`NameServer`] handles requests of every network and transport. What a query is answered with is
//! the zone's to say; this file applies faults, translates addresses and writes the log.
//!
//! A query is answered in this order:
//!
//! 1. What is no question of one name in class IN is refused: FORMERR, NOTIMP for other operations,
//!    REFUSED for other classes and for zone transfers, BADVERS for a later version of EDNS (RFC
//!    6891 section 6.1.3).
//! 2. A fault for this name, type and transport strikes, if one is in its window. A delay passes
//!    now.
//! 3. A reverse name of loopback is turned into the zone's own.
//! 4. The zone as it is at this moment answers (RFC 1034 section 4.3.2, aliases followed, wildcards
//!    expanded).
//! 5. The fault replaces the answer or takes it away, and the query is logged with the zone's own
//!    addresses.
//! 6. Addresses are translated into those of the network.
//! 7. The AD bit is set if the client wants to know and all names are in signed zones of the
//!    scenario.
//! 8. Over UDP an answer that does not fit is replaced by an empty one with TC set, so that the
//!    client comes back over TCP.

mod octets;

use std::{net::IpAddr, sync::Arc};

use hickory_proto::{
    ProtoError,
    op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode},
    rr::{
        DNSClass, Name, RData, Record, RecordType,
        rdata::{A, AAAA},
    },
};
use hickory_server::{
    net::{runtime::Time, xfer::Protocol},
    server::{Request, RequestHandler, ResponseHandler, ResponseInfo},
    zone_handler::MessageResponseBuilder,
};

use self::octets::{
    Encoded, HEADER, IS_RESPONSE, MIN_PAYLOAD, fits, header, malformed, most_octets, send,
};
use super::{LabState, stub_answer::StubAnswer};
use crate::{
    event::{EventKind, QueryOutcome},
    fault::{QueryEffect, Transport},
    name::Domain,
    zone::Answer,
};

/// Octets of a datagram that the server is willing to send (the DNS flag day 2020 value).
pub(crate) const MAX_PAYLOAD: u16 = 1232;

/// Answers queries from the records and faults of a lab.
#[derive(Clone)]
pub(crate) struct NameServer {
    state: Arc<LabState>,
}

/// An answer after faults.
// Every record as the zone has it, not translated.
struct Decision {
    answer: Answer,
    /// The answer in a word, as the log has it.
    outcome: QueryOutcome,
    /// TC is set, and there are no records: the client has to ask over TCP (RFC 2181 section 9).
    truncated: bool,
    /// The answer carries another id than the query, and a resolver must ignore it (RFC 5452
    /// section 9.1).
    wrong_id: bool,
}

impl NameServer {
    pub(crate) fn new(state: Arc<LabState>) -> Self {
        Self { state }
    }

    /// Answers a raw message; `None` when no answer is sent.
    ///
    /// For the memory network, which has no sockets for hickory-server to read from.
    pub(crate) async fn answer(&self, message: Vec<u8>, over: Transport) -> Option<Vec<u8>> {
        let (answer, _) = self.answer_and_tell(message, over).await?;
        Some(answer)
    }

    /// As [`Self::answer`], and what the log has of it where that was a datagram about records.
    pub(super) async fn answer_and_tell(
        &self,
        message: Vec<u8>,
        over: Transport,
    ) -> Option<(Vec<u8>, Option<EventKind>)> {
        let header = *message.first_chunk::<HEADER>()?;
        // Two servers that answer each other's answers would never come to an end.
        if header[2] & IS_RESPONSE != 0 {
            return None;
        }
        // hickory-server is handed what it would have read from a socket, and writes into memory.
        let protocol = if over == Transport::Udp {
            Protocol::Udp
        } else {
            Protocol::Tcp
        };
        let source = (std::net::Ipv4Addr::LOCALHOST, 53).into();
        let Ok(request) = Request::from_bytes(message, source, protocol) else {
            return Some((malformed(header), None));
        };
        let encoded = Encoded::new(protocol);
        let (_, told) = self.respond(&request, encoded.clone()).await;
        Some((encoded.octets()?, told))
    }

    /// What the log is to have of a query, and what it is answered with; `None`: nothing is sent.
    ///
    /// It is logged even then: the sender did ask.
    /// What comes of a fault that replaces the code has no records, and a SOA record only if it is
    /// a negative answer: SERVFAIL and its like say nothing about how long they may be kept.
    async fn decide(
        &self,
        asked: &Domain,
        record_type: RecordType,
        over: Transport,
    ) -> (EventKind, Option<Decision>) {
        let effect = self.state.strike_query(asked, record_type, over);
        if let Some(QueryEffect::Delay(wait)) = effect {
            self.state.clock.sleep(wait).await;
        }
        let now = self.state.clock.now();
        let name = self
            .state
            .network
            .untranslated_reverse(asked)
            .unwrap_or_else(|| asked.clone());
        let zones = self.state.zones();
        let zone = zones.at(now);
        let mut answer = zone.answer(&name, record_type);
        let code = match effect {
            Some(QueryEffect::Timeout) => None,
            Some(QueryEffect::ServFail) => Some(ResponseCode::ServFail),
            Some(QueryEffect::NxDomain) => Some(ResponseCode::NXDomain),
            Some(QueryEffect::NoData) => Some(ResponseCode::NoError),
            Some(QueryEffect::Refused) => Some(ResponseCode::Refused),
            Some(QueryEffect::NotImp) => Some(ResponseCode::NotImp),
            Some(QueryEffect::FormErr) => Some(ResponseCode::FormErr),
            Some(QueryEffect::Truncate | QueryEffect::WrongId | QueryEffect::Delay(_)) | None => {
                Some(answer.code)
            }
        };
        let replaced =
            code.is_none_or(|code| code != answer.code) || effect == Some(QueryEffect::NoData);
        // What a fault takes away was never told: the log has no records either.
        if replaced || effect == Some(QueryEffect::Truncate) {
            answer.records.clear();
        }
        let outcome = QueryOutcome::new(code, answer.records.is_empty());
        let event = EventKind::Query {
            // What the log tells of is held for long, of a hundred thousand names.
            name: zone.own(asked),
            record_type,
            over,
            answer: outcome,
            fault: effect,
            records: answer.records.clone(),
        };
        let Some(told) = code else {
            return (event, None);
        };
        answer.code = told;
        if replaced {
            let negative = matches!(told, ResponseCode::NXDomain | ResponseCode::NoError);
            answer.soa = negative.then(|| zone.soa_for(&name));
        }
        // The answer must be about the name that was asked for, in the client's own form of it.
        for record in &mut answer.records {
            if record.name == *name.wire() {
                record.name = asked.to_wire();
            }
        }
        let decision = Decision {
            answer,
            outcome,
            truncated: effect == Some(QueryEffect::Truncate),
            wrong_id: effect == Some(QueryEffect::WrongId),
        };
        (event, Some(decision))
    }

    /// What a datagram of the lab's own sender on the memory network is answered with, as it is read there: `None` when
    /// no answer to the question is sent.
    ///
    /// Nobody else is on that network, so most answers need not become octets and records again: those of known types,
    /// which any datagram takes.
    pub(crate) async fn answer_in_memory(
        &self,
        asked: &Domain,
        record_type: RecordType,
    ) -> Option<StubAnswer> {
        let (event, decision) = self.decide(asked, record_type, Transport::Udp).await;
        self.state.record(event);
        let decision = decision?;
        tracing::debug!(name = %asked, answer = %decision.outcome, "answered a query");
        if decision.wrong_id {
            return None;
        }
        let answer = decision.answer;
        let soa = answer.soa.as_ref().map(negative);
        let is_small = most_octets(asked, &answer.records, soa.as_ref()) <= MIN_PAYLOAD;
        let told = StubAnswer {
            code: answer.code,
            truncated: decision.truncated,
            secure: self.state.vouches_for(asked, &answer),
            negative_ttl: soa.as_ref().and_then(StubAnswer::negative_ttl),
            records: answer.records,
        };
        match is_small {
            true => Some(told),
            false => match over_the_wire(asked, record_type, told, soa) {
                Ok(read) => Some(read),
                Err(error) => {
                    let what = format!("an answer about {asked} could not be read again: {error}");
                    self.state.own_fault(what);
                    None
                }
            },
        }
    }

    /// Answers a request; what the log has of it, where it came as a datagram.
    // Headers are made here, not by hickory's catalog, so that every bit of them is the lab's decision.
    async fn respond<R: ResponseHandler>(
        &self,
        request: &Request,
        mut responder: R,
    ) -> (ResponseInfo, Option<EventKind>) {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.recursion_available = true;
        let edns = request.edns.as_ref().map(|asked| {
            let mut edns = Edns::new();
            // RFC 6891 section 6.2.3: a size below 512 is taken as 512.
            edns.set_max_payload(asked.max_payload().clamp(512, MAX_PAYLOAD));
            edns.set_version(0);
            // RFC 3225 section 3.
            edns.set_dnssec_ok(asked.flags().dnssec_ok);
            edns
        });
        let mut builder = MessageResponseBuilder::from_message_request(request);
        if let Some(edns) = &edns {
            builder.edns(edns);
        }
        let over = if request.protocol() == Protocol::Udp {
            Transport::Udp
        } else {
            Transport::Tcp
        };
        let (asked, record_type) = match question(request) {
            Ok(question) => question,
            Err(code) => {
                metadata.response_code = code;
                let refusal = builder.build_no_records(metadata);
                return (send(&mut responder, refusal, metadata).await, None);
            }
        };
        let (event, decision) = self.decide(&asked, record_type, over).await;
        let told = (over == Transport::Udp).then(|| event.clone());
        self.state.record(event);
        let Some(decision) = decision else {
            return (ResponseInfo::from(header(metadata)), told);
        };
        tracing::debug!(name = %asked, answer = %decision.outcome, "answered a query");
        metadata.response_code = decision.answer.code;
        metadata.truncation = decision.truncated;
        metadata.authentic_data =
            asks_for_ad(request) && self.state.vouches_for(&asked, &decision.answer);
        if decision.wrong_id {
            metadata.id = metadata.id.wrapping_add(1);
        }
        let records: Vec<Record> = decision
            .answer
            .records
            .iter()
            .map(|record| self.translate(record))
            .collect();
        let soa = decision.answer.soa.as_ref().map(negative);
        // Most answers are small, and trying each on a buffer first would double the work for them.
        if over == Transport::Udp && most_octets(&asked, &records, soa.as_ref()) > MIN_PAYLOAD {
            let mut trial = MessageResponseBuilder::from_message_request(request);
            if let Some(edns) = &edns {
                trial.edns(edns);
            }
            // hickory leaves out records that do not fit, and octets of them in: a reply that has to be
            // asked for again over TCP has none.
            if !fits(trial.build(metadata, &records, [], &soa, [])) {
                metadata.truncation = true;
                let empty = builder.build_no_records(metadata);
                return (send(&mut responder, empty, metadata).await, told);
            }
        }
        let response = builder.build(metadata, &records, [], &soa, []);
        (send(&mut responder, response, metadata).await, told)
    }

    /// A record with its address replaced by the one at which the network has the host.
    fn translate(&self, record: &Record) -> Record {
        let mut record = record.clone();
        let translated = |address: IpAddr| self.state.network.translated(address);
        match &mut record.data {
            RData::A(A(address)) => {
                if let IpAddr::V4(there) = translated((*address).into()) {
                    *address = there;
                }
            }
            RData::AAAA(AAAA(address)) => {
                if let IpAddr::V6(there) = translated((*address).into()) {
                    *address = there;
                }
            }
            _ => {}
        }
        record
    }
}

#[async_trait::async_trait]
impl RequestHandler for NameServer {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        responder: R,
    ) -> ResponseInfo {
        let (info, _) = self.respond(request, responder).await;
        info
    }
}

/// The name and the type that a request asks for, or with which code it is refused.
fn question(request: &Request) -> Result<(Domain, RecordType), ResponseCode> {
    let Ok(info) = request.request_info() else {
        return Err(ResponseCode::FormErr);
    };
    let asked = &request.metadata;
    if asked.op_code != OpCode::Query || asked.message_type != MessageType::Query {
        return Err(ResponseCode::NotImp);
    }
    let class = info.query.original().query_class();
    let kind = info.query.query_type();
    if class != DNSClass::IN || matches!(kind, RecordType::AXFR | RecordType::IXFR) {
        return Err(ResponseCode::Refused);
    }
    if request.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
        return Err(ResponseCode::BADVERS);
    }
    let name = Name::from(info.query.name().clone());
    Ok((Domain::from(&name), kind))
}

/// An answer as it comes out of a datagram of [`MAX_PAYLOAD`] octets. One that does not fit has no records.
fn over_the_wire(
    asked: &Domain,
    record_type: RecordType,
    told: StubAnswer,
    soa: Option<Record>,
) -> Result<StubAnswer, ProtoError> {
    let mut message = Message::response(0, OpCode::Query);
    message.add_query(Query::query(asked.to_wire(), record_type));
    message.edns = Some(Edns::new());
    message.answers = told.records;
    message.authorities = soa.into_iter().collect();
    let octets = message.to_vec().ok();
    match octets.filter(|octets| octets.len() <= usize::from(MAX_PAYLOAD)) {
        Some(octets) => Ok(StubAnswer {
            records: Message::from_vec(&octets)?.answers,
            ..told
        }),
        None => Ok(StubAnswer {
            truncated: true,
            records: Vec::new(),
            negative_ttl: None,
            ..told
        }),
    }
}

/// Whether the client wants to know if the answer is vouched for (RFC 6840 section 5.8).
fn asks_for_ad(request: &Request) -> bool {
    let dnssec_ok = |edns: &Edns| edns.flags().dnssec_ok;
    request.metadata.authentic_data || request.edns.as_ref().is_some_and(dnssec_ok)
}

/// The SOA record of a negative answer: its TTL says how long that may be kept (RFC 2308 section 3).
fn negative(soa: &Record) -> Record {
    let mut soa = soa.clone();
    if let RData::SOA(data) = &soa.data {
        soa.ttl = soa.ttl.min(data.minimum);
    }
    soa
}
