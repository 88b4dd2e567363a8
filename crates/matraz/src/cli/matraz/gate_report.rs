//! The report of a gate in the notations that people and CI read.

use matraz_ship::gate::{Report, Row, Verdict};

use crate::cli::table::{self, Column, figure, numbers, words};

/// The rules with their verdicts, and the sum.
pub fn rendered(report: &Report, run: &str) -> String {
    format!("{}\n\n{run} {}", table::table(&columns(), &rows(report)), sum(report))
}

/// The same as markdown.
pub fn markdown(report: &Report, run: &str) -> String {
    format!("{}\n\n**{run}** {}", table::markdown(&columns(), &rows(report)), sum(report))
}

fn columns() -> [Column; 4] {
    [words("gate"), numbers("value"), words("verdict"), words("reason")]
}

fn rows(report: &Report) -> Vec<Vec<String>> {
    let row = |row: &Row| {
        let value = row.value.map_or_else(|| "-".into(), figure);
        vec![row.name(), value, row.verdict.word().into(), row.reason.clone()]
    };
    report.rules.iter().map(row).collect()
}

fn sum(report: &Report) -> &'static str {
    match report.verdict {
        Verdict::Pass => "passes the gate",
        Verdict::Fail => "does not pass the gate",
        Verdict::Unknown => "cannot be judged",
    }
}

/// The report as a JUnit test suite, which CI servers show: a rule that is broken is a failure, one that cannot be
/// judged an error.
pub fn junit(report: &Report, run: &str) -> String {
    let count = |verdict: Verdict| report.rules.iter().filter(|row| row.verdict == verdict).count();
    let (failures, errors) = (count(Verdict::Fail), count(Verdict::Unknown));
    let mut lines = vec![
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>".to_owned(),
        format!(
            "<testsuite name=\"gate of {}\" tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\">",
            escaped(run),
            report.rules.len()
        ),
    ];
    for row in &report.rules {
        let name = escaped(&row.name());
        let reason = escaped(&row.reason);
        lines.push(match row.verdict {
            Verdict::Pass => format!(
                "  <testcase classname=\"gate\" name=\"{name}\"><system-out>{reason}</system-out></testcase>"
            ),
            Verdict::Fail => format!(
                "  <testcase classname=\"gate\" name=\"{name}\"><failure message=\"{reason}\"/></testcase>"
            ),
            Verdict::Unknown => {
                format!(
                    "  <testcase classname=\"gate\" name=\"{name}\"><error message=\"{reason}\"/></testcase>"
                )
            }
        });
    }
    lines.push("</testsuite>".to_owned());
    lines.join("\n")
}

/// Text for an attribute or an element of XML; characters that XML cannot hold become `?`.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('?'),
            c => escaped.push(c),
        }
    }
    escaped
}
