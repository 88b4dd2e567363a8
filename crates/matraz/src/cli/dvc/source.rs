//! What the commands on other repositories and addresses have in common.

use indexmap::IndexMap;
use matraz_base::{Explain, Failure, Kind};
use matraz_data::config::Config;
use matraz_data::source::Request;
use matraz_data::source::list::Entry;
use matraz_data::{Error, Repo};

use crate::app::App;
use crate::cli::CliError;
use crate::exit::{self, Exit};
use crate::names::Grammar;
use crate::render;

/// How the settings of another repository are changed for the occasion.
#[derive(clap::Args, Clone, Debug)]
pub struct SettingsArgs {
    /// A file with settings that go on top of the repository's own
    #[arg(long, value_name = "FILE")]
    config: Option<String>,
    /// The remote to use as the repository's default
    #[arg(long, value_name = "NAME")]
    remote: Option<String>,
    /// Options of the repository's default remote
    #[arg(long, value_name = "OPTION=VALUE", num_args = 0..)]
    remote_config: Vec<String>,
}

impl SettingsArgs {
    /// The repository at `url`, with these settings.
    pub fn request(&self, url: &str, rev: Option<Option<String>>) -> Result<Request, Failure> {
        Ok(Request {
            url: url.to_owned(),
            rev: given(rev),
            config: self.config.clone(),
            remote: self.remote.clone(),
            remote_config: options(&self.remote_config)?,
            ..Request::default()
        })
    }
}

/// Where a copy goes, and how it is made.
#[derive(clap::Args, Clone, Debug)]
pub struct CopyArgs {
    /// Where to put it
    #[arg(short, long, value_name = "PATH", num_args = 0..=1)]
    pub out: Option<Option<String>>,
    /// Print where the data are stored, and copy nothing
    #[arg(long)]
    pub show_url: bool,
    /// How many files to copy at a time
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Replace what is in the way
    #[arg(short, long)]
    pub force: bool,
}

/// The value of an option that may stand without one.
pub fn given(option: Option<Option<String>>) -> Option<String> {
    option.flatten().filter(|text| !text.is_empty())
}

/// Reads `option=value` words.
pub fn options(words: &[String]) -> Result<IndexMap<String, String>, Failure> {
    let mut found = IndexMap::new();
    for word in words {
        match word.split_once('=') {
            Some((key, value)) if !value.is_empty() => found.insert(key.to_owned(), value.to_owned()),
            _ => {
                let message = format!("'{word}' is not of the form OPTION=VALUE");
                return Err(CliError::Usage { message, hint: None }.into());
            }
        };
    }
    Ok(found)
}

/// The settings of the project around the current folder, or those of the user where there is none, with options for
/// addresses of their own checked.
pub fn settings(app: &App, fs_config: &[String], url: &str) -> Result<Config, Failure> {
    let places = app.places();
    let dvc_dir = Repo::find_root(&app.cwd).ok().map(|root| root.join(".dvc"));
    let config = Config::load(dvc_dir.as_deref(), &places)?;
    config.check_remote(url, &options(fs_config)?)?;
    Ok(config)
}

/// How many files are copied at a time.
pub fn threads(jobs: Option<usize>) -> usize {
    jobs.unwrap_or_else(|| 4 * std::thread::available_parallelism().map_or(1, usize::from)).clamp(1, 64)
}

/// Ends a command that in DVC catches its own errors. What DVC does not foresee, like a path that is nowhere, ends with
/// `surprised`. Wrong settings are an error like any other here.
pub fn end(app: &App, what: &str, surprised: u8, outcome: Result<Exit, Failure>) -> Result<Exit, Failure> {
    let Failure(error) = match outcome {
        Err(failure) if app.grammar == Grammar::Dvc => failure,
        other => return other,
    };
    let plain: &dyn std::error::Error = error.as_ref();
    let surprise = matches!(
        plain.downcast_ref::<Error>(),
        Some(
            Error::NoSuchPath { .. }
                | Error::NotInSource { .. }
                | Error::MissingTree { .. }
                | Error::NotVersioned { .. }
                | Error::ConfigAndRemote
                | Error::Store(matraz_store::Error::Unsupported { .. })
        )
    );
    let code = match error.kind() {
        Kind::Settings => 1,
        _ if surprise => surprised,
        kind => exit::code(app.grammar, kind, 1),
    };
    let text = render::error(error.as_ref(), app.grammar, &app.cwd, app.out.colour());
    let said = match text.strip_prefix("ERROR: ") {
        Some(rest) if !what.is_empty() => format!("ERROR: {what} - {rest}"),
        _ => text,
    };
    app.out.error(&said);
    Ok(Exit(code))
}

/// Ends what DVC does not catch errors of, in a command that else does.
pub fn uncaught(app: &App, outcome: Result<(), Error>) -> Result<Exit, Failure> {
    match outcome {
        Ok(()) => Ok(Exit::OK),
        Err(error) if app.grammar == Grammar::Dvc => {
            app.out.error(&render::error(&error, app.grammar, &app.cwd, app.out.colour()));
            Ok(Exit(exit::code(app.grammar, error.kind(), 255)))
        }
        Err(error) => Err(error.into()),
    }
}

/// A number of bytes in few characters, as DVC writes it.
pub fn human_size(bytes: u64) -> String {
    if bytes < 1024 {
        return bytes.to_string();
    }
    let mut number = bytes as f64;
    for unit in ["", "k", "M", "G", "T", "P", "E", "Z"] {
        if number < 9.995 {
            return format!("{number:.2}{unit}");
        }
        if number < 99.95 {
            return format!("{number:.1}{unit}");
        }
        if number < 999.5 {
            return format!("{number:.0}{unit}");
        }
        number /= 1024.0;
    }
    format!("{number:.1}Y")
}

/// Rows in columns two blanks apart, the first one to the right when asked for.
pub fn columns(rows: &[Vec<String>], first_to_the_right: bool) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|text| text.chars().count()).max();
    let widths: Vec<usize> = (0..count).map(|at| width(at).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(at, text)| {
            let width = widths[at];
            if at == 0 && first_to_the_right { format!("{text:>width$}") } else { format!("{text:<width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// How entries are shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown {
    /// With their sizes.
    pub size: bool,
    /// With their digests.
    pub hash: bool,
}

impl Shown {
    fn row(self, entry: &Entry, name: String) -> Vec<String> {
        let mut row = Vec::new();
        if self.size {
            let size = entry.node.size.filter(|size| *size > 0 || !entry.node.is_dir);
            row.push(size.map(human_size).unwrap_or_default());
        }
        if self.hash {
            row.push(entry.node.digest.map_or_else(|| "-".into(), |digest| digest.to_string()));
        }
        row.push(name);
        row
    }

    /// The entries, one a line.
    pub fn list(self, entries: &[Entry]) -> String {
        let rows: Vec<_> = entries.iter().map(|entry| self.row(entry, entry.path.clone())).collect();
        columns(&rows, self.size)
    }

    /// The entries as a tree of lines.
    pub fn tree(self, top: &Entry) -> String {
        let mut rows = vec![self.row(top, top.path.clone())];
        self.branches(top, "", &mut rows);
        columns(&rows, self.size)
    }

    fn branches(self, entry: &Entry, prefix: &str, rows: &mut Vec<Vec<String>>) {
        for (n, inner) in entry.contents.iter().enumerate() {
            let is_last = n + 1 == entry.contents.len();
            let corner = if is_last { "└── " } else { "├── " };
            rows.push(self.row(inner, format!("{prefix}{corner}{}", inner.path)));
            let more = if is_last { "    " } else { "│   " };
            self.branches(inner, &format!("{prefix}{more}"), rows);
        }
    }
}

/// The entries as JSON.
pub fn json(entries: &[Entry]) -> serde_json::Value {
    let item = |entry: &Entry| {
        serde_json::json!({
            "isout": entry.node.is_out,
            "isdir": entry.node.is_dir,
            "isexec": entry.node.executable,
            "size": entry.node.size,
            "md5": entry.node.digest.map(|digest| digest.to_string()),
            "path": entry.path,
        })
    };
    entries.iter().map(item).collect()
}
