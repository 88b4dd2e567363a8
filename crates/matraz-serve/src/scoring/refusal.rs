//! What a request gets that cannot be answered.

use matraz_base::{Explain, Kind};

use super::json::write_text;

/// Why a request was refused, ready to be sent: MLflow's error body, or plain text for content types.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The content type of [`body`](Self::body).
    pub content_type: &'static str,
    /// The reason in words.
    pub message: String,
    /// The body.
    pub body: String,
}

impl Refusal {
    fn json(code: &str, state: &str, class: &str, message: String, trace: Option<&str>) -> Self {
        let mut body = String::from("{\"error_code\": ");
        write_text(&mut body, code);
        body.push_str(", \"message\": ");
        write_text(&mut body, &message);
        body.push_str(", \"sqlstate\": ");
        write_text(&mut body, state);
        body.push_str(", \"error_class\": ");
        write_text(&mut body, class);
        if let Some(trace) = trace {
            body.push_str(", \"stack_trace\": ");
            write_text(&mut body, trace);
        }
        body.push('}');
        Self { status: 400, content_type: "application/json", message, body }
    }

    /// The body cannot be read.
    pub(super) fn invalid_input(message: impl AsRef<str>) -> Self {
        Self::bad_request(format!("Invalid input. {}", message.as_ref()))
    }

    /// The request is not one of the protocol.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::json("BAD_REQUEST", "KAM00", "INVALID_PARAMETER_VALUE", message.into(), None)
    }

    /// The data does not fit the signature. `data` describes the data, `error` says what does not fit.
    pub(super) fn schema(data: &str, schema: &str, error: &str) -> Self {
        let message = format!(
            "Failed to predict data '{data}'. \nError: Failed to enforce schema of data '{data}' with schema \
             '{schema}'. Error: {error}"
        );
        Self::json("INVALID_PARAMETER_VALUE", "KAM01", "SCHEMA_ENFORCEMENT_FAILED", message, None)
    }

    /// A parameter does not fit the signature.
    pub(super) fn params(data: &str, error: &str) -> Self {
        let message = format!("Failed to predict data '{data}'. \nError: {error}");
        Self::json("INVALID_PARAMETER_VALUE", "KAM00", "INVALID_PARAMETER_VALUE", message, None)
    }

    /// The model could not work on the data.
    pub(super) fn evaluation(reason: &str) -> Self {
        let message = "Encountered an unexpected error while evaluating the model. Verify that the serialized \
                       input Dataframe is compatible with the model for inference.";
        let mut refusal =
            Self::json("BAD_REQUEST", "KAM00", "INVALID_PARAMETER_VALUE", message.to_owned(), Some(reason));
        refusal.message = format!("{message} {reason}");
        refusal
    }

    /// The content type is none of the protocol's.
    pub(super) fn content_type(message: String) -> Self {
        Self { status: 415, content_type: "text/plain; charset=utf-8", body: message.clone(), message }
    }
}

impl Explain for Refusal {
    fn kind(&self) -> Kind {
        Kind::Usage
    }
}
