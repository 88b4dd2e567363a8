//! Errors in the words of Python, which those who read the JSON of DVC expect.

use std::path::Path;

use matraz_base::{Map, Value};
use matraz_data::Error;
use matraz_data::error::Fault;
use matraz_data::stage::address::relative;
use matraz_data::stage::{LOCK_FILE, PIPELINE_FILE};

/// The entries `type` and `msg`; paths are shown relative to `base`.
pub fn encoded(error: &Error, base: &Path) -> Map {
    let (kind, message) = describe(error, base);
    let entries = [("type".to_owned(), Value::Str(kind.to_owned())), ("msg".to_owned(), Value::Str(message))];
    entries.into_iter().collect()
}

/// The class and the text of the exception that DVC would raise.
pub fn describe(error: &Error, base: &Path) -> (&'static str, String) {
    let shown = |path: &Path| relative(path, base);
    match error {
        Error::NoSuchFile { path } => {
            ("FileNotFoundError", format!("[Errno 2] No such file or directory: '{}'", shown(path)))
        }
        Error::NotAvailable { path } => {
            ("FileNotFoundError", format!("[Errno 2] No storage files available: '{}'", shown(path)))
        }
        Error::Io { path, source, .. } if source.kind() == std::io::ErrorKind::IsADirectory => {
            ("IsADirectoryError", format!("[Errno 21] Is a directory: '{}'", shown(path)))
        }
        Error::NotText { path } => {
            ("EncodingError", format!("unable to read: '{}', is not valid utf-8", shown(path)))
        }
        Error::Definition { fault: Fault::Schema, place, .. } => {
            let file = shown(&place.path);
            let dot = if Path::new(&file).is_absolute() || file.starts_with("..") { "" } else { "./" };
            ("YAMLValidationError", format!("'{dot}{file}' validation failed"))
        }
        Error::Definition { fault: Fault::Template { entry, file }, message, .. } => {
            // What DVC finds while it reads expressions and merges variables starts on a line of its own.
            let apart = message.starts_with("Cannot interpolate") || message.starts_with("cannot ");
            let space = if apart { '\n' } else { ' ' };
            ("ResolveError", format!("failed to parse {entry} in '{}':{space}{message}", shown(file)))
        }
        Error::Definition { fault: Fault::Format, place, .. } => {
            let suffix = place.path.extension().map(|suffix| suffix.to_string_lossy().to_lowercase());
            let (kind, format) = match suffix.as_deref() {
                Some("json") => ("JSONFileCorruptedError", "JSON"),
                Some("toml") => ("TOMLFileCorruptedError", "TOML"),
                Some("py") => ("PythonFileCorruptedError", "Python"),
                _ if is_stage_file(&place.path) => ("YAMLSyntaxError", "YAML"),
                _ => ("YAMLFileCorruptedError", "YAML"),
            };
            (kind, format!("unable to read: '{}', {format} file structure is corrupted", shown(&place.path)))
        }
        Error::NotAPlotFile { path } => (
            "PlotMetricTypeError",
            format!(
                "'{}' - file type error\nOnly JSON, YAML, CSV and TSV formats are supported.",
                shown(path)
            ),
        ),
        Error::NoPlotColumn { column, found } => (
            "FieldNotFoundError",
            format!("Could not find provided field ('{column}') in data fields ('{}').", found.join(", ")),
        ),
        Error::PlotNoRows { found } => {
            let class = match *found {
                "string" => "str",
                "integer" => "int",
                "number" => "float",
                "boolean" => "bool",
                "picture" => "bytes",
                other => other,
            };
            ("AttributeError", format!("'{class}' object has no attribute 'values'"))
        }
        Error::PlotEmptyList => ("AttributeError", "'NoneType' object has no attribute 'keys'".into()),
        Error::PlotNoFirstRow => ("TypeError", "argument of type 'NoneType' is not iterable".into()),
        Error::PlotSources { x, y } => (
            "DvcException",
            format!(
                "Cannot have different number of x and y data sources. Found {x} x and {y} y data sources."
            ),
        ),
        Error::PlotJoin { x, x_file, y, y_file } => (
            "DvcException",
            format!(
                "Cannot join '{x}' from '{x_file}' and '{y}' from '{y_file}'. They have to have same length."
            ),
        ),
        other => ("DvcException", other.to_string()),
    }
}

/// Whether DVC reads the file with the parser whose errors show the place.
fn is_stage_file(path: &Path) -> bool {
    let is_data = path.extension().is_some_and(|suffix| suffix == "dvc");
    is_data || path.ends_with(PIPELINE_FILE) || path.ends_with(LOCK_FILE)
}
