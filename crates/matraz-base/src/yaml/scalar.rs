//! What a plain scalar means: the two tables of YAML 1.2 (as ruamel.yaml applies it) and YAML 1.1 (PyYAML).

use super::Dialect;
use crate::value::Value;

/// The value of a plain (unquoted) scalar. Text that no rule claims stays text.
pub fn resolve(text: &str, dialect: Dialect) -> Value {
    let Some(first) = text.chars().next() else { return Value::Null };
    match first {
        '~' | 'n' | 'N' if matches!(text, "~" | "null" | "Null" | "NULL") => return Value::Null,
        't' | 'T' | 'f' | 'F' | 'y' | 'Y' | 'n' | 'N' | 'o' | 'O' => {
            if let Some(truth) = boolean(text, dialect) {
                return Value::Bool(truth);
            }
        }
        '-' | '+' | '.' | '0'..='9' => {
            let number = match dialect {
                Dialect::Ruamel12 => number_12(text),
                Dialect::PyYaml11 => number_11(text),
            };
            if let Some(number) = number {
                return number;
            }
            if let Some(date) = timestamp(text) {
                return Value::Date(date);
            }
        }
        _ => {}
    }
    Value::Str(text.to_owned())
}

/// Whether `text` written plain reads back as the same text.
pub(super) fn stays_text(text: &str, dialect: Dialect) -> bool {
    !matches!(text, "<<" | "=") && matches!(resolve(text, dialect), Value::Str(_)) && !timestamp_shape(text)
}

fn boolean(text: &str, dialect: Dialect) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        "yes" | "Yes" | "YES" | "on" | "On" | "ON" if dialect == Dialect::PyYaml11 => Some(true),
        "no" | "No" | "NO" | "off" | "Off" | "OFF" if dialect == Dialect::PyYaml11 => Some(false),
        _ => None,
    }
}

fn number_12(text: &str) -> Option<Value> {
    let (negative, body) = sign(text);
    if let Some(value) = special_float(text, negative, body) {
        return Some(value);
    }
    let digits: String = body.chars().filter(|&c| c != '_').collect();
    let only = |rest: &str, allowed: fn(char) -> bool| {
        !rest.is_empty() && rest.chars().all(|c| c == '_' || allowed(c))
    };
    if let Some(rest) = body.strip_prefix("0b").filter(|rest| only(rest, |c| matches!(c, '0' | '1'))) {
        return radix(rest, 2, negative);
    }
    if let Some(rest) = body.strip_prefix("0o").filter(|rest| only(rest, |c| c.is_digit(8))) {
        return radix(rest, 8, negative);
    }
    if let Some(rest) = body.strip_prefix("0x").filter(|rest| only(rest, |c| c.is_ascii_hexdigit())) {
        return radix(rest, 16, negative);
    }
    // A lone underscore run has the shape of an integer but no digits: it stays text.
    if !digits.is_empty()
        && only(body, |c| c.is_ascii_digit())
        && !(body.starts_with('_') && negative.is_none())
    {
        return Some(decimal(&digits, negative == Some(true)));
    }
    float_shape(body, true).then(|| parse_float(&digits, negative == Some(true))).flatten()
}

fn number_11(text: &str) -> Option<Value> {
    let (negative, body) = sign(text);
    if let Some(value) = special_float(text, negative, body) {
        return Some(value);
    }
    let minus = negative == Some(true);
    let digits: String = body.chars().filter(|&c| c != '_').collect();
    let starts_with_digit = body.starts_with(|c: char| c.is_ascii_digit());
    let all = |rest: &str, allowed: fn(char) -> bool| {
        !rest.is_empty() && rest.chars().all(|c| c == '_' || allowed(c))
    };
    if let Some(rest) = body.strip_prefix("0b").filter(|rest| all(rest, |c| matches!(c, '0' | '1'))) {
        return radix(rest, 2, negative);
    }
    if let Some(rest) = body.strip_prefix("0x").filter(|rest| all(rest, |c| c.is_ascii_hexdigit())) {
        return radix(rest, 16, negative);
    }
    if let Some(rest) = body.strip_prefix('0').filter(|rest| all(rest, |c| c.is_digit(8))) {
        return radix(rest, 8, negative);
    }
    if body == "0" || (starts_with_digit && !body.starts_with('0') && all(body, |c| c.is_ascii_digit())) {
        return Some(decimal(&digits, minus));
    }
    if let Some(value) = sexagesimal(body, &digits, minus) {
        return Some(value);
    }
    // `1e5` lacks the dot, `1.0e5` the sign: both are text for PyYAML.
    (float_shape(body, false) && !(body.starts_with('.') && negative.is_some()))
        .then(|| parse_float(&digits, minus))
        .flatten()
}

/// `Some(true)` for a minus, `Some(false)` for a plus, and the rest.
fn sign(text: &str) -> (Option<bool>, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (Some(true), &text[1..]),
        Some(b'+') => (Some(false), &text[1..]),
        _ => (None, text),
    }
}

fn special_float(text: &str, negative: Option<bool>, body: &str) -> Option<Value> {
    if matches!(body, ".inf" | ".Inf" | ".INF") {
        return Some(Value::Float(if negative == Some(true) { f64::NEG_INFINITY } else { f64::INFINITY }));
    }
    matches!(text, ".nan" | ".NaN" | ".NAN").then_some(Value::Float(f64::NAN))
}

/// Whether unsigned `body` has the shape of a float. `loose` is YAML 1.2's table: the dot may be missing when an
/// exponent is there, and the exponent may lack its sign (but not after a leading dot).
fn float_shape(body: &str, loose: bool) -> bool {
    let (mantissa, exponent) = match body.find(['e', 'E']) {
        Some(at) => (&body[..at], Some(&body[at + 1..])),
        None => (body, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let run = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == '_');
    if !run(whole) || !fraction.is_none_or(run) || whole.starts_with('_') {
        return false;
    }
    if whole.is_empty() && fraction.is_none_or(|f| !f.contains(|c: char| c.is_ascii_digit())) {
        return false;
    }
    if !loose && whole.is_empty() && fraction.is_some_and(|f| f.starts_with('_')) {
        return false;
    }
    match exponent {
        None => fraction.is_some(),
        Some(exponent) => {
            let (signed, digits) = sign(exponent);
            let sign_ok = signed.is_some() || (loose && !whole.is_empty());
            sign_ok
                && (loose || fraction.is_some())
                && !digits.is_empty()
                && digits.chars().all(|c| c.is_ascii_digit())
        }
    }
}

fn parse_float(digits: &str, negative: bool) -> Option<Value> {
    let x: f64 = digits.parse().ok()?;
    Some(Value::Float(if negative { -x } else { x }))
}

fn decimal(digits: &str, negative: bool) -> Value {
    let trimmed = digits.trim_start_matches('0');
    let text = if trimmed.is_empty() { "0" } else { trimmed };
    let signed = if negative && text != "0" { format!("-{text}") } else { text.to_owned() };
    signed.parse().map(Value::Int).unwrap_or(Value::BigInt(signed))
}

fn radix(rest: &str, base: u32, negative: Option<bool>) -> Option<Value> {
    let digits: String = rest.chars().filter(|&c| c != '_').collect();
    if digits.is_empty() {
        return None;
    }
    let minus = negative == Some(true);
    if let Ok(n) = i128::from_str_radix(&digits, base) {
        let n = if minus { -n } else { n };
        return Some(i64::try_from(n).map_or_else(|_| Value::BigInt(n.to_string()), Value::Int));
    }
    // Longer than 128 bits: decimal digits by schoolbook arithmetic.
    let mut decimal: Vec<u32> = vec![0];
    for digit in digits.chars().filter_map(|c| c.to_digit(base)) {
        let mut carry = digit;
        for place in &mut decimal {
            let sum = *place * base + carry;
            *place = sum % 10;
            carry = sum / 10;
        }
        while carry > 0 {
            decimal.push(carry % 10);
            carry /= 10;
        }
    }
    let text: String = decimal.iter().rev().filter_map(|&d| char::from_digit(d, 10)).collect();
    Some(Value::BigInt(if minus { format!("-{text}") } else { text }))
}

/// YAML 1.1's base-60 numbers: `190:20:30`, `190:20:30.15`.
fn sexagesimal(body: &str, digits: &str, negative: bool) -> Option<Value> {
    let mut parts = body.split(':');
    let head = parts.next()?;
    let tail: Vec<&str> = parts.collect();
    if tail.is_empty() || !head.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if !head.chars().all(|c| c.is_ascii_digit() || c == '_') {
        return None;
    }
    let minute = |part: &str| matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']);
    let (last, middle) = tail.split_last()?;
    if !middle.iter().all(|part| minute(part)) {
        return None;
    }
    if let Some((seconds, fraction)) = last.split_once('.') {
        if !minute(seconds) || !fraction.chars().all(|c| c.is_ascii_digit() || c == '_') {
            return None;
        }
        let total =
            digits.split(':').try_fold(0.0, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?))?;
        return Some(Value::Float(if negative { -total } else { total }));
    }
    if !minute(last) || head.starts_with('0') {
        return None;
    }
    let total = digits
        .split(':')
        .try_fold(0i64, |sum, part| sum.checked_mul(60)?.checked_add(part.parse::<i64>().ok()?))?;
    Some(Value::Int(if negative { -total } else { total }))
}

fn timestamp_shape(text: &str) -> bool {
    timestamp_parts(text).is_some()
}

struct Moment<'t> {
    date: [&'t str; 3],
    time: Option<[&'t str; 3]>,
    fraction: &'t str,
    zone: &'t str,
}

fn timestamp_parts(text: &str) -> Option<Moment<'_>> {
    let digits = |part: &str, least: usize, most: usize| {
        (least..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
    };
    let split = text.find(['T', 't', ' ', '\t']);
    let (date, rest) = split.map_or((text, ""), |at| text.split_at(at));
    let mut pieces = date.splitn(3, '-');
    let date = [pieces.next()?, pieces.next()?, pieces.next()?];
    if !digits(date[0], 4, 4) {
        return None;
    }
    if split.is_none() {
        return (digits(date[1], 2, 2) && digits(date[2], 2, 2)).then_some(Moment {
            date,
            time: None,
            fraction: "",
            zone: "",
        });
    }
    if !digits(date[1], 1, 2) || !digits(date[2], 1, 2) {
        return None;
    }
    let rest = if rest.starts_with(['T', 't']) { &rest[1..] } else { rest.trim_start_matches([' ', '\t']) };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(rest.len());
    let (clock, rest) = rest.split_at(end);
    let mut pieces = clock.splitn(3, ':');
    let time = [pieces.next()?, pieces.next()?, pieces.next()?];
    if !digits(time[0], 1, 2) || !digits(time[1], 2, 2) || !digits(time[2], 2, 2) {
        return None;
    }
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())),
        None => ("", rest),
    };
    let zone = rest.trim_start_matches([' ', '\t']);
    let zone_ok = match zone.as_bytes() {
        [] => rest.is_empty(),
        b"Z" => true,
        [b'+' | b'-', ..] => {
            let (hours, minutes) = zone[1..].split_once(':').unwrap_or((&zone[1..], "00"));
            digits(hours, 1, 2) && digits(minutes, 2, 2)
        }
        _ => false,
    };
    zone_ok.then_some(Moment { date, time: Some(time), fraction, zone })
}

/// A date or time in the form in which it is written back: `2020-01-02`, `2020-01-02 03:04:05.600000`.
fn timestamp(text: &str) -> Option<String> {
    let Moment { date, time, fraction, zone } = timestamp_parts(text)?;
    let number = |text: &str| text.parse::<u32>().ok();
    let (year, month, day) = (number(date[0])?, number(date[1])?, number(date[2])?);
    if year == 0 || !(1..=12).contains(&month) || day == 0 || day > days_in(year, month) {
        return None;
    }
    let mut out = format!("{year:04}-{month:02}-{day:02}");
    if let Some(time) = time {
        let (hour, minute, second) = (number(time[0])?, number(time[1])?, number(time[2])?);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        out.push_str(&format!(" {hour:02}:{minute:02}:{second:02}"));
        let micros = format!("{fraction:0<6}");
        if micros[..6].bytes().any(|b| b != b'0') {
            out.push('.');
            out.push_str(&micros[..6]);
        }
        if zone == "Z" {
            out.push_str("+00:00");
        } else if !zone.is_empty() {
            let (hours, minutes) = zone[1..].split_once(':').unwrap_or((&zone[1..], "00"));
            out.push_str(&format!("{}{hours:0>2}:{minutes}", &zone[..1]));
        }
    }
    Some(out)
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}
