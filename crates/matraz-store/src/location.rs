//! The address of a store.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// A folder of this machine: an absolute path.
    Local(PathBuf),
}

impl Location {
    /// Reads an address: `file:///path`, `file:path`, or a path, which is taken from `base` when it is relative.
    pub fn parse(text: &str, base: &Path) -> Result<Self> {
        let wrong = |reason| Error::NotALocation { url: text.to_owned(), reason };
        if text.is_empty() {
            return Err(wrong("it is empty"));
        }
        if text.contains('\0') {
            return Err(wrong("it has a zero byte"));
        }
        if let Some(rest) = text.strip_prefix("file:") {
            let path = match rest.strip_prefix("//") {
                Some(with_host) => {
                    let path = with_host.strip_prefix("localhost").unwrap_or(with_host);
                    if !path.starts_with('/') {
                        return Err(wrong("a file URL names no other machine; write file:///path"));
                    }
                    path
                }
                None => rest,
            };
            let path =
                decode(path).ok_or_else(|| wrong("a '%' is not followed by two hexadecimal digits"))?;
            return Ok(Self::Local(base.join(path)));
        }
        if let Some((scheme, _)) = text.split_once("://")
            && !scheme.is_empty()
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_'))
        {
            return Err(Error::Unsupported { scheme: scheme.to_owned(), url: text.to_owned() });
        }
        Ok(Self::Local(base.join(text)))
    }
}

/// Resolves `%20` and the like; `None` when it is malformed or not UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let table = [
            ("/a/b", "/a/b"),
            ("x/y", "/base/x/y"),
            ("file:///a/b%20c", "/a/b c"),
            ("file://localhost/a", "/a"),
            ("file:rel", "/base/rel"),
            ("c:x", "/base/c:x"),
        ];
        for (text, path) in table {
            assert_eq!(
                Location::parse(text, Path::new("/base")).unwrap(),
                Location::Local(path.into()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_cannot_be_reached_is_refused_by_name() {
        for scheme in
            ["s3", "gs", "azure", "ssh", "hdfs", "http", "https", "webdav", "oss", "gdrive", "remote"]
        {
            let url = format!("{scheme}://bucket/path");
            let error = Location::parse(&url, Path::new("/")).unwrap_err();
            assert!(error.to_string().contains(&format!("'{scheme}'")), "{error}");
        }
        for text in ["", "file://host/x", "file:///a%zz", "a\0b"] {
            assert!(
                matches!(Location::parse(text, Path::new("/")), Err(Error::NotALocation { .. })),
                "{text:?}"
            );
        }
    }
}
