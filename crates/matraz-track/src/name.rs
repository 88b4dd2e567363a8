//! The rules for names and keys: of params, metrics, tags and models.

use std::fmt::Write as _;

use crate::error::{Error, Result};

/// Checks the key of a param, metric or tag: its characters, and that it means the same as a path.
pub(crate) fn check_key(parameter: &str, key: &str) -> Result<()> {
    let allowed = |letter: char| letter.is_alphanumeric() || "_/.- :".contains(letter);
    if !key.chars().all(allowed) {
        return Err(wrong(
            parameter,
            key,
            "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/).",
        ));
    }
    check_path(parameter, key)
}

/// Checks that a name is the same name when it is used as a relative path.
pub(crate) fn check_path(parameter: &str, name: &str) -> Result<()> {
    let resolved = normal_path(name);
    if resolved == name && resolved != "." && !resolved.starts_with("..") && !resolved.starts_with('/') {
        return Ok(());
    }
    let reason = format!(
        "Names may be treated as files in certain cases, and must not resolve to other names when treated as such. \
         This name would resolve to {}",
        single_quoted(&resolved)
    );
    Err(wrong(parameter, name, &reason))
}

/// Checks a length in characters.
pub(crate) fn check_length(what: &str, limit: usize, text: &str) -> Result<()> {
    if text.chars().count() <= limit {
        return Ok(());
    }
    Err(Error::invalid(format!("'{what}' exceeds the maximum length of {limit} characters")))
}

/// The error for a value that breaks a rule.
pub(crate) fn wrong(parameter: &str, value: &str, reason: &str) -> Error {
    Error::invalid(format!(
        "Invalid value {} for parameter '{parameter}' supplied: {reason}",
        ascii_json(value)
    ))
}

/// A relative path without `.`, `..` and doubled slashes as far as the text alone tells.
fn normal_path(path: &str) -> String {
    if path.is_empty() {
        return ".".to_owned();
    }
    // POSIX gives exactly two leading slashes a meaning of their own.
    let root = match path.len() - path.trim_start_matches('/').len() {
        0 => "",
        2 => "//",
        _ => "/",
    };
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/').filter(|name| !name.is_empty() && *name != ".") {
        match names.last() {
            Some(last) if name == ".." && *last != ".." => {
                names.pop();
            }
            None if name == ".." && !root.is_empty() => {}
            _ => names.push(name),
        }
    }
    let normal = format!("{root}{}", names.join("/"));
    if normal.is_empty() { ".".to_owned() } else { normal }
}

/// A JSON string in ASCII, as MLflow writes values into its messages.
pub(crate) fn ascii_json(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    for letter in serde_json::Value::from(text).to_string().chars() {
        if letter.is_ascii() {
            json.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _ = write!(json, "\\u{unit:04x}");
            }
        }
    }
    json
}

/// Text in single quotes, or in double ones when it holds a single quote itself, as Python shows a string.
pub(crate) fn single_quoted(text: &str) -> String {
    if text.contains('\'') && !text.contains('"') {
        return format!("\"{}\"", text.replace('\\', "\\\\"));
    }
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        for good in ["a", "a/b", "a.b", "mlflow.runName", "a b:c-d_e", "ünï", "a..b", "..."] {
            let result = check_key("key", good);
            assert_eq!(result.is_ok(), good != "...", "{good}");
        }
        for (bad, want) in [
            ("a#", "Invalid value \"a#\" for parameter 'key' supplied: Names may only contain"),
            ("ü#", "Invalid value \"\\u00fc#\" for parameter"),
            ("", "This name would resolve to '.'"),
            ("a//b", "This name would resolve to 'a/b'"),
            ("a/", "This name would resolve to 'a'"),
            ("../a", "This name would resolve to '../a'"),
            ("/a", "This name would resolve to '/a'"),
            ("//a", "This name would resolve to '//a'"),
            ("a/../b", "This name would resolve to 'b'"),
            ("./a", "This name would resolve to 'a'"),
        ] {
            let message = check_key("key", bad).unwrap_err().to_string();
            assert!(message.contains(want), "{bad}: {message}");
        }
    }

    #[test]
    fn lengths_count_characters() {
        assert!(check_length("key", 3, "üüü").is_ok());
        let message = check_length("key", 2, "üüü").unwrap_err().to_string();
        assert_eq!(message, "'key' exceeds the maximum length of 2 characters");
    }

    #[test]
    fn quotes() {
        assert_eq!(single_quoted("a"), "'a'");
        assert_eq!(single_quoted("a'b"), "\"a'b\"");
        assert_eq!(single_quoted("a'b\"c"), "'a\\'b\"c'");
    }
}
