//! One file over HTTPS: a GET of HTTP/1.1 inside TLS (RFC 9112), and what comes back, bounded.
//!
//! That is all that a policy of MTA-STS needs. Redirects are not followed: RFC 8461 section 3.3 forbids it.

use std::io;

use crate::{
    connection::{Connection, Line},
    name::Domain,
};

/// Lines that are read of the head of an answer, and of the sizes of its chunks.
const MAX_LINES: usize = 2000;
/// Octets of a file that are read: RFC 8461 section 3.3 suggests 64 kilobytes.
pub(crate) const MAX_BODY: usize = 64 * 1024;

/// What a web server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WebAnswer {
    /// The status, such as 200.
    pub(crate) status: u16,
    /// The media type without its parameters, in lower case: `text/plain`.
    pub(crate) media_type: Option<String>,
    /// The file; nothing where the status is another than 200.
    pub(crate) body: Vec<u8>,
}

/// Where the body of an answer ends (RFC 9112 section 6.3).
enum Framing {
    Length(usize),
    Chunks,
    Close,
}

/// Fetches a file over a connection that is inside TLS already.
///
/// # Errors
/// When the connection ends too soon, what comes is no HTTP, or the file has more than [`MAX_BODY`] octets.
pub(crate) async fn get(
    connection: &mut Connection,
    host: &Domain,
    path: &str,
) -> io::Result<WebAnswer> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    connection.send(request.as_bytes()).await?;
    let first = text_line(connection).await?.unwrap_or_default();
    let mut words = first.split(' ');
    let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/1."));
    let status = words.next().and_then(|word| word.parse().ok());
    let Some(status) = status.filter(|_| is_http) else {
        return Err(io::Error::other(format!(
            "found {first:?}, expected HTTP/1.1"
        )));
    };
    let (media_type, framing) = head(connection).await?;
    let body = match status {
        200 => body(connection, framing).await?,
        _ => Vec::new(),
    };
    Ok(WebAnswer {
        status,
        media_type,
        body,
    })
}

/// Reads the fields up to the empty line.
async fn head(connection: &mut Connection) -> io::Result<(Option<String>, Framing)> {
    let mut media_type = None;
    let mut framing = Framing::Close;
    for _ in 0..MAX_LINES {
        let Some(line) = text_line(connection).await? else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        if line.is_empty() {
            return Ok((media_type, framing));
        }
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim().to_ascii_lowercase();
        match &*name.to_ascii_lowercase() {
            "content-type" => {
                let kind = value.split(';').next().unwrap_or_default().trim();
                media_type = Some(kind.to_owned());
            }
            // Chunks count more than a length (RFC 9112 section 6.3).
            "transfer-encoding" if value.ends_with("chunked") => framing = Framing::Chunks,
            "content-length" if !matches!(framing, Framing::Chunks) => {
                let length = value.parse().map_err(|_| {
                    io::Error::other(format!("found Content-Length {value:?}, expected a number"))
                })?;
                framing = Framing::Length(length);
            }
            _ => {}
        }
    }
    Err(io::Error::other("a head without an end"))
}

async fn body(connection: &mut Connection, framing: Framing) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    match framing {
        Framing::Length(length) => take(connection, &mut body, length).await?,
        Framing::Close => {
            // A connection that just ends is as good as one that is closed: nothing else says where the file ends.
            while let Ok(1..) = connection.fill().await {
                drain(connection, &mut body)?;
            }
            drain(connection, &mut body)?;
        }
        Framing::Chunks => {
            for _ in 0..MAX_LINES {
                let line = text_line(connection).await?.unwrap_or_default();
                let size = line.split(';').next().unwrap_or_default().trim();
                let size = usize::from_str_radix(size, 16)
                    .map_err(|_| io::Error::other(format!("found {line:?}, expected a chunk")))?;
                if size == 0 {
                    break;
                }
                take(connection, &mut body, size).await?;
                text_line(connection).await?;
            }
        }
    }
    Ok(body)
}

/// Takes so many octets.
async fn take(connection: &mut Connection, body: &mut Vec<u8>, octets: usize) -> io::Result<()> {
    if body.len().saturating_add(octets) > MAX_BODY {
        return Err(too_long());
    }
    let end = body.len() + octets;
    while body.len() < end {
        let there = connection.buffered().len().min(end - body.len());
        body.extend_from_slice(&connection.buffered()[..there]);
        connection.consume(there);
        if body.len() < end && connection.fill().await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Takes what has come.
fn drain(connection: &mut Connection, body: &mut Vec<u8>) -> io::Result<()> {
    body.extend_from_slice(connection.buffered());
    let there = connection.buffered().len();
    connection.consume(there);
    match body.len() > MAX_BODY {
        true => Err(too_long()),
        false => Ok(()),
    }
}

fn too_long() -> io::Error {
    io::Error::other(format!("found more than {MAX_BODY} octets"))
}

/// A line of the head; nothing at the end.
async fn text_line(connection: &mut Connection) -> io::Result<Option<String>> {
    match connection.line().await? {
        Line::Complete(line, _) => Ok(Some(String::from_utf8_lossy(&line).into_owned())),
        Line::TooLong => Err(io::Error::other("a line that is too long")),
        Line::End => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Stream;

    async fn answer_to(sent: &[u8]) -> io::Result<WebAnswer> {
        let (near, far) = Stream::pair();
        let (mut near, mut far) = (Connection::new(near), Connection::new(far));
        let host: Domain = "mta-sts.example.test".parse().expect("a name");
        let serve = async {
            while !matches!(far.line().await, Ok(Line::Complete(line, _)) if line.is_empty()) {}
            far.send(sent).await.ok();
            far.close().await;
        };
        // Who has seen enough goes away.
        let client = async move { get(&mut near, &host, "/x").await };
        tokio::join!(client, serve).0
    }

    #[tokio::test]
    async fn a_file_ends_where_the_answer_says() {
        for (sent, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc", "ab"),
            ("HTTP/1.0 200 OK\r\n\r\nabc", "abc"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n",
                "abc",
            ),
            ("HTTP/1.1 301 Moved\r\nContent-Length: 2\r\n\r\nab", ""),
        ] {
            let answer = answer_to(sent.as_bytes()).await.expect("an answer");
            assert_eq!(answer.body, body.as_bytes(), "{sent}");
        }
        let sent = b"HTTP/1.1 404 Not Found\r\nContent-Type: Text/HTML; charset=x\r\n\r\n";
        let answer = answer_to(sent).await.expect("an answer");
        assert_eq!(answer.status, 404);
        assert_eq!(answer.media_type.as_deref(), Some("text/html"));
    }

    #[tokio::test]
    async fn what_is_cut_or_has_no_end_is_an_error() {
        let long = |head: &str| [head.as_bytes(), &[b'x'; MAX_BODY + 1]].concat();
        for sent in [
            b"220 mx1 ESMTP\r\n".to_vec(),
            b"HTTP/1.1 200 OK\r\n".to_vec(),
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc".to_vec(),
            b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nabc".to_vec(),
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nabc\r\n".to_vec(),
            long("HTTP/1.1 200 OK\r\n\r\n"),
            long("HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n"),
        ] {
            let start = String::from_utf8_lossy(&sent[..sent.len().min(80)]).into_owned();
            assert!(answer_to(&sent).await.is_err(), "{start}");
        }
    }
}
