//! Judging facts by rules.

use serde::Serialize;

use super::rule::Rule;
use matraz_base::value::python_float;

/// What came of a rule, or of all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The rule holds.
    Pass,
    /// The rule is broken.
    Fail,
    /// The facts do not say: the metric is missing or is no number.
    Unknown,
}

impl Verdict {
    /// The word for tables and tags.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        }
    }
}

/// One rule, judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The rule as text.
    pub rule: String,
    /// The metric's key.
    pub metric: String,
    /// The metric's value, when it is known.
    pub value: Option<f64>,
    /// The threshold.
    pub threshold: f64,
    /// What came of it.
    pub verdict: Verdict,
    /// Why, in words.
    pub reason: String,
}

/// All rules, judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Fail if a rule fails, else unknown if one is unknown, else pass.
    pub verdict: Verdict,
    /// The rules in their order.
    pub rules: Vec<Row>,
}

/// Judges `rules` by the metrics that `metric` knows. No rules at all cannot pass: the verdict is unknown.
pub fn judge(rules: &[Rule], metric: impl Fn(&str) -> Option<f64>) -> Report {
    let rules: Vec<Row> = rules.iter().map(|rule| judge_one(rule, metric(&rule.metric))).collect();
    let verdict = if rules.iter().any(|row| row.verdict == Verdict::Fail) {
        Verdict::Fail
    } else if rules.is_empty() || rules.iter().any(|row| row.verdict == Verdict::Unknown) {
        Verdict::Unknown
    } else {
        Verdict::Pass
    };
    Report { verdict, rules }
}

fn judge_one(rule: &Rule, value: Option<f64>) -> Row {
    let (verdict, reason) = match value {
        None => (Verdict::Unknown, format!("the run has no metric `{}`", rule.metric)),
        Some(x) if x.is_nan() => (Verdict::Unknown, format!("`{}` is not a number", rule.metric)),
        Some(x) if rule.bound.holds(x, rule.threshold) => (
            Verdict::Pass,
            format!("{} {} {}", python_float(x), rule.bound.sign(), python_float(rule.threshold)),
        ),
        Some(x) => (
            Verdict::Fail,
            format!("{} is not {} {}", python_float(x), rule.bound.sign(), python_float(rule.threshold)),
        ),
    };
    Row {
        rule: rule.to_string(),
        metric: rule.metric.clone(),
        value,
        threshold: rule.threshold,
        verdict,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_rule_decides() {
        let facts = |key: &str| match key {
            "accuracy" => Some(0.8),
            "loss" => Some(f64::NAN),
            _ => None,
        };
        let table: [(&[&str], Verdict); 6] = [
            (&["accuracy >= 0.8"], Verdict::Pass),
            (&["accuracy > 0.8"], Verdict::Fail),
            (&["accuracy >= 0.8", "loss < 1"], Verdict::Unknown),
            (&["accuracy > 0.9", "loss < 1"], Verdict::Fail),
            (&["accuracy > 0.5", "absent > 0"], Verdict::Unknown),
            (&[], Verdict::Unknown),
        ];
        for (texts, expected) in table {
            let rules: Vec<Rule> = texts.iter().map(|text| Rule::parse(text).unwrap()).collect();
            assert_eq!(judge(&rules, facts).verdict, expected, "{texts:?}");
        }
    }

    #[test]
    fn a_failure_says_the_figures() {
        let report = judge(&[Rule::parse("accuracy > 0.99").unwrap()], |_| Some(0.93));
        assert_eq!(report.rules[0].reason, "0.93 is not > 0.99");
    }
}
