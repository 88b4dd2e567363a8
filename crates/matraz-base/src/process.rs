//! Child processes whose whole tree ends together.
