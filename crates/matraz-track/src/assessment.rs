//! Assessments: what people, programs and judging models say about a trace.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::db::{self, Session};
use crate::error::{Error, Result};
use crate::service::{new_id, now_ms};
use crate::trace;

/// The metadata with the run that made an assessment.
const SOURCE_RUN: &str = "mlflow.assessment.sourceRunId";

/// What an assessment says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A judgement.
    #[default]
    Feedback,
    /// What would have been right.
    Expectation,
    /// A pointer to a known problem; its id is the name of the assessment.
    Issue,
}

impl Kind {
    /// As stored.
    pub fn name(self) -> &'static str {
        match self {
            Self::Feedback => "feedback",
            Self::Expectation => "expectation",
            Self::Issue => "issue",
        }
    }

    /// From the store.
    pub fn by_name(name: &str) -> Option<Self> {
        [Self::Feedback, Self::Expectation, Self::Issue].into_iter().find(|kind| kind.name() == name)
    }
}

/// Something that is said about a trace, or about one of its spans.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assessment {
    /// `a-` and 32 digits; empty for a new one.
    pub id: String,
    /// Of what.
    pub trace_id: String,
    /// What is judged, as `correctness`.
    pub name: String,
    /// What it says.
    pub kind: Kind,
    /// Any JSON.
    pub value: Json,
    /// Why there is no value: an object with `error_code`, `error_message`, `stack_trace`.
    pub error: Option<Json>,
    /// Milliseconds since 1970; 0 means now.
    pub created: i64,
    /// Milliseconds since 1970; 0 means now.
    pub updated: i64,
    /// `HUMAN`, `LLM_JUDGE` or `CODE`.
    pub source_type: String,
    /// Who or which.
    pub source_id: Option<String>,
    /// The run that made it.
    pub run_id: Option<String>,
    /// One span of the trace.
    pub span_id: Option<String>,
    /// Why it says so.
    pub rationale: Option<String>,
    /// The id of the assessment that it replaces.
    pub overrides: Option<String>,
    /// False when another one replaced it.
    pub valid: bool,
    /// Anything more.
    pub metadata: BTreeMap<String, String>,
}

impl Assessment {
    /// The number by which assessments are summed up, and whether the value is a number itself.
    pub(crate) fn aggregate(&self) -> (Option<f64>, bool) {
        match &self.value {
            Json::Bool(flag) => (Some(f64::from(u8::from(*flag))), false),
            Json::Number(number) => (number.as_f64(), number.as_f64().is_some()),
            Json::String(text) => match text.trim().to_lowercase().as_str() {
                "yes" => (Some(1.0), false),
                "no" => (Some(0.0), false),
                _ => (None, false),
            },
            _ => (None, false),
        }
    }

    /// The value as stored.
    pub(crate) fn stored_value(&self) -> Json {
        match self.kind {
            Kind::Issue => json!({"issue_name": self.value}),
            _ => self.value.clone(),
        }
    }
}

/// Stores an assessment as it is, in place of one with its id.
pub(crate) async fn put(
    session: &mut Session,
    assessment: &Assessment,
    experiment_id: i64,
    trace_time: i64,
) -> Result<Assessment> {
    let mut new = assessment.clone();
    if new.id.is_empty() {
        new.id = format!("a-{}", new_id()?);
    } else if let Some(known) = db::assessment::by_id(session, &new.id).await?
        && known.trace_id != new.trace_id
    {
        return Err(Error::invalid(format!("Assessment with ID '{}' belongs to another trace.", new.id)));
    }
    let now = now_ms();
    for time in [&mut new.created, &mut new.updated] {
        if *time == 0 {
            *time = now;
        }
    }
    new.valid = true;
    new.run_id = new.run_id.or_else(|| new.metadata.get(SOURCE_RUN).cloned());
    db::assessment::write(session, &new, experiment_id, trace_time).await?;
    Ok(new)
}

/// Adds an assessment to a trace. One that it overrides becomes invalid.
pub async fn create(session: &mut Session, assessment: &Assessment) -> Result<Assessment> {
    let id = &assessment.trace_id;
    let info = db::trace::by_id(session, id).await?.ok_or_else(|| trace::missing(id))?;
    if let Some(overridden) = &assessment.overrides
        && !db::assessment::set_valid(session, id, overridden, false).await?
    {
        return Err(Error::missing(format!("Assessment with ID '{overridden}' not found for trace '{id}'")));
    }
    put(session, assessment, info.experiment_id, info.request_time).await
}

/// An assessment of a trace.
pub async fn get(session: &mut Session, trace_id: &str, id: &str) -> Result<Assessment> {
    let found = db::assessment::by_id(session, id).await?.filter(|found| found.trace_id == trace_id);
    if let Some(found) = found {
        return Ok(found);
    }
    if db::trace::by_id(session, trace_id).await?.is_none() {
        return Err(Error::missing(format!("Trace with request_id '{trace_id}' not found")));
    }
    Err(Error::missing(format!("Assessment with ID '{id}' not found for trace '{trace_id}'")))
}

/// Changes of an assessment; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct Update {
    /// What is judged.
    pub name: Option<String>,
    /// A new value, which must be of the same kind.
    pub value: Option<(Kind, Json, Option<Json>)>,
    /// Why it says so.
    pub rationale: Option<String>,
    /// Added to what is there.
    pub metadata: BTreeMap<String, String>,
}

/// Changes an assessment.
pub async fn update(session: &mut Session, trace_id: &str, id: &str, update: Update) -> Result<Assessment> {
    let mut found = get(session, trace_id, id).await?;
    if let Some((kind, value, error)) = update.value {
        if kind != found.kind {
            let (new, old) = match kind {
                Kind::Expectation => ("expectation", "a Feedback"),
                _ => ("feedback", "an Expectation"),
            };
            return Err(Error::invalid(format!("Cannot update {new} value on {old} assessment.")));
        }
        found.value = value;
        found.error = error;
    }
    found.name = update.name.unwrap_or(found.name);
    found.rationale = update.rationale.or(found.rationale);
    found.metadata.extend(update.metadata);
    found.updated = now_ms();
    let info = db::trace::by_id(session, trace_id).await?.ok_or_else(|| trace::missing(trace_id))?;
    db::assessment::write(session, &found, info.experiment_id, info.request_time).await?;
    Ok(found)
}

/// Takes an assessment away; the one that it replaced is valid again. One that is not there is no error.
pub async fn delete(session: &mut Session, trace_id: &str, id: &str) -> Result<()> {
    let found = db::assessment::by_id(session, id).await?.filter(|found| found.trace_id == trace_id);
    let Some(found) = found else { return Ok(()) };
    if let Some(overridden) = &found.overrides {
        db::assessment::set_valid(session, trace_id, overridden, true).await?;
    }
    db::assessment::delete(session, id).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_values() {
        for (value, want) in [
            (json!(true), (Some(1.0), false)),
            (json!(5.5), (Some(5.5), true)),
            (json!(" Yes"), (Some(1.0), false)),
            (json!("no"), (Some(0.0), false)),
            (json!("maybe"), (None, false)),
            (json!(null), (None, false)),
            (json!([1]), (None, false)),
        ] {
            let assessment = Assessment { value: value.clone(), ..Assessment::default() };
            assert_eq!(assessment.aggregate(), want, "{value}");
        }
    }
}
