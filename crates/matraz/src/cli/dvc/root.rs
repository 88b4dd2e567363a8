//! `dvc root`

use std::path::{Component, Path, PathBuf};

use matraz_base::{Explain, Failure, Kind};

use crate::app::App;
use crate::exit::Exit;

/// Print the path of the project's root, relative to this folder
#[derive(clap::Args, Debug)]
pub struct Args {}

/// No project here.
#[derive(Debug, thiserror::Error)]
#[error("you are not inside of a DVC project (searched from `{}` up to the root)", .from.display())]
struct NotInside {
    from: PathBuf,
}

impl Explain for NotInside {
    fn kind(&self) -> Kind {
        Kind::Outside
    }

    fn hint(&self) -> Option<String> {
        Some("run `matraz init` in the project's folder".into())
    }
}

pub fn run(_: Args, app: &App) -> Result<Exit, Failure> {
    let root = app.cwd.ancestors().find(|folder| folder.join(".dvc").is_dir());
    let root = root.ok_or_else(|| NotInside { from: app.cwd.clone() })?;
    app.out.result(&upwards(&app.cwd, root).display().to_string());
    Ok(Exit::OK)
}

fn upwards(from: &Path, to: &Path) -> PathBuf {
    let steps = from.strip_prefix(to).map_or(0, |below| below.components().count());
    match steps {
        0 => PathBuf::from("."),
        n => std::iter::repeat_n(Component::ParentDir, n).collect(),
    }
}
