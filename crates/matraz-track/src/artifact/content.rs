//! The headers of a file that is sent: its media type and the name it is saved under.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Extensions that MLflow's own interface shows as text.
const TEXT_EXTENSIONS: &[&str] = &[
    "txt",
    "log",
    "err",
    "cfg",
    "conf",
    "cnf",
    "cf",
    "ini",
    "properties",
    "prop",
    "hocon",
    "toml",
    "yaml",
    "yml",
    "xml",
    "json",
    "js",
    "py",
    "py3",
    "csv",
    "tsv",
    "md",
    "rst",
    "ipynb",
    "MLmodel",
    "MLproject",
];

/// Characters that RFC 5987 lets stand in `filename*`.
const EXTENDED_NAME: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// The media type of a file by its name: text for what people read, else by extension, else plain bytes.
pub fn media_type(name: &str) -> &'static str {
    let extension = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && !extension.is_empty() => extension,
        _ => name,
    };
    if TEXT_EXTENSIONS.contains(&extension) {
        return "text/plain";
    }
    if extension == name {
        "application/octet-stream"
    } else {
        mime_guess::from_ext(extension).first_raw().unwrap_or("application/octet-stream")
    }
}

/// The `Content-Disposition` of a download. It is always an attachment, so that a browser never runs an artifact as a
/// page of the server.
pub fn attachment(name: &str) -> String {
    let ascii: String =
        name.chars().filter(char::is_ascii).filter(|letter| !letter.is_ascii_control()).collect();
    let is_token = |letter: char| letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter);
    let mut header = "attachment; filename=".to_owned();
    if ascii.is_empty() {
        header.push_str("download");
    } else if ascii.chars().all(is_token) {
        header.push_str(&ascii);
    } else {
        header.push('"');
        for letter in ascii.chars() {
            if matches!(letter, '"' | '\\') {
                header.push('\\');
            }
            header.push(letter);
        }
        header.push('"');
    }
    if ascii.len() != name.len() {
        let _ = write!(header, "; filename*=UTF-8''{}", utf8_percent_encode(name, EXTENDED_NAME));
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types() {
        for (name, want) in [
            ("t.json", "text/plain"),
            ("t.html", "text/html"),
            ("t.png", "image/png"),
            ("MLmodel", "text/plain"),
            ("t.bin", "application/octet-stream"),
            ("model.onnx", "application/octet-stream"),
            ("no-extension", "application/octet-stream"),
            ("png", "application/octet-stream"),
            (".hidden", "application/octet-stream"),
        ] {
            assert_eq!(media_type(name), want, "{name}");
        }
    }

    #[test]
    fn dispositions() {
        for (name, want) in [
            ("a.bin", "attachment; filename=a.bin"),
            ("a b.txt", "attachment; filename=\"a b.txt\""),
            ("a\"b", "attachment; filename=\"a\\\"b\""),
            ("ü.txt", "attachment; filename=.txt; filename*=UTF-8''%C3%BC.txt"),
            ("文", "attachment; filename=download; filename*=UTF-8''%E6%96%87"),
            ("a\r\nX: y", "attachment; filename=\"aX: y\"; filename*=UTF-8''a%0D%0AX%3A%20y"),
        ] {
            assert_eq!(attachment(name), want, "{name:?}");
        }
    }
}
