//! Commands that are groups of others, which have files of their own.

/// Declares `Args`, its subcommands and `run` of a group: what it is for, then `Variant(module)`.
macro_rules! group {
    ($(#[$about:meta])* { $($(#[$note:meta])* $name:ident($module:ident),)* }) => {
        $(#[$about])*
        #[derive(clap::Args, Debug)]
        pub struct Args {
            #[command(subcommand)]
            command: Command,
        }

        #[derive(clap::Subcommand, Debug)]
        #[allow(clippy::large_enum_variant, reason = "a command line has one of it")]
        enum Command {
            $($(#[$note])* $name($module::Args),)*
        }

        pub fn run(args: Args, app: &crate::app::App) -> Result<crate::exit::Exit, matraz_base::Failure> {
            match args.command {
                $(Command::$name(args) => $module::run(args, app),)*
            }
        }
    };
}

pub(crate) use group;
