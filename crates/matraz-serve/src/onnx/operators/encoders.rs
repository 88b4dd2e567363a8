//! Operators on categories: OneHotEncoder, LabelEncoder, CategoryMapper, ZipMap.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::attributes::Attributes;
use super::super::tensor::{Data, Labels, Tensor, Value, count};
use super::cast::float_to_i64;
use super::{Inputs, class_labels};

#[derive(Debug)]
pub(crate) struct OneHotEncoder {
    places: Places,
    categories: usize,
    zeros: bool,
}

#[derive(Debug)]
enum Places {
    Integers(HashMap<i64, usize>),
    Texts(HashMap<String, usize>),
}

impl OneHotEncoder {
    pub(super) fn of(attributes: &Attributes<'_>) -> Result<Self, String> {
        let integers = attributes.ints("cats_int64s")?;
        let texts = attributes.strings("cats_strings")?;
        let categories = integers.len() + texts.len();
        let places = match (integers.is_empty(), texts.is_empty()) {
            (false, true) => Places::Integers(integers.iter().enumerate().map(|(i, n)| (*n, i)).collect()),
            (true, false) => Places::Texts(texts.into_iter().enumerate().map(|(i, t)| (t, i)).collect()),
            _ => return Err("either integer or text categories must be given".into()),
        };
        Ok(Self { places, categories, zeros: attributes.flag("zeros", true)? })
    }

    pub(super) fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
        let x = inputs.tensor(0)?;
        if x.shape().len() > 2 {
            return Err("its input has more than two axes".into());
        }
        let mut shape = x.shape().to_vec();
        shape.push(self.categories);
        let mut values = vec![0.0f32; count(&shape)?];
        let mut mark = |item: usize, place: Option<usize>| match place {
            Some(place) => {
                values[item * self.categories + place] = 1.0;
                Ok(())
            }
            None if self.zeros => Ok(()),
            None => Err("a category is not known and `zeros` is 0".to_owned()),
        };
        match (&self.places, x.data()) {
            (Places::Texts(known), Data::Text(items)) => {
                for (i, text) in items.iter().enumerate() {
                    mark(i, known.get(text).copied())?;
                }
            }
            (Places::Integers(known), data) => {
                let integers: Vec<i64> = match data {
                    Data::I64(items) => items.clone(),
                    Data::I32(items) => items.iter().map(|n| i64::from(*n)).collect(),
                    Data::F32(items) => items.iter().map(|x| float_to_i64(f64::from(*x))).collect(),
                    Data::F64(items) => items.iter().map(|x| float_to_i64(*x)).collect(),
                    other => return Err(format!("integer categories do not fit {}", other.element())),
                };
                for (i, n) in integers.iter().enumerate() {
                    mark(i, known.get(n).copied())?;
                }
            }
            (Places::Texts(_), other) => {
                return Err(format!("text categories do not fit {}", other.element()));
            }
        }
        Ok(vec![Tensor::new(shape, Data::F32(values))?.into()])
    }
}

/// A dictionary from keys of one type to values of another.
#[derive(Debug)]
pub(crate) struct LabelEncoder {
    forward: Dictionary,
    /// The first version of the operator and CategoryMapper go by the type of the input in both directions.
    backward: Option<Dictionary>,
}

#[derive(Debug)]
struct Dictionary {
    places: Keys,
    /// The values in the order of the keys, and the default at the end.
    values: Data,
}

#[derive(Debug)]
enum Keys {
    Integers(HashMap<i64, usize>),
    /// Floats by their bits, with one NaN and one zero.
    Floats(HashMap<u64, usize>),
    Texts(HashMap<String, usize>),
}

fn float_key(x: f64) -> u64 {
    if x.is_nan() {
        f64::NAN.to_bits()
    } else if x == 0.0 {
        0
    } else {
        x.to_bits()
    }
}

impl Dictionary {
    /// Pairs keys with values and adds the default. The first of equal keys counts.
    fn new(keys: Data, mut values: Data, default: Data) -> Result<Self, String> {
        if keys.len() != values.len() {
            return Err(format!("{} keys and {} values", keys.len(), values.len()));
        }
        fn index<K: std::hash::Hash + Eq>(keys: impl Iterator<Item = K>) -> HashMap<K, usize> {
            let mut places = HashMap::new();
            for (place, key) in keys.enumerate() {
                places.entry(key).or_insert(place);
            }
            places
        }
        let places = match keys {
            Data::I64(keys) => Keys::Integers(index(keys.into_iter())),
            Data::I32(keys) => Keys::Integers(index(keys.into_iter().map(i64::from))),
            Data::F32(keys) => Keys::Floats(index(keys.into_iter().map(|x| float_key(f64::from(x))))),
            Data::F64(keys) => Keys::Floats(index(keys.into_iter().map(float_key))),
            Data::Text(keys) => Keys::Texts(index(keys.into_iter())),
            other @ Data::Bool(_) => {
                return Err(format!("keys of type {} are not supported", other.element()));
            }
        };
        match (&mut values, default) {
            (Data::I64(values), Data::I64(default)) => values.extend(default.first()),
            (Data::I32(values), Data::I32(default)) => values.extend(default.first()),
            (Data::F32(values), Data::F32(default)) => values.extend(default.first()),
            (Data::F64(values), Data::F64(default)) => values.extend(default.first()),
            (Data::Text(values), Data::Text(default)) => values.extend(default.into_iter().next()),
            (values, default) => {
                return Err(format!("a default of type {} for {}", default.element(), values.element()));
            }
        }
        Ok(Self { places, values })
    }

    fn run(&self, x: &Tensor) -> Result<Value, String> {
        let default = self.values.len() - 1;
        fn all<'a, K: std::hash::Hash + Eq + 'a>(
            known: &'a HashMap<K, usize>,
            keys: impl Iterator<Item = K> + 'a,
            default: usize,
        ) -> impl Iterator<Item = usize> + 'a {
            keys.map(move |key| known.get(&key).copied().unwrap_or(default))
        }
        let data = match (&self.places, x.data()) {
            (Keys::Integers(known), Data::I64(items)) => {
                self.values.pick(all(known, items.iter().copied(), default))
            }
            (Keys::Integers(known), Data::I32(items)) => {
                self.values.pick(all(known, items.iter().map(|n| i64::from(*n)), default))
            }
            (Keys::Floats(known), Data::F32(items)) => {
                self.values.pick(all(known, items.iter().map(|x| float_key(f64::from(*x))), default))
            }
            (Keys::Floats(known), Data::F64(items)) => {
                self.values.pick(all(known, items.iter().map(|x| float_key(*x)), default))
            }
            (Keys::Texts(known), Data::Text(items)) => {
                self.values.pick(items.iter().map(|text| known.get(text).copied().unwrap_or(default)))
            }
            (_, other) => return Err(format!("the keys do not fit {}", other.element())),
        };
        Ok(Tensor::new(x.shape().to_vec(), data)?.into())
    }
}

impl LabelEncoder {
    pub(super) fn of(version: i64, attributes: &Attributes<'_>) -> Result<Self, String> {
        let default_text = attributes.string("default_string")?.unwrap_or_else(|| "_Unused".into());
        let default_integer = attributes.int_or("default_int64", -1)?;
        let default_float = attributes.float("default_float")?.unwrap_or(-0.0);
        let classes = attributes.strings("classes_strings")?;
        if !classes.is_empty() {
            let numbers: Vec<i64> = (0..).take(classes.len()).collect();
            return Self::both_ways(classes, numbers, default_text, default_integer);
        }
        let default_tensor = attributes.tensor("default_tensor")?;
        let keys = one_of(attributes, "keys")?;
        let values = one_of(attributes, "values")?;
        let default = match (default_tensor, &values) {
            (Some(tensor), _) if tensor.len() == 1 => tensor.into_parts().1,
            (Some(_), _) => return Err("`default_tensor` must hold one element".into()),
            (None, Data::I64(_)) => Data::I64(vec![default_integer]),
            (None, Data::F32(_)) => Data::F32(vec![default_float]),
            (None, Data::F64(_)) => Data::F64(vec![f64::from(default_float)]),
            (None, Data::Text(_)) => Data::Text(vec![default_text]),
            (None, Data::I32(_)) => Data::I32(vec![i32::try_from(default_integer).unwrap_or(-1)]),
            (None, Data::Bool(_)) => return Err("truth values are not supported as values".into()),
        };
        let mut forward = Dictionary::new(keys, values, default)?;
        if let Keys::Floats(places) = &mut forward.places
            && version < 4
        {
            // Only from version 4 on is NaN a key like any other.
            places.remove(&float_key(f64::NAN));
        }
        Ok(Self { forward, backward: None })
    }

    pub(super) fn category_mapper(attributes: &Attributes<'_>) -> Result<Self, String> {
        let texts = attributes.strings("cats_strings")?;
        let numbers = attributes.ints("cats_int64s")?.to_vec();
        let default_text = attributes.string("default_string")?.unwrap_or_else(|| "_Unused".into());
        let default_integer = attributes.int_or("default_int64", -1)?;
        Self::both_ways(texts, numbers, default_text, default_integer)
    }

    fn both_ways(
        texts: Vec<String>,
        numbers: Vec<i64>,
        default_text: String,
        default_integer: i64,
    ) -> Result<Self, String> {
        let forward = Dictionary::new(
            Data::Text(texts.clone()),
            Data::I64(numbers.clone()),
            Data::I64(vec![default_integer]),
        )?;
        let backward =
            Dictionary::new(Data::I64(numbers), Data::Text(texts), Data::Text(vec![default_text]))?;
        Ok(Self { forward, backward: Some(backward) })
    }

    pub(super) fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
        let x = inputs.tensor(0)?;
        let dictionary = match (&self.backward, x.data()) {
            (Some(backward), Data::I64(_)) => backward,
            _ => &self.forward,
        };
        Ok(vec![dictionary.run(x)?])
    }
}

/// The one list of `keys_…` or `values_…` that is given.
fn one_of(attributes: &Attributes<'_>, what: &str) -> Result<Data, String> {
    let mut found = Vec::new();
    let (ints, floats, strings) =
        (format!("{what}_int64s"), format!("{what}_floats"), format!("{what}_strings"));
    if attributes.has(&ints) {
        found.push(Data::I64(attributes.ints(&ints)?.to_vec()));
    }
    if attributes.has(&floats) {
        found.push(Data::F32(attributes.floats(&floats)?.to_vec()));
    }
    if attributes.has(&strings) {
        found.push(Data::Text(attributes.strings(&strings)?));
    }
    if let Some(tensor) = attributes.tensor(&format!("{what}_tensor"))? {
        found.push(tensor.into_parts().1);
    }
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => Err(format!("no {what} are given")),
        (Some(_), false) => Err(format!("{what} are given more than once")),
    }
}

/// Names the columns of each row. The keys of a map are in ascending order, whatever the order of the columns.
#[derive(Debug)]
pub(crate) struct ZipMap {
    keys: Arc<Labels>,
    /// For each key its column.
    columns: Vec<usize>,
}

impl ZipMap {
    pub(super) fn of(attributes: &Attributes<'_>) -> Result<Self, String> {
        let labels = class_labels(attributes, "classlabels_int64s", "classlabels_strings")?;
        let mut columns: Vec<usize> = (0..labels.len()).collect();
        let keys = match labels {
            Labels::Integers(labels) => {
                columns.sort_by_key(|column| labels[*column]);
                Labels::Integers(columns.iter().map(|column| labels[*column]).collect())
            }
            Labels::Texts(labels) => {
                columns.sort_by(|a, b| labels[*a].cmp(&labels[*b]));
                Labels::Texts(columns.iter().map(|column| labels[*column].clone()).collect())
            }
        };
        Ok(Self { keys: Arc::new(keys), columns })
    }

    pub(super) fn run(&self, inputs: &Inputs<'_>) -> Result<Vec<Value>, String> {
        let x = inputs.tensor(0)?;
        let (_, columns) = x.rows_and_columns()?;
        if columns != self.columns.len() {
            return Err(format!("{} labels for {columns} columns", self.columns.len()));
        }
        let Data::F32(items) = x.data() else {
            return Err(format!("float32 is needed, not {}", x.element()));
        };
        let values = items
            .chunks_exact(columns)
            .flat_map(|row| self.columns.iter().map(|column| row[*column]))
            .collect();
        Ok(vec![Value::Maps { keys: Arc::clone(&self.keys), values }])
    }
}
