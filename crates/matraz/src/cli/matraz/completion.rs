//! `matraz completion`

use clap::CommandFactory;
use clap_complete::Shell;
use matraz_base::Failure;

use crate::app::App;
use crate::exit::Exit;

/// Print the completion script of a shell
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The shell
    #[arg(short, long, value_enum)]
    shell: Shell,
    /// Complete this program name instead of the whole three
    #[arg(long, value_parser = ["matraz", "dvc", "mlflow"])]
    program: Option<String>,
}

pub fn run(args: Args, app: &App) -> Result<Exit, Failure> {
    let programs = [
        ("matraz", super::Cli::command()),
        ("dvc", crate::cli::dvc::Cli::command()),
        ("mlflow", crate::cli::mlflow::Cli::command()),
    ];
    for (name, mut command) in programs {
        if args.program.as_deref().is_none_or(|wanted| wanted == name) {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut command, name, &mut script);
            app.out.raw(&String::from_utf8_lossy(&script));
        }
    }
    Ok(Exit::OK)
}
