//! One rule: a metric and the bound that it must keep.

use std::fmt;

use matraz_base::value::python_float;
use matraz_base::{Explain, Kind};
use winnow::ascii::{float, space0};
use winnow::combinator::{alt, delimited, eof, opt, preceded};
use winnow::prelude::*;
use winnow::token::{take_till, take_while};

use super::paired::Paired;

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

    /// Whether larger values are the better ones.
    pub fn wants_more(self) -> bool {
        matches!(self, Self::Above | Self::AtLeast)
    }

    /// Whether being level is not enough.
    pub fn is_strict(self) -> bool {
        matches!(self, Self::Above | Self::Below)
    }
}

/// What a metric is compared with, besides a number: the same metric of another run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reference {
    /// The run behind the alias `champion` of the model.
    Champion,
    /// The run of the commit at which the branch left the main one.
    MergeBase,
    /// One of `baselines` in `matraz.yaml`.
    Named(String),
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Champion => f.write_str("champion"),
            Self::MergeBase => f.write_str("merge-base"),
            Self::Named(name) => write!(f, "@{name}"),
        }
    }
}

/// How far the threshold lies from a reference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tolerance {
    /// In the metric's own unit.
    Absolute(f64),
    /// As a share of the reference's value: `0.02` is two percent.
    Relative(f64),
}

impl Tolerance {
    /// The threshold for a reference of this value.
    pub fn apply(self, value: f64) -> f64 {
        match self {
            Self::Absolute(distance) => value + distance,
            Self::Relative(share) => value + share * value.abs(),
        }
    }

    fn is_none(self) -> bool {
        matches!(self, Self::Absolute(distance) | Self::Relative(distance) if distance == 0.0)
    }
}

/// The value that a metric must keep to.
#[derive(Clone, Debug, PartialEq)]
pub enum Threshold {
    /// A number.
    Number(f64),
    /// The value of a reference, and how far from it.
    Of(Reference, Tolerance),
}

impl Threshold {
    /// Reads `0.8`, `champion`, `merge-base - 0.01` or `@release + 2%`.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let mut input = text;
        let read = delimited(space0, threshold, (space0, eof)).parse_next(&mut input);
        read.map_err(|_: winnow::error::ErrMode<winnow::error::ContextError>| RuleError {
            text: text.to_owned(),
        })
    }

    /// The reference, when there is one.
    pub fn reference(&self) -> Option<&Reference> {
        match self {
            Self::Number(_) => None,
            Self::Of(reference, _) => Some(reference),
        }
    }

    /// Whether it is the reference's value itself.
    pub fn is_bare_reference(&self) -> bool {
        matches!(self, Self::Of(_, tolerance) if tolerance.is_none())
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (reference, size, unit) = match self {
            Self::Number(number) => return f.write_str(&python_float(*number)),
            Self::Of(reference, tolerance) if tolerance.is_none() => return reference.fmt(f),
            Self::Of(reference, Tolerance::Absolute(distance)) => (reference, *distance, ""),
            Self::Of(reference, Tolerance::Relative(share)) => (reference, share * 100.0, "%"),
        };
        let sign = if size < 0.0 { '-' } else { '+' };
        // Percent were divided by 100: what that cost in the last digits is taken back.
        let size = (size.abs() * 1e12).round() / 1e12;
        write!(f, "{reference} {sign} {}{unit}", python_float(size))
    }
}

/// What to do when there is nothing to compare with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WithoutBaseline {
    /// It cannot be told whether the rule holds.
    #[default]
    Unknown,
    /// The rule holds: a first model has nothing to be worse than.
    Pass,
}

/// A metric, a bound and a threshold: `accuracy > 0.8`, `recall.* >= champion - 1%`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The metric's key, as the run has it (`accuracy`, `recall.Obesity_Type_I`); `*` in it stands for any text, and the
    /// rule for each metric that fits.
    pub metric: String,
    /// The side on which it must lie.
    pub bound: Bound,
    /// The value to which it must keep.
    pub threshold: Threshold,
    /// What to do when there is nothing to compare with.
    pub without_baseline: WithoutBaseline,
    /// How chance is told from change, when predictions are compared one by one.
    pub paired: Option<Paired>,
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
        Some(
            "write a metric, one of `>`, `>=`, `<`, `<=` and a number, or what to compare with: `accuracy > 0.80`, \
             `accuracy >= champion - 0.01`, `loss <= merge-base + 2%`, `f1 > @NAME` with NAME under `baselines`"
                .into(),
        )
    }
}

impl Rule {
    /// A rule without a paired test.
    pub fn new(metric: impl Into<String>, bound: Bound, threshold: Threshold) -> Self {
        let without_baseline = WithoutBaseline::default();
        Self { metric: metric.into(), bound, threshold, without_baseline, paired: None }
    }

    /// Reads `metric > threshold`; a metric with spaces or signs in it stands in backticks.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let mut input = text;
        rule(&mut input).map_err(|_| RuleError { text: text.to_owned() })
    }

    /// Whether the rule speaks of this metric.
    pub fn covers(&self, metric: &str) -> bool {
        fits(&self.metric, metric)
    }

    /// Whether the rule may speak of more than one metric.
    pub fn is_pattern(&self) -> bool {
        self.metric.contains('*')
    }
}

/// Whether `text` fits a pattern in which `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
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
    let threshold = delimited(space0, threshold, (space0, eof)).parse_next(input)?;
    Ok(Rule::new(metric, bound, threshold))
}

fn threshold(input: &mut &str) -> ModalResult<Threshold> {
    alt((compared, float.verify(|number: &f64| !number.is_nan()).map(Threshold::Number))).parse_next(input)
}

fn compared(input: &mut &str) -> ModalResult<Threshold> {
    let name = take_while(1.., |c: char| c.is_alphanumeric() || "_-.".contains(c));
    let reference = alt((
        "champion".value(Reference::Champion),
        "merge-base".value(Reference::MergeBase),
        preceded('@', name).map(|name: &str| Reference::Named(name.to_owned())),
    ))
    .parse_next(input)?;
    let sign = alt(('+'.value(1.0), '-'.value(-1.0)));
    let size = float.verify(|size: &f64| size.is_finite() && size.is_sign_positive());
    let distance = (preceded(space0, sign), preceded(space0, size), opt('%'));
    let tolerance = opt(distance).parse_next(input)?.map_or(
        Tolerance::Absolute(0.0),
        |(sign, size, percent): (f64, f64, _)| {
            let size = sign * size;
            if percent.is_some() { Tolerance::Relative(size / 100.0) } else { Tolerance::Absolute(size) }
        },
    );
    Ok(Threshold::Of(reference, tolerance))
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.metric, self.bound.sign(), self.threshold)?;
        match &self.paired {
            Some(paired) => write!(f, " ({paired})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read() {
        let number = Threshold::Number;
        let of = Threshold::Of;
        let table = [
            ("accuracy > 0.80", Some(("accuracy", Bound::Above, number(0.8)))),
            ("loss<=1e-3", Some(("loss", Bound::AtMost, number(0.001)))),
            ("  `my metric` >= -2 ", Some(("my metric", Bound::AtLeast, number(-2.0)))),
            ("recall.Obesity_Type_I < 1", Some(("recall.Obesity_Type_I", Bound::Below, number(1.0)))),
            ("f1 > champion", Some(("f1", Bound::Above, of(Reference::Champion, Tolerance::Absolute(0.0))))),
            (
                "recall.* >= champion - 0.01",
                Some(("recall.*", Bound::AtLeast, of(Reference::Champion, Tolerance::Absolute(-0.01)))),
            ),
            (
                "loss <= merge-base+2%",
                Some(("loss", Bound::AtMost, of(Reference::MergeBase, Tolerance::Relative(0.02)))),
            ),
            (
                "f1 > @release-1.0 + 1e-3",
                Some((
                    "f1",
                    Bound::Above,
                    of(Reference::Named("release-1.0".into()), Tolerance::Absolute(0.001)),
                )),
            ),
            ("accuracy", None),
            ("accuracy > high", None),
            ("accuracy > champion -", None),
            ("accuracy > champion - -1", None),
            ("accuracy > champions", None),
            ("accuracy > @", None),
            ("accuracy > nan", None),
            ("> 0.8", None),
            ("accuracy > 0.8 and loss < 1", None),
            ("accuracy > 80%", None),
            ("accuracy == 1", None),
        ];
        for (text, expected) in table {
            let found = Rule::parse(text).ok();
            let found = found.as_ref().map(|r| (r.metric.as_str(), r.bound, r.threshold.clone()));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn rules_are_shown_as_they_are_written() {
        for text in ["accuracy > 0.8", "f1 > champion", "recall.* >= champion - 0.01", "loss <= @a + 7.1%"] {
            assert_eq!(Rule::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn patterns_fit_any_text() {
        let table = [
            ("recall.*", "recall.Normal", true),
            ("recall.*", "recall.", true),
            ("recall.*", "precision.Normal", false),
            ("*.Normal", "recall.Normal", true),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "abcd", false),
            ("a*a", "a", false),
            ("*", "anything", true),
            ("accuracy", "accuracy", true),
            ("accuracy", "accuracy2", false),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn tolerances_are_distances_from_the_reference() {
        let table = [("x > champion", 0.9), ("x > champion - 0.1", 0.8), ("x > champion + 10%", 0.99)];
        for (text, expected) in table {
            let Threshold::Of(_, tolerance) = Rule::parse(text).unwrap().threshold else { panic!("{text}") };
            assert!((tolerance.apply(0.9) - expected).abs() < 1e-12, "{text}");
        }
        // A share of a negative value is a distance too.
        assert_eq!(Tolerance::Relative(-0.5).apply(-2.0), -3.0);
    }
}
