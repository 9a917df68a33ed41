//! What can be asked of the API: a file for each resource, and the description of all of them.
//!
//! Handlers take what they need from their arguments, ask the lab through the desk, and answer with a view that has
//! a schema. `the_description_has_every_route` in cli/tests/control/main.rs holds the router against the description.

pub(crate) mod events;
pub(crate) mod faults;
pub(crate) mod labs;
pub(crate) mod messages;
pub(crate) mod records;
pub(crate) mod verdicts;

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Query, Request},
    http::{Method, StatusCode, Uri, request::Parts},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{delete, get},
};
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use utoipa::OpenApi;

use super::{
    desk::Desk,
    guard::{OwnNames, guard},
    page,
    problem::Problem,
};

/// Octets of the body of a request: a scenario.
const MOST_OCTETS: usize = 1024 * 1024;
/// How long a request may take, from its head to the head of its response: longer than anybody may wait for a message.
const MOST_TIME: Duration = Duration::from_secs(90);
/// Followers of the stream of events at once.
const MOST_FOLLOWERS: usize = 32;
/// Contents of messages that are handed out at once: each takes memory while it is.
const MOST_CONTENTS: usize = 8;

/// What handlers have.
#[derive(Clone)]
pub(crate) struct ApiState {
    pub(crate) desk: Desk,
    /// Whether a scenario that is put up may name a server that receivers hand mail to.
    pub(crate) allow_upstream: bool,
    pub(crate) followers: Arc<Semaphore>,
    pub(crate) contents: Arc<Semaphore>,
}

impl ApiState {
    pub(crate) fn new(desk: Desk, allow_upstream: bool) -> Self {
        Self {
            desk,
            allow_upstream,
            followers: Arc::new(Semaphore::new(MOST_FOLLOWERS)),
            contents: Arc::new(Semaphore::new(MOST_CONTENTS)),
        }
    }
}

/// An API beside a lab that is up: fail its hosts, change its records, read what it saw.
#[derive(OpenApi)]
#[openapi(
    info(title = "mxdrill up --control"),
    paths(
        ready,
        labs::show,
        labs::put_up,
        labs::words,
        records::show,
        records::replace,
        records::update,
        faults::list,
        faults::add,
        faults::lift_all,
        faults::lift,
        messages::list,
        messages::forget,
        messages::wait,
        messages::show,
        messages::eml,
        verdicts::attempts,
        verdicts::verdict,
        events::list,
        events::forget,
        events::stream,
    ),
    tags(
        (name = "lab", description = "The lab and its records"),
        (name = "faults", description = "What fails"),
        (name = "mail", description = "Messages that exchangers took"),
        (name = "log", description = "What the lab saw, and what is thought of it"),
    )
)]
pub(crate) struct Description;

/// Everything that is served.
pub(crate) fn router(state: ApiState, names: OwnNames) -> Router {
    let api = Router::new()
        .route("/v1/lab", get(labs::show).put(labs::put_up))
        .route("/v1/words", get(labs::words))
        .route(
            "/v1/records",
            get(records::show)
                .put(records::replace)
                .patch(records::update),
        )
        .route(
            "/v1/faults",
            get(faults::list).post(faults::add).delete(faults::lift_all),
        )
        .route("/v1/faults/{id}", delete(faults::lift))
        .route("/v1/messages", get(messages::list).delete(messages::forget))
        .route("/v1/messages/wait", get(messages::wait))
        .route("/v1/messages/{id}", get(messages::show))
        .route("/v1/messages/{id}/eml", get(messages::eml))
        .route("/v1/attempts", get(verdicts::attempts))
        .route("/v1/verdict", get(verdicts::verdict))
        .route("/v1/events", get(events::list).delete(events::forget))
        .route("/v1/events/stream", get(events::stream))
        .route("/readyz", get(ready))
        .route("/openapi.json", get(description));
    page::add(api)
        .fallback(nothing_there)
        .method_not_allowed_fallback(wrong_method)
        .with_state(state)
        .layer(from_fn(in_time))
        .layer(from_fn_with_state(names, guard))
        .layer(DefaultBodyLimit::max(MOST_OCTETS))
}

/// That the lab is up and answers.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
struct Readiness {
    /// `ready`.
    #[schema(example = "ready")]
    status: &'static str,
}

/// Whether the lab is up
#[utoipa::path(
    get, path = "/readyz", tag = "lab",
    responses((status = 200, description = "It is", body = Readiness), super::problem::Refused)
)]
async fn ready(
    axum::extract::State(state): axum::extract::State<ApiState>,
) -> Result<Json<Readiness>, Problem> {
    state.desk.caught_up().await?;
    Ok(Json(Readiness { status: "ready" }))
}

async fn description() -> Json<utoipa::openapi::OpenApi> {
    Json(Description::openapi())
}

async fn nothing_there(uri: Uri) -> Problem {
    let path = uri.path();
    Problem::not_found(format!(
        "found {path:?}, expected a path that /openapi.json has"
    ))
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    let path = uri.path();
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("found {method} {path:?}, expected a method that /openapi.json has for this path"),
    )
}

/// Gives a request up that takes too long, such as one whose body does not come.
async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(MOST_TIME, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::busy(format!(
            "found a request that takes more than {} s, expected one that comes to its end",
            MOST_TIME.as_secs()
        ))
        .into_response(),
    }
}

/// The body of a request as JSON; what is wrong with it is a problem.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Json(body) = Json::from_request(request, state).await?;
        Ok(Self(body))
    }
}

/// The parameters behind the question mark.
pub(crate) struct Parameters<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(parameters) = Query::from_request_parts(parts, state).await?;
        Ok(Self(parameters))
    }
}

/// The number in a path.
pub(crate) struct Number<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Number<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(number) = Path::from_request_parts(parts, state).await?;
        Ok(Self(number))
    }
}
