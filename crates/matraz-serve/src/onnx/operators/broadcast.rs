//! NumPy's broadcasting: the common shape of two operands, and which elements meet.

use super::super::tensor::{count, show_shape};

/// The common shape of two operands.
pub(super) fn broadcast_shape(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let mut shape = Vec::with_capacity(rank);
    for axis in 0..rank {
        let length = |shape: &[usize]| (axis + shape.len()).checked_sub(rank).map_or(1, |i| shape[i]);
        shape.push(match (length(a), length(b)) {
            (x, y) if x == y => x,
            (1, y) => y,
            (x, 1) => x,
            _ => return Err(format!("shapes {} and {} do not fit together", show_shape(a), show_shape(b))),
        });
    }
    count(&shape)?;
    Ok(shape)
}

/// Which element of an operand belongs to an element of the broadcast result.
pub(crate) enum Mapping {
    Same,
    Scalar,
    /// The operand repeats: its shape is the end of the result's.
    Cycle(usize),
    /// Each element serves a run of this length: its shape is the start of the result's, then ones.
    Runs(usize),
    /// Length and step of each axis, last axis first.
    Axes(Vec<(usize, usize)>),
}

impl Mapping {
    /// `operand` must broadcast to `result`.
    pub(super) fn new(operand: &[usize], result: &[usize]) -> Self {
        let size: usize = operand.iter().product();
        if operand == result {
            return Self::Same;
        }
        if size == 1 {
            return Self::Scalar;
        }
        let padding = result.len() - operand.len();
        let aligned: Vec<usize> = std::iter::repeat_n(1, padding).chain(operand.iter().copied()).collect();
        let first = aligned.iter().position(|n| *n != 1).unwrap_or(0);
        if aligned[first..] == result[first..] {
            return Self::Cycle(size);
        }
        let end = aligned.iter().rposition(|n| *n != 1).map_or(0, |i| i + 1);
        if aligned[..end] == result[..end] {
            return Self::Runs(result[end..].iter().product::<usize>().max(1));
        }
        let mut axes = Vec::with_capacity(result.len());
        let mut step = 1;
        for (mine, length) in aligned.iter().zip(result).rev() {
            axes.push((*length, if *mine == 1 { 0 } else { step }));
            step *= mine;
        }
        Self::Axes(axes)
    }

    #[inline]
    pub(super) fn at(&self, position: usize) -> usize {
        match self {
            Self::Same => position,
            Self::Scalar => 0,
            Self::Cycle(size) => position % size,
            Self::Runs(length) => position / length,
            Self::Axes(axes) => {
                let mut rest = position;
                let mut place = 0;
                for (length, step) in axes {
                    place += rest % length * step;
                    rest /= length;
                }
                place
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mapping_agrees_with_counting_by_axes() {
        let cases: &[(&[usize], &[usize])] = &[
            (&[2, 3], &[2, 3]),
            (&[], &[2, 3]),
            (&[1, 1], &[2, 3]),
            (&[3], &[2, 3]),
            (&[1, 3], &[2, 3]),
            (&[2, 1], &[2, 3]),
            (&[4, 1, 3], &[4, 2, 3]),
            (&[2, 1], &[4, 2, 3]),
            (&[4, 1, 1], &[4, 2, 3]),
            (&[1, 2, 1], &[4, 2, 3]),
        ];
        for (operand, result) in cases {
            let mapping = Mapping::new(operand, result);
            let total: usize = result.iter().product();
            for position in 0..total {
                let mut rest = position;
                let mut index = Vec::new();
                for length in result.iter().rev() {
                    index.push(rest % length);
                    rest /= length;
                }
                let mut place = 0;
                let mut step = 1;
                for (length, i) in operand.iter().rev().zip(&index) {
                    place += if *length == 1 { 0 } else { i * step };
                    step *= length;
                }
                assert_eq!(mapping.at(position), place, "{operand:?} in {result:?} at {position}");
            }
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        assert!(broadcast_shape(&[2], &[3]).is_err());
        assert_eq!(broadcast_shape(&[2, 1], &[3]).unwrap(), [2, 3]);
        assert_eq!(broadcast_shape(&[0], &[1]).unwrap(), [0]);
    }
}
