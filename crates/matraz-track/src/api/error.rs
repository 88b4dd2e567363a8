//! How an error looks on the wire.

use axum::http::HeaderValue;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::again::BrokenOff;
use crate::error::{Code, DriverError, Error};

/// The body of every error answer.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ErrorBody {
    /// The code that clients branch on, as `RESOURCE_DOES_NOT_EXIST`.
    #[schema(example = "INVALID_PARAMETER_VALUE")]
    pub error_code: &'static str,
    /// The message for people.
    pub message: String,
    /// A class of SQLSTATE's kind, as `KAM00`; newer clients put it into their own errors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sqlstate: Option<&'static str>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_class: Option<&'static str>,
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let code = self.code();
        if code.status().is_server_error() && !matches!(self, Self::Request { .. }) {
            tracing::error!(error = %self, "request failed");
        }
        let is_broken_off = self.is_broken_off();
        let (sqlstate, error_class) = code.class().unzip();
        let body = ErrorBody { error_code: code.name(), message: self.to_string(), sqlstate, error_class };
        let text = serde_json::to_string(&body).unwrap_or_else(|_| "{}".to_owned());
        let mut answer = (code.status(), [(CONTENT_TYPE, "application/json")], text).into_response();
        if code == Code::RequestLimitExceeded {
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if is_broken_off {
            answer.extensions_mut().insert(BrokenOff);
        }
        answer
    }
}

impl Error {
    /// A body that is too long or did not come whole.
    pub(crate) fn unreadable_body(error: &axum::Error) -> Self {
        Self::invalid(format!("the body of the request cannot be read: {error}"))
    }

    /// Whether PostgreSQL broke a transaction off for the sake of another one: a serialization failure or a deadlock.
    fn is_broken_off(&self) -> bool {
        let Self::Busy(DriverError::Postgres(sqlx::Error::Database(fault))) = self else { return false };
        matches!(fault.code().as_deref(), Some("40001" | "40P01"))
    }
}
