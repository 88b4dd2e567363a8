//! The first part of what went into a trace and came out of it, for lists of traces.

use serde_json::{Map, Value as Json};

/// The longest preview, in characters.
const MAX_PREVIEW: usize = 1000;

/// A preview of the JSON text of inputs or outputs: the last message of `role` when it is a conversation, else the text.
pub(crate) fn preview(text: &str, role: &str) -> String {
    let parsed: Option<Json> = serde_json::from_str(text).ok();
    let message = parsed.as_ref().and_then(messages).and_then(|messages| last_text(&messages, role));
    cut(&clean(message.as_deref().filter(|message| !message.is_empty()).unwrap_or(text)))
}

/// PostgreSQL cannot keep the character 0.
pub(crate) fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn cut(text: &str) -> String {
    if text.chars().count() <= MAX_PREVIEW {
        return text.to_owned();
    }
    let kept: String = text.chars().take(MAX_PREVIEW - 3).collect();
    format!("{kept}...")
}

/// The messages in the forms of chat requests and answers that are in use.
fn messages(value: &Json) -> Option<Vec<&Map<String, Json>>> {
    let fields = value.as_object()?;
    let list = |name: &str| fields.get(name).and_then(Json::as_array).filter(|items| !items.is_empty());
    if let Some(items) = list("messages") {
        return Some(items.iter().filter_map(as_message).collect());
    }
    if let Some(message) = list("choices").and_then(|choices| as_message(choices[0].get("message")?)) {
        return Some(vec![message]);
    }
    for name in ["input", "output"] {
        if let Some(items) = list(name) {
            return Some(items.iter().filter_map(as_message).collect());
        }
    }
    messages(fields.get("request")?)
}

fn as_message(item: &Json) -> Option<&Map<String, Json>> {
    item.as_object().filter(|fields| fields.contains_key("role") && fields.contains_key("content"))
}

fn last_text(messages: &[&Map<String, Json>], role: &str) -> Option<String> {
    let of_role = messages.iter().rev().find(|message| message["role"] == role);
    let message = of_role.or_else(|| messages.last())?;
    match &message["content"] {
        Json::String(text) => Some(text.clone()),
        Json::Array(parts) => parts.iter().find_map(|part| match part {
            Json::String(text) => Some(text.clone()),
            Json::Object(part)
                if part.get("type").is_some_and(|kind| kind == "text" || kind == "output_text") =>
            {
                part.get("text").and_then(Json::as_str).map(str::to_owned)
            }
            _ => None,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previews() {
        for (text, role, want) in [
            ("\"ans\"", "user", "\"ans\""),
            ("not json", "user", "not json"),
            (r#"{"q": 1}"#, "user", r#"{"q": 1}"#),
            (
                r#"{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]}"#,
                "user",
                "hi",
            ),
            (
                r#"{"choices": [{"message": {"role": "assistant", "content": [{"type": "text", "text": "t"}]}}]}"#,
                "assistant",
                "t",
            ),
            (r#"{"request": {"input": [{"role": "x", "content": "deep"}]}}"#, "user", "deep"),
        ] {
            assert_eq!(preview(text, role), want, "{text}");
        }
        let long = preview(&"ü".repeat(1001), "user");
        assert_eq!((long.chars().count(), long.ends_with("ü...")), (1000, true));
    }
}
