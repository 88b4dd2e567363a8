//! The columns of the obesity table: names, admitted values and meaning.
//!
//! Names and categories are those of "Estimation of Obesity Levels Based on Eating Habits and Physical
//! Condition" (UCI Machine Learning Repository, data set 544).

/// The column to predict.
pub const TARGET: &str = "NObeyesdad";

/// How many columns describe a person; the target is not among them.
pub const N_COLUMNS: usize = 16;

/// The seven classes, from the lightest to the heaviest.
pub const CLASSES: [&str; 7] = [
    "Insufficient_Weight",
    "Normal_Weight",
    "Overweight_Level_I",
    "Overweight_Level_II",
    "Obesity_Type_I",
    "Obesity_Type_II",
    "Obesity_Type_III",
];

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A number; outside `min..=max` it cannot be right and its row is dropped.
    Number {
        /// Least admitted value.
        min: f64,
        /// Greatest admitted value.
        max: f64,
    },
    /// One word of a list.
    Choice(&'static [&'static str]),
}

/// One describing column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Column {
    /// The name in the header.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What it means, with the unit.
    pub meaning: &'static str,
}

impl Column {
    /// Whether the column holds numbers.
    pub fn is_number(&self) -> bool {
        matches!(self.kind, Kind::Number { .. })
    }

    /// The words of a choice column; empty for numbers.
    pub fn categories(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Choice(words) => words,
            Kind::Number { .. } => &[],
        }
    }
}

const fn number(name: &'static str, min: f64, max: f64, meaning: &'static str) -> Column {
    Column { name, kind: Kind::Number { min, max }, meaning }
}

const fn choice(name: &'static str, words: &'static [&'static str], meaning: &'static str) -> Column {
    Column { name, kind: Kind::Choice(words), meaning }
}

const YES_NO: &[&str] = &["no", "yes"];
const HOW_OFTEN: &[&str] = &["no", "Sometimes", "Frequently", "Always"];

/// The describing columns in the order of the table.
pub static COLUMNS: [Column; N_COLUMNS] = [
    choice("Gender", &["Female", "Male"], "gender"),
    number("Age", 10.0, 100.0, "age in years"),
    number("Height", 1.2, 2.3, "height in metres"),
    number("Weight", 25.0, 250.0, "weight in kilograms"),
    choice("family_history_with_overweight", YES_NO, "whether a relative is or was overweight"),
    choice("FAVC", YES_NO, "whether high-calorie food is eaten often"),
    number("FCVC", 1.0, 3.0, "how often vegetables are eaten, 1 to 3"),
    number("NCP", 1.0, 4.0, "main meals a day, 1 to 4"),
    choice("CAEC", HOW_OFTEN, "how often food is eaten between meals"),
    choice("SMOKE", YES_NO, "whether the person smokes"),
    number("CH2O", 1.0, 3.0, "water a day, 1 (under a litre) to 3 (over two)"),
    choice("SCC", YES_NO, "whether calories are counted"),
    number("FAF", 0.0, 3.0, "days of exercise a week, 0 to 3 (four or more)"),
    number("TUE", 0.0, 2.0, "time with electronic devices, 0 to 2"),
    choice("CALC", HOW_OFTEN, "how often alcohol is drunk"),
    choice(
        "MTRANS",
        &["Automobile", "Bike", "Motorbike", "Public_Transportation", "Walking"],
        "usual means of transport",
    ),
];

/// The position of a word in a list, whatever its case.
pub fn position(words: &[&str], word: &str) -> Option<usize> {
    words.iter().position(|known| known.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_eight_columns_of_each_kind() {
        assert_eq!(COLUMNS.iter().filter(|column| column.is_number()).count(), 8);
        let mut names: Vec<_> = COLUMNS.iter().map(|column| column.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), N_COLUMNS);
    }

    #[test]
    fn words_are_found_in_any_case() {
        assert_eq!(position(HOW_OFTEN, "sometimes"), Some(1));
        assert_eq!(position(HOW_OFTEN, "rarely"), None);
    }
}
