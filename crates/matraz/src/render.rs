//! Turns an error into words, once.

use std::error::Error;
use std::path::Path;

use matraz_base::{Explain, Place};

use crate::names::Grammar;

/// The text for an error: message, causes, source excerpt with a caret, hint.
pub fn error(error: &dyn Explain, grammar: Grammar, cwd: &Path, colour: bool) -> String {
    let label = match grammar {
        Grammar::Matraz => "error:",
        Grammar::Dvc => "ERROR:",
        Grammar::Mlflow => "Error:",
    };
    let paint =
        |code: &str, text: &str| if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
    let mut text = format!("{} {error}", paint("1;31", label));
    let mut last = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !last.ends_with(&words) {
            text.push_str(&format!("\n  cause: {words}"));
            last = words;
        }
        cause = Error::source(inner);
    }
    if let Some(place) = error.place() {
        text.push_str(&excerpt(&place.clone().relative_to(cwd)));
    }
    if let Some(hint) = error.hint() {
        text.push_str(&format!("\n\n{} {hint}", paint("1;36", "hint:")));
    }
    text
}

fn excerpt(place: &Place) -> String {
    let mut text = format!("\n  --> {place}");
    if let Some(line) = &place.excerpt {
        let number = place.line.to_string();
        let margin = " ".repeat(number.len());
        let indent: String = line
            .chars()
            .take(place.column.saturating_sub(1))
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        let room = line.chars().count().saturating_sub(place.column.saturating_sub(1)).max(1);
        let carets = "^".repeat(place.width.min(room));
        text.push_str(&format!("\n{margin} |\n{number} | {line}\n{margin} | {indent}{carets}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_fault() {
        let place = Place::at("dvc.yaml", "stages:\n  train:\n    comand: x\n", 3, 5, 6);
        assert_eq!(excerpt(&place), "\n  --> dvc.yaml:3:5\n  |\n3 |     comand: x\n  |     ^^^^^^");
    }
}
