//! The records of the lab: read, replaced, updated.

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Request, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    ApiState, JsonBody,
    labs::{media_type, text},
};
use crate::control_api::problem::{Problem, Refused, RefusedBody};

/// The records that the name server answers from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecordsView {
    /// As zone-file text, a line each, by their owners. The lab's own ones are among them.
    #[schema(example = "example.test. 300 IN MX 10 mx1.example.test.\n")]
    zone: String,
}

/// A change of records.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordsUpdate {
    /// What is deleted: `NAME`, or `NAME TYPE`.
    #[serde(default)]
    #[schema(example = json!(["example.test MX"]))]
    delete: Vec<String>,
    /// What is added after that: lines of a zone file.
    #[serde(default)]
    #[schema(example = json!(["example.test. 60 MX 10 mx2.example.test."]))]
    add: Vec<String>,
}

/// Zone-file text as it was sent.
pub(crate) struct SentZone(String);

impl FromRequest<ApiState> for SentZone {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        let media = media_type(&request);
        if media != "text/dns" {
            let why = format!("found Content-Type {media:?}, expected text/dns (zone-file text)");
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
        }
        let octets = Bytes::from_request(request, state).await?;
        Ok(Self(text(&octets)?.to_owned()))
    }
}

/// The records
#[utoipa::path(
    get, path = "/v1/records", tag = "lab",
    responses((status = 200, description = "As they are now", body = RecordsView), Refused)
)]
pub(crate) async fn show(State(state): State<ApiState>) -> Result<Json<RecordsView>, Problem> {
    let zone = state.desk.look(|lab| lab.zone().to_text()).await?;
    Ok(Json(RecordsView { zone }))
}

/// Replace the records
///
/// All but the lab's own: the domain `sender.test`, hosts of policies, TLSA records of its certificates. Addresses
/// have to be those of hosts that are up; for others, put up another lab.
#[utoipa::path(
    put, path = "/v1/records", tag = "lab",
    request_body(content = String, content_type = "text/dns", example = "example.test. MX 10 mx1.example.test.\nmx1.example.test. A 192.0.2.1\n"),
    responses((status = 200, description = "They are replaced", body = RecordsView), Refused, RefusedBody)
)]
pub(crate) async fn replace(
    State(state): State<ApiState>,
    SentZone(zone): SentZone,
) -> Result<Json<RecordsView>, Problem> {
    state
        .desk
        .look(move |lab| lab.replace_zone(&zone))
        .await??;
    show(State(state)).await
}

/// Update the records
///
/// Deletes first and adds then. Addresses have to be those of hosts that are up. A resolver that has cached an answer
/// goes on with it until its TTL is over.
#[utoipa::path(
    patch, path = "/v1/records", tag = "lab",
    request_body = RecordsUpdate,
    responses((status = 200, description = "They are updated", body = RecordsView), Refused, RefusedBody)
)]
pub(crate) async fn update(
    State(state): State<ApiState>,
    JsonBody(RecordsUpdate { delete, add }): JsonBody<RecordsUpdate>,
) -> Result<Json<RecordsView>, Problem> {
    let change = move |lab: &mxdrill::Lab| {
        let delete: Vec<&str> = delete.iter().map(String::as_str).collect();
        lab.update(&delete, &(add.join("\n") + "\n"))
    };
    state.desk.look(change).await??;
    show(State(state)).await
}
