//! What TLS a candidate needs, and how its certificate is judged: any, by authority and name, or by
//! TLSA records (RFC 7672).
//!
//! Which of them is asked depends on the scenario's `tls` setting:
//!
//! * `none`, `opportunistic`, `required`, `verified` say it themselves.
//! * `mta-sts`: a policy in mode `enforce` asks for a certificate of a known authority for the exchanger's name, and leaves out
//!   exchangers that it does not list (RFC 8461 section 5). Without such a policy TLS is opportunistic.
//! * `dane-only`: usable TLSA records, and nothing without them.
//! * `dane`: usable TLSA records decide (RFC 7672 section 2.2); without them MTA-STS may ask for more.
//!
//! A message with REQUIRETLS needs an authenticated session whatever the setting (RFC 8689 section
//! 4.2.1). The handshake itself is made in `crate::tls`.

use std::io;

use hickory_proto::rr::{RData, Record, RecordType, rdata::TLSA};

use super::resolver::{LookupResult, Lookups};
use crate::{
    lab::LabState,
    mta_sts::{Mode, Policy},
    name::Domain,
    route::Candidate,
    scenario::TlsPolicy,
    stream::Stream,
    tls::{self, Authentication, Secured},
};

/// What a session with a candidate needs before mail is sent.
#[derive(Debug, Clone)]
pub(crate) enum TlsRequirement {
    /// No TLS, even where it is offered.
    Plain,
    /// TLS where it is offered, whoever is at the other end; plain text otherwise (RFC 7435).
    Opportunistic,
    /// TLS, whoever is at the other end. Without it there is no delivery.
    Encrypted,
    /// TLS with a certificate that satisfies this proof.
    Authenticated(Authentication),
}

/// Why a candidate cannot be used in this pass. Both may be different later, so neither returns the
/// message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    // RFC 7672 section 2.1.2: a lookup that fails may hide a record, so the host is not used.
    #[error("the lookup of what secures it failed")]
    TlsaFailed,
    // RFC 7672 section 6: where DANE is demanded, mail is delayed rather than sent without it.
    #[error("DNSSEC and usable TLSA records do not secure it")]
    NotSecured,
    // RFC 8461 section 5.1: the host is skipped, and the message waits if no other is left.
    #[error("the domain's MTA-STS policy does not list it")]
    NotListed,
}

// From policy and records to a demand.
impl TlsRequirement {
    /// What a candidate needs under a policy, for a message that may ask for REQUIRETLS. `sts` is the
    /// MTA-STS policy of the next hop, if it has one.
    ///
    /// # Errors
    /// When its TLSA records cannot be looked up for now (RFC 7672 section 2.1.2), or the MTA-STS
    /// policy does not list it.
    pub(crate) async fn of(
        policy: TlsPolicy,
        require_tls: bool,
        candidate: &Candidate,
        hop: &Domain,
        lookups: &Lookups,
        sts: Option<&Policy>,
    ) -> Result<Self, Unusable> {
        let names = || vec![candidate.exchanger.clone()];
        let by_sts = || {
            sts.map_or(Ok(Self::Opportunistic), |sts| {
                Self::by_sts(sts, &candidate.exchanger)
            })
        };
        let requirement = match policy {
            TlsPolicy::None => Self::Plain,
            TlsPolicy::Opportunistic => Self::Opportunistic,
            TlsPolicy::Required => Self::Encrypted,
            TlsPolicy::Verified => Self::Authenticated(Authentication::Authority(names())),
            TlsPolicy::MtaSts => by_sts()?,
            TlsPolicy::DaneOnly => match dane(candidate, hop, lookups).await? {
                requirement @ Self::Authenticated(_) => requirement,
                _ => return Err(Unusable::NotSecured),
            },
            // DANE first: MTA-STS must not make up for it (RFC 8461 section 2).
            TlsPolicy::Dane => match dane(candidate, hop, lookups).await? {
                // No usable record: MTA-STS may ask for more than that there be TLS.
                requirement @ (Self::Opportunistic | Self::Encrypted) => match by_sts()? {
                    Self::Opportunistic => requirement,
                    stricter => stricter,
                },
                requirement => requirement,
            },
        };
        // REQUIRETLS is met by any authenticated demand; where there is none, the name in a
        // certificate of a known authority has to do.
        Ok(match requirement {
            Self::Authenticated(proof) => Self::Authenticated(proof),
            _ if require_tls => Self::Authenticated(Authentication::Authority(names())),
            other => other,
        })
    }

    /// What an exchanger needs under an MTA-STS policy (RFC 8461 section 5).
    fn by_sts(policy: &Policy, exchanger: &Domain) -> Result<Self, Unusable> {
        match policy.mode {
            Mode::Testing | Mode::None => Ok(Self::Opportunistic),
            Mode::Enforce if policy.lists(exchanger) => {
                Ok(Self::Authenticated(Authentication::Authority(vec![
                    exchanger.clone(),
                ])))
            }
            Mode::Enforce => Err(Unusable::NotListed),
        }
    }

    /// Whether mail may go in plain text if TLS is not offered.
    pub(crate) fn allows_plain(&self) -> bool {
        matches!(self, Self::Plain | Self::Opportunistic)
    }
}

/// RFC 7672 section 2.2: DANE needs a signed MX answer, signed addresses and signed TLSA records.
///
/// 1. The MX answer must be signed, unless the domain itself is the exchanger.
/// 2. The addresses of the exchanger must be signed.
/// 3. TLSA records are looked up at `_25._tcp` under the name at the end of the exchanger's
///    aliases, then under its own name.
/// 4. Unsigned answers and no records mean opportunistic TLS. A failed lookup means that the host
///    is not used.
async fn dane(
    candidate: &Candidate,
    hop: &Domain,
    lookups: &Lookups,
) -> Result<TlsRequirement, Unusable> {
    let implicit = candidate.exchanger == *hop;
    // What fails when it is asked again is no unsigned answer (section 2.1.2).
    let mx_is_signed = implicit
        || lookups
            .mx_is_signed(hop)
            .await
            .ok_or(Unusable::TlsaFailed)?;
    if !mx_is_signed {
        return Ok(TlsRequirement::Opportunistic);
    }
    let own = &candidate.exchanger;
    let bases = match host_of(candidate, lookups).await? {
        ExchangerHost::Signed(expanded) if expanded == *own => vec![expanded],
        ExchangerHost::Signed(expanded) => vec![expanded, own.clone()],
        ExchangerHost::UnsignedAlias if alias_is_signed(own, lookups).await? => vec![own.clone()],
        ExchangerHost::UnsignedAlias | ExchangerHost::Unsigned => {
            return Ok(TlsRequirement::Opportunistic);
        }
    };
    // The name at the end of the aliases first, then the original one (section 2.2.2).
    for base in bases {
        match lookups
            .lookup(&base.prefixed("_25._tcp"), RecordType::TLSA)
            .await
        {
            LookupResult::Records {
                records,
                secure: true,
            } => return Ok(demand_of(&records, &base, candidate, hop)),
            LookupResult::Failed => return Err(Unusable::TlsaFailed),
            LookupResult::Records { .. } | LookupResult::NoData | LookupResult::NoDomain => {}
        }
    }
    Ok(TlsRequirement::Opportunistic)
}

/// What the answer with a host's addresses says of the way to them.
enum ExchangerHost {
    /// It is signed all the way to this name.
    Signed(Domain),
    /// It is not, and goes by an alias, which may be signed itself.
    UnsignedAlias,
    Unsigned,
}

/// What the answer with the addresses of the candidate's family says of its host.
async fn host_of(candidate: &Candidate, lookups: &Lookups) -> Result<ExchangerHost, Unusable> {
    let record_type = if candidate.address.is_ipv4() {
        RecordType::A
    } else {
        RecordType::AAAA
    };
    match lookups.lookup(&candidate.exchanger, record_type).await {
        LookupResult::Records { records, secure } => {
            let owner = records.first().map(|record| Domain::from(&record.name));
            Ok(match owner {
                Some(owner) if secure => ExchangerHost::Signed(owner),
                Some(owner) if owner != candidate.exchanger => ExchangerHost::UnsignedAlias,
                _ => ExchangerHost::Unsigned,
            })
        }
        LookupResult::Failed => Err(Unusable::TlsaFailed),
        LookupResult::NoData | LookupResult::NoDomain => Ok(ExchangerHost::Unsigned),
    }
}

/// Whether an alias itself is signed, wherever it leads: TLSA records at its own name count then (RFC 7672 section
/// 2.2.2).
async fn alias_is_signed(name: &Domain, lookups: &Lookups) -> Result<bool, Unusable> {
    match lookups.lookup(name, RecordType::CNAME).await {
        LookupResult::Records { secure, .. } => Ok(secure),
        LookupResult::Failed => Err(Unusable::TlsaFailed),
        LookupResult::NoData | LookupResult::NoDomain => Ok(false),
    }
}

/// What TLSA records ask for. The certificate may be for the name at which they were found, for the
/// exchanger, or for the next hop (RFC 7672 section 3.2.2).
fn demand_of(
    records: &[Record],
    base: &Domain,
    candidate: &Candidate,
    hop: &Domain,
) -> TlsRequirement {
    let tlsa = records.iter().filter_map(|record| match &record.data {
        RData::TLSA(tlsa) => Some(tlsa.clone()),
        _ => None,
    });
    let mut usable: Vec<TLSA> = tlsa.filter(is_usable).collect();
    keep_strongest(&mut usable);
    if usable.is_empty() {
        // There are records, and none is usable: TLS all the same, unauthenticated (section 2.2).
        return TlsRequirement::Encrypted;
    }
    let mut names = vec![base.clone()];
    for name in [&candidate.exchanger, hop] {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    TlsRequirement::Authenticated(Authentication::Dane(usable, names))
}

/// Whether a record can be used: DANE-TA(2) or DANE-EE(3), a selector and a matching type that are
/// known, and a digest of its length (RFC 7671 section 9). Usages 0 and 1 name public authorities, which mean nothing
/// between mail hosts (section 3.1.3).
fn is_usable(tlsa: &TLSA) -> bool {
    let length = match u8::from(tlsa.matching) {
        0 => !tlsa.cert_data.is_empty(),
        1 => tlsa.cert_data.len() == 32,
        2 => tlsa.cert_data.len() == 64,
        _ => false,
    };
    matches!(u8::from(tlsa.cert_usage), 2 | 3) && u8::from(tlsa.selector) <= 1 && length
}

/// Of the digests for a usage and a selector the strongest alone count (RFC 7671 section 9, RFC 7672 section 5); what
/// is no digest counts beside them.
fn keep_strongest(usable: &mut Vec<TLSA>) {
    let kind = |tlsa: &TLSA| (u8::from(tlsa.cert_usage), u8::from(tlsa.selector));
    let digests: Vec<_> = usable
        .iter()
        .map(|tlsa| (kind(tlsa), u8::from(tlsa.matching)))
        .collect();
    usable.retain(|tlsa| {
        let matching = u8::from(tlsa.matching);
        let of_kind = digests.iter().filter(|(other, _)| *other == kind(tlsa));
        matching == 0 || of_kind.map(|(_, other)| *other).max() == Some(matching)
    });
}

/// Negotiates TLS with an exchanger, whose name goes into the SNI extension; the certificate must
/// satisfy the demand.
///
/// # Errors
/// The handshake's, also when the certificate does not satisfy.
pub(crate) async fn handshake(
    state: &LabState,
    requirement: &TlsRequirement,
    exchanger: &Domain,
    stream: Stream,
) -> io::Result<Secured> {
    let proof = match requirement {
        TlsRequirement::Authenticated(proof) => Some(proof.clone()),
        _ => None,
    };
    // Where TLSA records count, the name is that at which they were found (RFC 7672 section 8.1).
    let name = match &proof {
        Some(Authentication::Dane(_, names)) => names.first().cloned(),
        _ => None,
    };
    let name = name.unwrap_or_else(|| exchanger.clone());
    tls::connect(state.authority.as_ref(), proof, &name, stream).await
}
