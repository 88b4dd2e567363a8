//! The end of a Parquet file, which says how many rows and which columns it has.
//!
//! Apache Parquet's format: `PAR1 … metadata, its length in 4 bytes, PAR1`; the metadata are a struct of Thrift's compact
//! protocol, of which the schema (field 2) and the number of rows (field 3) are read.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// The longest metadata that are read, in bytes.
const LONGEST: u64 = 64 << 20;
/// How deep structs may be nested.
const DEEPEST: u32 = 32;

/// What a Parquet file says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Summary {
    pub rows: u64,
    /// The columns at the top.
    pub columns: Vec<String>,
}

pub(super) fn read(path: &Path) -> Result<Summary, String> {
    let text = |error: std::io::Error| error.to_string();
    let mut file = File::open(path).map_err(text)?;
    let size = file.metadata().map_err(text)?.len();
    if size < 12 {
        return Err("it is no Parquet file".into());
    }
    file.seek(SeekFrom::End(-8)).map_err(text)?;
    let mut end = [0; 8];
    file.read_exact(&mut end).map_err(text)?;
    let length = u64::from(u32::from_le_bytes([end[0], end[1], end[2], end[3]]));
    if &end[4..] != b"PAR1" || length > size - 12 || length > LONGEST {
        return Err("it is no Parquet file".into());
    }
    file.seek(SeekFrom::End(-8 - length.cast_signed())).map_err(text)?;
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact(&mut bytes).map_err(text)?;
    Thrift { bytes: &bytes, at: 0 }.metadata().ok_or_else(|| "its metadata are damaged".into())
}

struct Thrift<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Thrift<'_> {
    fn metadata(&mut self) -> Option<Summary> {
        let mut summary = Summary { rows: 0, columns: Vec::new() };
        let mut field = 0;
        while let Some((id, kind)) = self.field(field)? {
            field = id;
            match (id, kind) {
                (2, 9) => summary.columns = self.schema()?,
                (3, 6) => summary.rows = u64::try_from(self.signed()?).ok()?,
                _ => self.skip(kind, DEEPEST)?,
            }
        }
        Some(summary)
    }

    /// The names of the root's children. The list is the tree in preorder.
    fn schema(&mut self) -> Option<Vec<String>> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => self.number()?,
            few => u64::from(few),
        };
        let mut columns = Vec::new();
        // How many elements still belong to the child that is being read.
        let mut below = 0_i64;
        for n in 0..count {
            let (mut name, mut children) = (String::new(), 0);
            let mut field = 0;
            while let Some((id, kind)) = self.field(field)? {
                field = id;
                match (id, kind) {
                    (4, 8) => name = self.text()?,
                    (5, 5) => children = self.signed()?,
                    _ => self.skip(kind, DEEPEST)?,
                }
            }
            if n == 0 {
                continue;
            }
            if below == 0 {
                columns.push(name);
                below = 1;
            }
            below = below - 1 + children.max(0);
        }
        Some(columns)
    }

    /// The next field of a struct, with its type; `Some(None)` at the end of the struct.
    fn field(&mut self, last: i16) -> Option<Option<(i16, u8)>> {
        let head = self.byte()?;
        if head == 0 {
            return Some(None);
        }
        let id = match head >> 4 {
            0 => i16::try_from(self.signed()?).ok()?,
            step => last.checked_add(i16::from(step))?,
        };
        Some(Some((id, head & 15)))
    }

    fn skip(&mut self, kind: u8, deepest: u32) -> Option<()> {
        let deepest = deepest.checked_sub(1)?;
        match kind {
            1 | 2 => {}
            3 => {
                self.byte()?;
            }
            4..=6 => {
                self.number()?;
            }
            7 => self.forward(8)?,
            8 => {
                self.text()?;
            }
            9 | 10 => {
                let head = self.byte()?;
                let count = if head >> 4 == 15 { self.number()? } else { u64::from(head >> 4) };
                for _ in 0..count {
                    // In a list a truth value takes a byte.
                    match head & 15 {
                        1 | 2 => self.forward(1)?,
                        kind => self.skip(kind, deepest)?,
                    }
                }
            }
            11 => {
                let count = self.number()?;
                if count > 0 {
                    let kinds = self.byte()?;
                    for _ in 0..count {
                        self.skip(kinds >> 4, deepest)?;
                        self.skip(kinds & 15, deepest)?;
                    }
                }
            }
            12 => {
                let mut last = 0;
                while let Some((id, kind)) = self.field(last)? {
                    last = id;
                    self.skip(kind, deepest)?;
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn forward(&mut self, bytes: usize) -> Option<()> {
        self.at = self.at.checked_add(bytes).filter(|at| *at <= self.bytes.len())?;
        Some(())
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 127).checked_shl(shift)?;
            if byte & 128 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let value = self.number()?;
        Some((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.number()?).ok()?;
        let start = self.at;
        self.forward(length)?;
        Some(String::from_utf8_lossy(&self.bytes[start..self.at]).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_are_read_and_damage_is_no_crash() {
        // version = 1; schema = [root(3 children), a, b(1 child), b.c, d]; num_rows = 300
        let mut metadata = vec![0x15, 0x02, 0x19, 0x5c];
        for (name, children) in [("root", 3_u8), ("a", 0), ("b", 1), ("c", 0), ("d", 0)] {
            metadata.push(0x48);
            metadata.push(u8::try_from(name.len()).unwrap());
            metadata.extend(name.as_bytes());
            if children > 0 {
                metadata.extend([0x15, children * 2]);
            }
            metadata.push(0);
        }
        metadata.extend([0x16, 0xd8, 0x04, 0x00]);
        let mut file = b"PAR1".to_vec();
        file.extend(&metadata);
        file.extend(u32::try_from(metadata.len()).unwrap().to_le_bytes());
        file.extend(b"PAR1");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.parquet");
        std::fs::write(&path, &file).unwrap();
        let expected = Summary { rows: 300, columns: vec!["a".into(), "b".into(), "d".into()] };
        assert_eq!(read(&path).unwrap(), expected);
        for n in 0..metadata.len() {
            let mut broken = file.clone();
            broken[4 + n] = 0xff;
            std::fs::write(&path, &broken).unwrap();
            let _ = read(&path);
        }
        std::fs::write(&path, "text, no Parquet").unwrap();
        assert!(read(&path).is_err());
    }
}
