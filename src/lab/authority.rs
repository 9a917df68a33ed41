//! The lab's certificate authority: certificates for receivers, good ones and bad ones on purpose.
//!
//! Keys are Ed25519 and made from the names they are for, so that two runs publish the same TLSA
//! records. They protect nothing: everything in a lab is made up.

use std::sync::Arc;

use hickory_proto::rr::{
    RData, Record,
    rdata::{
        TLSA,
        tlsa::{CertUsage, Matching, Selector},
    },
};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use tokio_rustls::rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};

use crate::{
    name::Domain,
    scenario::{Certificate, TlsaParameters},
};

/// Seconds for which the lab's own TLSA records may be kept.
const TLSA_TTL: u32 = 300;
/// The fixed part of an Ed25519 key in PKCS #8 (RFC 8410 section 7), before its 32 octets.
const ED25519_PREFIX: [u8; 16] = [
    0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
];

/// Signs the certificates of one lab.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
    public_key: Vec<u8>,
}

/// What a receiver offers STARTTLS with.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) kind: Certificate,
    pub(crate) config: Arc<ServerConfig>,
    leaf: CertificateDer<'static>,
    public_key: Vec<u8>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = key("the authority of the lab");
        let mut params = params("mxdrill lab authority", &[], 2020, 2120);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let signed = params
            .self_signed(&key)
            .expect("the authority's parameters are sound");
        let (certificate, pem) = (signed.der().clone(), signed.pem());
        let public_key = rcgen::PublicKeyData::subject_public_key_info(&key);
        Self {
            issuer: Issuer::new(params, key),
            certificate,
            pem,
            public_key,
        }
    }

    /// The certificate that a client has to trust.
    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.certificate.clone())
            .expect("the authority's certificate is sound");
        roots
    }

    pub(crate) fn pem(&self) -> String {
        self.pem.clone()
    }

    /// A certificate of a kind for these names.
    pub(crate) fn issue(&self, kind: Certificate, names: &[Domain]) -> Credentials {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let subject = names
            .first()
            .cloned()
            .unwrap_or_else(|| "nameless.test".to_owned());
        let key = key(&subject);
        let public_key = rcgen::PublicKeyData::subject_public_key_info(&key);
        let params = match kind {
            Certificate::Valid | Certificate::SelfSigned => params(&subject, &names, 2020, 2120),
            Certificate::Expired => params(&subject, &names, 2020, 2021),
            Certificate::WrongName => {
                params("elsewhere.test", &["elsewhere.test".to_owned()], 2020, 2120)
            }
        };
        let signed = match kind {
            Certificate::SelfSigned => params.self_signed(&key),
            _ => params.signed_by(&key, &self.issuer),
        };
        let leaf = signed
            .expect("a receiver's parameters are sound")
            .der()
            .clone();
        let chain = match kind {
            Certificate::SelfSigned => vec![leaf.clone()],
            _ => vec![leaf.clone(), self.certificate.clone()],
        };
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions")
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .expect("the key is the certificate's");
        Credentials {
            kind,
            config: Arc::new(config),
            leaf,
            public_key,
        }
    }

    /// The TLSA record that a host's credentials match (RFC 6698 section 2.1).
    pub(crate) fn tlsa(
        &self,
        host: &Domain,
        credentials: &Credentials,
        parameters: TlsaParameters,
    ) -> Record {
        let anchor = matches!(parameters.usage, 0 | 2);
        let (certificate, public_key) = match anchor {
            true => (&self.certificate, &self.public_key),
            false => (&credentials.leaf, &credentials.public_key),
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
}

/// What a TLSA record holds of the data it selects: all of it, or its digest.
pub(crate) fn matching_data(selected: &[u8], matching: u8) -> Vec<u8> {
    use ::aws_lc_rs::digest::{SHA256, SHA512, digest};
    match matching {
        1 => digest(&SHA256, selected).as_ref().to_vec(),
        2 => digest(&SHA512, selected).as_ref().to_vec(),
        _ => selected.to_vec(),
    }
}

/// The key of a name: the digest of the name is its secret.
fn key(name: &str) -> KeyPair {
    let secret = matching_data(format!("mxdrill {name}").as_bytes(), 1);
    let pkcs8 = [&ED25519_PREFIX[..], &secret[..]].concat();
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8));
    KeyPair::from_der_and_sign_algo(&der, &rcgen::PKCS_ED25519)
        .expect("any 32 octets are an Ed25519 key")
}

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
            let authority = Authority::new();
            let credentials = authority.issue(Certificate::Valid, std::slice::from_ref(&host));
            (0..=1)
                .map(|selector| {
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
        assert_ne!(record()[0].data, record()[1].data);
    }
}
