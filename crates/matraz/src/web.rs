//! What is built from `ui/`, in the program: the web app, and the script and style of the page of plots.

use rust_embed::RustEmbed;

/// The files of `ui/dist`.
#[derive(RustEmbed)]
#[folder = "../../ui/dist"]
pub struct Files;

/// The text of a file; `None` when the program was built without it.
pub fn text(path: &str) -> Option<String> {
    String::from_utf8(Files::get(path)?.data.into_owned()).ok()
}
