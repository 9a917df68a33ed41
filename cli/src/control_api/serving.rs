//! The sockets of the API: how many connections there may be, and how long they may take.

use std::{io, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::sync::Arc;
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};

/// Connections at once; further ones wait until one ends.
const MOST_CONNECTIONS: usize = 256;
/// How long the head of a request may take to arrive.
const HEAD: Duration = Duration::from_secs(10);
/// Octets of the head of a request.
const HEAD_SIZE: usize = 64 * 1024;

/// Serves connections until this is dropped. A client that misbehaves costs its own connection.
pub(crate) async fn serve(listener: TcpListener, router: Router) -> io::Error {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        // Those that have ended are forgotten.
        while connections.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return io::Error::other("no connection can be served");
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) if is_of_one(&error) => continue,
            // No descriptor is free, say: it passes.
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        connections.spawn(async move {
            let _permit = permit;
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .max_buf_size(HEAD_SIZE);
            let connection = http.serve_connection(TokioIo::new(stream), service);
            // A client that goes away is no news.
            connection.await.ok();
        });
    }
}

/// Whether an error of accepting is that of the connection that was to be accepted.
fn is_of_one(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
