//! The one type for a path that a client sent: once it exists, it cannot leave the artifact root.

use std::fmt;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;

use super::ArtifactError;

/// How often a path may be percent-encoded over itself before it is refused.
const MAX_DECODINGS: usize = 10;
/// The longest file name that the common filesystems take, in bytes.
const MAX_NAME_BYTES: usize = 255;
/// Files that are still being uploaded carry this prefix; they are never listed and clients cannot use it.
pub const UPLOADING_PREFIX: &str = ".artifact.uploading.";

/// A relative path below an artifact root, with `/` between names and without `.`, `..` or empty names.
///
/// The empty path is the root itself. Percent-encoding is undone until nothing changes, as MLflow does, so that
/// no later decoding can turn a harmless name into a harmful one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ArtifactPath(String);

impl ArtifactPath {
    /// The root itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// Checks what a client sent. Refused: absolute paths (also Windows ones and `file:`), `..`, `#`, NUL, names longer
    /// than a filesystem takes and encodings nested deeper than ten levels. Other control characters become `%0a` and so on.
    pub fn parse(sent: &str) -> Result<Self, ArtifactError> {
        let refused = || ArtifactError::InvalidPath { path: sent.to_owned() };
        let decoded = decode(sent).ok_or_else(refused)?;
        if decoded.contains(['#', '\0']) || is_absolute(&decoded) {
            return Err(refused());
        }
        if cfg!(windows) && decoded.contains(['\\', ':']) {
            return Err(refused());
        }
        let mut path = String::with_capacity(decoded.len());
        for name in decoded.split('/') {
            if name == ".." {
                return Err(refused());
            }
            if name.is_empty() || name == "." {
                continue;
            }
            if !path.is_empty() {
                path.push('/');
            }
            let start = path.len();
            push_escaped(&mut path, name);
            if path.len() - start > MAX_NAME_BYTES {
                return Err(refused());
            }
        }
        // Dropping `./` may have uncovered a drive or a scheme.
        if is_absolute(&path) || has_file_scheme(&path) {
            return Err(refused());
        }
        Ok(Self(path))
    }

    /// The path with `/` between the names; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the root itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The last name, if this is not the root.
    pub fn name(&self) -> Option<&str> {
        if self.is_root() { None } else { self.0.rsplit('/').next() }
    }

    /// The folder that holds this path; the root is its own parent.
    pub fn parent(&self) -> Self {
        Self(self.0.rsplit_once('/').map_or_else(String::new, |(folder, _)| folder.to_owned()))
    }

    /// This path followed by another.
    pub fn join(&self, below: &Self) -> Self {
        match (self.is_root(), below.is_root()) {
            (true, _) => below.clone(),
            (_, true) => self.clone(),
            _ => Self(format!("{}/{}", self.0, below.0)),
        }
    }

    /// Where the path lies below a local folder. Symbolic links are not looked at: see [`super::ArtifactRoot`].
    pub fn below(&self, folder: &Path) -> PathBuf {
        let mut path = folder.to_path_buf();
        path.extend(self.0.split('/').filter(|name| !name.is_empty()));
        path
    }
}

impl fmt::Display for ArtifactPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Undoes percent-encoding until nothing changes; `None` when that takes too long or is not UTF-8.
fn decode(sent: &str) -> Option<String> {
    let mut text = sent.to_owned();
    for _ in 0..MAX_DECODINGS {
        let decoded = percent_decode_str(&text).decode_utf8().ok()?.into_owned();
        if decoded == text {
            return Some(text);
        }
        text = decoded;
    }
    None
}

fn is_absolute(path: &str) -> bool {
    let bytes = path.as_bytes();
    let drive = matches!(bytes, [letter, b':', b'/' | b'\\', ..] if letter.is_ascii_alphabetic());
    path.starts_with('/') || path.starts_with("\\\\") || drive
}

fn has_file_scheme(path: &str) -> bool {
    path.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("file:"))
}

fn push_escaped(path: &mut String, name: &str) {
    for letter in name.chars() {
        if letter.is_ascii_control() {
            path.push_str(&format!("%{:02x}", letter as u32));
        } else {
            path.push(letter);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Component;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn clean_paths_are_kept_and_normalised() {
        for (sent, want) in [
            ("", ""),
            (".", ""),
            ("a", "a"),
            ("a/b.txt", "a/b.txt"),
            ("a//b/", "a/b"),
            ("./a/./b", "a/b"),
            ("a%20b", "a b"),
            ("a%252Fb", "a/b"),
            ("ünï/файл 1.txt", "ünï/файл 1.txt"),
            ("...", "..."),
            ("a..b", "a..b"),
            ("100%", "100%"),
            ("line\nbreak", "line%0abreak"),
            ("a\\b", "a\\b"),
            ("C:x", "C:x"),
        ] {
            assert_eq!(ArtifactPath::parse(sent).unwrap().as_str(), want, "{sent:?}");
        }
    }

    #[test]
    fn hostile_paths_are_refused() {
        let deep = (0..12).fold("/".to_owned(), |text, _| text.replace('%', "%25").replace('/', "%2F"));
        for sent in [
            "..",
            "../x",
            "a/../../x",
            "a/../b",
            "%2e%2e/x",
            "%252e%252e/x",
            "..%2fx",
            "/etc",
            "%2Fetc%2Fpasswd",
            "//host/x",
            "file:///etc",
            "FILE:x",
            "./file:x",
            ".//c:/x",
            "C:\\x",
            "c:/x",
            "\\\\host\\x",
            "a#b",
            "a%23b",
            "a\0b",
            "a%00",
            "a%2500",
            "%ff",
            deep.as_str(),
            "n".repeat(256).as_str(),
        ] {
            assert!(ArtifactPath::parse(sent).is_err(), "{sent:?}");
        }
    }

    #[test]
    fn parts() {
        let path = ArtifactPath::parse("a/b/c.txt").unwrap();
        assert_eq!((path.name(), path.parent().as_str()), (Some("c.txt"), "a/b"));
        let top = ArtifactPath::parse("c").unwrap();
        assert_eq!((top.name(), top.parent().is_root()), (Some("c"), true));
        assert_eq!(ArtifactPath::root().name(), None);
        assert_eq!(ArtifactPath::root().join(&top), top);
        assert_eq!(path.join(&top).as_str(), "a/b/c.txt/c");
    }

    proptest! {
        #[test]
        fn nothing_leaves_the_root(sent in "([a-z.%/\\\\#: \u{0}-\u{1f}é]|%2e|%2f|%25|%00|\\.\\.|/){0,24}") {
            if let Ok(path) = ArtifactPath::parse(&sent) {
                let root = Path::new("/root/of/artifacts");
                let full = path.below(root);
                prop_assert!(full.starts_with(root));
                let rest = full.strip_prefix(root).unwrap();
                prop_assert!(rest.components().all(|part| matches!(part, Component::Normal(_))));
                prop_assert!(!path.as_str().contains('\0'));
                // What was accepted once means the same thing when it comes back.
                prop_assert_eq!(&ArtifactPath::parse(path.as_str()).unwrap(), &path);
                prop_assert_eq!(path.parent().join(&path.name().map_or_else(ArtifactPath::root, |name| ArtifactPath(name.to_owned()))), path);
            }
        }

        #[test]
        fn any_text_is_answered(sent in any::<String>()) {
            if let Ok(path) = ArtifactPath::parse(&sent) {
                prop_assert!(path.below(Path::new("/r")).starts_with("/r"));
            }
        }
    }
}
