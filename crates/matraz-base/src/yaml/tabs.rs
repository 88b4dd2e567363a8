//! Where a tab may stand. The parser takes tabs for white space in places where `ruamel.yaml` refuses them, and a file
//! that other tools cannot read must not pass for a good one.

use super::SyntaxError;

/// A part of the text that has rules of its own for tabs, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub start: usize,
    pub end: usize,
    pub kind: PartKind,
}

/// What a [`Part`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartKind {
    /// A list or mapping in brackets: a tab is white space.
    Brackets,
    /// A scalar in quotes, and white space and a comment behind it.
    Quoted,
    /// The lines of a scalar below `|` or `>`: a tab is text once the indentation is over.
    Block,
}

/// Refuses the first tab that stands where only spaces may, or in a scalar that no quotes enclose.
pub(super) fn check(text: &str, parts: &mut [Part]) -> Result<(), SyntaxError> {
    parts.sort_by_key(|part| part.start);
    let mut parts = parts.iter().peekable();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        while parts.next_if(|part| part.start < at).is_some() {}
        if let Some(part) = parts.next_if(|part| part.start == at) {
            if part.kind == PartKind::Block
                && let Some(tab) = tab_in_block(text, part.start, part.end)
            {
                return Err(refusal(text, tab));
            }
            at = if part.kind == PartKind::Quoted { quoted_end(text, at) } else { part.end };
            continue;
        }
        match bytes[at] {
            b'\t' => return Err(refusal(text, at)),
            b'#' if at == 0 || bytes[at - 1].is_ascii_whitespace() => at += line_length(&text[at..]),
            _ => at += 1,
        }
    }
    Ok(())
}

/// The first tab in the indentation of the lines from `start` to `end`, of which the first starts at its first
/// character and tells how far the others are indented.
fn tab_in_block(text: &str, start: usize, end: usize) -> Option<usize> {
    let indentation = text[..start].rsplit('\n').next().unwrap_or("").len();
    let mut at = start;
    for (number, line) in text[start..end].split_inclusive('\n').enumerate() {
        let spaces = line.len() - line.trim_start_matches(' ').len();
        if number > 0 && spaces < indentation && line[spaces..].starts_with('\t') {
            return Some(at + spaces);
        }
        at += line.len();
    }
    None
}

/// Where the scalar ends that starts with a quote at `start`.
fn quoted_end(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let quote = bytes[start];
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quote == b'"' => at += 2,
            byte if byte != quote => at += 1,
            b'\'' if bytes.get(at + 1) == Some(&quote) => at += 2,
            _ => return at + 1,
        }
    }
    bytes.len()
}

fn line_length(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

fn refusal(text: &str, at: usize) -> SyntaxError {
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    SyntaxError { line, column, width: 1, message: "a tab cannot stand here; use spaces".to_owned() }
}

#[cfg(test)]
mod tests {
    use crate::yaml::{Dialect, parse, parse_with};

    #[test]
    fn tabs_stand_where_ruamel_takes_them() {
        let good = [
            "a: [1,\t2]\n",
            "a: [1\t,2,\n\t3]\n",
            "a: 'x\ty'\nb: \"it's\ty\"\nc: 'it''s\ty'\nd: \"q\\\"\ty\"\n",
            "a: 'x' #\tc\n",
            "a: |\n  x\ty\n  \tz\n  w\t\nb: 1\n",
            "a: |2\n  \tx\n",
            "a: >\n  x\n  \ty\n",
            "a: 1 #c\t\n#\tc\n",
        ];
        for text in good {
            assert!(parse(text).is_ok(), "{text:?}: {:?}", parse(text));
        }
    }

    #[test]
    fn other_tabs_are_refused_by_their_place() {
        let bad = [
            ("a: 1 \t \n", 1, 6),
            ("a: 1\t\n", 1, 5),
            ("a: ü\tc\n", 1, 5),
            ("a: 'x'\t\n", 1, 7),
            ("a: \"x\"\t# \"\n", 1, 7),
            ("a: {}\t#c\n", 1, 6),
            ("a: [1]\t\nb: 2\n", 1, 7),
            ("a: b#\tc\n", 1, 6),
            ("a: 1\n \t\nb: 2\n", 2, 2),
            ("- \ta\n", 1, 3),
            ("a: |\t\n  x\n", 1, 5),
            ("a: |\n  x\n\t\nb: 1\n", 3, 1),
            ("a: b\n  \tc\n", 2, 3),
        ];
        for (text, line, column) in bad {
            let error = parse(text).expect_err(text);
            assert_eq!((error.line, error.column), (line, column), "{text:?}: {error}");
        }
        assert!(parse_with("a: 1\t\n", Dialect::PyYaml11).is_ok());
    }
}
