//! Faults: put up, listed, lifted. A fault is a row of a scenario's `faults`, in JSON.

use std::fmt::Write;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use mxdrill::{
    fault::{Failure, Stage, Transport},
    lab::{FaultId, Lab, StandingFault},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{ApiState, JsonBody, Number, Parameters};
use crate::control_api::problem::{Problem, Refused, RefusedBody};

/// Faults at once: each is asked about at each stage of each session.
const MOST_FAULTS: usize = 1000;

/// One text, or several.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
pub(crate) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// A fault to put up, with the keys of a row of `faults` in a scenario file. It is about hosts (`stage` and `effect`,
/// of one `host`, of several, or of all if there is none) or about lookups (`query` and `effect`).
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "host": "mx1.example.test", "stage": "connect", "effect": "refuse" }))]
pub(crate) struct NewFault {
    /// The hosts that fail, by name or by address in the zone.
    host: Option<OneOrMany>,
    /// The port at which they fail alone.
    port: Option<u16>,
    /// The stage of a session: `connect`, `greeting`, `helo`, ..., `quit`.
    stage: Option<String>,
    /// The lookup that fails: `NAME` or `NAME TYPE`.
    query: Option<String>,
    /// What happens instead: `refuse`, `timeout`, `servfail`, `451 4.3.0 busy`; a list is a reply of several lines.
    effect: OneOrMany,
    /// For lookups: over `udp` or over `tcp` alone.
    over: Option<String>,
    /// For this recipient alone, or a pattern such as `*@example.test`.
    recipient: Option<String>,
    /// From this reverse-path alone, or a pattern.
    sender: Option<String>,
    /// Only for messages of more octets than this.
    larger_than: Option<u32>,
    /// When it begins, counted from now: `30s`, `1h30m`.
    from: Option<String>,
    /// When it ends, counted from now.
    until: Option<String>,
    /// How often it strikes before it is used up.
    first: Option<u32>,
    /// It strikes each time that this number has come.
    every: Option<u32>,
    /// How likely it strikes: a number over 0 and up to 1.
    chance: Option<f64>,
}

impl NewFault {
    /// The row as a scenario file has it, each key on a line. Strings of JSON are strings of TOML.
    fn row(&self) -> Result<String, serde_json::Error> {
        let mut row = String::new();
        let mut put = |key: &str, value: String| {
            writeln!(row, "{key} = {value}").expect("a string takes it all");
        };
        for (key, value) in [("host", self.host.as_ref()), ("effect", Some(&self.effect))] {
            if let Some(value) = value {
                put(key, serde_json::to_string(value)?);
            }
        }
        for (key, value) in [
            ("stage", &self.stage),
            ("query", &self.query),
            ("over", &self.over),
            ("recipient", &self.recipient),
            ("sender", &self.sender),
            ("from", &self.from),
            ("until", &self.until),
        ] {
            if let Some(value) = value {
                put(key, serde_json::to_string(value)?);
            }
        }
        for (key, value) in [
            ("port", self.port.map(u32::from)),
            ("larger_than", self.larger_than),
            ("first", self.first),
            ("every", self.every),
        ] {
            if let Some(value) = value {
                put(key, value.to_string());
            }
        }
        if let Some(chance) = self.chance {
            put("chance", format!("{chance:?}"));
        }
        Ok(row)
    }
}

/// A fault that the lab has.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FaultView {
    /// Its number, by which it can be lifted.
    id: usize,
    /// What it is, in words.
    #[schema(example = "mx1.example.test at connect: refuse")]
    text: String,
    /// Whether it was put up while the lab was up, and not by the scenario.
    by_hand: bool,
    /// How often it has struck.
    struck: u32,
    /// The hosts that fail, of one about hosts; none: all.
    host: Vec<String>,
    /// The stage at which they fail; null for one about lookups.
    #[schema(value_type = Option<String>)]
    stage: Option<Stage>,
    /// The lookup that fails; null for one about hosts.
    query: Option<String>,
    /// What happens instead.
    effect: String,
    /// The port at which they fail alone.
    port: Option<u16>,
    /// The transport over which lookups fail alone.
    #[schema(value_type = Option<String>)]
    over: Option<Transport>,
    /// The recipient for whom alone it is so.
    recipient: Option<String>,
    /// The reverse-path with which alone it is so.
    sender: Option<String>,
    /// Only for messages of more octets than this.
    larger_than: Option<usize>,
    /// When it begins, in seconds since the lab was put up.
    from: f64,
    /// When it ends; null: when it is lifted.
    until: Option<f64>,
    /// How often it strikes before it is used up; null: always.
    first: Option<u32>,
    /// It strikes each time that this number has come.
    every: Option<u32>,
    /// How likely it strikes, where that is not sure.
    chance: Option<String>,
}

impl From<StandingFault> for FaultView {
    fn from(standing: StandingFault) -> Self {
        let StandingFault {
            id,
            fault,
            text,
            by_hand,
            struck,
            ..
        } = standing;
        let view = Self {
            id: id.0,
            text,
            by_hand,
            struck,
            host: Vec::new(),
            stage: None,
            query: None,
            effect: String::new(),
            port: None,
            over: None,
            recipient: None,
            sender: None,
            larger_than: None,
            from: fault.from.0.as_secs_f64(),
            until: fault.until.map(|until| until.0.as_secs_f64()),
            first: fault.first,
            every: fault.every,
            chance: fault.chance.map(|chance| chance.to_string()),
        };
        match fault.failure {
            Failure::Session {
                hosts,
                port,
                stage,
                effect,
                recipient,
                sender,
                larger_than,
            } => Self {
                host: hosts.iter().map(ToString::to_string).collect(),
                port,
                stage: Some(stage),
                effect: effect.to_string(),
                recipient,
                sender,
                larger_than,
                ..view
            },
            Failure::Query {
                name,
                record_type,
                over,
                effect,
            } => Self {
                query: Some(match record_type {
                    Some(record_type) => format!("{name} {record_type}"),
                    None => name.to_string(),
                }),
                over,
                effect: effect.to_string(),
                ..view
            },
        }
    }
}

/// The faults that a lab has.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FaultsView {
    /// In the order in which they are asked: the latest put up by hand first, those of the scenario last.
    faults: Vec<FaultView>,
}

/// How many faults were lifted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LiftedView {
    /// How many there were.
    lifted: usize,
}

/// Which faults are lifted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// Those of this host alone.
    host: Option<String>,
    /// Those of lookups alone, if this is true.
    #[serde(default)]
    queries: bool,
}

/// The faults
#[utoipa::path(
    get, path = "/v1/faults", tag = "faults",
    responses((status = 200, description = "All there are, used up or not", body = FaultsView), Refused)
)]
pub(crate) async fn list(State(state): State<ApiState>) -> Result<Json<FaultsView>, Problem> {
    let faults = state.desk.look(Lab::faults).await?;
    let faults = faults.into_iter().map(FaultView::from).collect();
    Ok(Json(FaultsView { faults }))
}

/// Let a host or lookups fail
///
/// It holds for the next connection or query once this is answered, until it is lifted.
#[utoipa::path(
    post, path = "/v1/faults", tag = "faults",
    request_body = NewFault,
    responses(
        (status = 201, description = "It fails now", body = FaultView, headers(("Location" = String, description = "By what it is lifted"))),
        (status = 409, description = "There are as many faults as there may be", body = Problem, content_type = "application/problem+json"),
        Refused, RefusedBody,
    )
)]
pub(crate) async fn add(
    State(state): State<ApiState>,
    JsonBody(fault): JsonBody<NewFault>,
) -> Result<impl IntoResponse, Problem> {
    let row = fault
        .row()
        .map_err(|error| Problem::unprocessable(error.to_string()))?;
    let put_up = move |lab: &Lab| {
        if lab.faults().len() >= MOST_FAULTS {
            let why = format!(
                "found {MOST_FAULTS} faults, expected fewer: lift some (DELETE /v1/faults)"
            );
            return Err(Problem::conflict(why));
        }
        let failing = lab.fail_row(&row).map_err(Problem::without_places)?;
        let id = failing.keep();
        // Nobody has lifted it between.
        lab.faults()
            .into_iter()
            .find(|fault| fault.id == id)
            .ok_or_else(Problem::no_lab)
    };
    let fault = FaultView::from(state.desk.look(put_up).await??);
    let location = [(header::LOCATION, format!("/v1/faults/{}", fault.id))];
    Ok((StatusCode::CREATED, location, Json(fault)))
}

/// Lift faults
///
/// All of them, those of one host, or those of lookups; those of the scenario, too.
#[utoipa::path(
    delete, path = "/v1/faults", tag = "faults",
    params(Which),
    responses(
        (status = 200, description = "They are lifted", body = LiftedView),
        (status = 422, description = "No such host", body = Problem, content_type = "application/problem+json"),
        Refused,
    )
)]
pub(crate) async fn lift_all(
    State(state): State<ApiState>,
    Parameters(which): Parameters<Which>,
) -> Result<Json<LiftedView>, Problem> {
    let restore = move |lab: &Lab| -> Result<usize, Problem> {
        let before = lab.faults().len();
        match &which.host {
            Some(host) => lab.restore(host)?,
            None if which.queries => {}
            None => {
                lab.restore_all();
            }
        }
        if which.queries {
            lab.restore_queries();
        }
        Ok(before - lab.faults().len())
    };
    let lifted = state.desk.look(restore).await??;
    Ok(Json(LiftedView { lifted }))
}

/// Lift one fault
#[utoipa::path(
    delete, path = "/v1/faults/{id}", tag = "faults",
    params(("id" = usize, Path, description = "Its number")),
    responses(
        (status = 204, description = "It is lifted"),
        (status = 404, description = "No fault has this number", body = Problem, content_type = "application/problem+json"),
        Refused,
    )
)]
pub(crate) async fn lift(
    State(state): State<ApiState>,
    Number(id): Number<usize>,
) -> Result<StatusCode, Problem> {
    let lifted = state.desk.look(move |lab| lab.lift(FaultId(id))).await?;
    match lifted {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found(format!(
            "found no fault {id}, expected one that GET /v1/faults lists"
        ))),
    }
}
