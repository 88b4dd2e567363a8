//! `dvc root`

use matraz_base::Failure;
use matraz_data::Repo;
use matraz_data::stage::address::relative;

use crate::app::App;
use crate::exit::Exit;

/// Print the path of the project's root, relative to this folder
#[derive(clap::Args, Debug)]
pub struct Args {}

pub fn run(_: Args, app: &App) -> Result<Exit, Failure> {
    let root = Repo::find_root(&app.cwd)?;
    app.out.line(&relative(&root, &app.cwd));
    Ok(Exit::OK)
}
