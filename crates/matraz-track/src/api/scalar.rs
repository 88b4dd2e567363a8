//! Numbers and names in messages, in all the forms in which protobuf's JSON may write them.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, Type};

use crate::error::{Error, Result, SEE_DOCS};

/// An int64: a whole number, or a string with one. Written as a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
pub struct Int64(pub i64);

impl From<i64> for Int64 {
    fn from(value: i64) -> Self {
        Self(value)
    }
}

impl From<Int64> for i64 {
    fn from(value: Int64) -> Self {
        value.0
    }
}

impl<'de> Deserialize<'de> for Int64 {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Int;
        impl Visitor<'_> for Int {
            type Value = Int64;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a 64-bit integer")
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Int64, E> {
                Ok(Int64(value))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Int64, E> {
                i64::try_from(value)
                    .map(Int64)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(value), &self))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Int64, E> {
                if value.fract() == 0.0 && value.abs() < 9.2e18 {
                    return Ok(Int64(value as i64));
                }
                Err(E::invalid_value(de::Unexpected::Float(value), &self))
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Int64, E> {
                value.parse().map(Int64).map_err(|_| E::invalid_value(de::Unexpected::Str(value), &self))
            }
        }
        source.deserialize_any(Int)
    }
}

/// A double: a number, a string with one, `"NaN"`, `"Infinity"` or `"-Infinity"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Double(pub f64);

impl utoipa::PartialSchema for Double {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new()
            .schema_type(Type::Number)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Double)));
        let named = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([
            "NaN",
            "Infinity",
            "-Infinity",
        ]));
        OneOfBuilder::new().item(number).item(named).into()
    }
}

impl utoipa::ToSchema for Double {}

impl Serialize for Double {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            value if value.is_nan() => target.serialize_str("NaN"),
            f64::INFINITY => target.serialize_str("Infinity"),
            f64::NEG_INFINITY => target.serialize_str("-Infinity"),
            value => target.serialize_f64(value),
        }
    }
}

impl<'de> Deserialize<'de> for Double {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Real;
        impl Visitor<'_> for Real {
            type Value = Double;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Double, E> {
                Ok(Double(value))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Double, E> {
                Ok(Double(value as f64))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Double, E> {
                Ok(Double(value as f64))
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Double, E> {
                match value {
                    "NaN" => Ok(Double(f64::NAN)),
                    "Infinity" => Ok(Double(f64::INFINITY)),
                    "-Infinity" => Ok(Double(f64::NEG_INFINITY)),
                    text => match text.parse::<f64>() {
                        Ok(number) if number.is_finite() => Ok(Double(number)),
                        _ => Err(E::invalid_value(de::Unexpected::Str(value), &self)),
                    },
                }
            }
        }
        source.deserialize_any(Real)
    }
}

/// One of a set of names; its number counts too, from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(value_type = String)]
pub struct Choice(String);

impl Choice {
    /// The value that goes with the name or the number; `field` names the parameter in the error.
    pub fn pick<T: Copy>(&self, field: &str, choices: &[(&str, T)]) -> Result<T> {
        let number = self.0.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let by_name = choices.iter().find(|(name, _)| *name == self.0).map(|(_, value)| *value);
        by_name.or_else(|| number.and_then(|index| choices.get(index)).map(|(_, value)| *value)).ok_or_else(
            || {
                let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
                Error::invalid(format!(
                    "Invalid value \"{}\" for parameter '{field}' supplied: it must be one of {}.{SEE_DOCS}",
                    self.0,
                    names.join(", ")
                ))
            },
        )
    }
}

impl From<String> for Choice {
    fn from(name: String) -> Self {
        Self(name)
    }
}

impl<'de> Deserialize<'de> for Choice {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Choice;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name or its number")
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Choice, E> {
                Ok(Choice(value.to_string()))
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Choice, E> {
                Ok(Choice(value.to_owned()))
            }
        }
        source.deserialize_any(Name)
    }
}
