//! An explanation as text and as markdown.

use std::fmt::Write as _;

use super::{Change, Explanation, Section};

/// Changes of one section that are shown; `--json` has all.
const SHOWN: usize = 15;

impl Explanation {
    /// For a terminal.
    pub fn text(&self) -> String {
        let mut text =
            format!("{} → {}\n", side(&self.a.asked, &self.a.name), side(&self.b.asked, &self.b.name));
        for change in self.metrics.iter().take(SHOWN) {
            let _ = writeln!(text, "  {}  {} → {}", change.key, number(change.old), number(change.new));
        }
        for section in
            self.sections.iter().filter(|section| !section.changes.is_empty() || section.unknown.is_some())
        {
            let _ = writeln!(text, "\n{}", section.about.word());
            if let Some(why) = &section.unknown {
                let _ = writeln!(text, "  cannot be told: {why}");
            }
            for change in section.changes.iter().take(SHOWN) {
                let _ = writeln!(text, "  {}{}", change.what, sides(change));
                for line in
                    change.table.iter().map(super::TableChange::line).chain(change.details.iter().cloned())
                {
                    let _ = writeln!(text, "    {line}");
                }
                let examples = change
                    .table
                    .iter()
                    .filter_map(|table| table.keys.as_ref())
                    .flat_map(|keys| &keys.examples);
                let examples: Vec<&str> = examples.map(String::as_str).collect();
                if !examples.is_empty() {
                    let _ = writeln!(text, "    {}", examples.join("  "));
                }
            }
            if section.changes.len() > SHOWN {
                let _ = writeln!(text, "  and {} more", section.changes.len() - SHOWN);
            }
        }
        let same = self.same();
        if !same.is_empty() {
            let _ = writeln!(text, "\nthe same: {}", same.join(", "));
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// For a pull request.
    pub fn markdown(&self) -> String {
        let mut text =
            format!("### {} → {}\n", side(&self.a.asked, &self.a.name), side(&self.b.asked, &self.b.name));
        if !self.metrics.is_empty() {
            text.push_str("\n| metric | before | after |\n| --- | ---: | ---: |\n");
            for change in self.metrics.iter().take(SHOWN) {
                let _ = writeln!(
                    text,
                    "| {} | {} | {} |",
                    cell(&change.key),
                    number(change.old),
                    number(change.new)
                );
            }
        }
        for section in
            self.sections.iter().filter(|section| !section.changes.is_empty() || section.unknown.is_some())
        {
            let _ = writeln!(text, "\n**{}**", section.about.word());
            if let Some(why) = &section.unknown {
                let _ = writeln!(text, "\ncannot be told: {}", cell(why));
            }
            if section.changes.is_empty() {
                continue;
            }
            text.push_str("\n| what | before | after | |\n| --- | --- | --- | --- |\n");
            for change in section.changes.iter().take(SHOWN) {
                let side = |value: &Option<String>| {
                    value.as_deref().map_or_else(String::new, |value| cell(&short(value)))
                };
                let more: Vec<String> = change
                    .table
                    .iter()
                    .map(super::TableChange::line)
                    .chain(change.details.iter().cloned())
                    .collect();
                let more = cell(&more.join("<br>"));
                let _ = writeln!(
                    text,
                    "| {} | {} | {} | {more} |",
                    cell(&change.what),
                    side(&change.old),
                    side(&change.new)
                );
            }
            if section.changes.len() > SHOWN {
                let _ = writeln!(text, "\nand {} more", section.changes.len() - SHOWN);
            }
        }
        let same = self.same();
        if !same.is_empty() {
            let _ = writeln!(text, "\nThe same: {}.", same.join(", "));
        }
        text
    }

    fn same(&self) -> Vec<&'static str> {
        let same = |section: &&Section| section.changes.is_empty() && section.unknown.is_none();
        self.sections.iter().filter(same).map(|section| section.about.word()).collect()
    }
}

fn side(asked: &str, name: &str) -> String {
    if asked == name { name.to_owned() } else { format!("{asked} ({name})") }
}

fn sides(change: &Change) -> String {
    match (&change.old, &change.new) {
        (None, None) => String::new(),
        (old, new) => {
            let word = |value: &Option<String>| value.as_deref().map_or_else(|| "none".to_owned(), short);
            format!("  {} → {}", word(old), word(new))
        }
    }
}

/// Digests are shown by their first digits.
fn short(value: &str) -> String {
    let hex = value.trim_end_matches(".dir");
    match hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => value.chars().take(8).collect(),
        false => value.to_owned(),
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "none".into(), matraz_base::value::python_float)
}

/// Text that does not end a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
