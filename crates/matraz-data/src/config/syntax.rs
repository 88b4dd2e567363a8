//! The text of a configuration file: sections in brackets, `key = value`, comments after `#`, comma lists.
//!
//! The grammar is that of Python's `configobj`, which DVC reads and writes with. Section names and keys are
//! lower-cased. Unlike DVC, an edit here keeps comments, blank lines and order.

use std::fmt;

/// The name of a section: `core`, or a kind with a quoted name such as `remote "origin"`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SectionName {
    /// `core`, `cache`, `remote` …
    pub kind: String,
    /// What stands in the quotes.
    pub name: Option<String>,
}

impl SectionName {
    /// A section without a quoted name.
    pub fn plain(kind: &str) -> Self {
        Self { kind: kind.to_lowercase(), name: None }
    }

    /// The section of a remote.
    pub fn remote(name: &str) -> Self {
        Self { kind: "remote".into(), name: Some(name.to_lowercase()) }
    }

    fn parse(text: &str) -> Self {
        let text = text.to_lowercase();
        for kind in ["remote", "machine", "db"] {
            if let Some(rest) = text.trim().strip_prefix(kind)
                && let Some(name) = rest.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'))
            {
                return Self { kind: kind.into(), name: Some(name.into()) };
            }
        }
        Self { kind: text, name: None }
    }
}

/// As it is written between the brackets.
impl fmt::Display for SectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{} \"{name}\"", self.kind),
            None => f.write_str(&self.kind),
        }
    }
}

/// The value of an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// One text.
    Text(String),
    /// Several, separated by commas outside quotes.
    List(Vec<String>),
}

impl Setting {
    /// The text; of a list, its items with commas between.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::List(items) => items.join(","),
        }
    }
}

/// As `config --list` shows it.
impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::List(items) => {
                let quoted: Vec<_> = items.iter().map(|item| format!("'{item}'")).collect();
                write!(f, "[{}]", quoted.join(", "))
            }
        }
    }
}

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    /// A blank or comment line, kept as it is.
    Other(String),
    Header {
        name: SectionName,
        comment: String,
    },
    Option {
        section: SectionName,
        key: String,
        value: Setting,
        comment: String,
    },
}

/// A configuration file as lines that can be changed and written back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    lines: Vec<Line>,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl Document {
    /// Reads a file's text.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let mut lines: Vec<Line> = Vec::new();
        let mut current: Option<SectionName> = None;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (number, raw) in text.lines().enumerate() {
            let fail = |message: String| SyntaxError { line: number + 1, message };
            let line = raw.trim();
            if line.is_empty() || line.starts_with('#') {
                lines.push(Line::Other(raw.to_owned()));
                continue;
            }
            if line.starts_with('[') {
                let (name, comment) = header(line)
                    .ok_or_else(|| fail(format!("'{line}' is neither a section nor `key = value`")))?;
                let name = SectionName::parse(&name);
                let twice = lines.iter().any(|l| matches!(l, Line::Header { name: old, .. } if *old == name));
                if twice {
                    return Err(fail(format!("section [{name}] occurs twice")));
                }
                current = Some(name.clone());
                lines.push(Line::Header { name, comment });
                continue;
            }
            let (key, value) = line
                .split_once('=')
                .filter(|(key, _)| !key.trim().is_empty())
                .ok_or_else(|| fail(format!("'{line}' is neither a section nor `key = value`")))?;
            let Some(section) = current.clone() else {
                return Err(fail(format!("'{}' stands before the first section", key.trim())));
            };
            let key = unquote(key.trim()).to_lowercase();
            let twice = lines
                .iter()
                .any(|l| matches!(l, Line::Option { section: s, key: k, .. } if *s == section && *k == key));
            if twice {
                return Err(fail(format!("'{key}' occurs twice in section [{section}]")));
            }
            let (value, comment) = value_and_comment(value.trim()).map_err(fail)?;
            lines.push(Line::Option { section, key, value, comment });
        }
        Ok(Self { lines })
    }

    /// All options in the order of the file.
    pub fn options(&self) -> impl Iterator<Item = (&SectionName, &str, &Setting)> {
        self.lines.iter().filter_map(|line| match line {
            Line::Option { section, key, value, .. } => Some((section, key.as_str(), value)),
            _ => None,
        })
    }

    /// The names of all sections in the order of the file.
    pub fn sections(&self) -> impl Iterator<Item = &SectionName> {
        self.lines.iter().filter_map(|line| match line {
            Line::Header { name, .. } => Some(name),
            _ => None,
        })
    }

    /// Sets an option, adding its section when there is none.
    pub fn set(&mut self, section: &SectionName, key: &str, value: Setting) {
        let key = key.to_lowercase();
        for line in &mut self.lines {
            if let Line::Option { section: s, key: k, value: old, .. } = line
                && s == section
                && *k == key
            {
                *old = value;
                return;
            }
        }
        let new = Line::Option { section: section.clone(), key, value, comment: String::new() };
        let last = self.lines.iter().rposition(|line| match line {
            Line::Header { name, .. } => name == section,
            Line::Option { section: s, .. } => s == section,
            Line::Other(_) => false,
        });
        match last {
            Some(at) => self.lines.insert(at + 1, new),
            None => {
                let at = if section.name.is_some() { self.lines.len() } else { self.start_of_named() };
                let header = Line::Header { name: section.clone(), comment: String::new() };
                self.lines.splice(at..at, [header, new]);
            }
        }
    }

    /// Where the sections with quoted names begin, the comments above the first of them included: DVC keeps them last.
    fn start_of_named(&self) -> usize {
        let first = self
            .lines
            .iter()
            .position(|line| matches!(line, Line::Header { name, .. } if name.name.is_some()));
        let mut at = first.unwrap_or(self.lines.len());
        while first.is_some()
            && at > 0
            && matches!(&self.lines[at - 1], Line::Other(text) if !text.trim().is_empty())
        {
            at -= 1;
        }
        at
    }

    /// Removes an option, and its section when nothing is left in it. False when there was no such option.
    pub fn unset(&mut self, section: &SectionName, key: &str) -> bool {
        let key = key.to_lowercase();
        let before = self.lines.len();
        self.lines.retain(
            |line| !matches!(line, Line::Option { section: s, key: k, .. } if s == section && *k == key),
        );
        let removed = self.lines.len() < before;
        if !self.options().any(|(s, _, _)| s == section) {
            self.lines.retain(|line| !matches!(line, Line::Header { name, .. } if name == section));
        }
        removed
    }

    /// Removes a section with all its options. False when there was none.
    pub fn remove_section(&mut self, section: &SectionName) -> bool {
        let before = self.lines.len();
        self.lines.retain(|line| match line {
            Line::Header { name, .. } => name != section,
            Line::Option { section: s, .. } => s != section,
            Line::Other(_) => true,
        });
        self.lines.len() < before
    }

    /// Removes all options of a section and keeps its place.
    pub fn clear_section(&mut self, section: &SectionName) {
        self.lines.retain(|line| !matches!(line, Line::Option { section: s, .. } if s == section));
    }

    /// Gives a section another name.
    pub fn rename_section(&mut self, old: &SectionName, new: &SectionName) {
        for line in &mut self.lines {
            match line {
                Line::Header { name, .. } if name == old => *name = new.clone(),
                Line::Option { section, .. } if section == old => *section = new.clone(),
                _ => {}
            }
        }
    }

    /// The text of the file.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            match line {
                Line::Other(raw) => text.push_str(raw),
                Line::Header { name, comment } => {
                    text.push_str(&format!("[{}]{comment}", quote(&name.to_string())));
                }
                Line::Option { key, value, comment, .. } => {
                    let value = match value {
                        Setting::Text(value) => quote(value),
                        Setting::List(items) if items.is_empty() => ",".into(),
                        Setting::List(items) if items.len() == 1 => format!("{},", quote(&items[0])),
                        Setting::List(items) => {
                            items.iter().map(|item| quote(item)).collect::<Vec<_>>().join(", ")
                        }
                    };
                    text.push_str(&format!("    {} = {value}{comment}", quote(key)));
                }
            }
            text.push('\n');
        }
        text
    }
}

/// The name and the trailing comment of `[name]` or `['name']`.
fn header(line: &str) -> Option<(String, String)> {
    let inner = line.strip_prefix('[')?;
    let (name, rest) = match inner.trim_start().chars().next() {
        Some(mark @ ('"' | '\'')) => {
            let inner = &inner.trim_start()[1..];
            let end = inner.find(mark)?;
            let rest = inner[end + 1..].trim_start().strip_prefix(']')?;
            (inner[..end].to_owned(), rest)
        }
        _ => {
            let (name, rest) = inner.rsplit_once(']')?;
            (name.trim().to_owned(), rest)
        }
    };
    let comment = rest.trim();
    if name.is_empty() || name.starts_with('[') || !(comment.is_empty() || comment.starts_with('#')) {
        return None;
    }
    let comment = if comment.is_empty() { String::new() } else { format!(" {comment}") };
    Some((name, comment))
}

/// Splits what stands after `=` into the value and the comment behind it.
fn value_and_comment(text: &str) -> Result<(Setting, String), String> {
    if text.starts_with("'''") || text.starts_with("\"\"\"") {
        return Err("values over several lines in triple quotes are not supported".into());
    }
    let mut items: Vec<String> = Vec::new();
    let mut commas = 0;
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() || rest.starts_with('#') {
            break;
        }
        if let Some(after) = rest.strip_prefix(',') {
            commas += 1;
            rest = after;
            continue;
        }
        if items.len() > commas {
            return Err(format!("cannot read the value '{text}'"));
        }
        match rest.chars().next() {
            Some(mark @ ('"' | '\'')) => {
                let inner = &rest[1..];
                let end = inner.find(mark).ok_or_else(|| format!("a quote is not closed in '{text}'"))?;
                items.push(inner[..end].to_owned());
                rest = &inner[end + 1..];
            }
            _ => {
                let end = rest.find([',', '#']).unwrap_or(rest.len());
                items.push(rest[..end].trim_end().to_owned());
                rest = &rest[end..];
            }
        }
    }
    let comment = if rest.is_empty() { String::new() } else { format!(" {rest}") };
    let value = match (items.len(), commas) {
        (0, 0) => Setting::Text(String::new()),
        (1, 0) => Setting::Text(items.swap_remove(0)),
        _ => Setting::List(items),
    };
    Ok((value, comment))
}

fn unquote(text: &str) -> &str {
    for mark in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(mark).and_then(|t| t.strip_suffix(mark)) {
            return inner;
        }
    }
    text
}

/// A value with the quotes that the grammar asks for.
fn quote(value: &str) -> String {
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || c == '"' || c == '\'');
    let plain = !edge(value.chars().next()) && !edge(value.chars().last());
    if plain && !value.contains([',', '#']) {
        return value.to_owned();
    }
    if value.contains('"') { format!("'{value}'") } else { format!("\"{value}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HANDWRITTEN: &str = "# my settings\n[core]\n    Remote = Store ; not a comment\n    autostage = True # really\n\n['remote \"Store\"']\n    url = ../../remote\n[remote \"two\"]\nurl = \"s3://bucket/with space/path\"\n[cache]\n    type = reflink, 'copy'\n";

    fn get(document: &Document, section: &SectionName, key: &str) -> Option<Setting> {
        document.options().find(|(s, k, _)| *s == section && *k == key).map(|(_, _, v)| v.clone())
    }

    #[test]
    fn hand_written_files_are_understood() {
        let document = Document::parse(HANDWRITTEN).unwrap();
        let core = SectionName::plain("core");
        let text = |t: &str| Some(Setting::Text(t.into()));
        assert_eq!(get(&document, &core, "remote"), text("Store ; not a comment"));
        assert_eq!(get(&document, &core, "autostage"), text("True"));
        assert_eq!(get(&document, &SectionName::remote("STORE"), "url"), text("../../remote"));
        assert_eq!(get(&document, &SectionName::remote("two"), "url"), text("s3://bucket/with space/path"));
        assert_eq!(
            get(&document, &SectionName::plain("cache"), "type"),
            Some(Setting::List(vec!["reflink".into(), "copy".into()]))
        );
    }

    #[test]
    fn edits_keep_comments_and_drop_empty_sections() {
        let mut document = Document::parse(HANDWRITTEN).unwrap();
        document.set(&SectionName::remote("two"), "jobs", Setting::Text("4".into()));
        assert!(document.unset(&SectionName::plain("cache"), "type"));
        assert!(!document.unset(&SectionName::plain("cache"), "type"));
        document.set(&SectionName::plain("exp"), "auto_push", Setting::Text("true".into()));
        let text = document.to_text();
        assert!(text.starts_with("# my settings\n[core]\n"));
        assert!(text.contains("    autostage = True # really\n"));
        assert!(text.contains("    url = s3://bucket/with space/path\n    jobs = 4\n"));
        assert!(!text.contains("cache"));
        assert!(text.contains("[exp]\n    auto_push = true\n['remote \"store\"']\n"));
    }

    #[test]
    fn broken_lines_are_named() {
        for (text, line) in [
            ("[core\nbroken", 1),
            ("[core]\nbroken", 2),
            ("a = 1", 1),
            ("[a]\nb = 'x", 2),
            ("[a]\nb=1\nb=2", 3),
        ] {
            assert_eq!(Document::parse(text).unwrap_err().line, line, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_set_is_read_back(value in "[ -~]{0,20}") {
            prop_assume!(!(value.contains('"') && value.contains('\'')));
            let mut document = Document::default();
            let section = SectionName::remote("a b");
            document.set(&section, "url", Setting::Text(value.clone()));
            let again = Document::parse(&document.to_text()).unwrap();
            prop_assert_eq!(get(&again, &section, "url"), Some(Setting::Text(value)));
        }
    }
}
