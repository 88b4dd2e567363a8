//! Tables of experiments: for people, as Markdown, and as CSV.

use matraz_data::experiment::table::{Column, Kind};

use crate::cli::table;

fn rows(columns: &[Column]) -> Vec<Vec<String>> {
    let count = columns.first().map_or(0, |column| column.cells.len());
    (0..count).map(|n| columns.iter().map(|column| column.cells[n].clone()).collect()).collect()
}

/// A Markdown table.
pub fn markdown(columns: &[Column]) -> String {
    let headers: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    format!("{}\n", table::github(&headers, &rows(columns)))
}

/// CSV with the line ends and quotes of Python's writer.
pub fn csv(columns: &[Column]) -> String {
    let mut text = String::new();
    let headers = columns.iter().map(|column| column.name.clone()).collect();
    for row in std::iter::once(headers).chain(rows(columns)) {
        let cells: Vec<String> = row.iter().map(|cell| csv_cell(cell)).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

fn csv_cell(cell: &str) -> String {
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    }
}

/// Columns between lines.
pub fn boxed(columns: &[Column]) -> String {
    let length = |text: &str| text.chars().count();
    let widths: Vec<usize> = columns
        .iter()
        .map(|column| column.cells.iter().map(|cell| length(cell)).fold(length(&column.name), usize::max))
        .collect();
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> = cells
            .iter()
            .zip(columns)
            .zip(&widths)
            .map(|((cell, column), width)| {
                let space = " ".repeat(width.saturating_sub(length(cell)));
                if column.kind == Kind::Metric { format!("{space}{cell}") } else { format!("{cell}{space}") }
            })
            .collect();
        format!("  {}  \n", padded.join("   "))
    };
    let header = line(columns.iter().map(|column| column.name.as_str()).collect());
    let rule = format!(" {} \n", "─".repeat(length(header.trim_end_matches('\n')).saturating_sub(2)));
    let mut text = format!("{rule}{header}{rule}");
    for row in rows(columns) {
        text.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    text.push_str(&rule);
    text
}
