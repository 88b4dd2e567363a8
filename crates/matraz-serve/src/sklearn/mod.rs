//! Models of scikit-learn that are run without Python: decision trees and forests of them.
//!
//! MLflow saves them as pickles. [`pickle`] reads such a file as data, [`array`] finds NumPy's arrays in it, and
//! [`Predictor`] takes the trees out of the one shape that scikit-learn 1.6 to 1.x gives them. Whatever looks
//! different in any way is left to Python, so that an answer is always the one that scikit-learn gives.

mod array;
mod forest;
mod pickle;

pub(crate) use forest::Predictor;
