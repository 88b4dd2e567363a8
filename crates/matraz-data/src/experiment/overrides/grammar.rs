//! One override: what to do, with which key, and the value.

use matraz_base::Value;

use super::super::error::ExperimentError;
use super::value::{self, Element};
use crate::Result;

/// What an override does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `key=value`: changes what is there.
    Change,
    /// `+key=value`: adds what is not there.
    Add,
    /// `++key=value`: changes or adds.
    Put,
    /// `~key`: removes.
    Remove,
}

/// The value of an override.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// None: it removes.
    None,
    /// One value.
    One(Value),
    /// Several values, each as it could stand in an override of its own.
    Many(Vec<String>),
}

/// An override.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// What the user wrote.
    pub text: String,
    /// What to do.
    pub action: Action,
    /// The dotted key.
    pub key: String,
    /// The value.
    pub setting: Setting,
}

/// Why a text is no override.
pub(super) fn bad(text: &str, reason: impl Into<String>) -> crate::Error {
    ExperimentError::BadOverride { text: text.to_owned(), reason: reason.into(), hint: None }.into()
}

/// Reads an override.
pub fn parse(text: &str) -> Result<Override> {
    let (action, rest) = match text {
        _ if text.starts_with("++") => (Action::Put, &text[2..]),
        _ if text.starts_with('+') => (Action::Add, &text[1..]),
        _ if text.starts_with('~') => (Action::Remove, &text[1..]),
        _ => (Action::Change, text),
    };
    let (key, value) = match rest.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None if action == Action::Remove => (rest, None),
        None => return Err(bad(text, "there is no `=`")),
    };
    if !is_key(key) {
        return Err(bad(text, format!("'{key}' is no key")));
    }
    let setting =
        match value.map(|value| value::parse(value).map_err(|reason| bad(text, reason))).transpose()? {
            None => Setting::None,
            Some(Element::One(value)) => Setting::One(value),
            Some(Element::Many(values)) => Setting::Many(values),
        };
    Ok(Override { text: text.to_owned(), action, key: key.to_owned(), setting })
}

/// `a`, `a.b.0`, `group/option`, and any of them with `@package`.
fn is_key(key: &str) -> bool {
    let (key, package) = key.split_once('@').map_or((key, None), |(key, package)| (key, Some(package)));
    let is_group = |key: &str| key.split('/').all(|part| is_name(part, ""));
    (is_dotted(key) || is_group(key)) && package.is_none_or(is_dotted)
}

fn is_dotted(key: &str) -> bool {
    let is_number =
        |part: &str| part == "0" || !part.starts_with('0') && part.bytes().all(|b| b.is_ascii_digit());
    let is_part = |part: &str| is_name(part, "$") || !part.is_empty() && is_number(part);
    is_name(key, "$") || key.contains('.') && key.split('.').all(is_part)
}

/// A letter or `_`, and letters, digits, `_` and `-` behind it; `more` may stand anywhere.
fn is_name(text: &str, more: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || more.contains(c));
    begins && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c) || more.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_keys_and_values_are_told_apart() {
        let one = |text: &str| match parse(text).unwrap() {
            Override { action, key, setting: Setting::One(value), .. } => format!("{action:?} {key} {value}"),
            other => format!("{other:?}"),
        };
        assert_eq!(one("lr=1e-3"), "Change lr 0.001");
        assert_eq!(one("+a.b='x, y'"), "Add a.b x, y");
        assert_eq!(one("++a=[1,{b: null}]"), "Put a [1, {'b': None}]");
        assert_eq!(one("a="), "Change a ");
        assert_eq!(one("a.0.$b-c= 1 "), "Change a.0.$b-c 1");
        assert_eq!(one("group/option@package=x"), "Change group/option@package x");
        assert!(matches!(
            parse("~net.act").unwrap(),
            Override { action: Action::Remove, setting: Setting::None, .. }
        ));
        for wrong in [
            "lr", "=1", "a b=1", "a=[1", "a=}", "a='x", "a..b=1", "a=1)", "a=b=c", " a=1", "a =1", "a[0]=1",
            "0=1", "ü=1", "a=ü", "a/b.c=1",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
