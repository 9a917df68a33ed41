//! The mailin-embedded server: an implementation of SMTP that owes nothing to this one.
//!
//! Faults, stages and the log stay the receiver's: this server stands behind it and answers what no
//! fault has answered. A drill that passes with both shows that it does not hang on how one of them
//! words a reply.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::OnceLock,
};

/// Sessions that it serves at once, a thread each; more wait.
const MAILIN_THREADS: u32 = 64;

/// The handler of the mailin-embedded server: it accepts every message and forgets it, since the
/// receiver in front keeps it.
#[derive(Clone)]
struct TakesAll;

impl mailin_embedded::Handler for TakesAll {}

/// Where the mailin-embedded server of this process listens. There is one for all labs: it has a
/// thread for each session and cannot be stopped.
///
/// # Errors
/// When it cannot be started.
pub(super) fn address() -> io::Result<SocketAddr> {
    static SERVER: OnceLock<Result<SocketAddr, String>> = OnceLock::new();
    let started = SERVER.get_or_init(|| start().map_err(|error| error.to_string()));
    started.clone().map_err(io::Error::other)
}

fn start() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    std::thread::Builder::new()
        .name("mailin-embedded".to_owned())
        .spawn(move || {
            let mut server = mailin_embedded::Server::new(TakesAll);
            server
                .with_name("mailin-embedded.test")
                .with_num_threads(MAILIN_THREADS)
                .with_tcp_listener(listener);
            if let Err(error) = server.serve() {
                tracing::error!(%error, "the mailin-embedded server ended");
            }
        })?;
    Ok(address)
}
