//! The listing of a folder: the object that a digest with `.dir` names.
//!
//! Its bytes are a JSON array in one line, entries sorted by path, keys sorted, spaced and escaped as Python's
//! `json.dumps` does: `[{"md5": "<hex>", "relpath": "a/b"}, …]`. The digest of the folder is the MD5 of them.

use std::borrow::Cow;

use serde::Deserialize;

use super::digest::Digest;
use super::md5;

/// The files below a folder. Folders without files do not exist for DVC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    entries: Vec<Entry>,
}

/// A file below a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the folder, with `/`.
    pub path: String,
    /// Of its content.
    pub digest: Digest,
}

/// Why bytes are not the listing of a folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// Not the JSON that it should be.
    #[error("not a folder listing: {0}")]
    Syntax(String),
    /// An entry would lie outside the folder.
    #[error("the entry '{0}' leaves its folder")]
    Escapes(String),
    /// An entry would be read by git or by DVC as its own file.
    #[error("the entry '{0}' lies in a folder of git or DVC, which is no data")]
    Private(String),
    /// Two entries have the same path.
    #[error("the entry '{0}' stands twice")]
    Twice(String),
    /// A path is that of a file and of a folder.
    #[error("the entry '{0}' is a file and a folder")]
    FileAndFolder(String),
}

#[derive(Deserialize)]
struct RawEntry<'a> {
    #[serde(borrow)]
    md5: Cow<'a, str>,
    #[serde(borrow)]
    relpath: Cow<'a, str>,
}

impl Tree {
    /// A listing of these files in any order. Of two with the same path the last one counts.
    pub fn new(mut entries: Vec<Entry>) -> Self {
        if !entries.is_sorted_by(|a, b| a.path < b.path) {
            entries.sort_by(|a, b| a.path.cmp(&b.path));
            entries.reverse();
            entries.dedup_by(|a, b| a.path == b.path);
            entries.reverse();
        }
        Self { entries }
    }

    /// The files, sorted by path.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no file.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The digest of the file at a path.
    pub fn get(&self, path: &str) -> Option<&Digest> {
        let at = self.entries.binary_search_by(|entry| entry.path.as_str().cmp(path)).ok()?;
        Some(&self.entries[at].digest)
    }

    /// The files at or below a path; all when it is empty.
    pub fn below<'t>(&'t self, path: &'t str) -> impl Iterator<Item = &'t Entry> {
        self.entries.iter().filter(move |entry| is_at_or_below(&entry.path, path))
    }

    /// The same listing with the files at or below `path` replaced; `new` are relative to `path`, or have an empty
    /// path when `path` itself is a file. The flag says whether nothing was there before.
    pub fn with(&self, path: &str, new: &[Entry]) -> (Self, bool) {
        let mut entries: Vec<Entry> =
            self.entries.iter().filter(|entry| !is_at_or_below(&entry.path, path)).cloned().collect();
        let appended = entries.len() == self.entries.len();
        entries.extend(new.iter().map(|entry| Entry {
            path: match (path, entry.path.as_str()) {
                ("", inner) => inner.to_owned(),
                (outer, "") => outer.to_owned(),
                (outer, inner) => format!("{outer}/{inner}"),
            },
            digest: entry.digest,
        }));
        (Self::new(entries), appended)
    }

    /// Reads the bytes of an object.
    pub fn parse(bytes: &[u8]) -> Result<Self, TreeError> {
        let raw: Vec<RawEntry<'_>> =
            serde_json::from_slice(bytes).map_err(|error| TreeError::Syntax(error.to_string()))?;
        let mut entries = Vec::with_capacity(raw.len());
        for RawEntry { md5, relpath } in raw {
            if !stays_inside(&relpath) {
                return Err(TreeError::Escapes(relpath.into_owned()));
            }
            // The folder of a nested repository holds programs that git runs.
            let private = |part: &str| [".git", ".dvc"].iter().any(|own| part.eq_ignore_ascii_case(own));
            if relpath.contains('.') && relpath.split('/').rev().skip(1).any(private) {
                return Err(TreeError::Private(relpath.into_owned()));
            }
            let digest = Digest::parse(&md5)
                .filter(|digest| !digest.is_dir())
                .ok_or_else(|| TreeError::Syntax(format!("'{md5}' is no MD5")))?;
            entries.push(Entry { path: relpath.into_owned(), digest });
        }
        if !entries.is_sorted_by(|a, b| a.path < b.path) {
            entries.sort_by(|a, b| a.path.cmp(&b.path));
        }
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].path == pair[1].path) {
            return Err(TreeError::Twice(pair[0].path.clone()));
        }
        let tree = Self { entries };
        tree.refuse_files_as_folders()?;
        Ok(tree)
    }

    fn refuse_files_as_folders(&self) -> Result<(), TreeError> {
        let mut last = "";
        for entry in &self.entries {
            let folder = entry.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            if folder == last {
                continue;
            }
            last = folder;
            let mut above = folder;
            while !above.is_empty() {
                if self.get(above).is_some() {
                    return Err(TreeError::FileAndFolder(above.to_owned()));
                }
                above = above.rsplit_once('/').map_or("", |(above, _)| above);
            }
        }
        Ok(())
    }

    /// The bytes of the object.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out =
            String::with_capacity(2 + self.entries.iter().map(|e| e.path.len() + 64).sum::<usize>());
        out.push('[');
        for (n, entry) in self.entries.iter().enumerate() {
            out.push_str(if n == 0 { "{\"md5\": \"" } else { ", {\"md5\": \"" });
            out.push_str(&entry.digest.hex());
            out.push_str("\", \"relpath\": ");
            push_python_string(&mut out, &entry.path);
            out.push('}');
        }
        out.push(']');
        out.into_bytes()
    }

    /// The digest of the folder.
    pub fn digest(&self) -> Digest {
        Digest::dir(md5::of_bytes(&self.to_bytes()))
    }
}

/// Tells one sequence of entries from another much quicker than the MD5 of a listing does: two words that each entry
/// is mixed into. It protects against change, not against intent; what is found by it was computed here before.
#[derive(Clone, Copy, Debug)]
pub struct Fingerprint([u64; 2]);

impl Default for Fingerprint {
    fn default() -> Self {
        // Digits of pi.
        Self([0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344])
    }
}

impl Fingerprint {
    /// Adds an entry.
    pub fn add(&mut self, path: &str, digest: &Digest) {
        let (words, rest) = path.as_bytes().as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.mix(u64::from_le_bytes(last));
        self.mix(path.len() as u64);
        for word in digest.bytes().as_chunks::<8>().0 {
            self.mix(u64::from_le_bytes(*word));
        }
    }

    fn mix(&mut self, word: u64) {
        let [a, b] = &mut self.0;
        *a = (*a ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        *b = (b.rotate_left(23) ^ word).wrapping_mul(0xd6e8_feb8_6659_fd93) ^ (*b >> 31);
    }

    /// The sixteen bytes of it.
    pub fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.0[0].to_le_bytes());
        bytes[8..].copy_from_slice(&self.0[1].to_le_bytes());
        bytes
    }
}

/// Whether `path` is `folder` or lies below it; everything lies below the empty path.
pub fn is_at_or_below(path: &str, folder: &str) -> bool {
    folder.is_empty()
        || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a path of an entry names a file below its folder, without detours.
fn stays_inside(path: &str) -> bool {
    path.split('/').all(|part| !part.is_empty() && part != "." && part != "..") && !path.contains('\0')
}

/// A string as Python's `json.dumps` writes it: everything outside printable ASCII escaped.
fn push_python_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            _ => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(path: &str, content: &str) -> Entry {
        Entry { path: path.into(), digest: Digest::file(md5::of_bytes(content.as_bytes())) }
    }

    // The expected bytes were written by DVC 3.67.1.
    #[test]
    fn the_bytes_are_those_of_dvc() {
        assert_eq!(Tree::default().digest().to_string(), "d751713988987e9331980363e24189ce.dir");
        let tree =
            Tree::new(vec![entry("a/x", "1\n"), entry("a.txt", "1\n"), entry("a-b/ü😀\u{7f}\"\\", "2\n")]);
        assert_eq!(
            String::from_utf8(tree.to_bytes()).unwrap(),
            "[{\"md5\": \"26ab0db90d72e28ad0ba1e22ee510510\", \"relpath\": \"a-b/\\u00fc\\ud83d\\ude00\\u007f\\\"\\\\\"}, \
             {\"md5\": \"b026324c6904b2a9cb4b88d6d61c81d1\", \"relpath\": \"a.txt\"}, \
             {\"md5\": \"b026324c6904b2a9cb4b88d6d61c81d1\", \"relpath\": \"a/x\"}]"
        );
    }

    #[test]
    fn every_change_changes_the_fingerprint() {
        let print = |entries: &[(&str, &str)]| {
            let mut print = Fingerprint::default();
            for (path, content) in entries {
                print.add(path, &entry(path, content).digest);
            }
            print.bytes()
        };
        let lists: [&[(&str, &str)]; 8] = [
            &[],
            &[("a", "1")],
            &[("a", "2")],
            &[("b", "1")],
            &[("a", "1"), ("b", "1")],
            &[("a", "1"), ("b", "2")],
            &[("b", "1"), ("a", "1")],
            &[("a\0", "1")],
        ];
        let prints: std::collections::BTreeSet<_> = lists.iter().map(|list| print(list)).collect();
        assert_eq!(prints.len(), lists.len());
    }

    #[test]
    fn parts_are_found_and_replaced() {
        let tree = Tree::new(vec![entry("a", "1"), entry("s/b", "2"), entry("s/c", "3"), entry("sx", "4")]);
        let below: Vec<_> = tree.below("s").map(|e| e.path.as_str()).collect();
        assert_eq!(below, ["s/b", "s/c"]);
        let (changed, appended) = tree.with("s", &[entry("d/e", "5")]);
        assert!(!appended);
        let paths: Vec<_> = changed.entries().iter().map(|e| e.path.as_str()).collect();
        assert_eq!(paths, ["a", "s/d/e", "sx"]);
        let (changed, appended) = tree.with("new", &[entry("", "6")]);
        assert!(appended && changed.get("new").is_some());
    }

    #[test]
    fn entries_that_leave_the_folder_are_refused() {
        for path in ["../x", "/etc/passwd", "a/../../x", "a//b", "", ".", "a/."] {
            let bytes =
                format!("[{{\"md5\": \"b026324c6904b2a9cb4b88d6d61c81d1\", \"relpath\": \"{path}\"}}]");
            assert_eq!(Tree::parse(bytes.as_bytes()), Err(TreeError::Escapes(path.into())), "{path}");
        }
        let file = |path: &str| {
            format!("{{\"md5\": \"0123456789abcdef0123456789abcdef\", \"relpath\": \"{path}\"}}")
        };
        let parse = |paths: &[&str]| {
            let entries: Vec<String> = paths.iter().map(|path| file(path)).collect();
            Tree::parse(format!("[{}]", entries.join(",")).as_bytes()).map(|_| ())
        };
        assert_eq!(parse(&["b", "a", "b"]), Err(TreeError::Twice("b".into())));
        assert_eq!(parse(&["a/b/c", "a-b", "a"]), Err(TreeError::FileAndFolder("a".into())));
        assert_eq!(parse(&["a/.Git/config"]), Err(TreeError::Private("a/.Git/config".into())));
        assert_eq!(parse(&[".gitignore", "a/.git", "b/.github/x", "A", "a/b"]), Ok(()));
        for bytes in ["", "{}", "[1]", "[{\"md5\": \"zz\", \"relpath\": \"a\"}]", "[{\"relpath\": \"a\"}]"] {
            assert!(matches!(Tree::parse(bytes.as_bytes()), Err(TreeError::Syntax(_))), "{bytes}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(paths in proptest::collection::btree_set("[^/\\x00]{1,12}(/[^/\\x00]{1,6})?", 0..12)) {
            let is_folder = |path: &str| paths.iter().any(|other| other != path && is_at_or_below(other, path));
            let usable = paths.iter().filter(|path| stays_inside(path) && !is_folder(path));
            let entries: Vec<_> = usable.map(|path| entry(path, path)).collect();
            let tree = Tree::new(entries);
            prop_assert_eq!(Tree::parse(&tree.to_bytes()), Ok(tree));
        }
    }
}
