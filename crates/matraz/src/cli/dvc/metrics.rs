//! `dvc metrics`

use super::{metrics_diff, metrics_show};
use crate::cli::group::group;

group! {
    /// Show and compare metrics
    {
        Show(metrics_show),
        Diff(metrics_diff),
    }
}
