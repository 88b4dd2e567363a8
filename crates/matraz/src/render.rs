//! Turns an error into words, once.

use std::error::Error;
use std::path::Path;

use matraz_base::{Explain, Place};

use crate::names::Grammar;

/// The text for an error: message, causes, source excerpt with a caret, hint.
pub fn error(error: &dyn Explain, grammar: Grammar, cwd: &Path, colour: bool) -> String {
    error_after(None, error, grammar, cwd, colour)
}

/// Like [`error`], with `preamble` before the message: what failed, when the message only says why.
pub fn error_after(
    preamble: Option<&str>,
    error: &dyn Explain,
    grammar: Grammar,
    cwd: &Path,
    colour: bool,
) -> String {
    let label = match grammar {
        Grammar::Matraz => "error:",
        Grammar::Dvc => "ERROR:",
        Grammar::Mlflow => "Error:",
    };
    let paint =
        |code: &str, text: &str| if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
    let preamble = preamble.map(|words| format!("{words} - ")).unwrap_or_default();
    let mut text = format!("{} {preamble}{error}", paint("1;31", label));
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
        // Hints name commands that the user can type.
        let hint = match grammar {
            Grammar::Dvc => hint.replace("`matraz ", "`dvc "),
            Grammar::Matraz | Grammar::Mlflow => hint,
        };
        text.push_str(&format!("\n\n{} {hint}", paint("1;36", "hint:")));
    }
    text
}

fn excerpt(place: &Place) -> String {
    let mut text = format!("\n  --> {place}");
    if let Some(line) = &place.excerpt {
        let (line, column) = window(line, place.column.saturating_sub(1));
        let number = place.line.to_string();
        let margin = " ".repeat(number.len());
        let indent: String = line.chars().take(column).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let room = line.chars().count().saturating_sub(column).max(1);
        let carets = "^".repeat(place.width.min(room));
        text.push_str(&format!("\n{margin} |\n{number} | {line}\n{margin} | {indent}{carets}"));
    }
    text
}

/// The most characters of a line that are shown, and how many of them stand before the fault.
const SHOWN: usize = 120;
const BEFORE: usize = 60;

/// The part of a long line around its fault, and the place of the fault in it.
fn window(line: &str, column: usize) -> (String, usize) {
    let length = line.chars().count();
    if length <= SHOWN {
        return (line.to_owned(), column);
    }
    let start = column.saturating_sub(BEFORE).min(length - SHOWN);
    let part: String = line.chars().skip(start).take(SHOWN).collect();
    let (head, tail) = (if start > 0 { "…" } else { "" }, if start + SHOWN < length { "…" } else { "" });
    (format!("{head}{part}{tail}"), column - start + head.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_fault() {
        let place = Place::at("dvc.yaml", "stages:\n  train:\n    comand: x\n", 3, 5, 6);
        assert_eq!(excerpt(&place), "\n  --> dvc.yaml:3:5\n  |\n3 |     comand: x\n  |     ^^^^^^");
    }
    #[test]
    fn of_a_long_line_the_part_around_the_fault_is_shown() {
        let line = format!("{}x{}", "a".repeat(5000), "b".repeat(5000));
        let text = excerpt(&Place::at("dvc.yaml", &line, 1, 5001, 1));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[3].chars().count() < 140, "{text}");
        let fault = lines[3].chars().position(|c| c == 'x').unwrap();
        assert_eq!(lines[4].chars().position(|c| c == '^').unwrap(), fault);
        let text = excerpt(&Place::at("dvc.yaml", &line, 1, 10_002, 1));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[4].chars().count(), lines[3].chars().count() + 1, "{text}");
    }
}
