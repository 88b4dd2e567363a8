//! The keys that outputs and dependencies share in `.dvc` and lock files.

use matraz_base::yaml::{Key, Node, NodeKind};
use matraz_base::{Map, Value};

use super::document::Document;
use crate::error::Fault;
use crate::hash::digest::{Digest, Meta};
use crate::{Error, Result};

/// What a file says about the content of a path.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub digest: Option<Digest>,
    pub meta: Meta,
    pub legacy: bool,
    pub extra: Map,
}

/// The keys that [`read`] knows.
pub(super) const KEYS: [&str; 10] =
    ["md5", "etag", "checksum", "size", "nfiles", "isexec", "version_id", "hash", "cloud", "files"];

/// Reads the entries that speak of content; other keys are left to the caller.
pub(super) fn read(document: &Document, entries: &[(Key, Node)]) -> Result<Content> {
    let mut content = Content::default();
    let mut named = false;
    for (key, node) in entries {
        let what = format!("`{}`", key.text);
        match key.text.as_str() {
            "md5" => content.digest = digest(document, node)?,
            "size" => content.meta.size = Some(count(document, node, &what)?),
            "nfiles" => content.meta.nfiles = Some(count(document, node, &what)?),
            "isexec" => content.meta.isexec = document.bool(node, &what)?,
            "hash" => {
                let name = document.str(node, &what)?;
                if name != "md5" {
                    return Err(document.not_yet(node.span, format!("the hash `{name}`")));
                }
                named = true;
            }
            "etag" | "checksum" | "version_id" | "cloud" | "files" => {
                content.extra.insert(key.text.clone(), node.to_value());
            }
            _ => {}
        }
    }
    content.legacy = !named;
    Ok(content)
}

fn digest(document: &Document, node: &Node) -> Result<Option<Digest>> {
    let text = match &node.kind {
        NodeKind::Scalar(Value::Null) => return Ok(None),
        NodeKind::Scalar(Value::Str(text)) if text.is_empty() => return Ok(None),
        // An MD5 of decimal digits alone, not quoted, reads as a number: its text is what counts.
        NodeKind::Scalar(_) => document.text.get(node.span.start..node.span.end).unwrap_or("").trim(),
        _ => return Err(document.wrong_type(node, "`md5`", "a string")),
    };
    let text = text.trim_matches(['\'', '"']);
    Digest::parse(text).map(Some).ok_or_else(|| Error::Definition {
        fault: Fault::Schema,
        message: format!("`{text}` is not an MD5"),
        place: Box::new(document.place(node.span)),
        hint: Some("an MD5 has 32 hexadecimal digits, followed by `.dir` for a folder".into()),
    })
}

fn count(document: &Document, node: &Node, what: &str) -> Result<u64> {
    match &node.kind {
        NodeKind::Scalar(Value::Int(n)) if *n >= 0 => Ok(*n as u64),
        _ => Err(document.wrong_type(node, what, "a count")),
    }
}

/// Adds `size`, `nfiles` and `isexec` to a mapping.
pub(super) fn put_meta(map: &mut Map, meta: &Meta) {
    for (key, count) in [("size", meta.size), ("nfiles", meta.nfiles)] {
        if let Some(count) = count {
            map.insert(key.into(), Value::Int(i64::try_from(count).unwrap_or(i64::MAX)));
        }
    }
    if meta.isexec {
        map.insert("isexec".into(), Value::Bool(true));
    }
}
