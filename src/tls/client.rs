//! The client's side of a TLS handshake, and how it judges a certificate: any, by authority and name, or by
//! TLSA records (RFC 7672).
//!
//! rustls asks the `CertificateCheck` about each certificate. Signatures are verified in any case: what a
//! proof decides is whose certificate will do.
//!
//! The three proofs, from the weakest: any certificate, which keeps out who only listens (opportunistic TLS, RFC
//! 7435); one that the lab's authority signed for one of several names; one that TLSA records name. There is no root
//! but the lab's: nothing outside a drill is trusted.

use std::{io, sync::Arc};

use hickory_proto::rr::rdata::TLSA;
use tokio_rustls::{
    TlsConnector,
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

use super::{Authentication, CertificateAuthority, Secured, ca::matching_data};
use crate::{name::Domain, stream::Stream};

/// Negotiates TLS with a host, whose certificate must satisfy `proof`; authorities are the lab's alone.
///
/// # Errors
/// The handshake's, also when the certificate does not satisfy.
pub(crate) async fn connect(
    authority: Option<&CertificateAuthority>,
    proof: Option<Authentication>,
    host: &Domain,
    stream: Stream,
) -> io::Result<Secured> {
    let roots = authority.map_or_else(RootCertStore::empty, CertificateAuthority::roots);
    connect_trusting(roots, proof, host, stream).await
}

/// Negotiates TLS with a host, whose certificate must satisfy `proof`, given by one of these authorities where it asks for
/// one.
///
/// # Errors
/// The handshake's, also when the certificate does not satisfy.
pub(super) async fn connect_trusting(
    roots: RootCertStore,
    proof: Option<Authentication>,
    host: &Domain,
    stream: Stream,
) -> io::Result<Secured> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = Arc::new(CertificateCheck {
        proof,
        roots,
        provider: Arc::clone(&provider),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    // A literal is no name, and goes into no SNI (RFC 6066 section 3).
    let name = match host.literal() {
        Some(address) => ServerName::from(address),
        None => ServerName::try_from(host.to_string()).map_err(io::Error::other)?,
    };
    let connected = TlsConnector::from(Arc::new(config)).connect(name, stream);
    Ok(connected.await?.into())
}

/// Judges a server's certificate.
#[derive(Debug)]
struct CertificateCheck {
    /// `None`: any certificate will do.
    proof: Option<Authentication>,
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
}

impl CertificateCheck {
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
        // The names are alternatives: the exchanger, and with DANE the next hop, too (RFC 7672 section 3.2.2).
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

    /// By TLSA records (RFC 7672 section 3.1): DANE-EE by the server's certificate alone, DANE-TA
    /// by an anchor in the chain that it sends, with names and dates.
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
            // DANE-TA: a server has to send the anchor along (RFC 7672 section 3.1.2).
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

/// Whether a chain satisfies one of these records, for one of these names.
#[cfg(feature = "records")]
pub(super) fn satisfies(
    records: &[TLSA],
    names: &[Domain],
    chain: (&CertificateDer<'_>, &[CertificateDer<'_>]),
    now: UnixTime,
) -> bool {
    let check = CertificateCheck {
        proof: None,
        roots: RootCertStore::empty(),
        provider: Arc::new(ring::default_provider()),
    };
    check.by_tlsa(records, names, chain, now).is_ok()
}

/// Whether a TLSA record matches a certificate.
fn matches(tlsa: &TLSA, certificate: &CertificateDer<'_>) -> Result<bool, rustls::Error> {
    let matching = u8::from(tlsa.matching);
    let data = match u8::from(tlsa.selector) {
        0 => matching_data(certificate.as_ref(), matching),
        // Selector 1 is the public key alone (RFC 6698 section 2.1.2), which outlives a certificate.
        _ => matching_data(
            ParsedCertificate::try_from(certificate)?
                .subject_public_key_info()
                .as_ref(),
            matching,
        ),
    };
    Ok(data == tlsa.cert_data)
}

impl ServerCertVerifier for CertificateCheck {
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
            Some(Authentication::Authority(names)) => {
                self.by_authority(self.roots.clone(), names, chain, now)
            }
            Some(Authentication::Dane(records, names)) => self.by_tlsa(records, names, chain, now),
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
