//! Messages that exchangers took: listed, waited for, read, as they came.

use std::{io, time::Duration};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use mail_parser::{MessageParser, MimeHeaders};
use mxdrill::{event::SessionId, name::Domain, time::Moment};
use serde::{Deserialize, Serialize};
use std::{net::IpAddr, sync::Arc};
use utoipa::{IntoParams, ToSchema};

use super::{ApiState, Number, Parameters};
use crate::control_api::{
    kept::KeptMessage,
    problem::{Problem, Refused},
};

/// The longest that a request may wait for a message, and how long it does unless it says so.
const MOST_WAIT: f64 = 60.0;
const USUAL_WAIT: f64 = 10.0;
/// Octets of a message's text that are shown; all of it is in its content.
const MOST_TEXT: usize = 256 * 1024;
/// Octets of a content that are handed out at a time.
const PIECE: usize = 64 * 1024;

/// A message that an exchanger took.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessageView {
    /// Its number. It is not used again.
    id: u64,
    /// When it was taken, in seconds since the lab was put up.
    #[schema(value_type = f64)]
    at: Moment,
    /// The session in which it came.
    #[schema(value_type = u64)]
    session: SessionId,
    /// The host that took it, by its first name.
    #[schema(example = "mx2.example.test")]
    host: String,
    /// All its names in the zone.
    #[schema(value_type = Vec<String>)]
    hosts: Arc<[Domain]>,
    /// Its address in the zone.
    #[schema(value_type = String)]
    address: IpAddr,
    /// The reverse-path of MAIL; empty is the null one.
    from: String,
    /// The recipients of RCPT that were accepted.
    to: Vec<String>,
    /// Whether it came through TLS.
    tls: bool,
    /// Octets of its content.
    octets: usize,
    /// The Subject field; null if there is none.
    subject: Option<String>,
}

/// Messages that exchangers took.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessagesView {
    /// The oldest first.
    messages: Vec<MessageView>,
    /// How many more were dropped for lack of room, since the lab was put up or messages were forgotten.
    dropped: u64,
}

/// A message as it can be read.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WholeMessageView {
    #[serde(flatten)]
    message: MessageView,
    /// The fields of its header, in their order, as they came but for their folding.
    headers: Vec<HeaderView>,
    /// Its text, decoded; null if it has none. Of a message in HTML alone, the text in that.
    text: Option<String>,
    /// Whether the text goes on, in the content.
    text_is_cut: bool,
    /// What is attached to it.
    attachments: Vec<AttachmentView>,
    /// Where its content is, to the octet.
    #[schema(example = "/v1/messages/1/eml")]
    eml: String,
}

/// A field of a header.
#[derive(Debug, Serialize, ToSchema)]
struct HeaderView {
    /// Its name.
    name: String,
    /// Its body.
    value: String,
}

/// Something that is attached to a message.
#[derive(Debug, Serialize, ToSchema)]
struct AttachmentView {
    /// The name that the message gives it.
    name: Option<String>,
    /// Its media type.
    media: String,
    /// Octets, decoded.
    octets: usize,
}

/// Which messages are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Those for this recipient alone, as it was given in RCPT.
    recipient: Option<String>,
    /// Those with a higher number alone.
    #[serde(default)]
    after: u64,
}

/// Which message is waited for, and how long.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Awaited {
    /// One for this recipient, as it was given in RCPT; without it, for any.
    recipient: Option<String>,
    /// One with a higher number, so that a message that was seen before does not count.
    #[serde(default)]
    after: u64,
    /// How many seconds to wait, 60 at most; 10 unless it is said.
    #[param(minimum = 0, maximum = 60)]
    timeout: Option<f64>,
}

fn view(kept: &KeptMessage) -> MessageView {
    let message = &kept.message;
    let head = message.content.head();
    let parsed = MessageParser::new().parse_headers(&*head);
    let host = message.hosts.first();
    MessageView {
        id: kept.id,
        at: message.at,
        session: message.session,
        host: host.map_or_else(|| message.address.to_string(), ToString::to_string),
        hosts: message.hosts.clone(),
        address: message.address,
        from: message.from.clone(),
        to: message.to.clone(),
        tls: message.tls,
        octets: message.content.len(),
        subject: parsed.and_then(|parsed| parsed.subject().map(str::to_owned)),
    }
}

fn is_for(kept: &KeptMessage, recipient: Option<&String>, after: u64) -> bool {
    kept.id > after && recipient.is_none_or(|recipient| kept.message.to.contains(recipient))
}

/// The messages
#[utoipa::path(
    get, path = "/v1/messages", tag = "mail",
    params(Wanted),
    responses((status = 200, description = "Those that are kept", body = MessagesView), Refused)
)]
pub(crate) async fn list(
    State(state): State<ApiState>,
    Parameters(Wanted { recipient, after }): Parameters<Wanted>,
) -> Result<Json<MessagesView>, Problem> {
    state.desk.caught_up().await?;
    let kept = state.desk.kept.lock();
    let wanted = kept
        .messages()
        .filter(|one| is_for(one, recipient.as_ref(), after));
    Ok(Json(MessagesView {
        messages: wanted.map(view).collect(),
        dropped: kept.dropped_messages(),
    }))
}

/// Forget all messages
///
/// What they were sent for is judged all the same.
#[utoipa::path(
    delete, path = "/v1/messages", tag = "mail",
    responses((status = 204, description = "They are forgotten"), Refused)
)]
pub(crate) async fn forget(State(state): State<ApiState>) -> Result<StatusCode, Problem> {
    state.desk.caught_up().await?;
    state.desk.kept.lock().forget_messages();
    Ok(StatusCode::NO_CONTENT)
}

/// Wait for a message
///
/// One that was taken before counts, unless `after` says otherwise; of several it is the last.
#[utoipa::path(
    get, path = "/v1/messages/wait", tag = "mail",
    params(Awaited),
    responses(
        (status = 200, description = "It is there", body = WholeMessageView),
        (status = 404, description = "None came in time", body = Problem, content_type = "application/problem+json"),
        Refused,
    )
)]
pub(crate) async fn wait(
    State(state): State<ApiState>,
    Parameters(Awaited {
        recipient,
        after,
        timeout,
    }): Parameters<Awaited>,
) -> Result<Json<WholeMessageView>, Problem> {
    let timeout = timeout.unwrap_or(USUAL_WAIT);
    if !(0.0..=MOST_WAIT).contains(&timeout) {
        let why = format!("found timeout={timeout}, expected 0 to {MOST_WAIT} seconds");
        return Err(Problem::new(StatusCode::BAD_REQUEST, why));
    }
    state.desk.caught_up().await?;
    let mut changes = state.desk.kept.changes();
    let came = async {
        loop {
            let found = {
                let kept = state.desk.kept.lock();
                let mut wanted = kept.messages().rev();
                wanted
                    .find(|one| is_for(one, recipient.as_ref(), after))
                    .cloned()
            };
            match found {
                Some(found) => return Ok::<_, Problem>(found),
                None => changes.changed().await.map_err(|_| Problem::no_lab())?,
            }
        }
    };
    match tokio::time::timeout(Duration::from_secs_f64(timeout), came).await {
        Ok(found) => read(found?).await.map(Json),
        Err(_) => {
            let whom = recipient.map_or_else(String::new, |to| format!(" for {to}"));
            Err(Problem::not_found(format!(
                "found no message{whom} within {timeout} s, expected one; GET /v1/attempts has what was tried"
            )))
        }
    }
}

/// One message
#[utoipa::path(
    get, path = "/v1/messages/{id}", tag = "mail",
    params(("id" = u64, Path, description = "Its number")),
    responses(
        (status = 200, description = "Its envelope, header and text", body = WholeMessageView),
        (status = 404, description = "No message has this number", body = Problem, content_type = "application/problem+json"),
        Refused,
    )
)]
pub(crate) async fn show(
    State(state): State<ApiState>,
    Number(id): Number<u64>,
) -> Result<Json<WholeMessageView>, Problem> {
    read(find(&state, id).await?).await.map(Json)
}

async fn find(state: &ApiState, id: u64) -> Result<KeptMessage, Problem> {
    state.desk.caught_up().await?;
    let found = state.desk.kept.lock().message(id).cloned();
    found.ok_or_else(|| {
        Problem::not_found(format!(
            "found no message {id}, expected one that GET /v1/messages lists"
        ))
    })
}

/// Reads a message, on a thread of its own: it may be long.
async fn read(kept: KeptMessage) -> Result<WholeMessageView, Problem> {
    let read = move || -> io::Result<WholeMessageView> { whole(&kept) };
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(error)) => Err(unreadable(&error)),
        Err(_) => Err(Problem::busy(
            "found a message that could not be read, expected its content at /eml",
        )),
    }
}

fn unreadable(error: &io::Error) -> Problem {
    Problem::busy(format!("found a content that cannot be read: {error}"))
}

fn whole(kept: &KeptMessage) -> io::Result<WholeMessageView> {
    let content = kept.message.content.read()?;
    let parsed = MessageParser::new().parse(&content);
    let headers = parsed.iter().flat_map(|parsed| parsed.headers_raw());
    let headers = headers.map(|(name, value)| HeaderView {
        name: name.to_owned(),
        value: unfolded(value),
    });
    let text = parsed.as_ref().and_then(|parsed| parsed.body_text(0));
    let text = text.map(std::borrow::Cow::into_owned);
    let attachments = parsed.iter().flat_map(|parsed| parsed.attachments());
    let attachments = attachments.map(|part| AttachmentView {
        name: part.attachment_name().map(str::to_owned),
        media: part.content_type().map_or_else(
            || "text/plain".to_owned(),
            |media| format!("{}/{}", media.ctype(), media.subtype().unwrap_or("*")),
        ),
        octets: part.contents().len(),
    });
    let text_is_cut = text.as_ref().is_some_and(|text| text.len() > MOST_TEXT);
    Ok(WholeMessageView {
        message: view(kept),
        headers: headers.collect(),
        text: text.map(cut),
        text_is_cut,
        attachments: attachments.collect(),
        eml: format!("/v1/messages/{}/eml", kept.id),
    })
}

/// The body of a field on one line (RFC 5322 section 2.2.3).
fn unfolded(value: &str) -> String {
    value.replace(['\r', '\n'], "").trim().to_owned()
}

fn cut(mut text: String) -> String {
    let mut end = MOST_TEXT.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

/// A message as it came
///
/// To the octet, without the dots that were doubled for the transfer.
#[utoipa::path(
    get, path = "/v1/messages/{id}/eml", tag = "mail",
    params(("id" = u64, Path, description = "Its number")),
    responses(
        (status = 200, description = "Its content", body = Vec<u8>, content_type = "message/rfc822"),
        (status = 404, description = "No message has this number", body = Problem, content_type = "application/problem+json"),
        Refused,
    )
)]
pub(crate) async fn eml(
    State(state): State<ApiState>,
    Number(id): Number<u64>,
) -> Result<Response, Problem> {
    let kept = find(&state, id).await?;
    let permit = Arc::clone(&state.contents).try_acquire_owned();
    let permit = permit.map_err(|_| {
        Problem::busy(
            "found as many contents handed out as may be at once, expected fewer: ask again",
        )
    })?;
    let content = kept.message.content;
    let read = tokio::task::spawn_blocking(move || content.read()).await;
    let content = read.map_err(io::Error::other).and_then(|content| content);
    let content = Bytes::from(content.map_err(|error| unreadable(&error))?);
    let length = content.len();
    // Its memory is given back, and another may be handed out, when the last piece is on its way.
    let pieces = stream::unfold((content, permit), |(mut rest, permit)| async move {
        let piece = rest.split_to(rest.len().min(PIECE));
        (!piece.is_empty()).then_some((Ok::<_, io::Error>(piece), (rest, permit)))
    });
    let headers = [
        (header::CONTENT_TYPE, "message/rfc822".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        // It is no page of ours, whatever it says.
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{id}.eml\""),
        ),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}
