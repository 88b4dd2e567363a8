//! The model directory of MLflow: the file `MLmodel` with flavors and signature, and where the model file is.
//!
//! `MLmodel` is YAML as PyYAML writes it; the signature's parts are JSON texts inside it. Only directories that
//! say `loader_module: mlflow.onnx` are run natively; flavors whose model file is a pickle need Python and are
//! refused.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use matraz_base::yaml::{self, Dialect};
use matraz_base::{Place, Value};

use crate::Error;
use crate::scoring::json;

/// The name of the description file.
pub const MLMODEL: &str = "MLmodel";

/// What `MLmodel` says.
#[derive(Clone, Debug)]
pub struct MlModel {
    /// The directory.
    pub directory: PathBuf,
    /// Names of the flavors (`python_function`, `onnx`, `sklearn`, …), in the order of the file.
    pub flavors: Vec<String>,
    /// The Python module that loads the model (`mlflow.onnx`, `mlflow.sklearn`, …).
    pub loader_module: Option<String>,
    /// The model file as the `python_function` flavor names it, relative to the directory.
    pub model_path: Option<String>,
    /// The method that predictions call, when the `python_function` flavor names one.
    pub predict_fn: Option<String>,
    /// How scikit-learn's flavor wrote the model file (`pickle`, `cloudpickle`, `skops`).
    pub serialization_format: Option<String>,
    /// What the model takes and gives, if it was saved with a signature.
    pub signature: Signature,
    /// The MLflow that saved it.
    pub mlflow_version: Option<String>,
    /// The run that made it.
    pub run_id: Option<String>,
    /// Its id as a logged model.
    pub model_id: Option<String>,
    /// Its unique id.
    pub model_uuid: Option<String>,
}

/// The signature of a model.
#[derive(Clone, Debug, Default)]
pub struct Signature {
    /// What it takes.
    pub inputs: Option<Schema>,
    /// What it gives.
    pub outputs: Option<Schema>,
    /// Parameters of a prediction.
    pub params: Vec<ParamSpec>,
}

/// Inputs or outputs: columns of a table, or tensors.
#[derive(Clone, Debug, PartialEq)]
pub enum Schema {
    /// Columns, all named or all without a name.
    Columns(Vec<ColumnSpec>),
    /// Tensors: one without a name, or any number of named ones.
    Tensors(Vec<TensorSpec>),
}

/// A column.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnSpec {
    /// Its name; `None` when columns go by position.
    pub name: Option<String>,
    /// The type of its values.
    pub column_type: ColumnType,
    /// Whether it must be there.
    pub required: bool,
}

/// Types of columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// Truth values.
    Boolean,
    /// 32-bit integers.
    Integer,
    /// 64-bit integers.
    Long,
    /// 32-bit floats.
    Float,
    /// 64-bit floats.
    Double,
    /// Texts.
    String,
    /// Bytes, base64 in JSON.
    Binary,
    /// Times.
    Datetime,
    /// `array`, `object`, `map` or `any`.
    Other(String),
}

impl ColumnType {
    fn parse(name: &str) -> Self {
        match name {
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "long" => Self::Long,
            "float" => Self::Float,
            "double" => Self::Double,
            "string" => Self::String,
            "binary" => Self::Binary,
            "datetime" => Self::Datetime,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::String => "string",
            Self::Binary => "binary",
            Self::Datetime => "datetime",
            Self::Other(name) => name,
        })
    }
}

/// A tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorSpec {
    /// Its name; a single tensor may have none.
    pub name: Option<String>,
    /// NumPy's name of the element type (`float32`, `int64`, `str`, `object`, …).
    pub dtype: String,
    /// Lengths of the axes; -1 is any length.
    pub shape: Vec<i64>,
}

/// A parameter of a prediction.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSpec {
    /// Its name.
    pub name: String,
    /// The type of its value, or of the elements of its list.
    pub param_type: ColumnType,
    /// The value when none is given.
    pub default: Value,
    /// Whether the value is a list (`shape` is `[-1]`).
    pub is_list: bool,
}

/// As MLflow shows a schema in messages: `['a': double (required), 'b': long (optional)]`.
impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = match self {
            Self::Columns(columns) => columns.iter().map(ToString::to_string).collect(),
            Self::Tensors(tensors) => tensors.iter().map(ToString::to_string).collect(),
        };
        write!(f, "[{}]", parts.join(", "))
    }
}

impl fmt::Display for ColumnSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "'{name}': ")?;
        }
        write!(f, "{} ({})", self.column_type, if self.required { "required" } else { "optional" })
    }
}

impl fmt::Display for TensorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "'{name}': ")?;
        }
        write!(f, "Tensor('{}', {})", self.dtype, show_shape(&self.shape))
    }
}

/// A shape as Python shows a tuple: `(-1, 4)`, `(-1,)`.
pub(crate) fn show_shape(shape: &[i64]) -> String {
    match shape {
        [one] => format!("({one},)"),
        many => format!("({})", many.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")),
    }
}

impl MlModel {
    /// Reads the description of the model in `directory`.
    pub fn read(directory: &Path) -> Result<Self, Error> {
        let path = directory.join(MLMODEL);
        let text =
            std::fs::read_to_string(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        let document = yaml::parse_with(&text, Dialect::PyYaml11).map_err(|error| Error::MlModel {
            place: Place::at(&path, &text, error.line, error.column, error.width),
            reason: error.message,
        })?;
        let wrong = |reason: String| Error::MlModel { place: Place::file(&path), reason };
        let document = document.to_value();
        let Some(flavors) = document.get("flavors").and_then(Value::as_map) else {
            return Err(wrong("it has no `flavors`".into()));
        };
        let text_of = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let python = flavors.get("python_function");
        let python_text = |key| text_of(python.and_then(|python| python.get(key)));
        let mut signature = Signature::default();
        if let Some(given) = document.get("signature") {
            let part = |key: &str| match given.get(key) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::Str(text)) => json::parse(text.as_bytes())
                    .map(Some)
                    .map_err(|error| format!("the signature's `{key}` is not valid JSON: {error}")),
                Some(_) => Err(format!("the signature's `{key}` must be JSON text")),
            };
            let schema = |key: &str| match part(key)? {
                None => Ok(None),
                Some(value) => {
                    read_schema(&value).map(Some).map_err(|reason| format!("signature `{key}`: {reason}"))
                }
            };
            signature.inputs = schema("inputs").map_err(wrong)?;
            signature.outputs = schema("outputs").map_err(wrong)?;
            if let Some(params) = part("params").map_err(wrong)? {
                signature.params =
                    read_params(&params).map_err(|reason| wrong(format!("signature `params`: {reason}")))?;
            }
        }
        Ok(Self {
            directory: directory.to_path_buf(),
            flavors: flavors.keys().cloned().collect(),
            loader_module: python_text("loader_module"),
            model_path: python_text("data").or_else(|| python_text("model_path")),
            predict_fn: python_text("predict_fn"),
            serialization_format: text_of(
                flavors.get("sklearn").and_then(|flavor| flavor.get("serialization_format")),
            ),
            signature,
            mlflow_version: text_of(document.get("mlflow_version")),
            run_id: text_of(document.get("run_id")),
            model_id: text_of(document.get("model_id")),
            model_uuid: text_of(document.get("model_uuid")),
        })
    }

    /// The error that says that only Python can load the model.
    pub(crate) fn foreign(&self) -> Error {
        match self.loader_module.as_deref() {
            Some(module) => Error::Flavor {
                path: self.directory.clone(),
                flavor: module.trim_start_matches("mlflow.").to_owned(),
            },
            None => Error::MlModel {
                place: Place::file(self.directory.join(MLMODEL)),
                reason: "it has no `python_function` flavor with a `loader_module`".into(),
            },
        }
    }

    /// The model file inside the directory, named `default` when the description says nothing. Refuses paths that
    /// lead outside.
    pub fn model_file(&self, default: &str) -> Result<PathBuf, Error> {
        let named = self.model_path.as_deref().unwrap_or(default);
        let outside = || Error::Outside { directory: self.directory.clone(), path: named.to_owned() };
        let inside = Path::new(named)
            .components()
            .all(|component| matches!(component, Component::Normal(_) | Component::CurDir));
        if !inside || named.is_empty() {
            return Err(outside());
        }
        let path = self.directory.join(named);
        let resolve = |path: &Path| {
            path.canonicalize().map_err(|source| Error::Read { path: path.to_path_buf(), source })
        };
        if !resolve(&path)?.starts_with(resolve(&self.directory)?) {
            return Err(outside());
        }
        Ok(path)
    }
}

fn text(value: &Value, key: &str) -> Result<Option<String>, String> {
    match value.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Str(text)) => Ok(Some(text.clone())),
        Some(other) => Err(format!("`{key}` must be text, not {}", other.type_name())),
    }
}

fn read_schema(value: &Value) -> Result<Schema, String> {
    let specs = value.as_list().ok_or("it must be a list")?;
    let mut columns = Vec::new();
    let mut tensors = Vec::new();
    for spec in specs {
        let name = text(spec, "name")?;
        let kind = text(spec, "type")?.ok_or("an entry has no `type`")?;
        if kind == "tensor" {
            let inner = spec.get("tensor-spec").ok_or("a tensor has no `tensor-spec`")?;
            let shape = inner.get("shape").and_then(Value::as_list).ok_or("a tensor has no `shape`")?;
            let shape = shape
                .iter()
                .map(|length| match length {
                    Value::Int(n) if *n >= -1 => Ok(*n),
                    other => Err(format!("{other} is no length of an axis")),
                })
                .collect::<Result<Vec<_>, _>>()?;
            let dtype = text(inner, "dtype")?.ok_or("a tensor has no `dtype`")?;
            tensors.push(TensorSpec { name, dtype, shape });
        } else {
            // Before MLflow 2.6 columns could be marked optional only.
            let required = match (spec.get("required"), spec.get("optional")) {
                (Some(Value::Bool(required)), _) => *required,
                (None, Some(Value::Bool(optional))) => !optional,
                _ => true,
            };
            columns.push(ColumnSpec { name, column_type: ColumnType::parse(&kind), required });
        }
    }
    let names: Vec<Option<&String>> =
        columns.iter().map(|c| c.name.as_ref()).chain(tensors.iter().map(|t| t.name.as_ref())).collect();
    if names.iter().any(Option::is_some) && names.iter().any(Option::is_none) {
        return Err("some entries have a name and some have none".into());
    }
    for (position, name) in names.iter().enumerate() {
        if name.is_some() && names[..position].contains(name) {
            return Err(format!("the name `{}` is used twice", name.map_or("", |name| name)));
        }
    }
    match (columns.is_empty(), tensors.is_empty()) {
        (false, false) => Err("columns and tensors cannot be mixed".into()),
        (true, false) if tensors.len() > 1 && tensors[0].name.is_none() => {
            Err("several tensors need names".into())
        }
        (true, false) => Ok(Schema::Tensors(tensors)),
        (_, true) => Ok(Schema::Columns(columns)),
    }
}

fn read_params(value: &Value) -> Result<Vec<ParamSpec>, String> {
    let specs = value.as_list().ok_or("it must be a list")?;
    specs
        .iter()
        .map(|spec| {
            let name = text(spec, "name")?.ok_or("a parameter has no `name`")?;
            let kind = text(spec, "type")?.or(text(spec, "dtype")?).ok_or("a parameter has no `type`")?;
            let is_list = match spec.get("shape") {
                None | Some(Value::Null) => false,
                Some(Value::List(axes)) if axes.as_slice() == [Value::Int(-1)] => true,
                Some(other) => return Err(format!("the shape {other} of `{name}` is not supported")),
            };
            let default = spec.get("default").cloned().unwrap_or(Value::Null);
            Ok(ParamSpec { name, param_type: ColumnType::parse(&kind), default, is_list })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(mlmodel: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(MLMODEL), mlmodel).unwrap();
        folder
    }

    const ONNX: &str = "flavors:\n  onnx:\n    data: model.onnx\n  python_function:\n    data: model.onnx\n    \
                        loader_module: mlflow.onnx\nmlflow_version: 3.17.2\nsignature:\n  inputs: '[{\"type\": \
                        \"double\", \"name\": \"a\", \"required\": true}, {\"type\": \"long\", \"name\":\n    \
                        \"b\", \"required\": false}]'\n  outputs: null\n  params: '[{\"name\": \"k\", \"default\": \
                        3, \"shape\": null, \"type\": \"long\"}]'\n";

    #[test]
    fn flavors_and_signature_are_read() {
        let folder = saved(ONNX);
        let model = MlModel::read(folder.path()).unwrap();
        assert_eq!(model.flavors, ["onnx", "python_function"]);
        let inputs = model.signature.inputs.as_ref().unwrap();
        assert_eq!(inputs.to_string(), "['a': double (required), 'b': long (optional)]");
        assert_eq!(model.signature.params[0].default, Value::Int(3));
        assert_eq!(model.mlflow_version.as_deref(), Some("3.17.2"));
    }

    #[test]
    fn a_tensor_signature_is_shown_as_mlflow_does() {
        let value = json::parse(
            br#"[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}, "name": "X"}]"#,
        );
        assert_eq!(read_schema(&value.unwrap()).unwrap().to_string(), "['X': Tensor('float32', (-1, 3))]");
    }

    #[test]
    fn model_files_outside_of_the_directory_are_refused() {
        for path in ["../model.onnx", "/etc/passwd", "a/../../x", ""] {
            let text =
                ONNX.replace("    data: model.onnx\n    loader", &format!("    data: '{path}'\n    loader"));
            let folder = saved(&text);
            let error = MlModel::read(folder.path()).unwrap().model_file("model.onnx").unwrap_err();
            assert!(matches!(error, Error::Outside { .. }), "{path}: {error}");
        }
        #[cfg(unix)]
        {
            let folder = saved(ONNX);
            std::os::unix::fs::symlink("/etc/passwd", folder.path().join("model.onnx")).unwrap();
            let error = MlModel::read(folder.path()).unwrap().model_file("model.onnx").unwrap_err();
            assert!(matches!(error, Error::Outside { .. }), "{error}");
        }
    }

    #[test]
    fn other_flavors_are_refused_with_a_hint() {
        use matraz_base::Explain;
        let folder = saved(&ONNX.replace("mlflow.onnx", "mlflow.xgboost"));
        let error = crate::Model::load(folder.path()).unwrap_err();
        assert!(error.to_string().contains("xgboost"), "{error}");
        assert!(error.hint().unwrap().contains("Python"));
    }

    #[test]
    fn broken_descriptions_are_refused_at_their_place() {
        use matraz_base::Explain;
        let folder = saved("flavors: [\n  a: b\n");
        assert!(MlModel::read(folder.path()).unwrap_err().place().unwrap().line > 0);
        for text in [
            "x: 1\n",
            "flavors: {a: {}}\nsignature: {inputs: '[{'}\n",
            "flavors: {a: {}}\nsignature: {inputs: '[{\"type\": \"tensor\"}]'}\n",
            "flavors: {a: {}}\nsignature: {inputs: '[{\"type\": \"long\", \"name\": \"a\"}, {\"type\": \"long\"}]'}\n",
        ] {
            let folder = saved(text);
            assert!(matches!(MlModel::read(folder.path()), Err(Error::MlModel { .. })), "{text}");
        }
    }
}
