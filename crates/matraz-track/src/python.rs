//! Values as Python writes them: MLflow keeps JSON text of Python's making in its tables, and filters compare it.

use matraz_base::value::python_float;
use serde_json::Value as Json;

use crate::name::ascii_json;

/// JSON with a space after `,` and `:` and in ASCII, as `json.dumps` writes it.
pub(crate) fn json(value: &Json) -> String {
    write(value, ascii_json)
}

/// The same with letters outside ASCII kept as they are.
pub(crate) fn unicode_json(value: &Json) -> String {
    write(value, |text| Json::from(text).to_string())
}

fn write(value: &Json, text: fn(&str) -> String) -> String {
    match value {
        Json::Array(items) => {
            format!("[{}]", items.iter().map(|item| write(item, text)).collect::<Vec<_>>().join(", "))
        }
        Json::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| format!("{}: {}", text(key), write(value, text)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        Json::String(string) => text(string),
        Json::Number(number) if number.is_f64() => python_float(number.as_f64().unwrap_or_default()),
        other => other.to_string(),
    }
}

/// Bytes as Python shows them: `b'\x00a'`.
pub(crate) fn bytes(bytes: &[u8]) -> String {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { '"' } else { '\'' };
    let mut shown = format!("b{quote}");
    for byte in bytes {
        match byte {
            b'\n' => shown.push_str("\\n"),
            b'\r' => shown.push_str("\\r"),
            b'\t' => shown.push_str("\\t"),
            b'\\' => shown.push_str("\\\\"),
            byte if char::from(*byte) == quote => {
                shown.push('\\');
                shown.push(quote);
            }
            0x20..=0x7e => shown.push(char::from(*byte)),
            _ => shown.push_str(&format!("\\x{byte:02x}")),
        }
    }
    shown.push(quote);
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_in_tags() {
        let value = json!([{"name": "ü\"", "version": 1}, null, 1.0, 1e-7]);
        assert_eq!(json(&value), r#"[{"name": "\u00fc\"", "version": 1}, null, 1.0, 1e-07]"#);
        assert_eq!(unicode_json(&value), r#"[{"name": "ü\"", "version": 1}, null, 1.0, 1e-07]"#);
    }

    #[test]
    fn bytes_as_shown() {
        assert_eq!(bytes(b"\x00\x01a'\\\n"), "b\"\\x00\\x01a'\\\\\\n\"");
        assert_eq!(bytes(b"ab"), "b'ab'");
    }
}
