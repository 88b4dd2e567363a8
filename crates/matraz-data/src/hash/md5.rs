//! MD5 of one stream, and the variant of it that DVC 2 took of text.

use std::io::{self, Read};

/// The MD5 of nothing.
pub const EMPTY: [u8; 16] =
    [0xd4, 0x1d, 0x8c, 0xd9, 0x8f, 0x00, 0xb2, 0x04, 0xe9, 0x80, 0x09, 0x98, 0xec, 0xf8, 0x42, 0x7e];

/// The MD5 of bytes in memory.
pub fn of_bytes(bytes: &[u8]) -> [u8; 16] {
    fast_md5::digest(bytes)
}

/// The MD5 of a stream.
pub fn of_reader(reader: &mut dyn Read) -> io::Result<[u8; 16]> {
    let mut hasher = fast_md5::Md5::new();
    let mut piece = vec![0; LEGACY_PIECE];
    loop {
        let length = fill(reader, &mut piece)?;
        hasher.update(&piece[..length]);
        if length < LEGACY_PIECE {
            return Ok(hasher.finalize());
        }
    }
}

/// How much DVC 2 read at a time. Each piece is judged on its own, so the digest depends on it.
const LEGACY_PIECE: usize = 1 << 20;
/// How much of a piece decides whether it is text.
const LEGACY_SAMPLE: usize = 512;

/// The digest that DVC 2 gave to a file: in text, CRLF counts as LF.
pub fn legacy(reader: &mut dyn Read) -> io::Result<[u8; 16]> {
    let mut hasher = fast_md5::Md5::new();
    let mut piece = vec![0; LEGACY_PIECE];
    loop {
        let length = fill(reader, &mut piece)?;
        let bytes = &piece[..length];
        if is_text(&bytes[..length.min(LEGACY_SAMPLE)]) {
            let mut rest = bytes;
            while let Some(at) = rest.windows(2).position(|pair| pair == b"\r\n") {
                hasher.update(&rest[..at]);
                rest = &rest[at + 1..];
            }
            hasher.update(rest);
        } else {
            hasher.update(bytes);
        }
        if length < LEGACY_PIECE {
            return Ok(hasher.finalize());
        }
    }
}

/// Reads until the buffer is full or the stream ends; returns the number of bytes.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match reader.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(n) => length += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// DVC's guess: no NUL, and at most three in ten bytes that plain text does not have.
fn is_text(sample: &[u8]) -> bool {
    let odd = |byte: &&u8| !matches!(byte, 32..=126 | b'\n' | b'\r' | b'\t' | 12 | 8);
    !sample.contains(&0) && sample.iter().filter(odd).count() * 10 <= sample.len() * 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legacy_digests_ignore_line_ends_of_text_only() {
        let table: [(&[u8], &[u8]); 6] = [
            (b"a\r\nb\r\n", b"a\nb\n"),
            (b"a\r\r\n\r", b"a\r\n\r"),
            (b"", b""),
            (b"a\0\r\n", b"a\0\r\n"),
            (b"\x80\x81\x82\r\n", b"\x80\x81\x82\r\n"),
            (b"\x80 text\r\n", b"\x80 text\n"),
        ];
        for (content, counted) in table {
            assert_eq!(legacy(&mut &content[..]).unwrap(), of_bytes(counted), "{content:?}");
        }
    }

    #[test]
    fn nothing_has_its_digest() {
        assert_eq!(of_bytes(b""), EMPTY);
    }

    #[test]
    fn a_line_end_across_two_pieces_stays() {
        let mut content = vec![b'x'; LEGACY_PIECE - 1];
        content.extend_from_slice(b"\r\ny");
        assert_eq!(legacy(&mut content.as_slice()).unwrap(), of_bytes(&content));
    }
}
