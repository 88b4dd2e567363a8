//! An artifact as an HTTP answer: streamed, with ranges and an entity tag.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::{ArtifactFile, attachment, media_type};

/// Bytes per piece of a streamed body.
const PIECE: u64 = 512 * 1024;
/// A request for more ranges gets the whole file, as HTTP allows.
const MAX_RANGES: usize = 100;

/// Which parts of a file a request asks for.
#[derive(Debug, PartialEq, Eq)]
enum Parts {
    Whole,
    /// First and last byte of each, in the order of the file, apart from one another.
    Ranges(Vec<(u64, u64)>),
    /// A range behind the end.
    Unsatisfiable,
    /// No ranges, and why.
    Malformed(&'static str),
}

/// What a body consists of.
enum Piece {
    Text(Bytes),
    /// Position and length in the file.
    File(u64, usize),
}

/// The answer to a GET of `artifact`. Honours `Range` with any number of ranges, `If-Range`, `If-None-Match` and
/// `If-Modified-Since`.
pub fn file_response(artifact: ArtifactFile, request: &HeaderMap) -> Response<Body> {
    let size = artifact.metadata.len();
    let tag = entity_tag(&artifact.metadata);
    let modified = last_modified(&artifact.metadata);
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    insert(headers, header::ETAG, &tag);
    if let Some(modified) = &modified {
        insert(headers, header::LAST_MODIFIED, modified);
    }
    let is_known = match text(request, header::IF_NONE_MATCH) {
        Some(known) => known.split(',').any(|one| one.trim() == tag || one.trim() == "*"),
        None => text(request, header::IF_MODIFIED_SINCE)
            .is_some_and(|since| is_not_newer(&artifact.metadata, since)),
    };
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    let same_file = text(request, header::IF_RANGE)
        .is_none_or(|condition| condition == tag || modified.as_deref() == Some(condition));
    let asked = text(request, header::RANGE).filter(|_| same_file);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // A page among the artifacts is a stranger's: it runs nothing and reads nothing in the name of whoever opens it.
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"),
    );
    let media_type = media_type(&artifact.name);
    let pieces: Box<dyn Iterator<Item = Piece> + Send> =
        match asked.map_or(Parts::Whole, |range| parts(range, size)) {
            Parts::Malformed(why) => {
                *response.status_mut() = StatusCode::BAD_REQUEST;
                response
                    .headers_mut()
                    .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
                *response.body_mut() = Body::from(why);
                return response;
            }
            Parts::Unsatisfiable => {
                insert(headers, header::CONTENT_RANGE, &format!("bytes */{size}"));
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
                *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
                return response;
            }
            Parts::Whole => {
                insert(headers, header::CONTENT_LENGTH, &size.to_string());
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
                Box::new(file_pieces(0, size))
            }
            Parts::Ranges(ranges) => {
                let (pieces, length) = match ranges.as_slice() {
                    [(first, last)] => {
                        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
                        insert(headers, header::CONTENT_RANGE, &format!("bytes {first}-{last}/{size}"));
                        let pieces: Box<dyn Iterator<Item = Piece> + Send> =
                            Box::new(file_pieces(*first, last - first + 1));
                        (pieces, last - first + 1)
                    }
                    _ => {
                        let boundary = boundary(&tag);
                        insert(
                            headers,
                            header::CONTENT_TYPE,
                            &format!("multipart/byteranges; boundary={boundary}"),
                        );
                        several(ranges, size, media_type, &boundary)
                    }
                };
                insert(headers, header::CONTENT_LENGTH, &length.to_string());
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                pieces
            }
        };
    insert(response.headers_mut(), header::CONTENT_DISPOSITION, &attachment(&artifact.name));
    let file = Arc::new(artifact.file);
    // One piece is read while the one before it is sent.
    let bodies = stream::iter(pieces).map(move |piece| read(Arc::clone(&file), piece)).buffered(2);
    *response.body_mut() = Body::from_stream(bodies);
    response
}

fn file_pieces(first: u64, length: u64) -> impl Iterator<Item = Piece> + Send {
    (0..length.div_ceil(PIECE)).map(move |number| {
        let start = number * PIECE;
        // At most PIECE, which fits.
        Piece::File(first + start, (length - start).min(PIECE) as usize)
    })
}

/// The body with several ranges, and its length.
fn several(
    ranges: Vec<(u64, u64)>,
    size: u64,
    media_type: &str,
    boundary: &str,
) -> (Box<dyn Iterator<Item = Piece> + Send>, u64) {
    let head = |(first, last): &(u64, u64)| {
        format!(
            "--{boundary}\r\nContent-Type: {media_type}\r\nContent-Range: bytes {first}-{last}/{size}\r\n\r\n"
        )
    };
    let heads: Vec<String> = ranges.iter().map(head).collect();
    let end = format!("--{boundary}--");
    let inside: u64 =
        ranges.iter().zip(&heads).map(|((first, last), head)| last - first + 3 + head.len() as u64).sum();
    let length = inside + end.len() as u64;
    let pieces = ranges.into_iter().zip(heads).flat_map(|((first, last), head)| {
        let text = |text: String| std::iter::once(Piece::Text(text.into()));
        text(head).chain(file_pieces(first, last - first + 1)).chain(text("\r\n".to_owned()))
    });
    (Box::new(pieces.chain(std::iter::once(Piece::Text(end.into())))), length)
}

/// Separates the parts of an answer; artifacts do not hold it but by purpose, and their length is told anyway.
fn boundary(tag: &str) -> String {
    tag.chars().filter(char::is_ascii_alphanumeric).chain("matraz".chars()).collect()
}

/// Reads a piece; a file that has become shorter breaks the answer off.
async fn read(file: Arc<File>, piece: Piece) -> io::Result<Bytes> {
    let (start, length) = match piece {
        Piece::Text(text) => return Ok(text),
        Piece::File(start, length) => (start, length),
    };
    let work = tokio::task::spawn_blocking(move || {
        let mut buffer = vec![0; length];
        file.read_exact_at(&mut buffer, start)?;
        Ok(Bytes::from(buffer))
    });
    work.await.map_err(io::Error::other)?
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Sets a header; a value that no header can carry is left out.
fn insert(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn entity_tag(metadata: &Metadata) -> String {
    let modified =
        metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    format!("\"{:x}-{:x}\"", modified.as_nanos(), metadata.len())
}

fn last_modified(metadata: &Metadata) -> Option<String> {
    http_date(metadata.modified().ok()?)
}

/// A moment as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(time: SystemTime) -> Option<String> {
    let moment = jiff::Timestamp::try_from(time).ok()?;
    Some(moment.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

/// Whether the file has not changed since `date`; to the second, as HTTP tells time.
fn is_not_newer(metadata: &Metadata, date: &str) -> bool {
    let since = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date);
    match (metadata.modified().ok().and_then(|time| jiff::Timestamp::try_from(time).ok()), since) {
        (Some(modified), Ok(since)) => modified.as_second() <= since.as_second(),
        _ => false,
    }
}

/// The ranges of a `Range` header, with MLflow's answers to wrong ones.
fn parts(header: &str, size: u64) -> Parts {
    let Some(list) = header.trim().strip_prefix("bytes=") else {
        return Parts::Malformed("Only support bytes range");
    };
    let mut ranges = Vec::new();
    for spec in list.split(',').map(str::trim) {
        let Some((first, last)) = spec.split_once('-') else { continue };
        let range = match (first.trim(), last.trim()) {
            ("", count) => count.parse().ok().map(|count: u64| (size.saturating_sub(count), size)),
            (first, "") => first.parse().ok().map(|first| (first, size)),
            (first, last) => match (first.parse(), last.parse::<u64>()) {
                (Ok(first), Ok(last)) => Some((first, last.saturating_add(1).min(size.max(first)))),
                _ => None,
            },
        };
        let Some((first, end)) = range else { continue };
        if first >= size {
            return Parts::Unsatisfiable;
        }
        if end <= first {
            return Parts::Malformed("Range header: start must be less than end");
        }
        ranges.push((first, end - 1));
    }
    if ranges.is_empty() {
        return Parts::Malformed("Range header: range must be requested");
    }
    ranges.sort_unstable();
    let mut apart: Vec<(u64, u64)> = Vec::new();
    for (first, last) in ranges {
        match apart.last_mut() {
            Some(before) if first <= before.1 + 1 => before.1 = before.1.max(last),
            _ => apart.push((first, last)),
        }
    }
    if apart.len() > MAX_RANGES { Parts::Whole } else { Parts::Ranges(apart) }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use axum::body::to_bytes;

    use super::*;

    #[test]
    fn ranges() {
        let one = |first, last| Parts::Ranges(vec![(first, last)]);
        let none = Parts::Malformed;
        for (range, size, want) in [
            ("bytes=0-9", 100, one(0, 9)),
            ("bytes=10-", 100, one(10, 99)),
            ("bytes=90-200", 100, one(90, 99)),
            ("bytes=-10", 100, one(90, 99)),
            ("bytes=-1000", 100, one(0, 99)),
            ("bytes=99-99", 100, one(99, 99)),
            ("bytes=100-", 100, Parts::Unsatisfiable),
            ("bytes=0-", 0, Parts::Unsatisfiable),
            ("bytes=-0", 100, Parts::Unsatisfiable),
            ("bytes=-5", 0, Parts::Unsatisfiable),
            ("bytes=0-1,200-300", 100, Parts::Unsatisfiable),
            ("bytes=0-1,4-5", 100, Parts::Ranges(vec![(0, 1), (4, 5)])),
            ("bytes=5-6, 0-1 ,-2", 100, Parts::Ranges(vec![(0, 1), (5, 6), (98, 99)])),
            ("bytes=0-4,3-6,7-7", 100, one(0, 7)),
            ("bytes=9-3", 100, none("Range header: start must be less than end")),
            ("bytes=a-b", 100, none("Range header: range must be requested")),
            ("bytes=99999999999999999999-", 100, none("Range header: range must be requested")),
            ("bytes=0-18446744073709551615", 100, one(0, 99)),
            ("lines=0-1", 100, none("Only support bytes range")),
        ] {
            assert_eq!(parts(range, size), want, "{range}");
        }
        let many: Vec<String> = (0..200).map(|n| format!("{}-{}", n * 4, n * 4)).collect();
        assert_eq!(parts(&format!("bytes={}", many.join(",")), 1000), Parts::Whole);
    }

    async fn get(request: &[(header::HeaderName, &str)]) -> (Response<()>, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, "0123456789").unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in request {
            insert(&mut headers, name.clone(), value);
        }
        let file = File::open(&path).unwrap();
        let metadata = file.metadata().unwrap();
        let response = file_response(ArtifactFile { name: "t.csv".to_owned(), file, metadata }, &headers);
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1000).await.unwrap().to_vec();
        (Response::from_parts(parts, ()), bytes)
    }

    #[tokio::test]
    async fn answers() {
        let (whole, bytes) = get(&[]).await;
        assert_eq!((whole.status(), bytes.as_slice()), (StatusCode::OK, b"0123456789".as_slice()));
        assert_eq!(whole.headers()[header::CONTENT_LENGTH], "10");
        assert_eq!(whole.headers()[header::CONTENT_TYPE], "text/plain");
        assert_eq!(whole.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert!(
            whole.headers().contains_key(header::ETAG) && whole.headers().contains_key(header::LAST_MODIFIED)
        );

        let (some, bytes) = get(&[(header::RANGE, "bytes=3-5")]).await;
        assert_eq!((some.status(), bytes.as_slice()), (StatusCode::PARTIAL_CONTENT, b"345".as_slice()));
        assert_eq!(some.headers()[header::CONTENT_RANGE], "bytes 3-5/10");

        let (none, bytes) = get(&[(header::RANGE, "bytes=10-")]).await;
        assert_eq!((none.status(), bytes.len()), (StatusCode::RANGE_NOT_SATISFIABLE, 0));
        assert_eq!(none.headers()[header::CONTENT_RANGE], "bytes */10");

        let (two, bytes) = get(&[(header::RANGE, "bytes=8-,0-1")]).await;
        assert_eq!(two.status(), StatusCode::PARTIAL_CONTENT);
        let kind = two.headers()[header::CONTENT_TYPE].to_str().unwrap();
        let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap();
        let part = |range: &str, text: &str| {
            format!(
                "--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes {range}/10\r\n\r\n{text}\r\n"
            )
        };
        let want = format!("{}{}--{boundary}--", part("0-1", "01"), part("8-9", "89"));
        assert_eq!(String::from_utf8(bytes).unwrap(), want);
        assert_eq!(two.headers()[header::CONTENT_LENGTH], want.len().to_string().as_str());

        let (wrong, _) = get(&[(header::RANGE, "bytes=3-1")]).await;
        assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);

        for (since, status) in
            [("Sun, 06 Nov 2044 08:49:37 GMT", 304), ("Sun, 06 Nov 1994 08:49:37 GMT", 200), ("x", 200)]
        {
            assert_eq!(get(&[(header::IF_MODIFIED_SINCE, since)]).await.0.status(), status, "{since}");
        }

        let (changed, bytes) = get(&[(header::RANGE, "bytes=3-5"), (header::IF_RANGE, "\"other\"")]).await;
        assert_eq!((changed.status(), bytes.len()), (StatusCode::OK, 10));

        let (known, bytes) = get(&[(header::IF_NONE_MATCH, "*")]).await;
        assert_eq!((known.status(), bytes.len()), (StatusCode::NOT_MODIFIED, 0));
    }

    #[test]
    fn dates() {
        let time = UNIX_EPOCH + std::time::Duration::from_secs(784_111_777);
        assert_eq!(http_date(time).unwrap(), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
