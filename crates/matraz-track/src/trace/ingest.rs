//! Spans that arrive: they make their trace when it is not there yet, and complete what is known about it.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::analytics::{self, COST_NAMES, Node, TOKENS};
use super::preview::preview;
use super::span::{COST, INPUTS, OUTPUTS, Span, USAGE};
use super::{
    Analytics, FINAL, NAME_TAG, SPANS_LOCATION, TraceInfo, check_in_store, check_tag, is_server_tag, location,
};
use crate::db::{self, Session};
use crate::error::{Error, Result};
use crate::experiment;
use crate::python;

/// Nanoseconds in a millisecond.
const NS_PER_MS: i64 = 1_000_000;
/// The metadata with the user of the application.
const USER: &str = "mlflow.trace.user";
/// Attributes of a root span with this prefix are tags of the trace.
const TAG_PREFIX: &str = "mlflow.traceTag.";

/// Services whose name is noted at the root span.
const KNOWN_SERVICES: [&str; 5] = ["claude-code", "codex_cli_rs", "codex_vscode", "gemini-cli", "qwen-code"];

/// What the spans of one trace in one request say about it.
#[derive(Default)]
struct Batch<'s> {
    spans: Vec<&'s Span>,
}

/// Stores spans of any traces in an experiment, all or none of them.
pub async fn log_spans(session: &mut Session, experiment_id: &str, spans: &mut [Span]) -> Result<()> {
    for span in spans.iter_mut() {
        prepare(span);
    }
    let mut batches: BTreeMap<&str, Batch> = BTreeMap::new();
    for span in spans.iter() {
        batches.entry(&span.trace_id).or_default().spans.push(span);
    }
    for (trace_id, batch) in &batches {
        log_batch(session, experiment_id, trace_id, &batch.spans).await?;
    }
    Ok(())
}

/// Brings the attributes into MLflow's terms.
fn prepare(span: &mut Span) {
    if span.parent_id.is_none() {
        span.attributes.retain(|key, _| !key.strip_prefix(TAG_PREFIX).is_some_and(is_server_tag));
        let service = span.resource.iter().find(|(key, _)| key == "service.name");
        if let Some(name) =
            service.and_then(|(_, name)| name.as_str()).filter(|name| KNOWN_SERVICES.contains(name))
        {
            span.attributes.insert("service.name".to_owned(), Json::String(format!("\"{name}\"")));
        }
    }
    span.translate();
}

async fn log_batch(
    session: &mut Session,
    experiment_id: &str,
    trace_id: &str,
    spans: &[&Span],
) -> Result<()> {
    let start = spans.iter().map(|span| span.start_ns).min().unwrap_or_default().div_euclid(NS_PER_MS);
    let end = spans.iter().map(|span| span.end_ns).max().unwrap_or_default().div_euclid(NS_PER_MS);
    let root = spans.iter().rev().find(|span| span.parent_id.is_none());
    let root_state = spans.iter().find(|span| span.parent_id.is_none()).map(|root| match root.status() {
        "ERROR" => "ERROR",
        _ => "OK",
    });
    let known = db::trace::by_id(session, trace_id).await?;
    let is_new = known.is_none();
    let mut info = match known {
        Some(mut info) => {
            if info.experiment_id.to_string() != experiment_id.trim() {
                return Err(Error::invalid(format!(
                    "Trace with ID '{trace_id}' already exists in another experiment."
                )));
            }
            db::trace::fill(session, std::slice::from_mut(&mut info)).await?;
            check_in_store(info.tag(SPANS_LOCATION), trace_id)?;
            info
        }
        None => {
            let experiment = experiment::find(session, experiment_id).await?;
            let location = location(&experiment, trace_id)?;
            let info = TraceInfo {
                id: trace_id.to_owned(),
                experiment_id: experiment.id,
                request_time: start,
                duration: Some(end - start),
                state: root_state.unwrap_or("IN_PROGRESS").to_owned(),
                ..TraceInfo::default()
            };
            db::trace::write(session, &info).await?;
            db::trace::set_tags(session, trace_id, &[("mlflow.artifactLocation".to_owned(), location)])
                .await?;
            info
        }
    };
    for span in spans {
        db::span::put(session, info.experiment_id, span).await?;
    }
    let is_final = info.metadata.iter().any(|(key, _)| key == FINAL);
    if !is_final && !is_new {
        let earlier = start.min(info.request_time);
        let known_end = info.duration.map(|duration| info.request_time + duration);
        info.duration = Some(known_end.map_or(end, |known| known.max(end)) - earlier);
        info.request_time = earlier;
    }
    if let Some(state) =
        root_state.filter(|_| matches!(info.state.as_str(), "IN_PROGRESS" | "STATE_UNSPECIFIED"))
    {
        state.clone_into(&mut info.state);
    }
    if let Some(root) = root {
        let text =
            |key: &str| root.attributes.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
        info.request_preview =
            info.request_preview.or_else(|| text(INPUTS).map(|text| preview(text, "user")));
        info.response_preview =
            info.response_preview.or_else(|| text(OUTPUTS).map(|text| preview(text, "assistant")));
    }
    let mut tags = resource_tags(spans);
    for (key, value) in root_tags(root.copied()) {
        if key == NAME_TAG {
            super::check_name(&value)?;
            info.name = Some(value);
        } else {
            tags.push((key, value));
        }
    }
    tags.insert(0, (SPANS_LOCATION.to_owned(), super::IN_STORE.to_owned()));
    sum_up(session, &mut info, spans, is_new, is_final).await?;
    db::trace::write(session, &info).await?;
    db::assessment::move_to(session, trace_id, info.experiment_id, info.request_time).await?;
    db::trace::set_tags(session, trace_id, &tags).await?;
    let user = spans.iter().find_map(|span| span.plain("user.id")).filter(|user| !user.is_empty());
    if let Some(user) = user.filter(|_| !info.metadata.iter().any(|(key, _)| key == USER)) {
        db::trace::set_metadata(session, trace_id, &[(USER.to_owned(), user)]).await?;
    }
    db::trace::count_up(session, trace_id).await
}

/// Sums tokens and costs over all spans of the trace, unless a client has said them.
async fn sum_up(
    session: &mut Session,
    info: &mut TraceInfo,
    spans: &[&Span],
    is_new: bool,
    is_final: bool,
) -> Result<()> {
    let said_tokens = is_final && info.analytics.tokens.iter().any(Option::is_some);
    let said_costs = is_final && info.analytics.costs.iter().any(Option::is_some);
    let in_batch = |key: &str| -> Vec<Node> {
        let node =
            |span: &&Span| Node::new(&span.span_id, span.parent_id.as_deref(), span.attributes.get(key));
        spans.iter().map(node).collect()
    };
    let (mut usage, mut costs) = (in_batch(USAGE), in_batch(COST));
    let any_data = |nodes: &[Node]| nodes.iter().any(|node| node.data.is_some());
    let (sum_usage, sum_costs) = (!said_tokens && any_data(&usage), !said_costs && any_data(&costs));
    if !is_new && (sum_usage || sum_costs) {
        for (span_id, parent_id, attributes) in stored_attributes(session, &info.id).await? {
            if spans.iter().all(|span| span.span_id != span_id) {
                usage.push(Node::new(&span_id, parent_id.as_deref(), attributes.get(USAGE)));
                costs.push(Node::new(&span_id, parent_id.as_deref(), attributes.get(COST)));
            }
        }
    }
    let mut found = Analytics::default();
    if sum_usage && let Some(total) = analytics::sum(&usage, &TOKENS[..3], &TOKENS[3..]) {
        found.set_tokens(&total);
    }
    if sum_costs && let Some(total) = analytics::sum(&costs, &COST_NAMES, &[]) {
        found.set_costs(&total);
    }
    for (slot, count) in info.analytics.tokens.iter_mut().zip(found.tokens) {
        *slot = count.or(*slot);
    }
    for (slot, cost) in info.analytics.costs.iter_mut().zip(found.costs) {
        *slot = cost.or(*slot);
    }
    if info.analytics.session.is_none() {
        let session = spans
            .iter()
            .find_map(|span| span.plain("session.id").or_else(|| span.plain("gen_ai.conversation.id")))
            .filter(|session| !session.is_empty());
        info.analytics.session = session.map(|session| analytics::checked_session(&session)).transpose()?;
    }
    Ok(())
}

/// Ids, parents and attributes of the spans that are stored.
async fn stored_attributes(
    session: &mut Session,
    trace_id: &str,
) -> Result<Vec<(String, Option<String>, Map<String, Json>)>> {
    let rows = db::span::tree(session, trace_id).await?;
    let attributes = |content: &str| match serde_json::from_str::<Json>(content).ok()? {
        Json::Object(mut span) => match span.remove("attributes")? {
            Json::Object(attributes) => Some(attributes),
            _ => None,
        },
        _ => None,
    };
    Ok(rows
        .into_iter()
        .filter_map(|(id, parent, content)| Some((id, parent, attributes(&content)?)))
        .collect())
}

/// What made the spans, as tags: all but what describes the library and what is MLflow's own.
fn resource_tags(spans: &[&Span]) -> Vec<(String, String)> {
    let Some(span) = spans.iter().find(|span| !span.resource.is_empty()) else { return Vec::new() };
    let ours = |key: &str| !key.starts_with("telemetry.sdk.") && !key.starts_with("mlflow.");
    let text = |value: &Json| match value {
        Json::String(text) => text.clone(),
        other => python::json(other),
    };
    let named =
        span.resource.iter().filter(|(key, _)| ours(key)).map(|(key, value)| (key.clone(), text(value)));
    checked(named)
}

/// The tags that a root span carries.
fn root_tags(root: Option<&Span>) -> Vec<(String, String)> {
    let Some(root) = root else { return Vec::new() };
    let named = root.attributes.keys().filter_map(|key| {
        let tag = key.strip_prefix(TAG_PREFIX)?;
        Some((tag.to_owned(), root.plain(key)?))
    });
    checked(named)
}

/// The tags that keep the rules; others are passed over, for a span is worth more than its tags.
fn checked(tags: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    tags.filter_map(|(key, value)| {
        let value = check_tag(&key, &value).ok()?;
        Some((key, value))
    })
    .collect()
}
