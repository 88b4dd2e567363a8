//! What a Parquet file holds: its columns, how many rows, and the rows themselves where keys are asked for.

use std::fs::File;
use std::path::Path;

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::Field;

/// A file that is open for reading.
pub(super) struct Parquet {
    reader: SerializedFileReader<File>,
}

impl Parquet {
    /// Opens a file. The error says what is wrong with it.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        Ok(Self { reader: SerializedFileReader::new(file).map_err(|error| error.to_string())? })
    }

    /// How many rows it has.
    pub(super) fn rows(&self) -> u64 {
        u64::try_from(self.reader.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// The columns at the top.
    pub(super) fn columns(&self) -> Vec<String> {
        let schema = self.reader.metadata().file_metadata().schema();
        schema.get_fields().iter().map(|field| field.name().to_owned()).collect()
    }

    /// Calls `with` with the cells of each row, as texts.
    pub(super) fn each_row(&self, mut with: impl FnMut(&[String])) -> Result<(), String> {
        let rows = self.reader.get_row_iter(None).map_err(|error| error.to_string())?;
        let mut cells = Vec::new();
        for row in rows {
            let row = row.map_err(|error| error.to_string())?;
            cells.clear();
            cells.extend(row.get_column_iter().map(|(_, field)| match field {
                Field::Str(text) => text.clone(),
                Field::Null => String::new(),
                other => other.to_string(),
            }));
            with(&cells);
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use ::parquet::basic::Compression;
    use ::parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use ::parquet::file::properties::WriterProperties;
    use ::parquet::file::writer::SerializedFileWriter;
    use ::parquet::schema::parser::parse_message_type;

    use super::*;

    /// Writes a table of an `id` and a `name`.
    pub(in super::super) fn write(path: &Path, rows: &[(i64, &str)], compression: Compression) {
        let schema = Arc::new(
            parse_message_type("message m { required int64 id; optional binary name (UTF8); }").unwrap(),
        );
        let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
        let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let ids: Vec<i64> = rows.iter().map(|(id, _)| *id).collect();
        column.typed::<Int64Type>().write_batch(&ids, None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let names: Vec<ByteArray> = rows
            .iter()
            .filter(|(_, name)| !name.is_empty())
            .map(|(_, name)| ByteArray::from(*name))
            .collect();
        let levels: Vec<i16> = rows.iter().map(|(_, name)| i16::from(!name.is_empty())).collect();
        column.typed::<ByteArrayType>().write_batch(&names, Some(&levels), None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();
    }

    #[test]
    fn rows_and_columns_are_read_and_what_is_no_parquet_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.parquet");
        for compression in
            [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(Default::default())]
        {
            write(&path, &[(1, "one"), (2, ""), (3, "three")], compression);
            let table = Parquet::open(&path).unwrap();
            assert_eq!((table.rows(), table.columns()), (3, vec!["id".to_owned(), "name".to_owned()]));
            let mut rows = Vec::new();
            table.each_row(|cells| rows.push(cells.join(" "))).unwrap();
            assert_eq!(rows, ["1 one", "2 ", "3 three"]);
        }
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        assert!(Parquet::open(&path).is_err());
        std::fs::write(&path, "text, no Parquet").unwrap();
        assert!(Parquet::open(&path).is_err());
    }
}
