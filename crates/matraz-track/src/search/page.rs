//! Page tokens: base64 of `{"offset": N}`, as MLflow writes them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::error::{Error, Result};

/// The token of the page that starts at `offset`.
pub fn token(offset: i64) -> String {
    BASE64_STANDARD.encode(format!("{{\"offset\": {offset}}}"))
}

/// The offset in a token; 0 without one.
pub fn offset(token: Option<&str>) -> Result<i64> {
    let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok(0) };
    let invalid = |why: &str| Error::invalid(format!("Invalid page token, {why}"));
    let bytes = BASE64_STANDARD.decode(token).map_err(|_| invalid("could not base64-decode"))?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|_| invalid("parsed value is not JSON"))?;
    let offset =
        value.get("offset").and_then(|offset| offset.as_i64().or_else(|| offset.as_str()?.parse().ok()));
    offset.filter(|offset| *offset >= 0).ok_or_else(|| invalid("it holds no offset"))
}

/// Cuts `items`, which were asked for with one more than `size`, to the page and gives the token of the next one.
pub fn cut<T>(items: &mut Vec<T>, offset: i64, size: i64) -> Option<String> {
    let size_in_memory = usize::try_from(size).unwrap_or(usize::MAX);
    if items.len() <= size_in_memory {
        return None;
    }
    items.truncate(size_in_memory);
    Some(token(offset + size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_mlflows() {
        assert_eq!(token(7), "eyJvZmZzZXQiOiA3fQ==");
        assert_eq!(offset(Some("eyJvZmZzZXQiOiA3fQ==")).unwrap(), 7);
        assert_eq!(offset(None).unwrap(), 0);
        for bad in ["abc", "e30=", "eyJvZmZzZXQiOiAtMX0="] {
            assert!(offset(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_last_page_has_no_token() {
        let mut items = vec![1, 2, 3];
        assert_eq!(cut(&mut items, 4, 2), Some(token(6)));
        assert_eq!(items, [1, 2]);
        assert_eq!(cut(&mut items, 6, 2), None);
    }
}
