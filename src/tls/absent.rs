//! What stands in the place of TLS where there is none: types of which nothing can be.
//!
//! The types are empty, so the compiler knows that code which has one of them is never reached.
//! A request for a certificate is an error that names the missing feature.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use hickory_proto::rr::Record;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Authentication;
use crate::{
    name::Domain,
    scenario::{Certificate, TlsVersion, TlsaParameters},
    stream::Stream,
};

/// An authority.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CertificateAuthority {}

/// What a receiver would offer STARTTLS with.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) kind: Certificate,
    authority: CertificateAuthority,
}

/// A connection inside TLS.
#[derive(Debug)]
pub(crate) enum Secured {}

impl CertificateAuthority {
    pub(crate) fn pem(&self) -> String {
        match *self {}
    }

    pub(crate) fn issue(
        &self,
        _: Certificate,
        _: &[Domain],
        _: Option<&str>,
        _: Option<&[TlsVersion]>,
    ) -> Credentials {
        match *self {}
    }

    pub(crate) fn tlsa(&self, _: &Domain, _: &Credentials, _: TlsaParameters) -> Vec<Record> {
        match *self {}
    }
}

pub(crate) async fn accept(credentials: &Credentials, _: Stream) -> io::Result<Secured> {
    match credentials.authority {}
}

pub(crate) async fn connect(
    _: Option<&CertificateAuthority>,
    _: Option<Authentication>,
    _: &Domain,
    _: Stream,
) -> io::Result<Secured> {
    Err(io::Error::new(io::ErrorKind::Unsupported, super::ABSENT))
}

pub(crate) fn is_no_tls(_: &io::Error) -> bool {
    false
}

pub(crate) fn server_name(secured: &Secured) -> Option<String> {
    match *secured {}
}

pub(crate) fn below(secured: &Secured) -> &Stream {
    match *secured {}
}

impl AsyncRead for Secured {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match *self {}
    }
}

impl AsyncWrite for Secured {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        match *self {}
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }
}
