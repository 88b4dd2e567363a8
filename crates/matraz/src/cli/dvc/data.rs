//! `dvc data`

use super::data_status;
use crate::cli::group::group;

group! {
    /// Look at tracked data
    {
        Status(data_status),
    }
}
