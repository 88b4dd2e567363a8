//! `/3.0/mlflow/traces/{trace_id}/assessments`.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::json::{Empty, Reply};
use super::time::Timestamp;
use super::{Answer, Message, Request};
use crate::assessment::{self, Kind, Update};
use crate::error::{Error, Result};
use crate::python;
use crate::service::Service;

/// The format of values that are no simple JSON values.
const JSON_FORMAT: &str = "JSON_FORMAT";

pub(crate) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(get, update, delete))
}

/// Something that is said about a trace: exactly one of feedback, expectation and issue.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Assessment {
    #[serde(skip_serializing_if = "String::is_empty")]
    assessment_id: String,
    /// What is judged, as `correctness`.
    assessment_name: String,
    trace_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_id: Option<String>,
    source: Source,
    #[serde(skip_serializing_if = "Option::is_none")]
    create_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_update_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    feedback: Option<Feedback>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expectation: Option<Expectation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rationale: Option<String>,
    /// Read where `feedback.error` is not given.
    #[serde(skip_serializing)]
    error: Option<AssessmentError>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overrides: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issue: Option<Issue>,
}

/// Who or what says it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Source {
    /// `HUMAN`, `LLM_JUDGE` or `CODE`.
    source_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_id: Option<String>,
}

/// A judgement.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Feedback {
    /// Any JSON.
    value: Json,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<AssessmentError>,
}

/// Why there is no value.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct AssessmentError {
    error_code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack_trace: Option<String>,
}

/// What would have been right.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Expectation {
    /// A simple value.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Json>,
    /// A list or an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    serialized_value: Option<SerializedValue>,
}

/// A value as text.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct SerializedValue {
    /// Always `JSON_FORMAT`.
    serialization_format: String,
    value: String,
}

/// A pointer to a known problem; the name of the assessment is its id.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct Issue {
    #[serde(skip_serializing_if = "Option::is_none")]
    issue_name: Option<String>,
}

impl Assessment {
    /// What the message says, when it says exactly one thing.
    fn value(&self) -> Result<(Kind, Json, Option<Json>)> {
        match (&self.feedback, &self.expectation, &self.issue) {
            (Some(feedback), None, None) => {
                let error = feedback.error.as_ref().or(self.error.as_ref()).map(AssessmentError::stored);
                Ok((Kind::Feedback, doubles(feedback.value.clone()), error))
            }
            (None, Some(expectation), None) => Ok((Kind::Expectation, expectation.read()?, None)),
            (None, None, Some(issue)) => {
                Ok((Kind::Issue, issue.issue_name.clone().map_or(Json::Null, Json::String), None))
            }
            (None, None, None) => Err(Error::invalid("Unknown assessment type: None")),
            _ => Err(Error::invalid(
                "Exactly one of `expectation`, `feedback`, or `issue` should be specified.",
            )),
        }
    }

    /// The assessment as the store takes it.
    pub(super) fn read(self, trace_id: &str) -> Result<assessment::Assessment> {
        let (kind, value, error) = self.value()?;
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        Ok(assessment::Assessment {
            id: self.assessment_id,
            trace_id: trace_id.to_owned(),
            name: self.assessment_name,
            kind,
            value,
            error,
            created: self.create_time.unwrap_or_default().0,
            updated: self.last_update_time.unwrap_or_default().0,
            source_type: source_type(&self.source.source_type)?,
            source_id: self.source.source_id.and_then(given),
            run_id: None,
            span_id: self.span_id.and_then(given),
            rationale: self.rationale.filter(|_| kind != Kind::Expectation),
            overrides: self.overrides.and_then(given),
            valid: true,
            metadata: self.metadata,
        })
    }
}

fn source_type(name: &str) -> Result<String> {
    match name.to_ascii_uppercase().as_str() {
        "" => Ok("SOURCE_TYPE_UNSPECIFIED".to_owned()),
        name @ ("HUMAN" | "LLM_JUDGE" | "CODE" | "SOURCE_TYPE_UNSPECIFIED") => Ok(name.to_owned()),
        "AI_JUDGE" => Ok("LLM_JUDGE".to_owned()),
        _ => Err(Error::invalid(format!(
            "Invalid assessment source type: {name}. Valid source types: HUMAN, LLM_JUDGE, CODE"
        ))),
    }
}

/// Numbers are doubles on the wire.
fn doubles(value: Json) -> Json {
    match value {
        Json::Number(number) => number.as_f64().map_or(Json::Null, Json::from),
        Json::Array(items) => items.into_iter().map(doubles).collect(),
        Json::Object(fields) => {
            Json::Object(fields.into_iter().map(|(key, value)| (key, doubles(value))).collect())
        }
        other => other,
    }
}

impl AssessmentError {
    fn stored(&self) -> Json {
        let text = |text: &Option<String>| text.clone().map_or(Json::Null, Json::String);
        let mut fields = Map::new();
        fields.insert("error_code".to_owned(), Json::from(self.error_code.as_str()));
        fields.insert("error_message".to_owned(), text(&self.error_message));
        fields.insert("stack_trace".to_owned(), text(&self.stack_trace));
        Json::Object(fields)
    }
}

impl Expectation {
    fn read(&self) -> Result<Json> {
        let Some(serialized) = &self.serialized_value else {
            let missing = || Error::invalid("The `value` field must be specified.");
            return self.value.clone().map(doubles).ok_or_else(missing);
        };
        if serialized.serialization_format != JSON_FORMAT {
            return Err(Error::invalid(format!(
                "Unknown serialization format: {}. Only {JSON_FORMAT} is supported.",
                serialized.serialization_format
            )));
        }
        serde_json::from_str(&serialized.value)
            .map_err(|error| Error::invalid(format!("the serialized value is not JSON: {error}")))
    }

    fn shown(value: Json) -> Self {
        if value.is_object() || value.is_array() {
            let value = python::json(&value);
            let serialized = SerializedValue { serialization_format: JSON_FORMAT.to_owned(), value };
            return Self { value: None, serialized_value: Some(serialized) };
        }
        Self { value: Some(doubles(value)), serialized_value: None }
    }
}

impl From<assessment::Assessment> for Assessment {
    fn from(stored: assessment::Assessment) -> Self {
        let mut shown = Self {
            assessment_id: stored.id,
            assessment_name: stored.name,
            trace_id: stored.trace_id,
            span_id: stored.span_id,
            source: Source { source_type: stored.source_type, source_id: stored.source_id },
            create_time: Some(Timestamp(stored.created)),
            last_update_time: Some(Timestamp(stored.updated)),
            rationale: stored.rationale,
            metadata: stored.metadata,
            overrides: stored.overrides,
            valid: Some(stored.valid),
            ..Self::default()
        };
        match stored.kind {
            Kind::Feedback => {
                let error = stored.error.and_then(|error| serde_json::from_value(error).ok());
                shown.feedback = Some(Feedback { value: doubles(stored.value), error });
            }
            Kind::Expectation => shown.expectation = Some(Expectation::shown(stored.value)),
            Kind::Issue => {
                shown.issue = Some(Issue { issue_name: stored.value.as_str().map(str::to_owned) });
            }
        }
        shown
    }
}

/// The names that assessments hold of the client's own.
pub(super) const VERBATIM: &[&str] = &["value", "metadata"];

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct AssessmentAnswer {
    assessment: Assessment,
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct CreateAssessment {
    assessment: Assessment,
}

impl Message for CreateAssessment {
    const REQUIRED: &'static [&'static str] = &["assessment"];
    const VERBATIM: &'static [&'static str] = VERBATIM;
}

/// Say something about a trace
#[utoipa::path(post, path = "/3.0/mlflow/traces/{trace_id}/assessments", tag = "traces", request_body = CreateAssessment,
    params(("trace_id" = String, Path, description = "`tr-` and 32 digits")),
    responses((status = 200, body = AssessmentAnswer), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
async fn create(
    State(service): State<Service>,
    Path(trace_id): Path<String>,
    Request(request): Request<CreateAssessment>,
) -> Reply<AssessmentAnswer> {
    let new = request.assessment.read(&trace_id)?;
    let mut session = service.db().write().await?;
    let created = assessment::create(&mut session, &new).await?;
    session.commit().await?;
    Ok(Answer(AssessmentAnswer { assessment: created.into() }))
}

/// Get what was said about a trace
#[utoipa::path(get, path = "/3.0/mlflow/traces/{trace_id}/assessments/{assessment_id}", tag = "traces",
    params(("trace_id" = String, Path, description = "`tr-` and 32 digits"), ("assessment_id" = String, Path, description = "`a-` and 32 digits")),
    responses((status = 200, body = AssessmentAnswer), (status = 404, body = ErrorBody)))]
async fn get(
    State(service): State<Service>,
    Path((trace_id, assessment_id)): Path<(String, String)>,
) -> Reply<AssessmentAnswer> {
    let mut session = service.db().read().await?;
    let found = assessment::get(&mut session, &trace_id, &assessment_id).await?;
    Ok(Answer(AssessmentAnswer { assessment: found.into() }))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(default)]
struct UpdateAssessment {
    assessment: Assessment,
    /// The fields that change, with commas: `feedback,rationale`.
    update_mask: String,
}

impl Message for UpdateAssessment {
    const REQUIRED: &'static [&'static str] = &["assessment", "update_mask"];
    const VERBATIM: &'static [&'static str] = VERBATIM;
}

/// Change what was said about a trace
#[utoipa::path(patch, path = "/3.0/mlflow/traces/{trace_id}/assessments/{assessment_id}", tag = "traces", request_body = UpdateAssessment,
    params(("trace_id" = String, Path, description = "`tr-` and 32 digits"), ("assessment_id" = String, Path, description = "`a-` and 32 digits")),
    responses((status = 200, body = AssessmentAnswer), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
async fn update(
    State(service): State<Service>,
    Path((trace_id, assessment_id)): Path<(String, String)>,
    Request(request): Request<UpdateAssessment>,
) -> Reply<AssessmentAnswer> {
    let sent = request.assessment;
    let mut update = Update::default();
    for field in request.update_mask.split(',').map(str::trim) {
        match field {
            "assessmentName" | "assessment_name" => update.name = Some(sent.assessment_name.clone()),
            "feedback" | "expectation" => update.value = Some(sent.value()?),
            "rationale" => update.rationale = Some(sent.rationale.clone().unwrap_or_default()),
            "metadata" => update.metadata.clone_from(&sent.metadata),
            other => {
                return Err(Error::invalid(format!(
                    "'{other}' of an assessment cannot be changed, only assessment_name, feedback, expectation, rationale \
                     and metadata"
                )));
            }
        }
    }
    let mut session = service.db().write().await?;
    let updated = assessment::update(&mut session, &trace_id, &assessment_id, update).await?;
    session.commit().await?;
    Ok(Answer(AssessmentAnswer { assessment: updated.into() }))
}

/// Take back what was said about a trace
#[utoipa::path(delete, path = "/3.0/mlflow/traces/{trace_id}/assessments/{assessment_id}", tag = "traces",
    params(("trace_id" = String, Path, description = "`tr-` and 32 digits"), ("assessment_id" = String, Path, description = "`a-` and 32 digits")),
    responses((status = 200, body = Empty)))]
async fn delete(
    State(service): State<Service>,
    Path((trace_id, assessment_id)): Path<(String, String)>,
) -> Reply<Empty> {
    let mut session = service.db().write().await?;
    assessment::delete(&mut session, &trace_id, &assessment_id).await?;
    session.commit().await?;
    Ok(Answer(Empty {}))
}
