//! Plots: which a project has, the rows and pictures they show, and their Vega-Lite specifications.
//!
//! [`moment`] reads what a moment of the project plots, [`charts`] lays several moments over one another, and
//! [`chart::Vega`] fills a template with the result. Shapes are those of DVC, which other programs read.

pub mod chart;
pub mod collect;
pub mod definition;
pub mod modify;
pub mod page;
pub mod points;
pub mod rows;
pub mod template;

pub use chart::{Chart, Drawing, Image, Vega, charts};
pub use collect::{Moment, Request, Source, moment};
pub use definition::{Plot, Series, definitions_from};

/// Endings of the names of pictures.
pub const PICTURES: [&str; 5] = ["jpg", "jpeg", "gif", "png", "svg"];

/// Whether a path names a picture.
pub fn is_picture(path: &str) -> bool {
    let suffix = std::path::Path::new(path).extension().and_then(|suffix| suffix.to_str());
    suffix.is_some_and(|suffix| PICTURES.contains(&suffix))
}
