//! `dvc stage`

use super::{stage_add, stage_list};
use crate::cli::group::group;

group! {
    /// Add and list the stages of pipelines
    {
        Add(stage_add),
        List(stage_list),
    }
}
