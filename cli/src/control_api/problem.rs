//! What a request that cannot be fulfilled is answered with: `application/problem+json` (RFC 9457), always.

use axum::{
    extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use mxdrill::diagnostic::{Invalid, Mistakes};
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

/// Why a request was not fulfilled (RFC 9457).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// The status of the response.
    #[schema(value_type = u16, example = 422)]
    #[serde(serialize_with = "as_number")]
    status: StatusCode,
    /// The status in words.
    title: String,
    /// What was found, and what was expected instead.
    #[schema(
        example = "found stage \"conect\", expected a stage of a session; did you mean \"connect\"?"
    )]
    detail: String,
    /// Of a text, each mistake with its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mistakes: Vec<PlacedMistake>,
}

/// A mistake in a text that was sent.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct PlacedMistake {
    /// The line, from 1.
    line: usize,
    /// The column in characters, from 1.
    column: usize,
    /// What was found and what was expected.
    message: String,
}

// serde hands over a reference.
fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            detail: detail.into(),
            mistakes: Vec::new(),
        }
    }

    /// Something of that kind and number is not there.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// What is asked for does not fit what is there.
    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// It could be read, and means nothing here.
    pub(crate) fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// As much is under way as may be.
    pub(crate) fn busy(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// Mistakes in a text that nobody sent: it was made of what was, and their places mean nothing.
    pub(crate) fn without_places(mistakes: Mistakes) -> Self {
        Self {
            mistakes: Vec::new(),
            ..Self::from(mistakes)
        }
    }

    pub(crate) fn no_lab() -> Self {
        Self::busy("found no lab that is up, expected one: put up a scenario (PUT /v1/lab)")
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Self::unprocessable(invalid.to_string())
    }
}

impl From<Mistakes> for Problem {
    fn from(Mistakes(mistakes): Mistakes) -> Self {
        let messages: Vec<&str> = mistakes.iter().map(|one| one.message.as_str()).collect();
        let problem = Self::unprocessable(messages.join("\n"));
        let placed = mistakes.into_iter().map(|one| PlacedMistake {
            line: one.line,
            column: one.column,
            message: one.message,
        });
        Self {
            mistakes: placed.collect(),
            ..problem
        }
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(&self)).into_response();
        let media = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, media);
        response
    }
}

/// What any request may be answered with.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the description of the API is made of it")]
pub(crate) enum Refused {
    /// It could not be read: a parameter, or the body.
    #[response(status = 400, content_type = "application/problem+json")]
    Unread(Problem),
    /// It comes from a page elsewhere, or names another host.
    #[response(status = 403, content_type = "application/problem+json")]
    FromElsewhere(Problem),
    /// No lab is up, as much is under way as may be, or it took too long.
    #[response(status = 503, content_type = "application/problem+json")]
    Busy(Problem),
}

/// What a request with a body may be answered with beside that.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the description of the API is made of it")]
pub(crate) enum RefusedBody {
    /// The body is larger than 1 MiB.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// The body has another media type than those that are taken.
    #[response(status = 415, content_type = "application/problem+json")]
    Media(Problem),
    /// It could be read, and something in it is wrong: what was found, and what was expected.
    #[response(status = 422, content_type = "application/problem+json")]
    Wrong(Problem),
}
