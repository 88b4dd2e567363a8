//! The name of data by their content.

use std::fmt;
use std::hash::{Hash, Hasher};

/// The MD5 of a file as 32 lower-case hexadecimal digits, or the MD5 of a folder's listing followed by `.dir`.
///
/// Being made of such digits only, a digest is always safe as a part of a path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest {
    md5: [u8; 16],
    dir: bool,
}

/// Where caches and remotes have their objects.
pub(crate) const FILES_MD5: &str = "files/md5/";
/// What ends the digest of a folder.
pub const DIR_SUFFIX: &str = ".dir";

impl Digest {
    /// The digest of a file with this MD5.
    pub fn file(md5: [u8; 16]) -> Self {
        Self { md5, dir: false }
    }

    /// The digest of a folder whose listing has this MD5.
    pub fn dir(md5: [u8; 16]) -> Self {
        Self { md5, dir: true }
    }

    /// Reads 32 hexadecimal digits of either case, with or without `.dir`.
    pub fn parse(text: &str) -> Option<Self> {
        let (digits, dir) = match text.strip_suffix(DIR_SUFFIX) {
            Some(digits) => (digits, true),
            None => (text, false),
        };
        let digits = digits.as_bytes();
        if digits.len() != 32 {
            return None;
        }
        let mut md5 = [0; 16];
        for (byte, pair) in md5.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex_value(pair[0])? << 4 | hex_value(pair[1])?;
        }
        Some(Self { md5, dir })
    }

    /// Whether this names a folder.
    pub fn is_dir(&self) -> bool {
        self.dir
    }

    /// The sixteen bytes of the MD5.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.md5
    }

    /// The 32 digits without `.dir`.
    pub fn hex(&self) -> String {
        let mut text = String::with_capacity(32);
        for byte in self.md5 {
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
        text
    }

    /// The digest as DVC writes it.
    pub fn to_text(&self) -> String {
        let mut text = self.hex();
        if self.dir {
            text.push_str(DIR_SUFFIX);
        }
        text
    }

    /// The place of the object below the root of a cache or remote: `files/md5/ab/cdef…`.
    pub fn key(&self) -> String {
        self.key_under(FILES_MD5)
    }

    /// The place of an object made by DVC 2: `ab/cdef…` directly below the root.
    pub fn legacy_key(&self) -> String {
        self.key_under("")
    }

    fn key_under(&self, prefix: &str) -> String {
        let mut key = String::with_capacity(prefix.len() + 40);
        self.push_key(prefix, &mut key);
        key
    }

    /// Writes the place of the object below `prefix` behind a text.
    pub(crate) fn push_key(&self, prefix: &str, text: &mut String) {
        text.push_str(prefix);
        for (n, byte) in self.md5.iter().enumerate() {
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
            if n == 0 {
                text.push('/');
            }
        }
        if self.dir {
            text.push_str(DIR_SUFFIX);
        }
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// The bytes are an even hash already, so its first eight do.
impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut first = [0; 8];
        first.copy_from_slice(&self.md5[..8]);
        state.write_u64(u64::from_ne_bytes(first) ^ u64::from(self.dir));
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

/// What DVC's files say about data beside their digest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Bytes; of a folder, those of all its files.
    pub size: Option<u64>,
    /// How many files a folder has; absent for a file.
    pub nfiles: Option<u64>,
    /// Whether a file may be executed by its owner.
    pub isexec: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_and_written() {
        let file = Digest::parse("d41d8cd98f00b204e9800998ecf8427e").unwrap();
        assert_eq!(file.to_string(), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(file.key(), "files/md5/d4/1d8cd98f00b204e9800998ecf8427e");
        let dir = Digest::parse("d751713988987e9331980363e24189ce.dir").unwrap();
        assert!(dir.is_dir());
        assert_eq!(dir.legacy_key(), "d7/51713988987e9331980363e24189ce.dir");
        assert_eq!(Digest::parse("D41D8CD98F00B204E9800998ECF8427E"), Some(file));
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        for text in [
            "",
            ".dir",
            "d41d",
            "d41d8cd98f00b204e9800998ecf8427e.DIR",
            "../../../../../../../../../../etc/passwd",
            "zz1d8cd98f00b204e9800998ecf8427e",
            "ü41d8cd98f00b204e9800998ecf8427",
        ] {
            assert_eq!(Digest::parse(text), None, "{text}");
        }
    }
}
