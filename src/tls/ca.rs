//! The lab's certificate authority: certificates for receivers, good ones and bad ones on purpose.
//!
//! Keys are Ed25519, made from the names they are for, and for clients that do not know that, P-256, given out
//! in the order of hosts: two runs publish the same TLSA records. They protect nothing: everything in a lab is made up.
//!
//! A drill that publishes a TLSA record must publish the same one each time it is played, or no log
//! could be compared. Hence keys that are not drawn by chance, and certificates whose dates and
//! serial numbers are fixed.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use hickory_proto::rr::{
    RData, Record,
    rdata::{
        TLSA,
        tlsa::{CertUsage, Matching, Selector},
    },
};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use tokio_rustls::rustls::{
    ALL_VERSIONS, RootCertStore, ServerConfig, SignatureScheme, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    version::{TLS12, TLS13},
};

use crate::{
    name::Domain,
    scenario::{Certificate, TlsVersion, TlsaParameters},
};

/// The TTL of the lab's own TLSA records, in seconds.
const TLSA_TTL: u32 = 300;
/// The fixed part of an Ed25519 key in PKCS #8 (RFC 8410 section 7), before its 32 octets.
const ED25519_PREFIX: [u8; 16] = [
    0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
];

/// P-256 keys in PKCS #8 (RFC 5958), one after the other: the public half of one is not to be had from a
/// secret of our own. The first is the authority's, each further one a host's.
const P256_KEYS: &[u8] = include_bytes!("p256-keys.der");
/// The octets of one of them: they are of one length.
const P256_KEY: usize = 138;

/// Signs the certificates of one lab, with a key of each kind.
pub(crate) struct CertificateAuthority {
    ed25519: Issuing,
    p256: Issuing,
    /// How many hosts have certificates: hosts beyond the keys that there are share them.
    hosts: AtomicUsize,
}

/// The authority with a key of one kind.
struct Issuing {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
    public_key: Vec<u8>,
}

/// What a receiver offers STARTTLS with: a certificate of each kind of key.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) kind: Certificate,
    /// Whether only versions are offered that nobody speaks any more.
    pub(super) is_too_old: bool,
    ed25519: Credential,
    /// For clients that do not know Ed25519.
    p256: Credential,
}

/// A certificate that is wanted.
struct CertificateWanted<'a> {
    kind: Certificate,
    subject: &'a str,
    names: &'a [String],
    versions: Vec<&'static SupportedProtocolVersion>,
}

/// The versions of TLS that the library speaks among these; without any all.
fn spoken(versions: Option<&[TlsVersion]>) -> Vec<&'static SupportedProtocolVersion> {
    let Some(versions) = versions else {
        return ALL_VERSIONS.to_vec();
    };
    let spoken = versions.iter().filter_map(|version| match version {
        TlsVersion::V1_0 | TlsVersion::V1_1 => None,
        TlsVersion::V1_2 => Some(&TLS12),
        TlsVersion::V1_3 => Some(&TLS13),
    });
    spoken.collect()
}

/// A certificate with a key of one kind.
#[derive(Debug, Clone)]
struct Credential {
    config: Arc<ServerConfig>,
    leaf: CertificateDer<'static>,
    public_key: Vec<u8>,
}

impl Credentials {
    /// What a client is answered with that can verify signatures of these schemes, if there is such a
    /// thing.
    pub(super) fn for_schemes(&self, schemes: &[SignatureScheme]) -> Option<&Arc<ServerConfig>> {
        if schemes.contains(&SignatureScheme::ED25519) {
            return Some(&self.ed25519.config);
        }
        let p256 = schemes.contains(&SignatureScheme::ECDSA_NISTP256_SHA256);
        p256.then_some(&self.p256.config)
    }
}

impl CertificateAuthority {
    pub(crate) fn new() -> Self {
        Self {
            ed25519: Issuing::new("Ed25519", ed25519("the authority of the lab")),
            p256: Issuing::new("P-256", p256(0)),
            hosts: AtomicUsize::new(0),
        }
    }

    /// The certificates that a client has to trust.
    ///
    /// Nobody else's: a lab has no use for the authorities of the system.
    pub(super) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        for issuing in [&self.ed25519, &self.p256] {
            roots
                .add(issuing.certificate.clone())
                .expect("the authority's certificate is sound");
        }
        roots
    }

    pub(crate) fn pem(&self) -> String {
        [&*self.ed25519.pem, &self.p256.pem].concat()
    }

    /// Certificates of a kind for these names, or for a name of choice, to be offered in these versions of TLS;
    /// without any in all.
    pub(crate) fn issue(
        &self,
        kind: Certificate,
        names: &[Domain],
        name: Option<&str>,
        versions: Option<&[TlsVersion]>,
    ) -> Credentials {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let subject = names
            .first()
            .cloned()
            .unwrap_or_else(|| "nameless.test".to_owned());
        let chosen = name.map(|name| vec![name.to_owned()]);
        // The key is that of the host, whatever its certificate says.
        let wanted = CertificateWanted {
            kind,
            subject: name.unwrap_or(&subject),
            names: chosen.as_deref().unwrap_or(&names),
            versions: spoken(versions),
        };
        let keys = P256_KEYS.len() / P256_KEY - 1;
        let own = 1 + self.hosts.fetch_add(1, Ordering::Relaxed) % keys;
        Credentials {
            kind,
            is_too_old: wanted.versions.is_empty(),
            ed25519: self.ed25519.issue(&wanted, &ed25519(&subject)),
            p256: self.p256.issue(&wanted, &p256(own)),
        }
    }

    /// The TLSA records that a host's credentials match (RFC 6698 section 2.1): one for the key that most
    /// clients are answered with, and one for the other key where that is the same in every run, which
    /// signatures of ECDSA are not.
    pub(crate) fn tlsa(
        &self,
        host: &Domain,
        credentials: &Credentials,
        parameters: TlsaParameters,
    ) -> Vec<Record> {
        let mut records = vec![tlsa(host, &self.ed25519, &credentials.ed25519, parameters)];
        if parameters.selector != 0 {
            records.push(tlsa(host, &self.p256, &credentials.p256, parameters));
        }
        records
    }
}

impl Issuing {
    /// An authority with a key of this kind. Its name is its own: GnuTLS looks for the issuer of a certificate by name,
    /// and takes the first.
    fn new(kind: &str, key: KeyPair) -> Self {
        let name = format!("mxdrill lab authority ({kind})");
        let mut params = params(&name, &[], 2020, 2120);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let public_key = rcgen::PublicKeyData::subject_public_key_info(&key);
        params.key_identifier_method =
            KeyIdMethod::PreSpecified(matching_data(&public_key, 1)[..20].to_vec());
        params.use_authority_key_identifier_extension = true;
        let signed = params
            .self_signed(&key)
            .expect("the authority's parameters are sound");
        Self {
            certificate: signed.der().clone(),
            pem: signed.pem(),
            public_key,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for a receiver, with its key ready to be used. The faulty ones differ from a
    /// valid one in a single thing each, so that a client that refuses one does so for that reason:
    /// the names, the end of validity, or who signed it. A chain has the authority's certificate in
    /// it, too, since DANE-TA needs it there (RFC 7672 section 3.1.2).
    fn issue(&self, wanted: &CertificateWanted<'_>, key: &KeyPair) -> Credential {
        let CertificateWanted {
            kind,
            subject,
            names,
            ..
        } = *wanted;
        let public_key = rcgen::PublicKeyData::subject_public_key_info(key);
        let params = match kind {
            Certificate::Valid | Certificate::SelfSigned | Certificate::LeafOnly => {
                params(subject, names, 2020, 2120)
            }
            Certificate::CnOnly => params(subject, &[], 2020, 2120),
            Certificate::Expired => params(subject, names, 2020, 2021),
            Certificate::WrongName => {
                params("elsewhere.test", &["elsewhere.test".to_owned()], 2020, 2120)
            }
        };
        let signed = match kind {
            Certificate::SelfSigned => params.self_signed(key),
            _ => params.signed_by(key, &self.issuer),
        };
        let leaf = signed
            .expect("a receiver's parameters are sound")
            .der()
            .clone();
        let chain = match kind {
            Certificate::SelfSigned | Certificate::LeafOnly => vec![leaf.clone()],
            _ => vec![leaf.clone(), self.certificate.clone()],
        };
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(match &wanted.versions[..] {
                // It is never used: the handshake ends before.
                [] => ALL_VERSIONS,
                versions => versions,
            })
            .expect("the provider has these versions")
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .expect("the key is the certificate's");
        Credential {
            config: Arc::new(config),
            leaf,
            public_key,
        }
    }
}

/// One TLSA record: usages 0 and 2 are about the authority, 1 and 3 about the host (RFC 6698
/// section 2.1.1).
fn tlsa(
    host: &Domain,
    issuing: &Issuing,
    credential: &Credential,
    parameters: TlsaParameters,
) -> Record {
    let anchor = matches!(parameters.usage, 0 | 2);
    let (certificate, public_key) = if anchor {
        (&issuing.certificate, &issuing.public_key)
    } else {
        (&credential.leaf, &credential.public_key)
    };
    let selected = if parameters.selector == 0 {
        certificate.as_ref()
    } else {
        &public_key[..]
    };
    let data = TLSA::new(
        CertUsage::from(parameters.usage),
        Selector::from(parameters.selector),
        Matching::from(parameters.matching),
        matching_data(selected, parameters.matching),
    );
    Record::from_rdata(
        host.prefixed("_25._tcp").to_wire(),
        TLSA_TTL,
        RData::TLSA(data),
    )
}

/// What a TLSA record holds of the data it selects: all of it, or its digest.
pub(super) fn matching_data(selected: &[u8], matching: u8) -> Vec<u8> {
    use ::ring::digest::{SHA256, SHA512, digest};
    match matching {
        1 => digest(&SHA256, selected).as_ref().to_vec(),
        2 => digest(&SHA512, selected).as_ref().to_vec(),
        _ => selected.to_vec(),
    }
}

/// The key of a name: a digest of it is the secret.
fn ed25519(name: &str) -> KeyPair {
    let secret = matching_data(format!("mxdrill {name}").as_bytes(), 1);
    key(
        &[&ED25519_PREFIX, &secret[..]].concat(),
        &rcgen::PKCS_ED25519,
    )
}

/// The key of a place among those that there are.
fn p256(place: usize) -> KeyPair {
    let mut all = P256_KEYS.chunks_exact(P256_KEY);
    let found = all.nth(place).expect("a place that there is");
    key(found, &rcgen::PKCS_ECDSA_P256_SHA256)
}

fn key(pkcs8: &[u8], algorithm: &'static rcgen::SignatureAlgorithm) -> KeyPair {
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8));
    KeyPair::from_der_and_sign_algo(&der, algorithm).expect("a sound key")
}

/// The parameters of a certificate that holds for whole years.
fn params(subject: &str, names: &[String], from: i32, until: i32) -> CertificateParams {
    // A name that a certificate cannot hold is left out: the certificate is then for another name.
    let mut params = CertificateParams::new(names.to_vec()).unwrap_or_default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, subject);
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let serial = matching_data(subject.as_bytes(), 1);
    params.serial_number = Some(SerialNumber::from(
        serial[..8]
            .iter()
            .map(|octet| octet & 0x7f)
            .collect::<Vec<u8>>(),
    ));
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_labs_publish_the_same_records() {
        let host: Domain = "mx1.example.test".parse().expect("a name");
        let record = || {
            let authority = CertificateAuthority::new();
            let credentials =
                authority.issue(Certificate::Valid, std::slice::from_ref(&host), None, None);
            (0..=1)
                .flat_map(|selector| {
                    authority.tlsa(
                        &host,
                        &credentials,
                        TlsaParameters {
                            usage: 3,
                            selector,
                            matching: 1,
                        },
                    )
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(record(), record());
        let published = record();
        assert_eq!(published.len(), 3);
        assert_ne!(published[0].data, published[1].data);
        assert_ne!(published[1].data, published[2].data);
    }

    /// GnuTLS finds an issuer by its name alone, where the certificate says no more.
    #[test]
    fn authorities_have_names_of_their_own() {
        let authority = CertificateAuthority::new();
        let roots = authority.roots();
        let [one, other] = &roots.roots[..] else {
            panic!("two are expected");
        };
        assert_ne!(one.subject, other.subject);
    }
}
