//! `matraz shims`

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use matraz_base::{Explain, Failure, Kind};

use crate::app::App;
use crate::exit::Exit;

/// Make `dvc` and `mlflow` in a folder, as links to this program
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The folder, made when absent; put it on PATH before the old tools
    dir: PathBuf,
    /// Replace files of these names
    #[arg(short, long)]
    force: bool,
}

#[derive(Debug, thiserror::Error)]
enum ShimError {
    #[error("cannot {action} `{}`", .path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("`{}` exists and is no link to this program", .path.display())]
    Exists { path: PathBuf },
}

impl Explain for ShimError {
    fn kind(&self) -> Kind {
        match self {
            Self::Io { .. } => Kind::Denied,
            Self::Exists { .. } => Kind::Exists,
        }
    }

    fn hint(&self) -> Option<String> {
        matches!(self, Self::Exists { .. }).then(|| "use `--force` to replace it".into())
    }
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let folder = app.cwd.join(&args.dir);
    let program = std::env::current_exe().map_err(|source| ShimError::Io {
        action: "find",
        path: PathBuf::from("matraz"),
        source,
    })?;
    fs::create_dir_all(&folder).map_err(|source| ShimError::Io {
        action: "make",
        path: folder.clone(),
        source,
    })?;
    for name in ["dvc", "mlflow"] {
        let link = folder.join(name);
        place(&program, &link, args.force)?;
        app.out.line(&format!("{} -> {}", link.display(), program.display()));
    }
    Ok(Exit::OK)
}

fn place(program: &Path, link: &Path, force: bool) -> Result<(), ShimError> {
    if link.symlink_metadata().is_ok() {
        if fs::read_link(link).is_ok_and(|target| target == program) {
            return Ok(());
        }
        if !force {
            return Err(ShimError::Exists { path: link.to_path_buf() });
        }
        fs::remove_file(link).map_err(|source| ShimError::Io {
            action: "remove",
            path: link.to_path_buf(),
            source,
        })?;
    }
    std::os::unix::fs::symlink(program, link).map_err(|source| ShimError::Io {
        action: "make",
        path: link.to_path_buf(),
        source,
    })
}
