//! What the span conventions of other libraries mean in MLflow's terms: OpenTelemetry's own for generative AI,
//! OpenInference and Traceloop.

use serde_json::{Map, Value as Json, json};

use super::span::{INPUTS, MODEL, OUTPUTS, PROVIDER, SPAN_TYPE, USAGE};
use crate::python;

/// The names that one convention gives to things.
struct Convention {
    kind: &'static str,
    kinds: &'static [(&'static str, &'static str)],
    input_tokens: &'static str,
    output_tokens: &'static str,
    total_tokens: &'static str,
    cache_read: &'static str,
    cache_write: &'static [&'static str],
    inputs: &'static [&'static str],
    outputs: &'static [&'static str],
    models: &'static [&'static str],
    provider: &'static str,
    tools: &'static str,
}

const CONVENTIONS: &[Convention] = &[
    Convention {
        kind: "openinference.span.kind",
        kinds: &[
            ("TOOL", "TOOL"),
            ("CHAIN", "CHAIN"),
            ("LLM", "LLM"),
            ("RETRIEVER", "RETRIEVER"),
            ("EMBEDDING", "EMBEDDING"),
            ("AGENT", "AGENT"),
            ("RERANKER", "RERANKER"),
            ("UNKNOWN", "UNKNOWN"),
            ("GUARDRAIL", "GUARDRAIL"),
            ("EVALUATOR", "EVALUATOR"),
        ],
        input_tokens: "llm.token_count.prompt",
        output_tokens: "llm.token_count.completion",
        total_tokens: "llm.token_count.total",
        cache_read: "llm.token_count.prompt_details.cache_read",
        cache_write: &["llm.token_count.prompt_details.cache_write"],
        inputs: &["input.value"],
        outputs: &["output.value"],
        models: &[
            "llm.response.model_name",
            "llm.model_name",
            "llm.request.model_name",
            "embedding.model_name",
        ],
        provider: "llm.provider",
        tools: "",
    },
    Convention {
        kind: "gen_ai.operation.name",
        kinds: &[
            ("chat", "CHAT_MODEL"),
            ("create_agent", "AGENT"),
            ("embeddings", "EMBEDDING"),
            ("execute_tool", "TOOL"),
            ("generate_content", "LLM"),
            ("invoke_agent", "AGENT"),
            ("text_completion", "LLM"),
            ("response", "LLM"),
        ],
        input_tokens: "gen_ai.usage.input_tokens",
        output_tokens: "gen_ai.usage.output_tokens",
        total_tokens: "",
        cache_read: "gen_ai.usage.cache_read.input_tokens",
        cache_write: &["gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens"],
        inputs: &["gen_ai.input.messages", "gen_ai.tool.call.arguments"],
        outputs: &["gen_ai.output.messages", "gen_ai.tool.call.result"],
        models: &["gen_ai.response.model", "gen_ai.request.model"],
        provider: "gen_ai.provider.name",
        tools: "gen_ai.tool.definitions",
    },
    Convention {
        kind: "traceloop.span.kind",
        kinds: &[
            ("workflow", "WORKFLOW"),
            ("task", "TASK"),
            ("agent", "AGENT"),
            ("tool", "TOOL"),
            ("unknown", "UNKNOWN"),
        ],
        input_tokens: "gen_ai.usage.prompt_tokens",
        output_tokens: "gen_ai.usage.completion_tokens",
        total_tokens: "llm.usage.total_tokens",
        cache_read: "",
        cache_write: &[],
        inputs: &["traceloop.entity.input"],
        outputs: &["traceloop.entity.output"],
        models: &[],
        provider: "gen_ai.system",
        tools: "",
    },
];

/// Adds MLflow's attributes where another convention says what they would.
pub(crate) fn complete(attributes: &mut Map<String, Json>, events: &[Json]) {
    let known_type = plain(attributes, SPAN_TYPE).filter(|known| known != "UNKNOWN");
    if known_type.is_none() {
        let found = CONVENTIONS.iter().find_map(|convention| {
            let kind = plain(attributes, convention.kind)?;
            convention.kinds.iter().find(|(theirs, _)| *theirs == kind).map(|(_, ours)| *ours)
        });
        if let Some(found) = found {
            set(attributes, SPAN_TYPE, &json!(found));
        }
    }
    for (ours, from_events) in [(INPUTS, messages_in as fn(&[Json]) -> Vec<Json>), (OUTPUTS, messages_out)] {
        if attributes.contains_key(ours) {
            continue;
        }
        let theirs = CONVENTIONS
            .iter()
            .flat_map(|convention| if ours == INPUTS { convention.inputs } else { convention.outputs });
        let found = theirs.copied().find_map(|name| raw(attributes, name));
        let messages = from_events(events);
        if let Some(text) = found {
            attributes.insert(ours.to_owned(), Json::String(text));
        } else if !messages.is_empty() {
            attributes.insert(ours.to_owned(), Json::String(python::json(&Json::Array(messages))));
        }
    }
    if !attributes.contains_key(USAGE)
        && let Some(usage) = CONVENTIONS.iter().find_map(|convention| usage(attributes, convention))
    {
        set(attributes, USAGE, &usage);
    }
    if !attributes.contains_key("mlflow.chat.tools")
        && let Some(tools) = CONVENTIONS.iter().find_map(|convention| raw(attributes, convention.tools))
    {
        attributes.insert("mlflow.chat.tools".to_owned(), Json::String(tools));
    }
    if !attributes.contains_key(MODEL) {
        let theirs = CONVENTIONS.iter().flat_map(|convention| convention.models);
        let named = theirs.copied().find_map(|name| raw(attributes, name)).map(|text| decoded(&text));
        let found = named.or_else(|| model_in(attributes, INPUTS)).or_else(|| model_in(attributes, OUTPUTS));
        if let Some(model) = found {
            set(attributes, MODEL, &model);
        }
    }
    if !attributes.contains_key(PROVIDER)
        && let Some(provider) = CONVENTIONS.iter().find_map(|convention| raw(attributes, convention.provider))
    {
        set(attributes, PROVIDER, &decoded(&provider));
    }
}

fn set(attributes: &mut Map<String, Json>, name: &str, value: &Json) {
    attributes.insert(name.to_owned(), Json::String(python::unicode_json(value)));
}

/// The stored text of an attribute that says something: not null, 0, empty.
fn raw(attributes: &Map<String, Json>, name: &str) -> Option<String> {
    let text = attributes.get(name)?.as_str()?;
    let says = match serde_json::from_str::<Json>(text) {
        Ok(Json::Null) => false,
        Ok(Json::Bool(flag)) => flag,
        Ok(Json::Number(number)) => number.as_f64() != Some(0.0),
        Ok(Json::String(text)) => !text.is_empty(),
        Ok(Json::Array(items)) => !items.is_empty(),
        Ok(Json::Object(fields)) => !fields.is_empty(),
        Err(_) => !text.is_empty(),
    };
    says.then(|| text.to_owned())
}

fn decoded(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|_| Json::from(text))
}

fn plain(attributes: &Map<String, Json>, name: &str) -> Option<String> {
    match decoded(attributes.get(name)?.as_str()?) {
        Json::String(text) => Some(text),
        _ => None,
    }
}

/// A count, as a number or a text with one.
fn count(attributes: &Map<String, Json>, name: &str) -> Option<i64> {
    match decoded(attributes.get(name)?.as_str()?) {
        Json::Number(number) => number.as_i64(),
        Json::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn usage(attributes: &Map<String, Json>, convention: &Convention) -> Option<Json> {
    let count = |name: &str| count(attributes, name);
    let (input, output) = (count(convention.input_tokens), count(convention.output_tokens));
    let sum = input.zip(output).and_then(|(input, output)| input.checked_add(output));
    let total = count(convention.total_tokens).or(sum);
    if input.is_none() && output.is_none() && total.is_none() {
        return None;
    }
    let mut usage = Map::new();
    for (name, number) in [
        ("input_tokens", input),
        ("output_tokens", output),
        ("total_tokens", total),
        ("cache_read_input_tokens", count(convention.cache_read)),
        ("cache_creation_input_tokens", convention.cache_write.iter().find_map(|name| count(name))),
    ] {
        if let Some(number) = number {
            usage.insert(name.to_owned(), Json::from(number));
        }
    }
    Some(Json::Object(usage))
}

/// The field `model` of inputs or outputs.
fn model_in(attributes: &Map<String, Json>, name: &str) -> Option<Json> {
    match decoded(attributes.get(name)?.as_str()?).get("model") {
        Some(Json::String(model)) if !model.is_empty() => Some(Json::from(model.as_str())),
        _ => None,
    }
}

/// Messages to a model that were noted as events.
fn messages_in(events: &[Json]) -> Vec<Json> {
    let role = |event: &Json| match event["name"].as_str()? {
        "gen_ai.system.message" => Some("system"),
        "gen_ai.user.message" => Some("user"),
        "gen_ai.assistant.message" => Some("assistant"),
        _ => None,
    };
    events.iter().filter_map(|event| message(event, role(event)?)).collect()
}

/// Answers of a model that were noted as events.
fn messages_out(events: &[Json]) -> Vec<Json> {
    let choices = events.iter().filter(|event| event["name"] == "gen_ai.choice");
    choices
        .filter_map(|event| message(event, event["attributes"]["role"].as_str().unwrap_or("assistant")))
        .collect()
}

fn message(event: &Json, role: &str) -> Option<Json> {
    let content = event["attributes"]["content"].as_str().filter(|content| !content.is_empty())?;
    Some(json!({"role": role, "content": decoded(content)}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conventions() {
        let mut attributes: Map<String, Json> = [
            ("gen_ai.operation.name", "\"chat\""),
            ("gen_ai.usage.input_tokens", "10"),
            ("gen_ai.usage.output_tokens", "\"5\""),
            ("gen_ai.request.model", "\"foo\""),
            ("gen_ai.provider.name", "\"prov\""),
            ("input.value", "\"in\""),
        ]
        .into_iter()
        .map(|(key, text)| (key.to_owned(), Json::from(text)))
        .collect();
        let events = [json!({"name": "gen_ai.choice", "attributes": {"content": "hi"}})];
        complete(&mut attributes, &events);
        for (key, want) in [
            (SPAN_TYPE, "\"CHAT_MODEL\""),
            (USAGE, r#"{"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}"#),
            (MODEL, "\"foo\""),
            (PROVIDER, "\"prov\""),
            (INPUTS, "\"in\""),
            (OUTPUTS, r#"[{"role": "assistant", "content": "hi"}]"#),
        ] {
            assert_eq!(attributes[key], want, "{key}");
        }
    }
}
