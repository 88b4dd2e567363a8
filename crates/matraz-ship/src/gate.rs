//! Gates: rules over a run's metrics, each with a verdict and its reason.

mod rule;
mod verdict;

pub use rule::{Bound, Rule, RuleError};
pub use verdict::{Report, Row, Verdict, judge};
