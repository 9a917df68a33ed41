//! What was tried, and what is thought of it so far.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use axum::{Json, extract::State};
use mxdrill::{
    drill,
    event::SessionId,
    fault::Stage,
    lab::Lab,
    level::Level,
    mail::MessageId,
    name::Domain,
    observe::{self, Attempt},
    time::Moment,
    verdict::{Finding, SenderKind, Subject},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{ApiState, Parameters};
use crate::control_api::problem::{Problem, Refused};

/// One try at an exchanger: a connection, or a transaction of one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttemptView {
    /// What it was, in words.
    #[schema(example = "mx1.example.test refused [192.0.2.1] +0s")]
    text: String,
    /// The scenario's message that it was for; null where that cannot be told.
    #[schema(value_type = Option<String>)]
    message: Option<MessageId>,
    /// The session.
    #[schema(value_type = u64)]
    session: SessionId,
    /// When it began, in seconds since the lab was put up.
    #[schema(value_type = f64)]
    at: Moment,
    /// When it ended, as far as the lab saw.
    #[schema(value_type = f64)]
    ended: Moment,
    /// The host in one word.
    #[schema(example = "mx1.example.test")]
    host: String,
    /// The names of the host in the zone.
    #[schema(value_type = Vec<String>)]
    hosts: Arc<[Domain]>,
    /// Its address in the zone.
    #[schema(value_type = String)]
    address: IpAddr,
    /// The port, as the scenario has it.
    port: u16,
    /// How it ended: `accepted`, a reply code, `refused`, `timeout`, ...
    #[schema(example = "accepted")]
    result: String,
    /// The stage at which it ended; null if the message was accepted.
    #[schema(value_type = Option<String>)]
    stage: Option<Stage>,
    /// The text of the reply that ended it.
    reply: Option<String>,
    /// Whether the session was inside TLS by its end.
    tls: bool,
    /// The reverse-path of MAIL; null if there was no transaction.
    from: Option<String>,
    /// The recipients of RCPT, refused ones included.
    offered: Vec<String>,
    /// The recipients for whom the message was accepted.
    taken: Vec<String>,
}

/// What was tried.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttemptsView {
    /// In the order in which they began.
    attempts: Vec<AttemptView>,
    /// Events that were dropped for lack of room: attempts of before are not in the list.
    dropped_events: u64,
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            text: attempt.to_string(),
            host: attempt.host(),
            result: attempt.result.to_string(),
            message: attempt.message,
            session: attempt.session,
            at: attempt.at,
            ended: attempt.ended,
            hosts: attempt.hosts,
            address: attempt.address,
            port: attempt.port,
            stage: attempt.stage,
            reply: attempt.reply,
            tls: attempt.tls,
            from: attempt.from,
            offered: attempt.offered,
            taken: attempt.taken,
        }
    }
}

/// Something that is wrong, with what shows it.
#[derive(Debug, Serialize, ToSchema)]
struct FindingView {
    /// The claim that does not hold.
    #[schema(
        example = "a pass that fails transiently tries a second candidate where there is one (message m1)"
    )]
    claim: String,
    /// The rule that it breaks (docs/rules.md); null for an expectation of the scenario.
    #[schema(example = "next-candidate")]
    rule: Option<&'static str>,
    /// How strongly it is asked for: `MUST`, `SHOULD`, `MAY`, `INFO`.
    #[schema(value_type = String, example = "MUST")]
    level: Level,
    /// The sections that ask for it.
    #[schema(example = json!(["RFC 5321 section 5.1"]))]
    cites: Vec<String>,
    /// What it is about: an object with `message`, `recipient` or `host`, or null for all.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    subject: Subject,
    /// What was expected, a line each.
    expected: Vec<String>,
    /// What was observed instead, a line each.
    observed: Vec<String>,
    /// What led there, a line each.
    because: Vec<String>,
}

impl From<Finding> for FindingView {
    fn from(finding: Finding) -> Self {
        Self {
            claim: finding.claim,
            rule: finding.rule,
            level: finding.level,
            cites: finding.cites,
            subject: finding.subject,
            expected: finding.expected,
            observed: finding.observed,
            because: finding.because,
        }
    }
}

/// What is thought of what the lab saw so far.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VerdictView {
    /// Whether nothing is wrong; null if it could not be judged, for which see `notes`.
    passed: Option<bool>,
    /// What is wrong: expectations first, then rules.
    findings: Vec<FindingView>,
    /// What is worth knowing and no failure.
    notes: Vec<String>,
    /// How many messages were delivered, deferred and bounced.
    #[schema(example = json!({ "delivered": 1 }))]
    outcomes: BTreeMap<String, usize>,
    /// How many attempts were made for the messages.
    attempts: usize,
}

/// Who sent.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum SenderWord {
    /// A program that ends: what it did not deliver it may have given up, and it does not try again.
    #[default]
    Command,
    /// A mail server, with a queue and a schedule of its own.
    MailServer,
}

/// Who is judged.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Judged {
    /// Who sent, which decides what can be held against it: `command` unless it is said.
    #[serde(default)]
    #[param(inline)]
    sender: SenderWord,
}

/// What was tried
#[utoipa::path(
    get, path = "/v1/attempts", tag = "log",
    responses((status = 200, description = "Sessions under way included", body = AttemptsView), Refused)
)]
pub(crate) async fn attempts(State(state): State<ApiState>) -> Result<Json<AttemptsView>, Problem> {
    let scenario = state.desk.look(Lab::scenario).await?;
    let kept = state.desk.kept.clone();
    let work = move || {
        let (events, dropped_events) = kept.lock().of_this_lab();
        let attempts = observe::attempts(&scenario, &events).into_iter();
        AttemptsView {
            attempts: attempts.map(AttemptView::from).collect(),
            dropped_events,
        }
    };
    aside(work).await
}

/// The verdict so far
///
/// By the rules of the RFCs and what the scenario expects, as `mxdrill exec` judges. A lab of records alone is judged
/// by the messages that its exchangers were offered. Where events were dropped for lack of room nothing is judged:
/// what they would explain might be held against the sender. `DELETE /v1/events` begins anew.
#[utoipa::path(
    get, path = "/v1/verdict", tag = "log",
    params(Judged),
    responses((status = 200, description = "What is wrong", body = VerdictView), Refused)
)]
pub(crate) async fn verdict(
    State(state): State<ApiState>,
    Parameters(Judged { sender }): Parameters<Judged>,
) -> Result<Json<VerdictView>, Problem> {
    let (scenario, trouble) = state
        .desk
        .look(|lab| (lab.scenario(), lab.trouble()))
        .await?;
    let kept = state.desk.kept.clone();
    let kind = match sender {
        SenderWord::Command => SenderKind::Command,
        SenderWord::MailServer => SenderKind::MailServer,
    };
    let work = move || {
        let (events, dropped) = kept.lock().of_this_lab();
        let dropped = (dropped > 0).then(|| {
            format!("not judged: {dropped} events were dropped for lack of room; DELETE /v1/events begins anew")
        });
        let trouble =
            trouble.map(|why| format!("not judged: what the lab saw cannot be relied on: {why}"));
        if let Some(why) = dropped.or(trouble) {
            return VerdictView {
                passed: None,
                findings: Vec::new(),
                notes: vec![why],
                outcomes: BTreeMap::new(),
                attempts: 0,
            };
        }
        let verdict = drill::judge_so_far(&scenario, &events, kind);
        let outcomes = verdict.outcomes.iter();
        VerdictView {
            passed: Some(verdict.passed()),
            outcomes: outcomes
                .map(|(outcome, count)| (outcome.to_string(), *count))
                .collect(),
            attempts: verdict.attempts,
            findings: verdict
                .findings
                .into_iter()
                .map(FindingView::from)
                .collect(),
            notes: verdict.notes,
        }
    };
    aside(work).await
}

/// Does what may take long on a thread of its own, so that others are answered meanwhile.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Json<T>, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map(Json)
        .map_err(|_| Problem::busy("found a log that could not be judged, expected one that can; DELETE /v1/events begins anew"))
}
