//! `dvc params`

use super::params_diff;
use crate::cli::group::group;

group! {
    /// Compare parameters
    {
        Diff(params_diff),
    }
}
