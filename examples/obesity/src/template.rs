//! The files of the example projects, as `matraz init --example` writes them.

use crate::synthetic;

/// Which project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// `obesity`: the stages are commands of the program itself.
    Rust,
    /// `obesity-python`: the stages are scripts with pandas, scikit-learn and MLflow.
    Python,
}

impl Template {
    /// All projects.
    pub const ALL: [Self; 2] = [Self::Rust, Self::Python];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "obesity",
            Self::Python => "obesity-python",
        }
    }

    /// The project called `name`.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|template| template.name() == name)
    }
}

/// Embeds files of a template by their path in the project.
macro_rules! files {
    ($folder:literal: $($path:literal from $source:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../templates/", $folder, "/", $source)))),*]
    };
}

const RUST: &[(&str, &str)] = files!("obesity":
    ".gitignore" from "gitignore",
    "README.md" from "README.md",
    "dvc.yaml" from "dvc.yaml",
    "matraz.yaml" from "matraz.yaml",
    "params.yaml" from "params.yaml",
);

const PYTHON: &[(&str, &str)] = files!("obesity-python":
    ".gitignore" from "gitignore",
    "README.md" from "README.md",
    "dvc.yaml" from "dvc.yaml",
    "matraz.yaml" from "matraz.yaml",
    "params.yaml" from "params.yaml",
    "requirements.txt" from "requirements.txt",
    "src/prepare.py" from "src/prepare.py",
    "src/features.py" from "src/features.py",
    "src/train.py" from "src/train.py",
    "src/evaluate.py" from "src/evaluate.py",
);

/// The files of a project: path below its folder, with `/`, and content. `data/obesity.csv` is the synthetic
/// table and `data/README.md` says so.
pub fn template(template: Template) -> Vec<(String, Vec<u8>)> {
    let files = match template {
        Template::Rust => RUST,
        Template::Python => PYTHON,
    };
    let mut files: Vec<(String, Vec<u8>)> =
        files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    files.push(("data/README.md".to_owned(), synthetic::readme().into_bytes()));
    files.push((
        "data/obesity.csv".to_owned(),
        synthetic::table(synthetic::ROWS, synthetic::SEED).into_bytes(),
    ));
    files
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use matraz_base::yaml;

    use super::*;
    use crate::params::Params;

    fn text(of: Template, name: &str) -> String {
        let (_, bytes) = template(of).into_iter().find(|(path, _)| path == name).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_parameters_are_those_of_the_stages() {
        let params = Params::parse(Path::new("params.yaml"), &text(Template::Rust, "params.yaml")).unwrap();
        assert_eq!(params.forest.n_estimators, 300);
        for of in Template::ALL {
            let written = yaml::parse(&text(of, "params.yaml")).unwrap().to_value();
            let pipeline = yaml::parse(&text(of, "dvc.yaml")).unwrap().to_value();
            for (name, stage) in pipeline.get("stages").unwrap().as_map().unwrap() {
                for param in stage.get("params").and_then(|params| params.as_list()).unwrap_or_default() {
                    assert!(written.get(param.as_str().unwrap()).is_some(), "{name}: {param}");
                }
            }
        }
    }

    #[test]
    fn both_projects_have_the_same_stages_and_measures() {
        let stages = |of| {
            let pipeline = yaml::parse(&text(of, "dvc.yaml")).unwrap().to_value();
            pipeline.get("stages").unwrap().as_map().unwrap().keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(stages(Template::Rust), ["prepare", "features", "train", "evaluate"]);
        assert_eq!(stages(Template::Python), stages(Template::Rust));
        assert_eq!(text(Template::Python, "matraz.yaml"), text(Template::Rust, "matraz.yaml"));
    }

    #[test]
    fn the_scripts_need_nothing_of_ours() {
        for (path, bytes) in template(Template::Python) {
            let ours = String::from_utf8(bytes).unwrap().contains("matraz");
            assert!(!(ours && path.ends_with(".py")), "{path}");
        }
    }

    #[test]
    fn names_are_found() {
        assert_eq!(Template::by_name("obesity-python"), Some(Template::Python));
        assert_eq!(Template::by_name("iris"), None);
    }
}
