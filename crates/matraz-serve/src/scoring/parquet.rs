//! Parquet bodies, read as pandas' `read_parquet` does: the columns have the types of the file.

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::Field;
use axum::body::Bytes;
use matraz_base::Value;

use super::json;
use super::table::{Cells, Frame, Names};
use crate::onnx::Data;

/// The most that the columns of a file may take when they are unpacked, in bytes, and the most cells.
const MAX_UNPACKED: i64 = 1 << 30;
const MAX_CELLS: i64 = 1 << 26;

/// Reads a table. Columns that `is_wanted` does not take are left out.
pub(super) fn parse(body: &[u8], is_wanted: impl Fn(&str) -> bool) -> Result<Frame, String> {
    let reader =
        SerializedFileReader::new(Bytes::copy_from_slice(body)).map_err(|error| error.to_string())?;
    let file = reader.metadata().file_metadata();
    let names: Vec<String> = file.schema().get_fields().iter().map(|field| field.name().to_owned()).collect();
    let unpacked = reader.metadata().row_groups().iter().map(|group| group.total_byte_size());
    let unpacked = unpacked.fold(0_i64, i64::saturating_add);
    let width = i64::try_from(names.len()).unwrap_or(i64::MAX);
    if unpacked > MAX_UNPACKED || file.num_rows().saturating_mul(width) > MAX_CELLS {
        return Err(format!("the table is too large: {} rows of {width} columns", file.num_rows()));
    }
    let about = file.key_value_metadata().into_iter().flatten().find(|pair| pair.key == "pandas");
    let index = index_columns(about.and_then(|pair| pair.value.as_deref()));
    let kept: Vec<bool> = names.iter().map(|name| !index.contains(name) && is_wanted(name)).collect();
    let mut columns: Vec<Vec<Field>> = vec![Vec::new(); names.len()];
    let mut rows = 0;
    for row in reader.get_row_iter(None).map_err(|error| error.to_string())? {
        let row = row.map_err(|error| error.to_string())?;
        for (position, (_, field)) in row.get_column_iter().enumerate() {
            if kept[position] {
                columns[position].push(field.clone());
            }
        }
        rows += 1;
    }
    let mut frame = Frame { names: Names::Given(Vec::new()), columns: Vec::new(), rows };
    let mut given = Vec::new();
    for ((name, fields), _) in names.into_iter().zip(columns).zip(kept).filter(|(_, kept)| *kept) {
        frame.columns.push(cells(&name, &fields)?);
        given.push(name);
    }
    frame.names = Names::Given(given);
    Ok(frame)
}

/// The columns that pandas wrote for the index of a table.
fn index_columns(about: Option<&str>) -> Vec<String> {
    let Some(Ok(Value::Map(about))) = about.map(|text| json::parse(text.as_bytes())) else {
        return Vec::new();
    };
    let columns = about.get("index_columns").and_then(Value::as_list).unwrap_or_default();
    let name = |column: &Value| match column {
        Value::Str(name) => Some(name.clone()),
        _ => None,
    };
    columns.iter().filter_map(name).collect()
}

/// A column in the type that pandas gives it: whole numbers with gaps are floats, texts and truth values stay as they are.
fn cells(name: &str, fields: &[Field]) -> Result<Cells, String> {
    let has_gaps = fields.iter().any(|field| matches!(field, Field::Null));
    let Some(first) = fields.iter().find(|field| !matches!(field, Field::Null)) else {
        return Ok(Cells::Raw(vec![Value::Null; fields.len()]));
    };
    let whole = |field: &Field| match field {
        Field::Byte(n) => Some(i64::from(*n)),
        Field::Short(n) => Some(i64::from(*n)),
        Field::Int(n) => Some(i64::from(*n)),
        Field::UByte(n) => Some(i64::from(*n)),
        Field::UShort(n) => Some(i64::from(*n)),
        Field::UInt(n) => Some(i64::from(*n)),
        Field::Long(n) => Some(*n),
        _ => None,
    };
    let data = match first {
        Field::Float(_) => Data::F32(
            fields
                .iter()
                .map(|field| match field {
                    Field::Float(x) => *x,
                    _ => f32::NAN,
                })
                .collect(),
        ),
        Field::Double(_) => Data::F64(
            fields
                .iter()
                .map(|field| match field {
                    Field::Double(x) => *x,
                    _ => f64::NAN,
                })
                .collect(),
        ),
        field if whole(field).is_some() && has_gaps => {
            Data::F64(fields.iter().map(|field| whole(field).map_or(f64::NAN, |n| n as f64)).collect())
        }
        Field::Long(_) | Field::UInt(_) => Data::I64(fields.iter().filter_map(whole).collect()),
        field if whole(field).is_some() => {
            let small = |field| whole(field).and_then(|n| i32::try_from(n).ok());
            Data::I32(fields.iter().filter_map(small).collect())
        }
        _ => return fields.iter().map(|field| value(name, field)).collect::<Result<_, _>>().map(typed),
    };
    Ok(Cells::Typed(data))
}

/// Texts and truth values without gaps have a type.
fn typed(values: Vec<Value>) -> Cells {
    let texts: Option<Vec<String>> = values
        .iter()
        .map(|value| match value {
            Value::Str(text) => Some(text.clone()),
            _ => None,
        })
        .collect();
    let truths: Option<Vec<bool>> = values
        .iter()
        .map(|value| match value {
            Value::Bool(truth) => Some(*truth),
            _ => None,
        })
        .collect();
    match (texts, truths) {
        (Some(texts), _) => Cells::Typed(Data::Text(texts)),
        (None, Some(truths)) => Cells::Typed(Data::Bool(truths)),
        (None, None) => Cells::Raw(values),
    }
}

fn value(column: &str, field: &Field) -> Result<Value, String> {
    Ok(match field {
        Field::Null => Value::Null,
        Field::Bool(truth) => Value::Bool(*truth),
        Field::Str(text) => Value::Str(text.clone()),
        Field::Long(n) => Value::Int(*n),
        Field::Int(n) => Value::Int(i64::from(*n)),
        Field::Float(x) => Value::Float(f64::from(*x)),
        Field::Double(x) => Value::Float(*x),
        Field::ListInternal(list) => {
            Value::List(list.elements().iter().map(|item| value(column, item)).collect::<Result<_, _>>()?)
        }
        _ => return Err(format!("the column '{column}' is of a type that no graph takes")),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ::parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
    use ::parquet::file::metadata::KeyValue;
    use ::parquet::file::properties::WriterProperties;
    use ::parquet::file::writer::SerializedFileWriter;
    use ::parquet::schema::parser::parse_message_type;

    use super::*;

    /// A table of `x`, `n` with a gap in its second row, `t`, dates in `d`, and an index.
    fn table() -> Vec<u8> {
        let schema = "message m { required double x; optional int64 n; required binary t (UTF8); \
                      required int64 d (TIMESTAMP_MILLIS); required int64 __index_level_0__; }";
        let about = r#"{"index_columns": ["__index_level_0__"]}"#;
        let properties = WriterProperties::builder()
            .set_key_value_metadata(Some(vec![KeyValue::new("pandas".to_owned(), about.to_owned())]))
            .build();
        let mut bytes = Vec::new();
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties)).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<DoubleType>().write_batch(&[1.5, 2.5], None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&[7], Some(&[1, 0]), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&["a", "ü"].map(ByteArray::from), None, None).unwrap();
        column.close().unwrap();
        for _ in 0..2 {
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<Int64Type>().write_batch(&[1, 2], None, None).unwrap();
            column.close().unwrap();
        }
        group.close().unwrap();
        writer.close().unwrap();
        bytes
    }

    #[test]
    fn columns_have_the_types_of_the_file() {
        let frame = parse(&table(), |name| name != "d").unwrap();
        assert!(matches!(&frame.names, Names::Given(names) if *names == ["x", "n", "t"]));
        assert_eq!(frame.rows, 2);
        assert!(matches!(&frame.columns[0], Cells::Typed(Data::F64(v)) if *v == [1.5, 2.5]));
        assert!(matches!(&frame.columns[1], Cells::Typed(Data::F64(v)) if v[0] == 7.0 && v[1].is_nan()));
        assert!(matches!(&frame.columns[2], Cells::Typed(Data::Text(v)) if *v == ["a", "ü"]));
    }

    #[test]
    fn dates_that_are_wanted_and_broken_files_are_refused() {
        let whole = table();
        assert!(parse(&whole, |_| true).unwrap_err().contains("'d'"));
        for end in [0, 3, 20, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
            assert!(parse(&whole[..end], |_| true).is_err(), "{end}");
        }
    }
}
