//! What the certificates that a server showed are worth: for which name, until when, signed by whom, and whether TLSA
//! records match them.
//!
//! The reference sender decides before it goes on (`client`); here a session has ended, and each thing is told apart.

use std::{io, time::Duration};

use hickory_proto::rr::rdata::TLSA;
use tokio_rustls::rustls::{
    self, PeerIncompatible, ProtocolVersion, RootCertStore,
    client::{verify_server_cert_signed_by_trust_anchor, verify_server_name},
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

use super::{
    Authentication, Secured,
    client::{connect_trusting, satisfies},
};
use crate::{name::Domain, stream::Stream};

/// The authorities that somebody trusts.
#[derive(Debug, Clone)]
pub(crate) struct Roots(pub(super) RootCertStore);

impl Roots {
    /// Those of this machine, or of the file or folder that `SSL_CERT_FILE` or `SSL_CERT_DIR` names.
    ///
    /// # Errors
    /// That there are none.
    pub(crate) fn of_machine() -> io::Result<Self> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        match (roots.is_empty(), found.errors.into_iter().next()) {
            (false, _) => Ok(Self(roots)),
            (true, Some(error)) => Err(io::Error::other(error)),
            (true, None) => Err(io::Error::other("this machine trusts no authority")),
        }
    }

    /// Negotiates TLS with a host that has a valid certificate by one of them.
    ///
    /// # Errors
    /// The handshake's, also when the certificate is not valid.
    pub(crate) async fn connect(&self, host: &Domain, stream: Stream) -> io::Result<Secured> {
        let proof = Authentication::Authority(vec![host.clone()]);
        connect_trusting(self.0.clone(), Some(proof), host, stream).await
    }
}

/// Negotiates TLS with a host, whatever certificate it has.
///
/// # Errors
/// The handshake's.
pub(crate) async fn connect_to_any(host: &Domain, stream: Stream) -> io::Result<Secured> {
    connect_trusting(RootCertStore::empty(), None, host, stream).await
}

/// What a server showed in a handshake.
#[derive(Debug, Clone)]
pub(crate) struct Presented {
    /// Its own certificate, and those behind it.
    chain: Vec<CertificateDer<'static>>,
    /// The version of TLS, such as `TLS 1.3`.
    pub(crate) version: String,
}

impl Presented {
    /// What the other end of a connection showed; nothing if it showed no certificate.
    pub(crate) fn of(secured: &Secured) -> Option<Self> {
        let (_, session) = secured.get_ref();
        let chain = session.peer_certificates()?.to_vec();
        let version = session.protocol_version()?;
        let version = match version {
            ProtocolVersion::TLSv1_2 => "TLS 1.2".to_owned(),
            ProtocolVersion::TLSv1_3 => "TLS 1.3".to_owned(),
            other => format!("{other:?}"),
        };
        (!chain.is_empty()).then_some(Self { chain, version })
    }

    /// Whether the certificate is for a host (RFC 6125; the common name does not count).
    pub(crate) fn is_for(&self, host: &Domain) -> bool {
        let Ok(parsed) = ParsedCertificate::try_from(&self.chain[0]) else {
            return false;
        };
        let name = ServerName::try_from(host.to_string());
        name.is_ok_and(|name| verify_server_name(&parsed, &name).is_ok())
    }

    /// From when to when it holds, in seconds since 1970; nothing if that cannot be read.
    pub(crate) fn validity(&self) -> Option<(u64, u64)> {
        validity(&self.chain[0])
    }

    /// Why none of these authorities vouches for it at this time; nothing if one does.
    pub(crate) fn distrust(&self, roots: &Roots, now: Duration) -> Option<String> {
        let verified = ParsedCertificate::try_from(&self.chain[0]).and_then(|parsed| {
            verify_server_cert_signed_by_trust_anchor(
                &parsed,
                &roots.0,
                &self.chain[1..],
                UnixTime::since_unix_epoch(now),
                ring::default_provider()
                    .signature_verification_algorithms
                    .all,
            )
        });
        verified.err().map(|error| error.to_string())
    }

    /// Whether a TLSA record that mail uses (RFC 7672 section 3.1) matches; nothing if there is none.
    pub(crate) fn matches(
        &self,
        records: &[TLSA],
        names: &[Domain],
        now: Duration,
    ) -> Option<bool> {
        let usable = records
            .iter()
            .filter(|tlsa| matches!(u8::from(tlsa.cert_usage), 2 | 3));
        let usable: Vec<TLSA> = usable.cloned().collect();
        let now = UnixTime::since_unix_epoch(now);
        let chain = (&self.chain[0], &self.chain[1..]);
        (!usable.is_empty()).then(|| satisfies(&usable, names, chain, now))
    }
}

/// Whether a handshake failed because the server has no version of TLS from 1.2 on.
pub(crate) fn is_too_old(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(
        inner,
        Some(
            rustls::Error::AlertReceived(rustls::AlertDescription::ProtocolVersion)
                | rustls::Error::PeerIncompatible(
                    PeerIncompatible::ServerDoesNotSupportTls12Or13
                        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                )
        )
    )
}

/// The `validity` of a certificate (RFC 5280 section 4.1), in seconds since 1970.
///
/// Of its parts that stand before it only the lengths are read: version, serial number, algorithm, issuer.
fn validity(der: &[u8]) -> Option<(u64, u64)> {
    let (_, certificate, _) = element(der)?;
    let (_, signed, _) = element(certificate)?;
    let mut rest = signed;
    // The version is left out where it is the first.
    if rest.first() == Some(&0xa0) {
        rest = element(rest)?.2;
    }
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (_, validity, _) = element(rest)?;
    let (kind, from, rest) = element(validity)?;
    let from = time(kind, from)?;
    let (kind, until, _) = element(rest)?;
    Some((from, time(kind, until)?))
}

/// The tag and the content of the first element of DER, and what stands behind it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = octets
                .iter()
                .fold(0, |sum, octet| sum << 8 | usize::from(*octet));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// UTCTime and GeneralizedTime as certificates have them: `YYMMDDHHMMSSZ`, `YYYYMMDDHHMMSSZ`.
fn time(tag: u8, content: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(content).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        // RFC 5280 section 4.1.2.5.1: from 50 on it is the last century.
        0x17 => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: u64 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        0x18 => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    if rest.len() != 10 || !rest.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let part = |at: usize| rest[at..at + 2].parse::<u64>().ok();
    let days = days_before(year, part(0)?)? + part(2)?.checked_sub(1)?;
    Some(((days * 24 + part(4)?) * 60 + part(6)?) * 60 + part(8)?)
}

/// The days from 1970 to the first of a month.
fn days_before(year: u64, month: u64) -> Option<u64> {
    const BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap = |year: u64| year / 4 - year / 100 + year / 400;
    let is_leap = leap(year) > leap(year - 1);
    let before = BEFORE.get(usize::try_from(month.checked_sub(1)?).ok()?)?;
    let this = before + u64::from(is_leap && month > 2);
    Some(year.checked_sub(1970)? * 365 + leap(year - 1) - leap(1969) + this)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_certificates_are_read() {
        for (tag, text, expected) in [
            (0x17, "700101000000Z", Some(0)),
            (0x17, "000301000000Z", Some(951_868_800)),
            (0x18, "20240229235959Z", Some(1_709_251_199)),
            (0x18, "21000301000000Z", Some(4_107_542_400)),
            (0x17, "240229235959", None),
            (0x17, "241329235959Z", None),
            (0x18, "19691231235959Z", None),
            (0x16, "700101000000Z", None),
        ] {
            assert_eq!(time(tag, text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn certificates_that_are_none_have_no_validity() {
        assert_eq!(validity(b""), None);
        assert_eq!(validity(&[0x30, 0x84, 0, 0, 0, 1]), None);
        assert_eq!(validity(&[0x30, 3, 0x30, 5, 0]), None);
    }
}
