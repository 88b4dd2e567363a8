//! Cast, with the conversions of onnxruntime on x86-64.

use super::super::attributes::Attributes;
use super::super::tensor::{Data, Element, Tensor, Value};
use super::Inputs;

/// What the processor makes of a float without an integer (NaN, too large): the lowest integer.
pub(super) fn float_to_i64(x: f64) -> i64 {
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&x) { x as i64 } else { i64::MIN }
}

fn float_to_i32(x: f64) -> i32 {
    let whole = x.trunc();
    if (-2_147_483_648.0..2_147_483_648.0).contains(&whole) { whole as i32 } else { i32::MIN }
}

#[derive(Debug)]
pub(crate) struct Cast {
    to: Element,
}

impl Cast {
    pub(super) fn of(attributes: &Attributes<'_>) -> Result<Self, String> {
        // `saturate` and `round_mode` concern 8-bit floats, which cannot occur.
        attributes.ignore(&["saturate", "round_mode"]);
        let number = attributes.int("to")?.ok_or("attribute `to` is missing")?;
        let to = i32::try_from(number)
            .ok()
            .and_then(Element::from_onnx)
            .ok_or_else(|| format!("casts to element type {number} are not supported"))?;
        Ok(Self { to })
    }

    pub(super) fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
        let x = inputs.tensor(0)?;
        Ok(vec![Tensor::new(x.shape().to_vec(), convert(x.data(), self.to)?)?.into()])
    }
}

/// Elements in another type.
pub(crate) fn convert(data: &Data, to: Element) -> Result<Data, String> {
    Ok(match (data, to) {
        (Data::F32(items), Element::F32) => Data::F32(items.clone()),
        (Data::F32(items), Element::F64) => Data::F64(items.iter().map(|x| f64::from(*x)).collect()),
        (Data::F32(items), Element::I64) => {
            Data::I64(items.iter().map(|x| float_to_i64(f64::from(*x))).collect())
        }
        (Data::F32(items), Element::I32) => {
            Data::I32(items.iter().map(|x| float_to_i32(f64::from(*x))).collect())
        }
        (Data::F32(items), Element::Bool) => Data::Bool(items.iter().map(|x| *x != 0.0).collect()),
        (Data::F32(items), Element::Text) => {
            Data::Text(items.iter().map(|x| show_float(f64::from(*x))).collect())
        }
        (Data::F64(items), Element::F32) => Data::F32(items.iter().map(|x| *x as f32).collect()),
        (Data::F64(items), Element::F64) => Data::F64(items.clone()),
        (Data::F64(items), Element::I64) => Data::I64(items.iter().map(|x| float_to_i64(*x)).collect()),
        (Data::F64(items), Element::I32) => Data::I32(items.iter().map(|x| float_to_i32(*x)).collect()),
        (Data::F64(items), Element::Bool) => Data::Bool(items.iter().map(|x| *x != 0.0).collect()),
        (Data::F64(items), Element::Text) => Data::Text(items.iter().map(|x| show_float(*x)).collect()),
        (Data::I64(items), Element::F32) => Data::F32(items.iter().map(|n| *n as f32).collect()),
        (Data::I64(items), Element::F64) => Data::F64(items.iter().map(|n| *n as f64).collect()),
        (Data::I64(items), Element::I64) => Data::I64(items.clone()),
        (Data::I64(items), Element::I32) => Data::I32(items.iter().map(|n| *n as i32).collect()),
        (Data::I64(items), Element::Bool) => Data::Bool(items.iter().map(|n| *n != 0).collect()),
        (Data::I64(items), Element::Text) => Data::Text(items.iter().map(i64::to_string).collect()),
        (Data::I32(items), Element::F32) => Data::F32(items.iter().map(|n| *n as f32).collect()),
        (Data::I32(items), Element::F64) => Data::F64(items.iter().map(|n| f64::from(*n)).collect()),
        (Data::I32(items), Element::I64) => Data::I64(items.iter().map(|n| i64::from(*n)).collect()),
        (Data::I32(items), Element::I32) => Data::I32(items.clone()),
        (Data::I32(items), Element::Bool) => Data::Bool(items.iter().map(|n| *n != 0).collect()),
        (Data::I32(items), Element::Text) => Data::Text(items.iter().map(i32::to_string).collect()),
        (Data::Bool(items), Element::F32) => {
            Data::F32(items.iter().map(|b| f32::from(u8::from(*b))).collect())
        }
        (Data::Bool(items), Element::F64) => {
            Data::F64(items.iter().map(|b| f64::from(u8::from(*b))).collect())
        }
        (Data::Bool(items), Element::I64) => Data::I64(items.iter().map(|b| i64::from(*b)).collect()),
        (Data::Bool(items), Element::I32) => Data::I32(items.iter().map(|b| i32::from(*b)).collect()),
        (Data::Bool(items), Element::Bool) => Data::Bool(items.clone()),
        (Data::Bool(items), Element::Text) => {
            Data::Text(items.iter().map(|b| u8::from(*b).to_string()).collect())
        }
        (Data::Text(items), Element::F32) => Data::F32(parse(items, parse_float)?),
        (Data::Text(items), Element::F64) => Data::F64(parse(items, parse_float)?),
        (Data::Text(items), Element::I64) => Data::I64(parse(items, parse_integer)?),
        (Data::Text(items), Element::I32) => Data::I32(parse(items, parse_integer)?),
        (Data::Text(items), Element::Bool) => {
            Data::Bool(parse(items, parse_integer::<i64>)?.into_iter().map(|n| n != 0).collect())
        }
        (Data::Text(items), Element::Text) => Data::Text(items.clone()),
    })
}

fn parse<T>(items: &[String], read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    items.iter().map(|text| read(text.trim()).ok_or_else(|| format!("`{text}` is no number"))).collect()
}

/// The integer that a text begins with, as C's `strtoll` finds it.
fn parse_integer<T: std::str::FromStr>(text: &str) -> Option<T> {
    let digits = text.trim_start_matches(['+', '-']).find(|c: char| !c.is_ascii_digit());
    let sign = usize::from(text.starts_with(['+', '-']));
    digits.map_or(text, |end| &text[..sign + end]).parse().ok()
}

/// Rust reads all forms of the operator's definition: decimal, exponent, `NaN`, `INF`, in any case.
fn parse_float<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// A float as C's `%.8g` writes it (onnxruntime does so for both widths), with the operator's own words for what
/// is no number.
fn show_float(x: f64) -> String {
    let digits = 8;
    if x.is_nan() {
        return "NaN".into();
    }
    if x.is_infinite() {
        return if x > 0.0 { "INF" } else { "-INF" }.into();
    }
    if x == 0.0 {
        return if x.is_sign_negative() { "-0" } else { "0" }.into();
    }
    let scientific = format!("{x:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let strip = |text: &str| {
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", strip(mantissa), exponent.abs());
    }
    let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
    strip(&format!("{x:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_become_text_as_in_c() {
        let table = [
            (1.0, "1"),
            (0.1, "0.1"),
            (1.0 / 3.0, "0.33333334"),
            (-2.5, "-2.5"),
            (1e10, "1e+10"),
            (1e-5, "9.9999997e-06"),
            (12_345_678.0, "12345678"),
            (123_456_789.0, "1.2345679e+08"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-INF"),
            (0.0, "0"),
        ];
        for (x, text) in table {
            assert_eq!(show_float(f64::from(x as f32)), text);
        }
    }

    #[test]
    fn floats_without_an_integer_become_the_lowest() {
        for x in [f64::NAN, f64::INFINITY, 1e30, -1e30] {
            assert_eq!(float_to_i64(x), i64::MIN);
            assert_eq!(float_to_i32(x), i32::MIN);
        }
        assert_eq!(float_to_i32(-2_147_483_648.9), i32::MIN);
        assert_eq!(float_to_i64(-1.9), -1);
    }
}
