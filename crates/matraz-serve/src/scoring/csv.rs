//! CSV bodies, read as pandas' `read_csv` does with the types of the signature.

use matraz_base::Value;

use super::python::{convert, repr_text};
use super::table::{Cells, Frame, Names};
use crate::onnx::{Data, Element};

/// Words that stand for a missing value.
const MISSING: [&str; 19] = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A",
    "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
];

/// Reads a table. `type_of` gives the type that the signature demands of a column, by name and position.
pub(super) fn parse(text: &str, type_of: impl Fn(&str, usize) -> Option<Element>) -> Result<Frame, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader =
        ::csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut records = reader.records();
    let header = match records.next() {
        None => return Err("No columns to parse from file".into()),
        Some(header) => header.map_err(|error| error.to_string())?,
    };
    let names = unique(header.iter().map(str::to_owned).collect());
    let mut columns: Vec<Vec<Option<String>>> = vec![Vec::new(); names.len()];
    let mut width = None;
    let mut rows = 0;
    for record in records {
        let record = record.map_err(|error| error.to_string())?;
        let line = record.position().map_or(0, ::csv::Position::line);
        // Rows that are longer than the header begin with an index.
        let width = *width.get_or_insert(record.len().max(names.len()));
        if record.len() > width {
            return Err(format!(
                "Error tokenizing data. C error: Expected {width} fields in line {line}, saw {}",
                record.len()
            ));
        }
        let mut cells = record.iter().skip(width - names.len());
        for column in &mut columns {
            column.push(cells.next().filter(|cell| !MISSING.contains(cell)).map(str::to_owned));
        }
        rows += 1;
    }
    let mut typed = Vec::with_capacity(columns.len());
    for (position, column) in columns.into_iter().enumerate() {
        typed.push(match type_of(&names[position], position) {
            Some(element) => Cells::Typed(read(column, element, position)?),
            None => Cells::Raw(infer(column)),
        });
    }
    Ok(Frame { names: Names::Given(names), columns: typed, rows })
}

/// Repeated names get a number: `a`, `a.1`.
fn unique(names: Vec<String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        let mut candidate = name.clone();
        let mut number = 0;
        while out.contains(&candidate) {
            number += 1;
            candidate = format!("{name}.{number}");
        }
        out.push(candidate);
    }
    out
}

fn read(column: Vec<Option<String>>, element: Element, position: usize) -> Result<Data, String> {
    let values: Vec<Value> = column.into_iter().map(|cell| cell.map_or(Value::Null, Value::Str)).collect();
    let prepared = match element {
        Element::F32 | Element::F64 => values,
        Element::Text => values
            .into_iter()
            .map(|value| if matches!(value, Value::Null) { Value::Float(f64::NAN) } else { value })
            .collect(),
        Element::I64 | Element::I32 => values
            .into_iter()
            .map(|value| match value {
                Value::Null => Err(format!("Integer column has NA values in column {position}")),
                // A whole number may be written as a float.
                Value::Str(text) => match text.trim().parse::<f64>() {
                    Ok(x) if x.fract() == 0.0 && x.abs() < 9e15 => Ok(Value::Int(x as i64)),
                    _ => Ok(Value::Str(text)),
                },
                other => Ok(other),
            })
            .collect::<Result<_, _>>()?,
        Element::Bool => values
            .into_iter()
            .map(|value| match value {
                Value::Str(text) => match text.trim().to_ascii_lowercase().as_str() {
                    "true" | "1" => Ok(Value::Bool(true)),
                    "false" | "0" => Ok(Value::Bool(false)),
                    _ => Err(format!("{} is no truth value in column {position}", repr_text(&text))),
                },
                _ => Err(format!("Bool column has NA values in column {position}")),
            })
            .collect::<Result<_, _>>()?,
    };
    convert(prepared.iter(), element).map_err(|fault| fault.to_string())
}

/// Cells without a signature: integers, floats, truth values or texts, whichever all of the column are.
fn infer(column: Vec<Option<String>>) -> Vec<Value> {
    fn all(column: &[Option<String>], read: impl Fn(&str) -> Option<Value>) -> Option<Vec<Value>> {
        column.iter().map(|cell| cell.as_deref().map_or(Some(Value::Null), &read)).collect()
    }
    all(&column, |cell| cell.trim().parse().ok().map(Value::Int))
        .or_else(|| all(&column, |cell| cell.trim().parse().ok().map(Value::Float)))
        .or_else(|| {
            all(&column, |cell| match cell {
                "True" | "TRUE" | "true" => Some(Value::Bool(true)),
                "False" | "FALSE" | "false" => Some(Value::Bool(false)),
                _ => None,
            })
        })
        .unwrap_or_else(|| column.into_iter().map(|cell| cell.map_or(Value::Null, Value::Str)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_get_the_types_of_the_signature() {
        let type_of = |name: &str, _| match name {
            "a" => Some(Element::F64),
            "n" => Some(Element::I64),
            "s" => Some(Element::Text),
            _ => None,
        };
        let frame = parse("a,n,s,x\n\"1.5\",3.0,Lima,True\nNA,4,\"a,b\",\n\n", type_of).unwrap();
        assert_eq!(frame.rows, 2);
        assert!(matches!(&frame.columns[0], Cells::Typed(Data::F64(v)) if v[0] == 1.5 && v[1].is_nan()));
        assert!(matches!(&frame.columns[1], Cells::Typed(Data::I64(v)) if *v == [3, 4]));
        assert!(matches!(&frame.columns[2], Cells::Typed(Data::Text(v)) if *v == ["Lima", "a,b"]));
        assert!(matches!(&frame.columns[3], Cells::Raw(v) if v[0] == Value::Bool(true)));
    }

    #[test]
    fn faults_are_told_in_the_words_of_pandas() {
        let float = |_: &str, _| Some(Element::F64);
        assert_eq!(parse("", float).unwrap_err(), "No columns to parse from file");
        assert_eq!(parse("a\nx\n", float).unwrap_err(), "could not convert string to float: 'x'");
        let whole = |_: &str, _| Some(Element::I64);
        assert_eq!(parse("a,b\n1,\n", whole).unwrap_err(), "Integer column has NA values in column 1");
        assert!(
            parse("a,b\n1,2\n1,2,3\n", float).unwrap_err().contains("Expected 2 fields in line 3, saw 3")
        );
    }

    #[test]
    fn a_first_column_without_a_name_is_an_index() {
        let frame = parse("a,b\n7,1,2\n8,3,4\n", |_, _| Some(Element::I64)).unwrap();
        assert!(matches!(&frame.columns[0], Cells::Typed(Data::I64(v)) if *v == [1, 3]));
    }
}
