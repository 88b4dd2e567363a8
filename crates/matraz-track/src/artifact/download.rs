//! An artifact as an HTTP answer: streamed, with ranges and an entity tag.

use std::fs::Metadata;
use std::io::{Seek, SeekFrom};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use super::{ArtifactError, ArtifactFile, attachment, media_type};

/// Bytes per piece of a streamed body.
const PIECE: usize = 256 * 1024;

/// Which part of a file a request asks for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    /// First and last byte.
    Range(u64, u64),
    /// A range behind the end.
    Unsatisfiable,
}

/// The answer to a GET of `artifact`. Honours `Range` with one range, `If-Range` and `If-None-Match`; a request for several
/// ranges gets the whole file, as HTTP allows.
pub fn file_response(
    mut artifact: ArtifactFile,
    request: &HeaderMap,
) -> Result<Response<Body>, ArtifactError> {
    let size = artifact.metadata.len();
    let tag = entity_tag(&artifact.metadata);
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    insert(headers, header::ETAG, &tag);
    if let Some(modified) = last_modified(&artifact.metadata) {
        insert(headers, header::LAST_MODIFIED, &modified);
    }
    if text(request, header::IF_NONE_MATCH)
        .is_some_and(|known| known.split(',').any(|one| one.trim() == tag || one.trim() == "*"))
    {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    headers.insert(header::CONTENT_TYPE, content_type(&artifact.name));
    insert(headers, header::CONTENT_DISPOSITION, &attachment(&artifact.name));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));

    let same_file = text(request, header::IF_RANGE).is_none_or(|condition| {
        condition == tag || last_modified(&artifact.metadata).is_some_and(|modified| modified == condition)
    });
    let part =
        text(request, header::RANGE).filter(|_| same_file).map_or(Part::Whole, |range| part(range, size));
    let (first, length) = match part {
        Part::Whole => (0, size),
        Part::Range(first, last) => {
            insert(headers, header::CONTENT_RANGE, &format!("bytes {first}-{last}/{size}"));
            (first, last - first + 1)
        }
        Part::Unsatisfiable => {
            insert(headers, header::CONTENT_RANGE, &format!("bytes */{size}"));
            headers.remove(header::CONTENT_DISPOSITION);
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            return Ok(response);
        }
    };
    insert(headers, header::CONTENT_LENGTH, &length.to_string());
    if part != Part::Whole {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let moved = artifact.file.seek(SeekFrom::Start(first));
        moved.map_err(|error| ArtifactError::io("read", PathBuf::from(&artifact.name), error))?;
    }
    // Never more than promised, also when the file grows meanwhile.
    let reader = tokio::fs::File::from_std(artifact.file).take(length);
    *response.body_mut() = Body::from_stream(ReaderStream::with_capacity(reader, PIECE));
    Ok(response)
}

fn content_type(name: &str) -> HeaderValue {
    match media_type(name) {
        "text/plain" => HeaderValue::from_static("text/plain; charset=utf-8"),
        other => HeaderValue::from_static(other),
    }
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

fn part(range: &str, size: u64) -> Part {
    let Some(spec) = range.trim().strip_prefix("bytes=").map(str::trim) else { return Part::Whole };
    let Some((first, last)) = spec.split_once('-').filter(|_| !spec.contains(',')) else {
        return Part::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    if first.is_empty() {
        return match last.parse::<u64>() {
            Ok(0) => Part::Unsatisfiable,
            Ok(_) if size == 0 => Part::Unsatisfiable,
            Ok(count) => Part::Range(size.saturating_sub(count), size - 1),
            Err(_) => Part::Whole,
        };
    }
    let Ok(first) = first.parse::<u64>() else { return Part::Whole };
    let last = match last {
        "" => u64::MAX,
        last => match last.parse::<u64>() {
            Ok(last) if last >= first => last,
            _ => return Part::Whole,
        },
    };
    if first >= size { Part::Unsatisfiable } else { Part::Range(first, last.min(size - 1)) }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use axum::body::to_bytes;

    use super::*;

    #[test]
    fn ranges() {
        for (range, size, want) in [
            ("bytes=0-9", 100, Part::Range(0, 9)),
            ("bytes=10-", 100, Part::Range(10, 99)),
            ("bytes=90-200", 100, Part::Range(90, 99)),
            ("bytes=-10", 100, Part::Range(90, 99)),
            ("bytes=-1000", 100, Part::Range(0, 99)),
            ("bytes=100-", 100, Part::Unsatisfiable),
            ("bytes=0-", 0, Part::Unsatisfiable),
            ("bytes=-0", 100, Part::Unsatisfiable),
            ("bytes=-5", 0, Part::Unsatisfiable),
            ("bytes=9-3", 100, Part::Whole),
            ("bytes=a-b", 100, Part::Whole),
            ("bytes=0-1,4-5", 100, Part::Whole),
            ("lines=0-1", 100, Part::Whole),
            ("bytes=99999999999999999999-", 100, Part::Whole),
        ] {
            assert_eq!(part(range, size), want, "{range}");
        }
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
        let response =
            file_response(ArtifactFile { name: "t.csv".to_owned(), file, metadata }, &headers).unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1000).await.unwrap().to_vec();
        (Response::from_parts(parts, ()), bytes)
    }

    #[tokio::test]
    async fn answers() {
        let (whole, bytes) = get(&[]).await;
        assert_eq!((whole.status(), bytes.as_slice()), (StatusCode::OK, b"0123456789".as_slice()));
        assert_eq!(whole.headers()[header::CONTENT_LENGTH], "10");
        assert_eq!(whole.headers()[header::CONTENT_TYPE], "text/plain; charset=utf-8");
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
