//! Decision trees and their evaluation, whatever file they were read from.

mod forest;
mod real;
mod tree;

pub(crate) use forest::{Aggregate, Forest, Scores};
pub(crate) use real::Real;
pub(crate) use tree::{Branch, Inner, Mode, Weight};
