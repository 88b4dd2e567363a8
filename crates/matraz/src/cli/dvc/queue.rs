//! `dvc queue`, `matraz queue`

use super::{queue_kill, queue_logs, queue_remove, queue_start, queue_status, queue_stop};
use crate::cli::group::group;

group! {
    /// Look at the queue of experiments, and run it
    {
        Start(queue_start),
        Stop(queue_stop),
        Status(queue_status),
        Logs(queue_logs),
        Remove(queue_remove),
        Kill(queue_kill),
    }
}
