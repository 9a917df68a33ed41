//! What TLS a candidate needs, and how its certificate is judged: any, by authority and name, or by
//! TLSA records (RFC 7672).
//!
//! Which of them is asked depends on the scenario's `tls` setting:
//!
//! * `none`, `opportunistic`, `required`, `verified` say it themselves.
//! * `mta-sts`: a policy in mode `enforce` asks for a certificate of a known authority for the exchanger's name, and leaves out
//!   exchangers that it does not list (RFC 8461 section 5). Without such a policy TLS is opportunistic.
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
    let signed = signed_host(candidate, lookups).await?;
    let Some(expanded) = signed.filter(|_| mx_is_signed) else {
        return Ok(TlsRequirement::Opportunistic);
    };
    let mut bases = vec![expanded];
    if !bases.contains(&candidate.exchanger) {
        bases.push(candidate.exchanger.clone());
    }
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

/// The name that owns a host's addresses after aliases, if the answer with the candidate's family
/// is signed; `None` if it is not.
async fn signed_host(candidate: &Candidate, lookups: &Lookups) -> Result<Option<Domain>, Unusable> {
    let record_type = if candidate.address.is_ipv4() {
        RecordType::A
    } else {
        RecordType::AAAA
    };
    match lookups.lookup(&candidate.exchanger, record_type).await {
        LookupResult::Records {
            records,
            secure: true,
        } => Ok(records.first().map(|record| Domain::from(&record.name))),
        LookupResult::Failed => Err(Unusable::TlsaFailed),
        LookupResult::Records { .. } | LookupResult::NoData | LookupResult::NoDomain => Ok(None),
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
    let usable: Vec<TLSA> = tlsa.filter(is_usable).collect();
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
/// known. Usages 0 and 1 name public authorities, which mean nothing between mail hosts (section
/// 3.1.3).
fn is_usable(tlsa: &TLSA) -> bool {
    matches!(u8::from(tlsa.cert_usage), 2 | 3)
        && u8::from(tlsa.selector) <= 1
        && u8::from(tlsa.matching) <= 2
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
    tls::connect(state.authority.as_ref(), proof, exchanger, stream).await
}
