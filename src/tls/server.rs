//! The server's side of a TLS handshake: with a key that the client can verify, and an alert where there is
//! none.

use std::{io, sync::Arc};

use tokio::io::AsyncWriteExt;
use tokio_rustls::{
    LazyConfigAcceptor,
    rustls::{self, InvalidMessage, server::Acceptor},
};

use super::{Credentials, Secured};
use crate::stream::Stream;

/// A fatal alert of type handshake_failure (RFC 8446 section 6.2), as a record.
const HANDSHAKE_FAILURE: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

/// A fatal alert of type protocol_version, as a record.
const PROTOCOL_VERSION: [u8; 7] = [21, 3, 3, 0, 2, 2, 70];

/// Accepts a handshake.
///
/// # Errors
/// The handshake's; the client has been told.
pub(crate) async fn accept(credentials: &Credentials, stream: Stream) -> io::Result<Secured> {
    let mut started = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
    if credentials.is_too_old {
        started.io.write_all(&PROTOCOL_VERSION).await?;
        started.io.shutdown().await?;
        return Err(io::Error::other("no version of TLS in common"));
    }
    let hello = started.client_hello();
    let Some(config) = credentials.for_schemes(hello.signature_schemes()) else {
        // rustls would send its alert behind the rest of what it has to say, or not at all.
        started.io.write_all(&HANDSHAKE_FAILURE).await?;
        started.io.shutdown().await?;
        return Err(io::Error::other("no signature scheme in common"));
    };
    let config = Arc::clone(config);
    Ok(started.into_stream(config).await?.into())
}

/// Whether a handshake failed because what came is no TLS at all.
pub(crate) fn is_no_tls(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(
        inner,
        Some(rustls::Error::InvalidMessage(
            InvalidMessage::InvalidContentType
        ))
    )
}

/// The name that the client said it wants.
pub(crate) fn server_name(secured: &Secured) -> Option<String> {
    let name = match secured {
        Secured::Server(stream) => stream.get_ref().1.server_name(),
        Secured::Client(_) => None,
    };
    name.map(str::to_owned)
}

/// The stream that carries a connection inside TLS.
pub(crate) fn below(secured: &Secured) -> &Stream {
    secured.get_ref().0
}
