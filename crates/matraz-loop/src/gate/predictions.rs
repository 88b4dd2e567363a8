//! The predictions of two runs for the same rows.

use std::collections::HashMap;
use std::fs;

use matraz_data::Digest;
use matraz_data::cache::{Cache, Object};
use matraz_ship::gate::{Paired, Pairs};

use super::Past;
use super::values::children;
use crate::error::{Error, Result};
use crate::run::{Run, Runs};

/// What was read, or in words why nothing can be told.
type Read<T> = std::result::Result<T, String>;

/// Reads the predictions of the judged run and of the other, and pairs their rows.
pub(super) fn pairs(past: &Past<'_>, judged: &Run, other: &Run, paired: &Paired) -> Result<Read<Pairs>> {
    let (new, old) =
        match (file_of(past, judged, &paired.predictions)?, file_of(past, other, &paired.predictions)?) {
            (Some(new), Some(old)) => (new, old),
            (None, _) => return Ok(Err(format!("run {} has no `{}`", judged.name, paired.predictions))),
            (_, None) => return Ok(Err(format!("run {} has no `{}`", other.name, paired.predictions))),
        };
    let (new, old) = match (Table::read(&new, paired), Table::read(&old, paired)) {
        (Ok(new), Ok(old)) => (new, old),
        (Err(why), _) => return Ok(Err(format!("`{}` of run {}: {why}", paired.predictions, judged.name))),
        (_, Err(why)) => return Ok(Err(format!("`{}` of run {}: {why}", paired.predictions, other.name))),
    };
    Ok(pair(new, old))
}

/// The content of an output of a run: from the cache of the project, or from the artifacts of the run or of its stages.
fn file_of(past: &Past<'_>, run: &Run, path: &str) -> Result<Option<Vec<u8>>> {
    let data = run.datasets.iter().find(|data| data.is_output() && data.name == path);
    if let (Some(repo), Some(digest)) = (past.repo, data.and_then(|data| Digest::parse(&data.digest)))
        && !digest.is_dir()
    {
        let file = Cache::open(repo).path(&Object { digest, legacy: false });
        if file.is_file() {
            return fs::read(&file).map(Some).map_err(Error::file("read", &file));
        }
    }
    let mut runs = vec![run.clone()];
    runs.extend(Runs::of_experiment(past.tracker, &run.experiment_id).search(&children(run), 1000)?);
    let client = past.tracker.client();
    for run in &runs {
        let files = past.tracker.wait(client.files(&run.artifact_uri, path))?;
        if files.iter().any(|file| file.path == path) {
            let bytes = past.tracker.wait(client.download_bytes(&format!("{}/{path}", run.artifact_uri)))?;
            return Ok(Some(bytes.to_vec()));
        }
    }
    Ok(None)
}

/// The columns that are needed.
#[derive(Debug, Default)]
struct Table {
    /// Empty when rows are paired by their order.
    keys: Vec<String>,
    truth: Vec<String>,
    predicted: Vec<String>,
    slices: Vec<String>,
}

impl Table {
    fn read(bytes: &[u8], paired: &Paired) -> Read<Self> {
        let separator = if paired.predictions.ends_with(".tsv") { b'\t' } else { b',' };
        let mut reader = csv::ReaderBuilder::new().delimiter(separator).from_reader(bytes);
        let header = reader.headers().map_err(|error| error.to_string())?.clone();
        let column = |name: &str| {
            header
                .iter()
                .position(|known| known.trim() == name)
                .ok_or_else(|| format!("there is no column `{name}`"))
        };
        let optional = |name: &Option<String>| name.as_deref().map(column).transpose();
        let (truth, predicted) = (column(&paired.truth)?, column(&paired.predicted)?);
        let (key, slice) = (optional(&paired.key)?, optional(&paired.slice)?);
        let mut table = Self::default();
        for record in reader.records() {
            let record = record.map_err(|error| error.to_string())?;
            let text = |at: usize| record.get(at).unwrap_or_default().trim().to_owned();
            table.truth.push(text(truth));
            table.predicted.push(text(predicted));
            table.keys.extend(key.map(text));
            table.slices.extend(slice.map(text));
        }
        Ok(table)
    }
}

/// Pairs the rows by their keys, or by their order. Both must be of the same rows.
fn pair(new: Table, old: Table) -> Read<Pairs> {
    if new.truth.len() != old.truth.len() {
        let (new, old) = (new.truth.len(), old.truth.len());
        return Err(format!("the predictions are of {new} rows and of {old}, so they cannot be paired"));
    }
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (n, key) in old.keys.iter().enumerate() {
        if places.insert(key, n).is_some() {
            return Err(format!("the row `{key}` is there twice"));
        }
    }
    let mut pairs = Pairs::default();
    for n in 0..new.truth.len() {
        let at = match new.keys.get(n) {
            None => n,
            Some(key) => {
                *places.get(key.as_str()).ok_or_else(|| format!("the other run has no row `{key}`"))?
            }
        };
        if new.truth[n] != old.truth[at] {
            let row = new.keys.get(n).cloned().unwrap_or_else(|| (n + 1).to_string());
            return Err(format!(
                "the true value of row `{row}` is `{}` in one run and `{}` in the other",
                new.truth[n], old.truth[at]
            ));
        }
        pairs.old.push(old.predicted[at].clone());
    }
    pairs.truth = new.truth;
    pairs.new = new.predicted;
    pairs.slices = new.slices;
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use matraz_ship::gate::{Measure, Test};

    fn read(text: &str, key: Option<&str>) -> Read<Table> {
        let paired = Paired {
            predictions: "p.csv".into(),
            truth: "y".into(),
            predicted: "guess".into(),
            key: key.map(str::to_owned),
            slice: None,
            measure: Measure::Accuracy,
            test: Test::McNemar,
            confidence: 0.95,
        };
        Table::read(text.as_bytes(), &paired)
    }

    #[test]
    fn rows_are_paired_by_key_or_order() {
        let new = "id,y,guess\n1,a,a\n2,b,a\n";
        let by_order = pair(read(new, None).unwrap(), read("y,guess\na,b\nb,b\n", None).unwrap()).unwrap();
        assert_eq!(
            (by_order.new, by_order.old),
            (vec!["a".into(), "a".into()], vec!["b".into(), "b".to_owned()])
        );
        let turned = read("id,y,guess\n2,b,x\n1,a,y\n", Some("id")).unwrap();
        let by_key = pair(read(new, Some("id")).unwrap(), turned).unwrap();
        assert_eq!(by_key.old, ["y", "x"]);
    }

    #[test]
    fn what_cannot_be_paired_is_said() {
        let table = [
            ("id,y,guess\n1,a,a\n", "of 2 rows and of 1"),
            ("id,y,guess\n1,a,a\n3,b,a\n", "no row `2`"),
            ("id,y,guess\n1,a,a\n1,b,a\n", "`1` is there twice"),
            ("id,y,guess\n1,a,a\n2,c,a\n", "row `2` is `b` in one run and `c`"),
        ];
        for (old, words) in table {
            let new = read("id,y,guess\n1,a,a\n2,b,a\n", Some("id")).unwrap();
            let why = pair(new, read(old, Some("id")).unwrap()).unwrap_err();
            assert!(why.contains(words), "{why}");
        }
        assert!(read("a,b\n1,2\n", None).unwrap_err().contains("no column `y`"));
    }
}
