//! Content addresses: the MD5 of files and folders, computed once and remembered.

pub mod digest;
pub mod lanes;
pub mod many;
pub mod md5;
pub mod state;
pub mod table;
pub mod tree;
