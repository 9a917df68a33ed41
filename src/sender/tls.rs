//! What TLS a candidate needs, and how its certificate is judged: any, by authority and name, or by
//! TLSA records (RFC 7672).

use std::{io, sync::Arc};

use hickory_proto::rr::{RData, Record, RecordType, rdata::TLSA};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        self, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
        client::{
            WebPkiServerVerifier,
            danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        },
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, ServerName, UnixTime},
        server::ParsedCertificate,
    },
};

use super::resolver::{Found, Lookups};
use crate::{
    lab::{Site, matching_data},
    mta_sts::{Mode, Policy},
    name::Domain,
    route::Candidate,
    scenario::TlsPolicy,
    stream::Stream,
};

/// What a session with a candidate needs before mail is sent.
#[derive(Debug, Clone)]
pub(crate) enum Demand {
    /// No TLS, even where it is offered.
    Plain,
    /// TLS where it is offered, whoever is at the other end.
    Opportunistic,
    /// TLS, whoever is at the other end.
    Encrypted,
    /// TLS with a certificate that satisfies this.
    Authenticated(Proof),
}

/// What shows that the other end is the one that was meant.
#[derive(Debug, Clone)]
pub(crate) enum Proof {
    /// A certificate of a trusted authority for one of these names.
    Authority(Vec<Domain>),
    /// A certificate that one of these TLSA records matches, for one of these names.
    Dane(Vec<TLSA>, Vec<Domain>),
}

/// Why a candidate cannot be used in this pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("the lookup of what secures it failed")]
    TlsaFailed,
    #[error("the domain's MTA-STS policy does not list it")]
    NotListed,
}

impl Demand {
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
        let demand = match policy {
            TlsPolicy::None => Self::Plain,
            TlsPolicy::Opportunistic => Self::Opportunistic,
            TlsPolicy::Required => Self::Encrypted,
            TlsPolicy::Verified => Self::Authenticated(Proof::Authority(names())),
            TlsPolicy::MtaSts => by_sts()?,
            // DANE first: MTA-STS must not make up for it (RFC 8461 section 2).
            TlsPolicy::Dane => match dane(candidate, hop, lookups).await? {
                // No usable record: MTA-STS may ask for more than that there be TLS.
                demand @ (Self::Opportunistic | Self::Encrypted) => match by_sts()? {
                    Self::Opportunistic => demand,
                    stricter => stricter,
                },
                demand => demand,
            },
        };
        Ok(match demand {
            Self::Authenticated(proof) => Self::Authenticated(proof),
            _ if require_tls => Self::Authenticated(Proof::Authority(names())),
            other => other,
        })
    }

    /// What an exchanger needs under an MTA-STS policy (RFC 8461 section 5).
    fn by_sts(policy: &Policy, exchanger: &Domain) -> Result<Self, Unusable> {
        match policy.mode {
            Mode::Testing | Mode::None => Ok(Self::Opportunistic),
            Mode::Enforce if policy.lists(exchanger) => {
                Ok(Self::Authenticated(Proof::Authority(vec![
                    exchanger.clone(),
                ])))
            }
            Mode::Enforce => Err(Unusable::NotListed),
        }
    }

    /// Whether mail may go in plain text.
    pub(crate) fn allows_plain(&self) -> bool {
        matches!(self, Self::Plain | Self::Opportunistic)
    }
}

/// RFC 7672 section 2.2: DANE needs a signed MX answer, signed addresses and signed TLSA records.
async fn dane(candidate: &Candidate, hop: &Domain, lookups: &Lookups) -> Result<Demand, Unusable> {
    let implicit = candidate.exchanger == *hop;
    // What fails when it is asked again is no unsigned answer (section 2.1.2).
    let mx_is_signed = implicit
        || lookups
            .mx_is_signed(hop)
            .await
            .ok_or(Unusable::TlsaFailed)?;
    let signed = signed_host(candidate, lookups).await?;
    let Some(expanded) = signed.filter(|_| mx_is_signed) else {
        return Ok(Demand::Opportunistic);
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
            Found::Records {
                records,
                secure: true,
            } => return Ok(demand_of(&records, &base, candidate, hop)),
            Found::Failed => return Err(Unusable::TlsaFailed),
            Found::Records { .. } | Found::NoData | Found::NoDomain => {}
        }
    }
    Ok(Demand::Opportunistic)
}

/// The name that owns a host's addresses, if the answer that has the candidate's is signed.
async fn signed_host(candidate: &Candidate, lookups: &Lookups) -> Result<Option<Domain>, Unusable> {
    let record_type = match candidate.address.is_ipv4() {
        true => RecordType::A,
        false => RecordType::AAAA,
    };
    match lookups.lookup(&candidate.exchanger, record_type).await {
        Found::Records {
            records,
            secure: true,
        } => Ok(records.first().map(|record| Domain::from(&record.name))),
        Found::Failed => Err(Unusable::TlsaFailed),
        Found::Records { .. } | Found::NoData | Found::NoDomain => Ok(None),
    }
}

fn demand_of(records: &[Record], base: &Domain, candidate: &Candidate, hop: &Domain) -> Demand {
    let tlsa = records.iter().filter_map(|record| match &record.data {
        RData::TLSA(tlsa) => Some(tlsa.clone()),
        _ => None,
    });
    let usable: Vec<TLSA> = tlsa.filter(is_usable).collect();
    if usable.is_empty() {
        // There are records, and none is usable: TLS all the same, unauthenticated (section 2.2).
        return Demand::Encrypted;
    }
    let mut names = vec![base.clone()];
    for name in [&candidate.exchanger, hop] {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    Demand::Authenticated(Proof::Dane(usable, names))
}

/// Usages that name public authorities mean nothing between mail hosts (section 3.1.3).
fn is_usable(tlsa: &TLSA) -> bool {
    matches!(u8::from(tlsa.cert_usage), 2 | 3)
        && u8::from(tlsa.selector) <= 1
        && u8::from(tlsa.matching) <= 2
}

/// Negotiates TLS with an exchanger; the certificate must satisfy the demand.
///
/// # Errors
/// The handshake's, also when the certificate does not satisfy.
pub(crate) async fn handshake(
    site: &Site,
    demand: &Demand,
    exchanger: &Domain,
    stream: Stream,
) -> io::Result<TlsStream<Stream>> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = Arc::new(Judge {
        proof: match demand {
            Demand::Authenticated(proof) => Some(proof.clone()),
            _ => None,
        },
        roots: site
            .authority
            .as_ref()
            .map_or_else(RootCertStore::empty, |authority| authority.roots()),
        provider: Arc::clone(&provider),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    let name = ServerName::try_from(exchanger.to_string()).map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

/// Judges a server's certificate.
#[derive(Debug)]
struct Judge {
    /// `None`: any certificate will do.
    proof: Option<Proof>,
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
}

impl Judge {
    /// By authority and name, with these roots.
    fn by_authority(
        &self,
        roots: RootCertStore,
        names: &[Domain],
        chain: (&CertificateDer<'_>, &[CertificateDer<'_>]),
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verifier = WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::clone(&self.provider),
        )
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
        let mut last = rustls::Error::General("no name to verify".to_owned());
        for name in names {
            let Ok(name) = ServerName::try_from(name.to_string()) else {
                continue;
            };
            match verifier.verify_server_cert(chain.0, chain.1, &name, &[], now) {
                Ok(verified) => return Ok(verified),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn by_tlsa(
        &self,
        records: &[TLSA],
        names: &[Domain],
        chain: (&CertificateDer<'_>, &[CertificateDer<'_>]),
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let (leaf, intermediates) = chain;
        for tlsa in records {
            if u8::from(tlsa.cert_usage) == 3 {
                // Names and dates do not matter (section 3.1.1).
                if matches(tlsa, leaf)? {
                    return Ok(ServerCertVerified::assertion());
                }
                continue;
            }
            for anchor in intermediates {
                if matches(tlsa, anchor)? {
                    let mut roots = RootCertStore::empty();
                    roots.add(anchor.clone().into_owned())?;
                    if let Ok(verified) = self.by_authority(roots, names, chain, now) {
                        return Ok(verified);
                    }
                }
            }
        }
        Err(rustls::Error::General("no TLSA record matches".to_owned()))
    }
}

/// Whether a TLSA record matches a certificate.
fn matches(tlsa: &TLSA, certificate: &CertificateDer<'_>) -> Result<bool, rustls::Error> {
    let matching = u8::from(tlsa.matching);
    let data = match u8::from(tlsa.selector) {
        0 => matching_data(certificate.as_ref(), matching),
        _ => matching_data(
            ParsedCertificate::try_from(certificate)?
                .subject_public_key_info()
                .as_ref(),
            matching,
        ),
    };
    Ok(data == tlsa.cert_data)
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = (end_entity, intermediates);
        match &self.proof {
            None => Ok(ServerCertVerified::assertion()),
            Some(Proof::Authority(names)) => {
                self.by_authority(self.roots.clone(), names, chain, now)
            }
            Some(Proof::Dane(records, names)) => self.by_tlsa(records, names, chain, now),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
