//! One rule: a metric and the bound that it must keep.

use std::fmt;

use matraz_base::value::python_float;
use matraz_base::{Explain, Kind};
use winnow::ascii::{float, space0};
use winnow::combinator::{alt, delimited, eof, preceded};
use winnow::prelude::*;
use winnow::token::{take_till, take_while};

/// The side of the threshold on which the metric must lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Strictly greater.
    Above,
    /// Greater or equal.
    AtLeast,
    /// Strictly less.
    Below,
    /// Less or equal.
    AtMost,
}

impl Bound {
    /// All bounds under the key that `matraz.yaml` has for them.
    pub const KEYS: [(&'static str, Self); 4] = [
        ("above", Self::Above),
        ("at_least", Self::AtLeast),
        ("below", Self::Below),
        ("at_most", Self::AtMost),
    ];

    /// The comparison as a sign.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Below => "<",
            Self::AtMost => "<=",
        }
    }

    /// Whether `value` keeps the bound. NaN keeps none.
    pub fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Above => value > threshold,
            Self::AtLeast => value >= threshold,
            Self::Below => value < threshold,
            Self::AtMost => value <= threshold,
        }
    }
}

/// A metric, a bound and a threshold: `accuracy > 0.8`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The metric's key, as the run has it (`accuracy`, `recall.Obesity_Type_I`).
    pub metric: String,
    /// The side on which it must lie.
    pub bound: Bound,
    /// The threshold, in the metric's own unit.
    pub threshold: f64,
}

/// A rule that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a gate rule")]
pub struct RuleError {
    /// The text of the rule.
    pub text: String,
}

impl Explain for RuleError {
    fn kind(&self) -> Kind {
        Kind::Config
    }

    fn hint(&self) -> Option<String> {
        Some("write a metric, one of `>`, `>=`, `<`, `<=` and a number: `accuracy > 0.80`".into())
    }
}

impl Rule {
    /// Reads `metric > number`; a metric with spaces or signs in it stands in backticks.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let mut input = text;
        rule(&mut input).map_err(|_| RuleError { text: text.to_owned() })
    }
}

fn rule(input: &mut &str) -> ModalResult<Rule> {
    let quoted = delimited('`', take_till(1.., '`'), '`');
    let plain = take_while(1.., |c: char| !c.is_whitespace() && !"<>=`".contains(c));
    let metric = preceded(space0, alt((quoted, plain))).parse_next(input)?;
    let bound = preceded(
        space0,
        alt((
            ">=".value(Bound::AtLeast),
            '>'.value(Bound::Above),
            "<=".value(Bound::AtMost),
            '<'.value(Bound::Below),
        )),
    )
    .parse_next(input)?;
    let threshold: f64 = delimited(space0, float, (space0, eof)).parse_next(input)?;
    if threshold.is_nan() {
        return Err(winnow::error::ErrMode::Backtrack(winnow::error::ContextError::new()));
    }
    Ok(Rule { metric: metric.to_owned(), bound, threshold })
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.metric, self.bound.sign(), python_float(self.threshold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read() {
        let table = [
            ("accuracy > 0.80", Some(("accuracy", Bound::Above, 0.8))),
            ("loss<=1e-3", Some(("loss", Bound::AtMost, 0.001))),
            ("  `my metric` >= -2 ", Some(("my metric", Bound::AtLeast, -2.0))),
            ("recall.Obesity_Type_I < 1", Some(("recall.Obesity_Type_I", Bound::Below, 1.0))),
            ("accuracy", None),
            ("accuracy > high", None),
            ("accuracy > nan", None),
            ("> 0.8", None),
            ("accuracy > 0.8 and loss < 1", None),
            ("accuracy == 1", None),
        ];
        for (text, expected) in table {
            let found = Rule::parse(text).ok();
            let found = found.as_ref().map(|r| (r.metric.as_str(), r.bound, r.threshold));
            assert_eq!(found, expected, "{text}");
        }
    }
}
