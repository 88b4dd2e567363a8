//! Traces: what an application did for one request, with a tree of spans.
//!
//! A trace starts in one of two ways, which may come in any order: its spans arrive ([`ingest`]), or a client sends what
//! it knows about the whole ([`start`]). The second is final: spans that come later do not change it any more.

pub mod analytics;
pub mod correlation;
pub mod ingest;
pub mod metrics;
pub mod otlp;
pub(crate) mod preview;
pub mod span;
mod translate;

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::assessment::{self, Assessment};
use crate::db::{self, Session};
use crate::error::{Code, Error, Result};
use crate::experiment::{self, Experiment};
use crate::name::{check_key, check_length, wrong};
use crate::service::now_ms;
use crate::tag;
pub use analytics::Analytics;

/// The tag that holds the name of a trace for clients; the store has a column for it.
pub const NAME_TAG: &str = "mlflow.traceName";
/// The tag that says where the spans are.
pub(crate) const SPANS_LOCATION: &str = "mlflow.trace.spansLocation";
/// The value of [`SPANS_LOCATION`] for spans in the store.
pub(crate) const IN_STORE: &str = "TRACKING_STORE";
/// The tag with the place of the artifacts of a trace.
const ARTIFACT_LOCATION: &str = "mlflow.artifactLocation";
/// Tags that only the server writes.
const SERVER_TAGS: [&str; 4] =
    [ARTIFACT_LOCATION, SPANS_LOCATION, "mlflow.trace.archiveLocation", "mlflow.trace.archivalFailure"];
/// The metadata that marks a trace whose times and numbers are final.
pub(crate) const FINAL: &str = "mlflow.trace.infoFinalized";
/// The metadata with the run in which a trace was made.
pub(crate) const SOURCE_RUN: &str = "mlflow.sourceRun";
/// The metadata with counts and sizes of the spans.
const SIZE_STATS: &str = "mlflow.trace.sizeStats";

/// The longest name, in characters.
const MAX_NAME: usize = 4096;
/// The longest key of a tag, in characters.
const MAX_TAG_KEY: usize = 250;
/// The longest value of a tag, in characters; longer ones are cut.
const MAX_TAG_VALUE: usize = 8000;
/// The most traces that one request links to a run.
const MAX_LINKS: usize = 100;

/// A trace without its spans.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TraceInfo {
    /// `tr-` and 32 digits, or what a client chose.
    pub id: String,
    /// The experiment that it belongs to.
    pub experiment_id: i64,
    /// Milliseconds since 1970.
    pub request_time: i64,
    /// Milliseconds.
    pub duration: Option<i64>,
    /// `OK`, `ERROR`, `IN_PROGRESS` or `STATE_UNSPECIFIED`.
    pub state: String,
    /// An id of the application's own.
    pub client_request_id: Option<String>,
    /// The first part of what went in.
    pub request_preview: Option<String>,
    /// The first part of what came out.
    pub response_preview: Option<String>,
    /// For people.
    pub name: Option<String>,
    /// Session, tokens, costs.
    pub analytics: Analytics,
    /// Written once, without what is in [`TraceInfo::analytics`].
    pub metadata: Vec<(String, String)>,
    /// May change, without the name.
    pub tags: Vec<(String, String)>,
    /// Judgements about the trace.
    pub assessments: Vec<Assessment>,
}

/// How many letters of a key, of a tag and of an entry of the metadata clients see; the store keeps all.
const SHOWN_OF_KEY: usize = 250;
const SHOWN_OF_TAG: usize = 4096;
const SHOWN_OF_METADATA: usize = 250;

/// The first letters of a text.
fn first(mut text: String, letters: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(letters) {
        text.truncate(end);
    }
    text
}

impl TraceInfo {
    /// The tags as clients see them: no more than the first letters of long ones.
    pub fn all_tags(&self) -> BTreeMap<String, String> {
        let named = self.name.iter().map(|name| (NAME_TAG.to_owned(), name.clone()));
        let tags = self.tags.iter().cloned().chain(named);
        tags.map(|(key, value)| (first(key, SHOWN_OF_KEY), first(value, SHOWN_OF_TAG))).collect()
    }

    /// The metadata as clients see it, cut like the tags.
    pub fn all_metadata(&self) -> BTreeMap<String, String> {
        let metadata = self.metadata.iter().cloned().chain(self.analytics.metadata());
        metadata.map(|(key, value)| (first(key, SHOWN_OF_KEY), first(value, SHOWN_OF_METADATA))).collect()
    }

    /// The value of a tag.
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.tags.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// Where its artifacts are.
    pub fn artifact_location(&self) -> Option<&str> {
        self.tag(ARTIFACT_LOCATION)
    }
}

/// A trace with its spans, as JSON texts in the order in which they are shown.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The trace.
    pub info: TraceInfo,
    /// Root first, then by start.
    pub spans: Vec<String>,
}

/// Takes tags away that only the server writes.
pub fn drop_server_tags(tags: &mut Vec<(String, String)>) {
    tags.retain(|(key, _)| !SERVER_TAGS.contains(&key.as_str()));
}

/// Whether a tag is only written by the server.
pub(crate) fn is_server_tag(key: &str) -> bool {
    SERVER_TAGS.contains(&key)
}

/// The place of the artifacts of a new trace, when its id can be a part of it.
pub(crate) fn location(experiment: &Experiment, id: &str) -> Result<String> {
    if id.is_empty() || id.trim_end_matches([' ', '.']) != id || id.contains('/') {
        return Err(wrong("trace_id", id, "must be a single path component"));
    }
    if id.chars().any(|letter| "%?#".contains(letter) || letter.is_ascii_control()) {
        return Err(wrong("trace_id", id, "must not contain '%', '?', '#' or control characters"));
    }
    let root = experiment.artifact_location.as_deref().unwrap_or("").trim_end_matches('/');
    Ok(format!("{root}/traces/{id}/artifacts"))
}

pub(crate) fn check_name(name: &str) -> Result<()> {
    check_length("Trace name", MAX_NAME, name)
}

/// Stores what a client knows about a trace. Its tags may hold the name, its metadata session, tokens and costs.
pub async fn start(session: &mut Session, mut new: TraceInfo, experiment_id: &str) -> Result<TraceInfo> {
    take_name(&mut new)?;
    let experiment = experiment::find(session, experiment_id).await?;
    experiment::check_active(&experiment)?;
    new.experiment_id = experiment.id;
    let location = location(&experiment, &new.id)?;
    new.tags.push((ARTIFACT_LOCATION.to_owned(), location));
    for preview in [&mut new.request_preview, &mut new.response_preview].into_iter().flatten() {
        *preview = preview::clean(preview);
    }
    let known = db::trace::by_id(session, &new.id).await?;
    let mut info = match known {
        None => TraceInfo { name: new.name.clone(), ..new.clone() },
        Some(known) => {
            if known.experiment_id != experiment.id {
                return Err(Error::invalid(format!(
                    "Trace with ID '{}' already exists in another experiment.",
                    new.id
                )));
            }
            TraceInfo {
                name: new.name.clone().or(known.name),
                request_preview: new.request_preview.clone().or(known.request_preview),
                response_preview: new.response_preview.clone().or(known.response_preview),
                analytics: known.analytics,
                ..new.clone()
            }
        }
    };
    info.analytics.take(&mut info.metadata)?;
    info.metadata.push((FINAL.to_owned(), "true".to_owned()));
    db::trace::write(session, &info).await?;
    db::trace::set_tags(session, &info.id, &info.tags).await?;
    db::trace::set_metadata(session, &info.id, &info.metadata).await?;
    for mut assessment in new.assessments {
        assessment.trace_id.clone_from(&info.id);
        assessment::put(session, &assessment, info.experiment_id, info.request_time).await?;
    }
    db::assessment::move_to(session, &info.id, info.experiment_id, info.request_time).await?;
    find(session, &info.id).await
}

/// Takes the name out of the tags.
fn take_name(new: &mut TraceInfo) -> Result<()> {
    if let Some(at) = new.tags.iter().position(|(key, _)| key == NAME_TAG) {
        let (_, name) = new.tags.remove(at);
        check_name(&name)?;
        new.name = Some(name);
    }
    Ok(())
}

/// A trace by its id.
pub async fn find(session: &mut Session, id: &str) -> Result<TraceInfo> {
    let mut found = infos(session, &[id.to_owned()]).await?;
    found.pop().ok_or_else(|| missing(id))
}

pub(crate) fn missing(id: &str) -> Error {
    Error::missing(format!("Trace with ID '{id}' not found."))
}

/// The traces with these ids, in their order, without those that are not there.
pub async fn infos(session: &mut Session, ids: &[String]) -> Result<Vec<TraceInfo>> {
    let mut infos = db::trace::by_ids(session, ids).await?;
    db::trace::fill(session, &mut infos).await?;
    Ok(infos)
}

/// A trace with its spans. Without `allow_partial` a trace whose spans are still under way is not found.
pub async fn get(session: &mut Session, id: &str, allow_partial: bool) -> Result<Trace> {
    let info = match infos(session, &[id.to_owned()]).await?.pop() {
        Some(info) => info,
        None => return Err(Error::missing(format!("Trace with ID {id} is not found."))),
    };
    match with_spans(session, vec![info], allow_partial).await?.pop() {
        Some(trace) => Ok(trace),
        None => Err(Error::missing(format!(
            "Trace with ID {id} is not fully exported yet, please try again later."
        ))),
    }
}

/// Adds the spans; traces whose spans are not all there are left out unless `allow_partial`.
pub async fn with_spans(
    session: &mut Session,
    infos: Vec<TraceInfo>,
    allow_partial: bool,
) -> Result<Vec<Trace>> {
    if infos.iter().any(|info| info.tag(SPANS_LOCATION) != Some(IN_STORE)) {
        return Err(Error::missing("Trace data not stored in tracking store"));
    }
    let ids: Vec<String> = infos.iter().map(|info| info.id.clone()).collect();
    let mut spans = db::span::contents(session, &ids).await?;
    let traces =
        infos.into_iter().map(|info| Trace { spans: spans.remove(&info.id).unwrap_or_default(), info });
    Ok(traces.filter(|trace| allow_partial || is_complete(trace)).collect())
}

fn is_complete(trace: &Trace) -> bool {
    let stats = trace.info.metadata.iter().find(|(key, _)| key == SIZE_STATS);
    let stats: Option<Json> = stats.and_then(|(_, text)| serde_json::from_str(text).ok());
    let expected = stats.and_then(|stats| stats["num_spans"].as_u64()).unwrap_or(1);
    trace.spans.len() as u64 >= expected.max(1)
}

/// Sets a tag.
pub async fn set_tag(session: &mut Session, id: &str, key: &str, value: &str) -> Result<()> {
    check_not_of_server(key, "set")?;
    let value = check_tag(key, value)?;
    if db::trace::by_id(session, id).await?.is_none() {
        return Err(missing(id));
    }
    if key == NAME_TAG {
        check_name(&value)?;
        return db::trace::set_name(session, id, Some(&value)).await;
    }
    db::trace::set_tags(session, id, &[(key.to_owned(), value)]).await
}

/// Checks a tag and gives its value, cut when it is too long.
pub(crate) fn check_tag(key: &str, value: &str) -> Result<String> {
    check_key("name", key)?;
    check_length("key", MAX_TAG_KEY, key)?;
    tag::cut("value", MAX_TAG_VALUE, value.to_owned(), true)
}

/// Takes a tag away.
pub async fn delete_tag(session: &mut Session, id: &str, key: &str) -> Result<()> {
    if key != "mlflow.trace.archivalFailure" {
        check_not_of_server(key, "deleted")?;
    }
    let gone = if key == NAME_TAG {
        let known = db::trace::by_id(session, id).await?.is_some_and(|info| info.name.is_some());
        db::trace::set_name(session, id, None).await?;
        known
    } else {
        db::trace::delete_tag(session, id, key).await?
    };
    if gone {
        return Ok(());
    }
    Err(Error::missing(format!("No trace tag with key '{key}' for trace with ID '{id}'")))
}

fn check_not_of_server(key: &str, action: &str) -> Result<()> {
    if is_server_tag(key) {
        return Err(Error::invalid(format!("Tag '{key}' is immutable and cannot be {action} on a trace.")));
    }
    Ok(())
}

/// Which traces of an experiment are deleted.
#[derive(Clone, Debug, Default)]
pub struct Deletion {
    /// Only up to this start, in milliseconds since 1970.
    pub max_timestamp: Option<i64>,
    /// Only so many, the oldest.
    pub max_traces: Option<i64>,
    /// Only these.
    pub ids: Vec<String>,
}

/// Deletes traces for good and says how many.
pub async fn delete(session: &mut Session, experiment_id: &str, which: &Deletion) -> Result<u64> {
    match (which.max_timestamp, which.ids.is_empty()) {
        (None, true) => {
            return Err(Error::invalid("Either `max_timestamp_millis` or `trace_ids` must be specified."));
        }
        (Some(_), false) => {
            return Err(Error::invalid(
                "Only one of `max_timestamp_millis` and `trace_ids` can be specified.",
            ));
        }
        (None, false) if which.max_traces.is_some() => {
            return Err(Error::invalid("`max_traces` can't be specified if `trace_ids` is specified."));
        }
        _ => {}
    }
    if let Some(most) = which.max_traces.filter(|most| *most <= 0) {
        return Err(Error::invalid(format!("`max_traces` must be a positive integer, received {most}.")));
    }
    db::trace::delete(session, experiment::parse_id(experiment_id)?, which).await
}

/// Links traces to a run, so that a search for the run finds them.
pub async fn link_to_run(session: &mut Session, ids: &[String], run_id: &str) -> Result<()> {
    if ids.len() > MAX_LINKS {
        return Err(Error::invalid(format!(
            "Cannot link more than {MAX_LINKS} traces to a run in a single request. Provided {} traces.",
            ids.len()
        )));
    }
    for id in ids {
        db::association::link(session, ("trace", id), ("run", run_id), now_ms()).await?;
    }
    Ok(())
}

/// Links versions of prompts, as `(name, version)`, to a trace.
pub async fn link_prompts(session: &mut Session, id: &str, prompts: &[(String, String)]) -> Result<()> {
    if prompts.is_empty() {
        return Ok(());
    }
    if db::trace::by_id(session, id).await?.is_none() {
        return Err(missing(id));
    }
    for (name, version) in prompts {
        let prompt = format!("{name}/{version}");
        db::association::link(session, ("trace", id), ("prompt_version", &prompt), now_ms()).await?;
    }
    Ok(())
}

/// Starts a trace in the manner of MLflow 2, whose spans go to the artifact store.
pub async fn start_v2(session: &mut Session, mut new: TraceInfo, experiment_id: &str) -> Result<TraceInfo> {
    take_name(&mut new)?;
    let experiment = experiment::find(session, experiment_id).await?;
    experiment::check_active(&experiment)?;
    new.experiment_id = experiment.id;
    new.state = "IN_PROGRESS".to_owned();
    let location = location(&experiment, &new.id)?;
    new.tags.push((ARTIFACT_LOCATION.to_owned(), location));
    new.analytics.take(&mut new.metadata)?;
    db::trace::write(session, &new).await?;
    db::trace::set_tags(session, &new.id, &new.tags).await?;
    db::trace::set_metadata(session, &new.id, &new.metadata).await?;
    find(session, &new.id).await
}

/// Ends a trace that was started in the manner of MLflow 2.
pub async fn end_v2(
    session: &mut Session,
    id: &str,
    end_time: i64,
    state: &str,
    mut metadata: Vec<(String, String)>,
    tags: Vec<(String, String)>,
) -> Result<TraceInfo> {
    let mut info = db::trace::by_id(session, id).await?.ok_or_else(|| missing(id))?;
    info.duration = Some(end_time - info.request_time);
    state.clone_into(&mut info.state);
    info.analytics.take(&mut metadata)?;
    info.tags = tags;
    take_name(&mut info)?;
    db::trace::write(session, &info).await?;
    db::trace::set_tags(session, id, &info.tags).await?;
    db::trace::set_metadata(session, id, &metadata).await?;
    find(session, id).await
}

/// Refuses a trace whose spans were moved out of the store.
pub(crate) fn check_in_store(location: Option<&str>, id: &str) -> Result<()> {
    match location {
        Some("ARCHIVE_REPO") => Err(Error::request(
            Code::InvalidState,
            format!("Cannot update traces that are no longer DB-backed: '{id}'."),
        )),
        _ => Ok(()),
    }
}
