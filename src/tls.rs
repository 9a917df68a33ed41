//! TLS on both sides, as far as it depends on the libraries that do it. Without the feature `tls` there is
//! none: no certificate can be had, and a request for one is an error.
//!
//! What TLS a candidate needs is the sender's to decide (`crate::sender`), and which certificate a
//! receiver has the scenario's. Here are the certificates, both sides of the handshake, and the
//! proofs that a client may ask for.

#[cfg(not(feature = "tls"))]
mod absent;
#[cfg(feature = "tls")]
mod ca;
#[cfg(feature = "records")]
mod certificate;
#[cfg(feature = "tls")]
mod client;
#[cfg(feature = "tls")]
mod server;

use hickory_proto::rr::rdata::TLSA;

#[cfg(not(feature = "tls"))]
pub(crate) use self::absent::{
    CertificateAuthority, Credentials, Secured, accept, below, connect, is_no_tls, server_name,
};
#[cfg(feature = "records")]
pub(crate) use self::certificate::{Presented, Roots, connect_to_any, is_too_old};
#[cfg(feature = "tls")]
pub(crate) use self::{
    ca::{CertificateAuthority, Credentials},
    client::connect,
    server::{accept, below, is_no_tls, server_name},
};
use crate::name::Domain;

/// The error where the feature is missing.
#[cfg(not(feature = "tls"))]
const ABSENT: &str = "TLS is needed, and this mxdrill was built without it (the feature tls)";

/// A connection inside TLS.
#[cfg(feature = "tls")]
pub(crate) type Secured = tokio_rustls::TlsStream<crate::stream::Stream>;

/// What shows that the other end is the one that was meant.
#[derive(Debug, Clone)]
#[cfg_attr(
    not(feature = "tls"),
    expect(dead_code, reason = "there is nothing to hold it against")
)]
pub(crate) enum Authentication {
    /// A certificate of the lab's authority for one of these names (RFC 6125).
    Authority(Vec<Domain>),
    /// A certificate that one of these TLSA records matches, for one of these names.
    Dane(Vec<TLSA>, Vec<Domain>),
}

/// An authority for a lab, with its keys.
///
/// # Errors
/// That mxdrill was built without TLS.
pub(crate) fn authority() -> std::io::Result<CertificateAuthority> {
    #[cfg(not(feature = "tls"))]
    return Err(std::io::Error::new(std::io::ErrorKind::Unsupported, ABSENT));
    #[cfg(feature = "tls")]
    Ok(CertificateAuthority::new())
}
