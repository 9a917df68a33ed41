//! What the lab saw: a page of it, or a stream as it happens (server-sent events).
//!
//! The stream has no buffer for each follower: it reads what is kept, so that a slow one costs nothing and misses
//! what was dropped meanwhile, which it is told. Numbers are the ids of the stream; a follower that comes back with
//! `Last-Event-ID` gets what it missed, as far as that is kept.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Sse,
        sse::{self, KeepAlive},
    },
};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};

use super::{ApiState, Parameters};
use crate::control_api::{
    kept::{KeptEvent, SharedKept},
    problem::{Problem, Refused},
};

/// Events that are read at a time.
const PIECE: usize = 256;
/// The most events of a page, and how many it has unless it is said.
const MOST_OF_A_PAGE: usize = 10_000;
const USUAL_PAGE: usize = 1000;
/// How often a stream in which nothing happens says that it is there.
const STILL_THERE: Duration = Duration::from_secs(15);

/// Something that the lab saw, as `mxdrill up --format json` writes it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventView {
    /// Its number. It is not used again.
    id: u64,
    /// For a message that was taken: its number at /v1/messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    received: Option<u64>,
    /// When, in seconds since the lab was put up (`at`); what (`event`); and its particulars.
    #[serde(flatten)]
    #[schema(value_type = BTreeMap<String, Value>)]
    event: Map<String, Value>,
}

impl From<KeptEvent> for EventView {
    fn from(kept: KeptEvent) -> Self {
        let event = match serde_json::to_value(&kept.event) {
            Ok(Value::Object(event)) => event,
            // Every event is an object.
            _ => Map::new(),
        };
        Self {
            id: kept.id,
            received: kept.received,
            event,
        }
    }
}

/// A page of what the lab saw.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventsView {
    /// In their order.
    events: Vec<EventView>,
    /// How many between `after` and the first of these were dropped or forgotten.
    dropped: u64,
    /// The number of the last event there is.
    last: u64,
}

/// Which events are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// Those with a higher number.
    #[serde(default)]
    after: u64,
    /// So many at most, 10000 or fewer; 1000 unless it is said.
    #[param(minimum = 1, maximum = 10000)]
    limit: Option<usize>,
}

/// Where a stream begins.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Beginning {
    /// After the event of this number; without it, and without `Last-Event-ID`, with what happens next.
    after: Option<u64>,
}

/// Events
#[utoipa::path(
    get, path = "/v1/events", tag = "log",
    params(Page),
    responses((status = 200, description = "A page of them", body = EventsView), Refused)
)]
pub(crate) async fn list(
    State(state): State<ApiState>,
    Parameters(Page { after, limit }): Parameters<Page>,
) -> Result<Json<EventsView>, Problem> {
    let limit = limit.unwrap_or(USUAL_PAGE);
    if !(1..=MOST_OF_A_PAGE).contains(&limit) {
        let why = format!("found limit={limit}, expected 1 to {MOST_OF_A_PAGE}");
        return Err(Problem::new(StatusCode::BAD_REQUEST, why));
    }
    state.desk.caught_up().await?;
    let (events, dropped, last) = {
        let kept = state.desk.kept.lock();
        let (events, dropped) = kept.events_after(after, limit);
        (events, dropped, kept.last_event())
    };
    Ok(Json(EventsView {
        events: events.into_iter().map(EventView::from).collect(),
        dropped,
        last,
    }))
}

/// Forget all events and messages
///
/// Attempts and the verdict begin anew. Faults and records stay as they are.
#[utoipa::path(
    delete, path = "/v1/events", tag = "log",
    responses((status = 204, description = "They are forgotten"), Refused)
)]
pub(crate) async fn forget(State(state): State<ApiState>) -> Result<StatusCode, Problem> {
    state.desk.caught_up().await?;
    state.desk.kept.lock().forget();
    Ok(StatusCode::NO_CONTENT)
}

/// Events as they happen
///
/// Server-sent events: `id` is the number, `data` an event as `GET /v1/events` has it. One of the type `dropped` says
/// how many could not be sent, because they were dropped or forgotten before.
#[utoipa::path(
    get, path = "/v1/events/stream", tag = "log",
    params(Beginning, ("Last-Event-ID" = Option<u64>, Header, description = "The number of the last event that was seen")),
    responses((status = 200, description = "Without an end", body = String, content_type = "text/event-stream"), Refused)
)]
pub(crate) async fn stream(
    State(state): State<ApiState>,
    Parameters(Beginning { after }): Parameters<Beginning>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let permit = Arc::clone(&state.followers).try_acquire_owned();
    let permit = permit.map_err(|_| {
        Problem::busy("found as many followers of the stream as there may be, expected fewer: read GET /v1/events")
    })?;
    // A browser that connects again says where it was, whatever the address says.
    let seen = match headers.get("last-event-id") {
        None => after,
        Some(id) => {
            let number = id.to_str().ok().and_then(|id| id.trim().parse().ok());
            let why = || format!("found Last-Event-ID {id:?}, expected the number of an event");
            Some(number.ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, why()))?)
        }
    };
    state.desk.caught_up().await?;
    let kept = state.desk.kept;
    let last = kept.lock().last_event();
    // A number that is still to come is of another process, which was at this address before.
    let seen = match seen {
        Some(seen) if seen > last => 0,
        seen => seen.unwrap_or(last),
    };
    let changes = kept.changes();
    let pieces = stream::unfold(
        (kept, changes, seen, permit),
        |(kept, mut changes, seen, permit)| async move {
            loop {
                changes.mark_unchanged();
                if let Some((piece, seen)) = next(&kept, seen) {
                    return Some((stream::iter(piece), (kept, changes, seen, permit)));
                }
                changes.changed().await.ok()?;
            }
        },
    );
    let alive = KeepAlive::new().interval(STILL_THERE);
    Ok(Sse::new(pieces.flatten().map(Ok::<_, Infallible>)).keep_alive(alive))
}

/// What follows an event, and the number up to which that is; `None` if nothing does yet.
fn next(kept: &SharedKept, seen: u64) -> Option<(Vec<sse::Event>, u64)> {
    let (events, dropped, last) = {
        let kept = kept.lock();
        let (events, dropped) = kept.events_after(seen, PIECE);
        (events, dropped, kept.last_event())
    };
    // All that there was since may be forgotten.
    let up_to = events.last().map_or(last, |event| event.id);
    if events.is_empty() && dropped == 0 {
        return None;
    }
    let mut piece = Vec::new();
    if dropped > 0 {
        let data = json!({ "dropped": dropped });
        piece.push(
            sse::Event::default()
                .event("dropped")
                .data(data.to_string()),
        );
    }
    for event in events {
        let id = event.id.to_string();
        // Numbers and texts can be written always.
        let data = serde_json::to_string(&EventView::from(event)).unwrap_or_default();
        piece.push(sse::Event::default().id(id).data(data));
    }
    Some((piece, up_to.max(seen)))
}
