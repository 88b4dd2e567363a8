//! Locks between processes that wait, and name their owner.
