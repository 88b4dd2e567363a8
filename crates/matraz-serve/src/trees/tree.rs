//! A decision tree as files describe it, and its comparisons brought to one form.

use super::real::Real;

/// Comparison of a node, `BRANCH_…` of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    LessOrEqual,
    Less,
    GreaterOrEqual,
    Greater,
    Equal,
    NotEqual,
}

/// Where a branch leads: to an inner node or a leaf, by number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Branch {
    Inner(usize),
    Leaf(usize),
}

/// An inner node as files have it.
#[derive(Clone, Debug)]
pub(crate) struct Inner<T> {
    pub feature: i64,
    pub threshold: T,
    pub mode: Mode,
    pub missing_is_true: bool,
    pub on_true: Branch,
    pub on_false: Branch,
}

/// What a leaf adds to which target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weight<T> {
    pub leaf: usize,
    pub target: usize,
    pub value: T,
}

/// A node turned into "at most the threshold: first child".
pub(super) struct Step<T> {
    pub threshold: T,
    pub first: Branch,
    pub second: Branch,
    pub nan_first: bool,
    pub equality: bool,
}

pub(crate) fn normalise<T: Real>(node: &Inner<T>) -> Step<T> {
    let (on_true, on_false) = (node.on_true, node.on_false);
    let missing = node.missing_is_true;
    let threshold = node.threshold;
    // Below minus infinity, or compared with NaN, nothing is true: no threshold says that, equality with NaN does.
    let below = |threshold: T| threshold.next_down();
    let nothing_is_below = threshold.is_nan() || threshold == -T::INFINITY;
    match node.mode {
        Mode::LessOrEqual => {
            Step { threshold, first: on_true, second: on_false, nan_first: missing, equality: false }
        }
        Mode::Less if nothing_is_below => {
            Step { threshold: T::NAN, first: on_true, second: on_false, nan_first: missing, equality: true }
        }
        Mode::Less => Step {
            threshold: below(threshold),
            first: on_true,
            second: on_false,
            nan_first: missing,
            equality: false,
        },
        // The greater modes are the lesser ones with the children exchanged; NaN, for which neither holds, must
        // still go where the node says.
        Mode::Greater if threshold.is_nan() => {
            Step { threshold, first: on_true, second: on_false, nan_first: missing, equality: true }
        }
        Mode::Greater => {
            Step { threshold, first: on_false, second: on_true, nan_first: !missing, equality: false }
        }
        Mode::GreaterOrEqual if threshold.is_nan() => {
            Step { threshold, first: on_true, second: on_false, nan_first: missing, equality: true }
        }
        Mode::GreaterOrEqual if nothing_is_below => {
            Step { threshold: T::NAN, first: on_false, second: on_true, nan_first: !missing, equality: true }
        }
        Mode::GreaterOrEqual => Step {
            threshold: below(threshold),
            first: on_false,
            second: on_true,
            nan_first: !missing,
            equality: false,
        },
        Mode::Equal => {
            Step { threshold, first: on_true, second: on_false, nan_first: missing, equality: true }
        }
        // Not equal to NaN is true for every number; so is the exchanged "equal to NaN is false". A NaN itself
        // differs from everything.
        Mode::NotEqual => {
            Step { threshold, first: on_false, second: on_true, nan_first: false, equality: true }
        }
    }
}
