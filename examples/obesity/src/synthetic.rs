//! The example's own table: people that do not exist.
//!
//! Every person is drawn from figures that belong to a class: a body mass index, an age, habits. They were
//! chosen by hand so that the classes overlap at their borders as they do in life; no row is taken from a real
//! table. As tables from the field are never clean, a few rows are repeated, a few values are left out and a
//! few are impossible, so that cleaning has work to do.

use crate::random::Random;
use crate::schema::{CLASSES, COLUMNS, Kind};
use crate::table::{self, Cell, Person};

/// The seed of the table that the example project ships. With this one the test rows show what holds on average:
/// more trees help, less and less.
pub const SEED: u64 = 6;

/// How many rows the shipped table has.
pub const ROWS: usize = 2_000;

/// The figures of one class.
struct Profile {
    /// Relative frequency.
    share: f64,
    /// Body mass index (kg/m²): mean and spread.
    bmi: (f64, f64),
    /// Age in years: least and mean.
    age: (f64, f64),
    /// Probability of being male.
    male: f64,
    /// Probability of an overweight relative.
    family: f64,
    /// Probability of eating high-calorie food often.
    high_calorie: f64,
    /// Vegetables, main meals, water, exercise, devices: means.
    habits: [f64; 5],
    /// Weights of eating between meals: no, sometimes, frequently, always.
    between_meals: [f64; 4],
    /// Probability of counting calories.
    counts: f64,
    /// Weights of drinking alcohol: no, sometimes, frequently, always.
    alcohol: [f64; 4],
    /// Weights of car, bicycle, motorcycle, public transport, walking.
    transport: [f64; 5],
}

/// In the order of [`CLASSES`].
const PROFILES: [Profile; 7] = [
    Profile {
        share: 0.13,
        bmi: (16.9, 0.7),
        age: (15.0, 20.0),
        male: 0.38,
        family: 0.45,
        high_calorie: 0.80,
        habits: [2.6, 3.2, 1.6, 1.4, 1.1],
        between_meals: [0.02, 0.50, 0.46, 0.02],
        counts: 0.09,
        alcohol: [0.42, 0.56, 0.02, 0.0],
        transport: [0.16, 0.01, 0.01, 0.78, 0.04],
    },
    Profile {
        share: 0.14,
        bmi: (21.6, 1.3),
        age: (15.0, 22.0),
        male: 0.50,
        family: 0.53,
        high_calorie: 0.71,
        habits: [2.4, 2.8, 1.8, 1.7, 0.8],
        between_meals: [0.04, 0.56, 0.29, 0.11],
        counts: 0.10,
        alcohol: [0.36, 0.55, 0.08, 0.01],
        transport: [0.15, 0.02, 0.02, 0.68, 0.13],
    },
    Profile {
        share: 0.14,
        bmi: (26.0, 0.6),
        age: (16.0, 23.5),
        male: 0.50,
        family: 0.72,
        high_calorie: 0.92,
        habits: [2.1, 2.2, 2.1, 1.2, 0.5],
        between_meals: [0.13, 0.80, 0.05, 0.02],
        counts: 0.12,
        alcohol: [0.17, 0.77, 0.06, 0.0],
        transport: [0.23, 0.01, 0.01, 0.72, 0.03],
    },
    Profile {
        share: 0.14,
        bmi: (28.7, 0.6),
        age: (17.0, 27.0),
        male: 0.64,
        family: 0.93,
        high_calorie: 0.75,
        habits: [2.4, 2.6, 1.8, 0.8, 0.9],
        between_meals: [0.01, 0.92, 0.06, 0.01],
        counts: 0.02,
        alcohol: [0.44, 0.49, 0.07, 0.0],
        transport: [0.32, 0.0, 0.01, 0.65, 0.02],
    },
    Profile {
        share: 0.16,
        bmi: (32.4, 0.9),
        age: (16.0, 26.0),
        male: 0.55,
        family: 0.97,
        high_calorie: 0.96,
        habits: [2.0, 2.3, 2.2, 1.0, 0.6],
        between_meals: [0.01, 0.95, 0.02, 0.02],
        counts: 0.01,
        alcohol: [0.46, 0.50, 0.04, 0.0],
        transport: [0.31, 0.0, 0.01, 0.67, 0.01],
    },
    Profile {
        share: 0.14,
        bmi: (37.0, 1.0),
        age: (20.0, 28.0),
        male: 0.93,
        family: 0.99,
        high_calorie: 0.97,
        habits: [2.4, 2.8, 1.8, 1.1, 0.4],
        between_meals: [0.01, 0.97, 0.01, 0.01],
        counts: 0.01,
        alcohol: [0.24, 0.74, 0.02, 0.0],
        transport: [0.32, 0.01, 0.0, 0.66, 0.01],
    },
    Profile {
        share: 0.15,
        bmi: (42.3, 1.7),
        age: (18.0, 24.0),
        male: 0.06,
        family: 0.99,
        high_calorie: 0.98,
        habits: [2.9, 3.0, 2.3, 0.5, 0.6],
        between_meals: [0.0, 0.98, 0.02, 0.0],
        counts: 0.01,
        alcohol: [0.02, 0.97, 0.01, 0.0],
        transport: [0.02, 0.0, 0.0, 0.97, 0.01],
    },
];

/// Share of the cells that are left out.
const MISSING: f64 = 0.004;

/// Rows in a thousand with an impossible value.
const IMPOSSIBLE: usize = 5;

/// Rows in a thousand that are there twice.
const REPEATED: usize = 9;

/// Values that cannot be: a slip of the decimal point, a wrong unit, a code for "unknown".
const SLIPS: [(&str, f64); 6] =
    [("Height", 17.2), ("Height", 172.0), ("Age", 0.0), ("Weight", 999.0), ("FCVC", -1.0), ("NCP", 99.0)];

/// A table of `rows` rows as CSV text, always the same for the same seed.
pub fn table(rows: usize, seed: u64) -> String {
    let mut random = Random::new(seed);
    let repeated = rows * REPEATED / 1000;
    let mut people: Vec<Person> = (repeated..rows).map(|_| person(&mut random)).collect();
    if people.is_empty() {
        return table::header();
    }
    for number in 0..rows * IMPOSSIBLE / 1000 {
        let (name, value) = SLIPS[number % SLIPS.len()];
        let victim = random.below(people.len());
        for (cell, column) in people[victim].cells.iter_mut().zip(&COLUMNS) {
            if column.name == name {
                *cell = Cell::Number(value);
            }
        }
    }
    for _ in 0..repeated {
        let original = random.below(people.len());
        let place = random.below(people.len() + 1);
        people.insert(place, people[original].clone());
    }
    table::people_to_csv(&people)
}

fn person(random: &mut Random) -> Person {
    let class = random.weighted(&PROFILES.each_ref().map(|profile| profile.share));
    let profile = &PROFILES[class];
    let male = random.unit() < profile.male;
    let height = rounded((if male { 1.76 } else { 1.64 }) + 0.055 * random.normal(), 2).clamp(1.45, 2.0);
    let bmi = (profile.bmi.0 + profile.bmi.1 * random.normal()).max(13.0);
    let weight = rounded(bmi * height * height, 1);
    // Ages crowd near the least one and thin out above it.
    let above = (random.unit() + random.unit()) * random.unit();
    let age = rounded(profile.age.0 + above * 2.0 * (profile.age.1 - profile.age.0), 0).clamp(14.0, 65.0);

    let mut cells = [Cell::Missing; COLUMNS.len()];
    let mut habits = profile.habits.iter();
    for (cell, column) in cells.iter_mut().zip(&COLUMNS) {
        *cell = match (column.name, column.kind) {
            ("Gender", _) => Cell::Choice(usize::from(male)),
            ("Age", _) => Cell::Number(age),
            ("Height", _) => Cell::Number(height),
            ("Weight", _) => Cell::Number(weight),
            ("family_history_with_overweight", _) => chance(random, profile.family),
            ("FAVC", _) => chance(random, profile.high_calorie),
            ("SMOKE", _) => chance(random, 0.02),
            ("SCC", _) => chance(random, profile.counts),
            ("CAEC", _) => Cell::Choice(random.weighted(&profile.between_meals)),
            ("CALC", _) => Cell::Choice(random.weighted(&profile.alcohol)),
            ("MTRANS", _) => Cell::Choice(random.weighted(&profile.transport)),
            (_, Kind::Number { min, max }) => {
                let mean = habits.next().copied().unwrap_or(min);
                Cell::Number(rounded(mean + 0.35 * random.normal(), 1).clamp(min, max))
            }
            (_, Kind::Choice(words)) => Cell::Choice(random.below(words.len())),
        };
        if random.unit() < MISSING {
            *cell = Cell::Missing;
        }
    }
    Person { cells, class }
}

fn chance(random: &mut Random, probability: f64) -> Cell {
    Cell::Choice(usize::from(random.unit() < probability))
}

fn rounded(number: f64, digits: i32) -> f64 {
    let power = 10f64.powi(digits);
    (number * power).round() / power
}

/// What must stand beside the table: where it comes from and where the real one is.
pub fn readme() -> String {
    let mut text = String::from(README);
    for column in &COLUMNS {
        let values = match column.kind {
            Kind::Number { min, max } => format!("{min} to {max}"),
            Kind::Choice(words) => words.join(", "),
        };
        text.push_str(&format!("| `{}` | {} | {values} |\n", column.name, column.meaning));
    }
    text.push_str(&format!("| `{}` | class to predict | {} |\n", crate::schema::TARGET, CLASSES.join(", ")));
    text
}

const README: &str = "\
# The obesity table

`obesity.csv`, as the example project ships it, is **synthetic**: its people do not exist. A program drew every
row from figures per class that were set by hand; a few rows are repeated, a few cells are empty and a few
values are impossible, so that cleaning has work to do. Nothing about health can be learnt from it.

The real table with the same columns and classes is \"Estimation of Obesity Levels Based on Eating Habits and
Physical Condition\" by Fabio Mendoza Palechor and Alexis de la Hoz Manotas (2019), UCI Machine Learning
Repository, data set 544: <https://archive.ics.uci.edu/dataset/544>, DOI 10.24432/C5H31Z, under the licence
[CC BY 4.0](https://creativecommons.org/licenses/by/4.0/) (use it freely and name the authors). 77 % of its 2,111
rows were made by its authors by oversampling. To work with it, put its CSV file in the place of `obesity.csv` as it
is and run the pipeline again.

| column | meaning | values |
| --- | --- | --- |
";

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_table_is_the_same_every_time() {
        assert_eq!(table(300, 1), table(300, 1));
        assert_ne!(table(300, 1), table(300, 2));
        assert_eq!(table(ROWS, SEED).lines().count(), ROWS + 1);
    }

    #[test]
    fn it_has_all_classes_and_something_to_clean() {
        let text = table(ROWS, SEED);
        for class in CLASSES {
            assert!(text.matches(&format!(",{class}\n")).count() > 150, "{class}");
        }
        let distinct: HashSet<&str> = text.lines().skip(1).collect();
        assert!(distinct.len() < ROWS && distinct.len() > ROWS * 98 / 100);
        assert!(text.contains(",,"), "missing values");
        assert!(text.contains(",999,") && text.contains(",172,"), "impossible values");
    }

    #[test]
    fn the_readme_tells_the_truth_about_it() {
        let text = readme();
        for word in ["synthetic", "544", "CC BY 4.0", "`NCP`", "Motorbike"] {
            assert!(text.contains(word), "{word}");
        }
    }
}
