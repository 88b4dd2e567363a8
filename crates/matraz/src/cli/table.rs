//! Tables for people: aligned columns under a thin rule, the same on a terminal and in a file.

use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

/// A column: its heading, and whether its cells are numbers.
#[derive(Clone, Debug)]
pub struct Column {
    /// The heading.
    pub name: String,
    /// Numbers stand to the right.
    pub number: bool,
}

/// A column of text.
pub fn words(name: &str) -> Column {
    Column { name: name.to_owned(), number: false }
}

/// A column of numbers.
pub fn numbers(name: &str) -> Column {
    Column { name: name.to_owned(), number: true }
}

/// The table as text without a final newline.
pub fn table(columns: &[Column], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    let ruled = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
    table.load_style(ruled).set_content_arrangement(ContentArrangement::Disabled);
    let align = |column: &Column| if column.number { CellAlignment::Right } else { CellAlignment::Left };
    table.set_header(columns.iter().map(|column| Cell::new(&column.name).set_alignment(align(column))));
    for row in rows {
        let cells =
            row.iter().zip(columns).map(|(text, column)| Cell::new(text).set_alignment(align(column)));
        table.add_row(cells);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    let text = table.to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// A number for a person: whole numbers whole, others with at most five significant decimals.
pub fn figure(x: f64) -> String {
    if x.fract() == 0.0 && x.abs() < 1e15 {
        return format!("{x}");
    }
    if x.abs() >= 1e-4 && x.abs() < 1e9 {
        let text = format!("{x:.5}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    matraz_base::value::python_float(x)
}

/// A Markdown table.
pub fn markdown(columns: &[Column], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let escape = |text: &String| text.replace('|', "\\|");
    let mut lines = vec![line(columns.iter().map(|column| escape(&column.name)).collect())];
    lines.push(line(columns.iter().map(|c| if c.number { "---:".into() } else { "---".into() }).collect()));
    lines.extend(rows.iter().map(|row| line(row.iter().map(escape).collect())));
    lines.join("\n")
}

/// Aligned columns without rules, as DVC prints them.
pub fn plain(headers: &[String], rows: &[Vec<String>]) -> String {
    let widths = widths(headers, rows);
    let line = |cells: &[String]| padded(cells, &widths).join("  ").trim_end().to_owned();
    let lines: Vec<String> = std::iter::once(line(headers)).chain(rows.iter().map(|row| line(row))).collect();
    lines.join("\n")
}

/// Aligned columns without a heading.
pub fn bare(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |n: usize| rows.iter().filter_map(|row| row.get(n)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|n| width(n).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| padded(row, &widths).join("  ").trim_end().to_owned();
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A Markdown table with aligned columns, as DVC prints it: with an empty line at the end.
pub fn github(headers: &[String], rows: &[Vec<String>]) -> String {
    let widths = widths(headers, rows);
    let line = |cells: &[String]| format!("| {} |", padded(cells, &widths).join(" | "));
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
    let mut lines = vec![line(headers), format!("|{}|", rule.join("|"))];
    lines.extend(rows.iter().map(|row| line(row)));
    lines.push(String::new());
    lines.join("\n")
}

fn widths(headers: &[String], rows: &[Vec<String>]) -> Vec<usize> {
    let count = |text: &String| text.chars().count();
    (0..headers.len())
        .map(|n| rows.iter().filter_map(|row| row.get(n)).map(count).fold(count(&headers[n]) + 2, usize::max))
        .collect()
}

fn padded(cells: &[String], widths: &[usize]) -> Vec<String> {
    cells.iter().zip(widths).map(|(cell, &width)| format!("{cell:width$}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let text = table(
            &[words("run"), numbers("accuracy")],
            &[vec!["calm-owl-1".into(), "0.9".into()], vec!["b".into(), "0.93".into()]],
        );
        assert_eq!(
            text,
            "run         accuracy\n─────────────────────\ncalm-owl-1       0.9\nb               0.93"
        );
    }

    #[test]
    fn figures_are_short() {
        for (x, text) in
            [(300.0, "300"), (0.932_176_4, "0.93218"), (0.5, "0.5"), (1e-7, "1e-07"), (f64::NAN, "nan")]
        {
            assert_eq!(figure(x), text);
        }
    }
}
