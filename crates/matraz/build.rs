//! Makes sure that the folder of the web app exists, so that the program builds before the app does.

use std::path::Path;

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui/dist");
    println!("cargo::rerun-if-changed={}", folder.display());
    if let Err(error) = std::fs::create_dir_all(&folder) {
        println!("cargo::error=cannot make {}: {error}", folder.display());
    }
}
