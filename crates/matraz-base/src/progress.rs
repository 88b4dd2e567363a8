//! Progress as events: a library reports, the binary decides whether a person sees a bar, lines or nothing.

/// What the numbers of a task count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Files or other items.
    Files,
    /// Bytes.
    Bytes,
    /// Stages of a pipeline.
    Stages,
}

/// A running task, as [`Progress::begin`] named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Task(pub u64);

/// Receives the progress of long work. All methods may be called from any thread.
pub trait Progress: Send + Sync {
    /// A task of `total` units starts (0: unknown).
    fn begin(&self, label: &str, total: u64, unit: Unit) -> Task;
    /// `by` more units of the task are done.
    fn advance(&self, task: Task, by: u64);
    /// The task is over.
    fn end(&self, task: Task);
    /// One line for the user on what happens.
    fn say(&self, line: &str);
    /// One line on something that the user should look at.
    fn warn(&self, line: &str);
}

/// Swallows everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: u64, _: Unit) -> Task {
        Task(0)
    }
    fn advance(&self, _: Task, _: u64) {}
    fn end(&self, _: Task) {}
    fn say(&self, _: &str) {}
    fn warn(&self, _: &str) {}
}
