//! `dvc unfreeze`

use matraz_base::Failure;

use super::freeze;
use crate::app::App;
use crate::exit::Exit;

/// Let frozen stages run again
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Stages or `.dvc` files
    #[arg(required = true)]
    targets: Vec<String>,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    freeze::set(&args.targets, app, false)
}
