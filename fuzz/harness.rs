//! What every fuzz target does with its bytes: the readers of files that come from elsewhere must not panic, must end
//! soon, and must read back what they write. `cargo test` runs the same functions on mutations of a few files.

use std::collections::HashMap;
use std::path::Path;

use matraz_base::Value;
use matraz_base::yaml::{self, Dialect};
use matraz_data::config::syntax;
use matraz_data::hash::tree::Tree;
use matraz_data::ignore::Ignore;
use matraz_data::stage::document::Document;
use matraz_data::stage::template::Style;
use matraz_data::stage::{LockFile, dot_dvc, dvc_yaml, params};

/// The name and the function of a target.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 8] = [
    ("yaml", read_yaml),
    ("pipeline", read_pipeline),
    ("data_file", read_data_file),
    ("lock", read_lock),
    ("listing", read_listing),
    ("config", read_config),
    ("ignore", read_ignore),
    ("params", read_params),
];

/// Longer input finds nothing that shorter does not.
const LONGEST: usize = 64 * 1024;

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(&bytes[..bytes.len().min(LONGEST)]).ok()
}

/// YAML is read, and what is written of it is read as the same; an edit to itself changes nothing.
pub fn read_yaml(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    for dialect in [Dialect::Ruamel12, Dialect::PyYaml11] {
        let Ok(node) = yaml::parse_with(text, dialect) else { continue };
        let value = node.to_value();
        if !is_plain(&value) {
            continue;
        }
        let written = yaml::write_with(&value, dialect);
        match yaml::parse_with(&written, dialect) {
            Ok(again) => assert_eq!(again.to_value(), value, "{text:?} became {written:?}"),
            Err(error) => panic!("{text:?} became {written:?}, which is not read: {error}"),
        }
    }
    if let Ok(node) = yaml::parse(text)
        && is_plain(&node.to_value())
        && let Ok(edited) = yaml::edit(text, &node.to_value())
    {
        assert_eq!(edited, text, "an edit that changes no value changed the text");
    }
}

/// Neither NaN, which is not equal to itself, nor a key that is no text.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Float(number) => !number.is_nan(),
        Value::List(items) => items.iter().all(is_plain),
        Value::Map(map) => map.iter().all(|(key, item)| {
            let as_key = yaml::parse(key).map(|node| node.to_value());
            let is_text = as_key.is_ok_and(|read| read == Value::Str(key.clone()));
            is_text && is_plain(item)
        }),
        _ => true,
    }
}

/// `dvc.yaml` with templates and groups. The values come from behind a line of `---`.
pub fn read_pipeline(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let (pipeline, values) = text.split_once("\n---\n").unwrap_or((text, "a: {b: [1, x]}\nc: 1e-5\n"));
    let read = |path: &Path| Ok(path.ends_with("params.yaml").then(|| values.to_owned()));
    for append in [false, true] {
        let style = Style { boolean_optional: append, append };
        let _ = dvc_yaml::parse(Document::new("/p/dvc.yaml", pipeline), style, &read);
    }
}

/// A `.dvc` file, which is written as it was read.
pub fn read_data_file(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    if let Ok(stage) = dot_dvc::parse(&Document::new("/p/x.dvc", text)) {
        let _ = yaml::write(&dot_dvc::to_value(&stage));
        for out in &stage.outs {
            assert!(!out.def_path.is_empty() && !out.def_path.contains('\0'));
        }
    }
}

/// A lock file, which reads back as it is written.
pub fn read_lock(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    if let Ok(lock) = LockFile::parse(&Document::new("/p/dvc.lock", text)) {
        let written = lock.to_text();
        let again = LockFile::parse(&Document::new("/p/dvc.lock", written.clone()));
        assert!(again.is_ok(), "{text:?} became {written:?}, which is not read");
    }
}

/// A folder listing: every entry stays inside, and the bytes read back.
pub fn read_listing(bytes: &[u8]) {
    if let Ok(tree) = Tree::parse(bytes) {
        for entry in tree.entries() {
            let path = Path::new("/p/data").join(&entry.path);
            assert!(path.starts_with("/p/data") && path != Path::new("/p/data"));
            assert!(path.components().all(|part| part.as_os_str() != ".." && part.as_os_str() != ".git"));
        }
        assert_eq!(Tree::parse(&tree.to_bytes()).as_ref(), Ok(&tree));
    }
}

/// A settings file: what is read stays as it was when another setting is added, or the new text is not read at all (two
/// kinds of quotes in one name), which is seen before it is written.
pub fn read_config(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    if let Ok(mut document) = syntax::Document::parse(text) {
        let _ = document.to_text();
        let section = syntax::SectionName::remote("new");
        document.set(&section, "url", syntax::Setting::Text("/x".into()));
        let written = document.to_text();
        if let Ok(again) = syntax::Document::parse(&written) {
            assert!(again.sections().any(|name| *name == section), "{text:?} became {written:?}");
        }
    }
}

/// A `.dvcignore`: every path gets an answer or an error.
pub fn read_ignore(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let files = HashMap::from([(Path::new("/p/.dvcignore").to_path_buf(), text.to_owned())]);
    let ignore = Ignore::committed(Path::new("/p"), files);
    for path in ["/p/a", "/p/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/b.txt", "/p/.git/config", "/p/ü/[x]"] {
        for is_dir in [false, true] {
            let _ = ignore.is_ignored(Path::new(path), is_dir);
        }
    }
}

/// Parameter files of all kinds.
pub fn read_params(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    for name in ["/p/x.yaml", "/p/x.json", "/p/x.toml", "/p/x.py"] {
        if let Ok(values) = params::parse(Path::new(name), text) {
            let _ = params::select(&values, &["a.b".to_owned(), "a".to_owned(), String::new()]);
        }
    }
}
