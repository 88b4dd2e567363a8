//! Gates: rules over a run's values, its past and its predictions, each with a verdict and its reason.

mod paired;
mod rule;
mod verdict;

pub use paired::{Measure, Paired, Pairs, Test};
pub use rule::{Bound, Reference, Rule, RuleError, Threshold, Tolerance, WithoutBaseline};
pub use verdict::{Baseline, Evidence, Provenance, Report, Row, Verdict, judge};
