//! The web server of an MTA-STS policy (RFC 8461 section 3.3): one small file over HTTPS.
//!
//! It answers one request a connection. An HTTP server library would bring more than the lab: every
//! answer here is a status line, three header fields and the policy.
//!
//! A row of the scenario says what the file is and in which window it is served; outside of any,
//! the answer is 404. The handshake uses the certificate of the row, which may be a bad one: that a
//! client notices is part of some drills. Each fetch is logged, with the status or as a handshake
//! that failed.

use std::{io, sync::Arc, time::Duration};

use super::LabState;
use crate::{
    connection::{Connection, Line},
    event::{EventKind, FetchOutcome},
    name::Domain,
    scenario::{PolicyRow, policy_host},
    stream::Stream,
    time::Moment,
    tls::{self, Credentials},
};

/// How long a client may take for handshake and request together.
const WAIT: Duration = Duration::from_secs(60);
/// Header lines of a request that are read. Nothing in them counts but the first.
const MAX_LINES: usize = 100;
/// Where a redirect leads to: the same policy, which a client must not take from there (RFC 8461
/// section 3.3).
const MOVED: &str = "/moved/mta-sts.txt";

/// The host of a domain's policy.
#[derive(Debug)]
pub(crate) struct MtaStsServer {
    /// The rows of its domains, each with its certificate, in the order of the scenario.
    pub(crate) rows: Vec<(PolicyRow, Credentials)>,
}

impl MtaStsServer {
    /// Its names, without repetition.
    pub(super) fn names(&self) -> Vec<Domain> {
        let mut names: Vec<Domain> = Vec::new();
        for (row, _) in &self.rows {
            let name = policy_host(&row.domain);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The row whose window has this moment, the first if there are several.
    fn row(&self, now: Moment) -> Option<&(PolicyRow, Credentials)> {
        self.rows
            .iter()
            .find(|(row, _)| row.from <= now && row.until.is_none_or(|until| now < until))
    }
}

/// Serves one connection.
pub(super) async fn serve(state: Arc<LabState>, host: Arc<MtaStsServer>, stream: Stream) {
    let mut connection = Connection::new(stream);
    // An error is a client that went away.
    let answered = answer(&state, &host, &mut connection);
    state.clock.within(WAIT, answered).await;
    connection.close().await;
}

/// Handshake, request, answer. A client outside the policy's window gets the certificate of the first
/// row, and a 404.
async fn answer(
    state: &LabState,
    host: &MtaStsServer,
    connection: &mut Connection,
) -> io::Result<()> {
    let now = state.clock.now();
    let Some((row, credentials)) = host.row(now).or(host.rows.first()) else {
        return Ok(());
    };
    let domain = row.domain.clone();
    let fetched = |answer: FetchOutcome| {
        state.record(EventKind::Fetched {
            host: policy_host(&domain),
            answer,
        })
    };
    if let Err(error) = connection
        .secure(|stream| tls::accept(credentials, stream))
        .await
    {
        fetched(FetchOutcome::NoHandshake);
        return Err(error);
    }
    let path = request_path(connection).await?;
    let (status, text) = match (path.as_deref(), host.row(now)) {
        (Some("/.well-known/mta-sts.txt"), Some((row, _))) => (row.status, &*row.text),
        (Some(MOVED), Some((row, _))) => (200, &*row.text),
        _ => (404, ""),
    };
    fetched(FetchOutcome::Status(status));
    let location = match status {
        300..400 => format!("Location: https://{}{MOVED}\r\n", policy_host(&domain)),
        _ => String::new(),
    };
    // A policy may have been written with either line end; on the wire it has CRLF.
    let body = text.replace("\r\n", "\n").replace('\n', "\r\n");
    let head = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n{location}Connection: close\r\n\r\n",
        if status == 200 { "OK" } else { "Other" },
        body.len(),
    );
    connection.send(head.as_bytes()).await?;
    connection.send(body.as_bytes()).await
}

/// The path of a GET request, its header read to the end; `None` for another method and for what is
/// no request.
async fn request_path(connection: &mut Connection) -> io::Result<Option<String>> {
    let mut path = None;
    for number in 0..MAX_LINES {
        let Line::Complete(line, _) = connection.line().await? else {
            return Ok(None);
        };
        if line.is_empty() {
            return Ok(path);
        }
        if number == 0 {
            let line = String::from_utf8_lossy(&line).into_owned();
            let mut words = line.split(' ');
            path =
                (words.next() == Some("GET")).then(|| words.next().unwrap_or_default().to_owned());
        }
    }
    Ok(None)
}
