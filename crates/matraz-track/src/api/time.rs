//! Times and durations in messages, as protobuf's JSON writes them; kept in milliseconds.

use std::fmt;

use jiff::Timestamp as Moment;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A moment, in milliseconds since 1970: `"2026-01-02T03:04:05.678Z"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, utoipa::ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub struct Timestamp(pub i64);

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        let moment = Moment::from_millisecond(self.0).map_err(serde::ser::Error::custom)?;
        let form = if self.0.rem_euclid(1000) == 0 { "%Y-%m-%dT%H:%M:%SZ" } else { "%Y-%m-%dT%H:%M:%S.%3fZ" };
        target.serialize_str(&moment.strftime(form).to_string())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let text = text(source, "a time such as \"2026-01-02T03:04:05.678Z\"")?;
        let moment: Moment = text
            .parse()
            .map_err(|_| de::Error::invalid_value(de::Unexpected::Str(&text), &"a time in RFC 3339"))?;
        Ok(Self(moment.as_millisecond()))
    }
}

/// A length of time, in milliseconds: `"1.500s"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, utoipa::ToSchema)]
#[schema(value_type = String, example = "1.500s")]
pub struct Duration(pub i64);

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        let sign = if self.0 < 0 { "-" } else { "" };
        let length = self.0.unsigned_abs();
        match length % 1000 {
            0 => target.collect_str(&format_args!("{sign}{}s", length / 1000)),
            rest => target.collect_str(&format_args!("{sign}{}.{rest:03}s", length / 1000)),
        }
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let text = text(source, "a duration such as \"1.5s\"")?;
        milliseconds(&text)
            .map(Self)
            .ok_or_else(|| de::Error::invalid_value(de::Unexpected::Str(&text), &"seconds with the letter s"))
    }
}

fn milliseconds(text: &str) -> Option<i64> {
    let seconds = text.strip_suffix('s')?;
    let (sign, seconds) = match seconds.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, seconds),
    };
    let (whole, part) = seconds.split_once('.').unwrap_or((seconds, ""));
    if part.len() > 9
        || !part.chars().all(|digit| digit.is_ascii_digit())
        || !whole.starts_with(|first: char| first.is_ascii_digit())
    {
        return None;
    }
    let thousandths: i64 = format!("{part:0<3}")[..3].parse().ok()?;
    let whole: i64 = whole.parse().ok()?;
    Some(sign * (whole.checked_mul(1000)? + thousandths))
}

fn text<'de, D: Deserializer<'de>>(source: D, expected: &'static str) -> Result<String, D::Error> {
    struct Text(&'static str);
    impl Visitor<'_> for Text {
        type Value = String;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
        fn visit_str<E: de::Error>(self, value: &str) -> Result<String, E> {
            Ok(value.to_owned())
        }
    }
    source.deserialize_str(Text(expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (milliseconds, text) in [
            (1_767_323_045_678, "2026-01-02T03:04:05.678Z"),
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(serde_json::to_string(&Timestamp(milliseconds)).unwrap(), format!("\"{text}\""));
            let read: Timestamp = serde_json::from_str(&format!("\"{text}\"")).unwrap();
            assert_eq!(read, Timestamp(milliseconds));
        }
        let read: Timestamp = serde_json::from_str("\"2026-01-02T04:04:05.678999999+01:00\"").unwrap();
        assert_eq!(read, Timestamp(1_767_323_045_678));
        assert!(serde_json::from_str::<Timestamp>("\"yesterday\"").is_err());
    }

    #[test]
    fn durations() {
        for (milliseconds, text) in
            [(1500, "1.500s"), (1000, "1s"), (0, "0s"), (-1500, "-1.500s"), (7, "0.007s")]
        {
            assert_eq!(serde_json::to_string(&Duration(milliseconds)).unwrap(), format!("\"{text}\""));
            let read: Duration = serde_json::from_str(&format!("\"{text}\"")).unwrap();
            assert_eq!(read, Duration(milliseconds));
        }
        for text in ["1.5", "s", "-s", "1.x5s", "+1s"] {
            assert!(serde_json::from_str::<Duration>(&format!("\"{text}\"")).is_err(), "{text}");
        }
    }
}
