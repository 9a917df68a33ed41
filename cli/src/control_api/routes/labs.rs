//! The lab: its hosts and where they listen, and another one in its place.

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Request, State},
    http::{StatusCode, header},
};
use hickory_proto::rr::RData;
use mxdrill::{
    fault::{QueryEffect, Stage},
    lab::{Endpoint, Lab},
    name::Domain,
    scenario::{Engine, Scenario},
    zone::Zone,
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    time::UNIX_EPOCH,
};
use utoipa::ToSchema;

use super::ApiState;
use crate::control_api::problem::{Problem, Refused, RefusedBody};

/// A lab that is up.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LabView {
    /// The name of its scenario.
    scenario: String,
    /// What the scenario claims, in one sentence.
    summary: String,
    /// The first domain with MX records; empty if there is none.
    #[schema(example = "example.test")]
    domain: String,
    /// Where the name server listens, over UDP and TCP.
    #[schema(value_type = String, example = "127.25.0.0:5353")]
    resolver: SocketAddr,
    /// The port of every exchanger, or of the first where they differ by ports.
    smtp_port: u16,
    /// The exchangers and whatever else has an address, by their addresses.
    hosts: Vec<HostView>,
    /// The web servers of MTA-STS policies.
    policy_hosts: Vec<HostView>,
    /// The certificate of the lab's authority (PEM), for clients to trust; null where nobody has a certificate.
    authority: Option<String>,
    /// When it was put up, in seconds since 1970. Moments elsewhere count from then.
    started: f64,
    /// The number of its first event, whether that has come or not.
    first_event: u64,
    /// How much is kept of what it sees.
    keeps: KeepsView,
}

/// How much is kept: the latest events and messages.
#[derive(Debug, Serialize, ToSchema)]
struct KeepsView {
    /// Events, at most.
    events: usize,
    /// Messages, at most.
    messages: usize,
    /// Octets of the contents of all messages together, at most.
    octets: usize,
    /// Messages of this lab that were dropped for lack of room.
    dropped_messages: u64,
    /// Events of this lab that were dropped.
    dropped_events: u64,
}

/// A host of the lab.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HostView {
    /// Its names in the zone, aliases included.
    #[schema(value_type = Vec<String>)]
    names: Vec<Domain>,
    /// The domains of which it is an exchanger.
    exchanges: Vec<ExchangeView>,
    /// Its address in the zone.
    #[schema(value_type = String, example = "192.0.2.1")]
    address: IpAddr,
    /// The address that the name server answers in its place.
    #[schema(value_type = String, example = "127.25.0.1")]
    answered: IpAddr,
    /// Where it listens on this machine.
    #[schema(value_type = String, example = "127.25.0.1:2525")]
    listens: SocketAddr,
    /// Its further ports, as the scenario has them, with where it listens for each.
    #[schema(value_type = BTreeMap<String, String>)]
    ports: BTreeMap<u16, SocketAddr>,
}

/// That a host is an exchanger.
#[derive(Debug, Serialize, ToSchema)]
struct ExchangeView {
    /// Of this domain.
    domain: String,
    /// With this preference; lower is more preferred.
    preference: u16,
}

/// The words of faults.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WordsView {
    /// The stages of a session in their order, each with its effects.
    stages: Vec<StageView>,
    /// The effects on queries.
    query_effects: &'static [&'static str],
}

/// A stage of a session.
#[derive(Debug, Serialize, ToSchema)]
struct StageView {
    /// Its name.
    #[schema(example = "connect")]
    stage: &'static str,
    /// The effects that a fault may have there; with an example where there is a number or a text.
    effects: &'static [&'static str],
}

/// The lab that is up
#[utoipa::path(
    get, path = "/v1/lab", tag = "lab",
    responses((status = 200, description = "Its hosts and its name server", body = LabView), Refused)
)]
pub(crate) async fn show(State(state): State<ApiState>) -> Result<Json<LabView>, Problem> {
    let kept = state.desk.kept.clone();
    let look = move |lab: &Lab| {
        let kept = kept.lock();
        let limits = kept.limits();
        let keeps = KeepsView {
            events: limits.events,
            messages: limits.messages,
            octets: limits.octets,
            dropped_messages: kept.dropped_messages(),
            dropped_events: kept.dropped_events(),
        };
        let started = kept.started().duration_since(UNIX_EPOCH);
        view(
            lab,
            started.unwrap_or_default().as_secs_f64(),
            kept.first_event(),
            keeps,
        )
    };
    Ok(Json(state.desk.look(look).await?))
}

fn view(lab: &Lab, started: f64, first_event: u64, keeps: KeepsView) -> LabView {
    let scenario = lab.scenario();
    let domain = lab.mail_domain();
    let zone = lab.zone();
    let hosts =
        |endpoints: Vec<Endpoint>| endpoints.into_iter().map(|one| host(one, &zone)).collect();
    LabView {
        scenario: scenario.name.clone(),
        summary: scenario.summary.clone(),
        domain: if domain.is_root() {
            String::new()
        } else {
            domain.to_string()
        },
        resolver: lab.resolver(),
        smtp_port: lab.smtp_port(),
        hosts: hosts(lab.endpoints()),
        policy_hosts: hosts(lab.policy_endpoints()),
        authority: lab.authority_pem(),
        started,
        first_event,
        keeps,
    }
}

fn host(endpoint: Endpoint, zone: &Zone) -> HostView {
    let mut exchanges: Vec<ExchangeView> = zone
        .records()
        .filter_map(|record| match &record.data {
            RData::MX(mx) if endpoint.hosts.contains(&Domain::from(&mx.exchange)) => {
                Some(ExchangeView {
                    domain: Domain::from(&record.name).to_string(),
                    preference: mx.preference,
                })
            }
            _ => None,
        })
        .collect();
    exchanges.sort_by(|a, b| (a.preference, &a.domain).cmp(&(b.preference, &b.domain)));
    HostView {
        exchanges,
        address: endpoint.zone_address,
        answered: endpoint.answered,
        listens: endpoint.listens,
        ports: endpoint.ports.into_iter().collect(),
        names: endpoint.hosts,
    }
}

/// A scenario as it was sent.
pub(crate) struct SentScenario(Scenario);

impl FromRequest<ApiState> for SentScenario {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        let media = media_type(&request);
        let octets = Bytes::from_request(request, state).await?;
        let text = text(&octets)?;
        let scenario = match media.as_str() {
            "application/toml" | "text/x-toml" => {
                Scenario::parse_with("scenario.toml", text, &|_| {
                    let why = "no file can be read for a scenario that the API is sent; expected its records in the key zone";
                    Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
                })
            }
            "text/dns" => Scenario::from_zone(text),
            other => {
                let why = format!(
                    "found Content-Type {other:?}, expected application/toml (a scenario) or text/dns (records alone)"
                );
                return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
            }
        }?;
        match upstream(&scenario).filter(|_| !state.allow_upstream) {
            Some(address) => Err(Problem::unprocessable(format!(
                "found upstream {address:?}, expected none: --allow-upstream lets the API put up such a scenario"
            ))),
            None => Ok(Self(scenario)),
        }
    }
}

/// A server that a receiver hands mail to, on this host or on another.
fn upstream(scenario: &Scenario) -> Option<&str> {
    let mut receivers = scenario.world.receivers.iter();
    receivers.find_map(|row| match &row.engine {
        Some(Engine::Upstream(address)) => Some(address.as_str()),
        _ => None,
    })
}

/// The media type of a body, without parameters.
pub(super) fn media_type(request: &Request) -> String {
    let media = request.headers().get(header::CONTENT_TYPE);
    let media = media.and_then(|media| media.to_str().ok());
    let media = media.and_then(|media| media.split(';').next());
    media.unwrap_or_default().trim().to_ascii_lowercase()
}

/// A body as text.
pub(super) fn text(octets: &[u8]) -> Result<&str, Problem> {
    str::from_utf8(octets).map_err(|error| {
        let at = error.valid_up_to();
        Problem::new(
            StatusCode::BAD_REQUEST,
            format!("found an octet at {at} that is no UTF-8, expected text"),
        )
    })
}

/// Put up another lab
///
/// A scenario file, or zone-file text for records alone. The name server and the exchangers stay at their ports if
/// these are to be had; faults, messages and the verdict begin anew. A scenario that is sent cannot name files
/// (`zone_file`, `$INCLUDE`), nor, unless `mxdrill up` was started with `--allow-upstream`, servers behind receivers.
#[utoipa::path(
    put, path = "/v1/lab", tag = "lab",
    request_body(content(
        (String = "application/toml", example = "summary = \"s\"\nzone = \"example.test. MX 10 mx1.example.test.\\nmx1.example.test. A 192.0.2.1\"\nmessages = [{ id = \"m1\", to = \"alice@example.test\" }]\n"),
        (String = "text/dns", example = "example.test. MX 10 mx1.example.test.\nmx1.example.test. A 192.0.2.1\n"),
    )),
    responses(
        (status = 200, description = "It is up", body = LabView),
        (status = 409, description = "It could not be put up, such as for want of a port. The lab before is up again if it can be", body = Problem, content_type = "application/problem+json"),
        Refused, RefusedBody,
    )
)]
pub(crate) async fn put_up(
    State(state): State<ApiState>,
    SentScenario(scenario): SentScenario,
) -> Result<Json<LabView>, Problem> {
    state.desk.put_up(scenario).await?;
    show(State(state)).await
}

/// The words of faults
#[utoipa::path(
    get, path = "/v1/words", tag = "faults",
    responses((status = 200, description = "Stages and effects", body = WordsView), Refused)
)]
pub(crate) async fn words() -> Json<WordsView> {
    let stages = Stage::ALL.into_iter().map(|stage| StageView {
        stage: stage.word(),
        effects: stage.effects(),
    });
    Json(WordsView {
        stages: stages.collect(),
        query_effects: QueryEffect::examples(),
    })
}
