//! Judging facts by rules.

use std::collections::{BTreeMap, HashMap};

use matraz_base::value::python_float;
use serde::Serialize;

use super::paired::{self, Difference, Paired, Pairs, Test};
use super::rule::{Bound, Reference, Rule, Threshold, WithoutBaseline};

/// What came of a rule, or of all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The rule holds.
    Pass,
    /// The rule is broken.
    Fail,
    /// The facts do not say: the metric is missing or is no number, or there is nothing to compare with.
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

/// Where a value that is compared with comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// The reference in words: `version 3 of shop`, `the run of commit 1f2e3d4c`.
    pub what: String,
    /// The run.
    pub run_id: String,
    /// Its name.
    pub run_name: String,
    /// The model version, as `models:/NAME/N`, when it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The commit of the run, when it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// What is known of a run to compare with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Baseline {
    /// Where it comes from.
    pub provenance: Provenance,
    /// Its values by their keys.
    pub values: BTreeMap<String, f64>,
}

/// All that a gate is judged by. What is missing says in words why.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The values of the judged run by their keys.
    pub values: BTreeMap<String, f64>,
    /// What the references of the rules stand for.
    pub baselines: BTreeMap<Reference, Result<Baseline, String>>,
    /// The predictions for each rule with a paired test, by the rule's place.
    pub pairs: HashMap<usize, Result<Pairs, String>>,
}

/// One rule, judged for one metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The rule as text.
    pub rule: String,
    /// The metric's key.
    pub metric: String,
    /// The slice of the rows, when the rule judges slices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slice: Option<String>,
    /// The metric's value, when it is known.
    pub value: Option<f64>,
    /// The value that it had to keep to, when that is known.
    pub threshold: Option<f64>,
    /// What came of it.
    pub verdict: Verdict,
    /// Why, in words.
    pub reason: String,
    /// What it was compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Provenance>,
}

impl Row {
    /// The rule, and what of it the row is about when that is only a part: `recall.* > 0.5: recall.b [site=x]`.
    pub fn name(&self) -> String {
        let metric =
            if self.rule.starts_with(&self.metric) { String::new() } else { format!(": {}", self.metric) };
        let slice = self.slice.as_ref().map(|slice| format!(" [{slice}]")).unwrap_or_default();
        format!("{}{metric}{slice}", self.rule)
    }
}

/// All rules, judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Fail if a rule fails, else unknown if one is unknown, else pass.
    pub verdict: Verdict,
    /// The rules in their order; a rule for several metrics has a row for each.
    pub rules: Vec<Row>,
}

/// Judges `rules` by the evidence. No rules at all cannot pass: the verdict is unknown.
pub fn judge(rules: &[Rule], evidence: &Evidence) -> Report {
    let rows: Vec<Row> = rules
        .iter()
        .enumerate()
        .flat_map(|(n, rule)| match &rule.paired {
            Some(paired) => judge_pairs(rule, paired, evidence, n),
            None => judge_values(rule, evidence),
        })
        .collect();
    let verdict = if rows.iter().any(|row| row.verdict == Verdict::Fail) {
        Verdict::Fail
    } else if rows.is_empty() || rows.iter().any(|row| row.verdict == Verdict::Unknown) {
        Verdict::Unknown
    } else {
        Verdict::Pass
    };
    Report { verdict, rules: rows }
}

fn row(rule: &Rule, metric: &str) -> Row {
    Row {
        rule: rule.to_string(),
        metric: metric.to_owned(),
        slice: None,
        value: None,
        threshold: None,
        verdict: Verdict::Unknown,
        reason: String::new(),
        baseline: None,
    }
}

fn judge_values(rule: &Rule, evidence: &Evidence) -> Vec<Row> {
    let metrics: Vec<&str> = if rule.is_pattern() {
        evidence.values.keys().filter(|key| rule.covers(key)).map(String::as_str).collect()
    } else {
        vec![rule.metric.as_str()]
    };
    if metrics.is_empty() {
        let reason = format!("the run has no metric that fits `{}`", rule.metric);
        return vec![Row { reason, ..row(rule, &rule.metric) }];
    }
    metrics.into_iter().map(|metric| judge_value(rule, metric, evidence)).collect()
}

fn judge_value(rule: &Rule, metric: &str, evidence: &Evidence) -> Row {
    let mut row = row(rule, metric);
    row.value = evidence.values.get(metric).copied();
    let Some(value) = row.value else {
        row.reason = format!("the run has no metric `{metric}`");
        return row;
    };
    if value.is_nan() {
        row.reason = format!("`{metric}` is not a number");
        return row;
    }
    let mut against = String::new();
    let threshold = match &rule.threshold {
        Threshold::Number(number) => *number,
        Threshold::Of(reference, tolerance) => {
            let baseline = match baseline(rule, reference, evidence, &mut row) {
                Some(baseline) => baseline,
                None => return row,
            };
            let Some(old) = baseline.values.get(metric).copied().filter(|old| !old.is_nan()) else {
                row.reason = format!("{} has no metric `{metric}`", baseline.provenance.what);
                return row;
            };
            against = format!(" ({}: {})", baseline.provenance.what, python_float(old));
            level(tolerance.apply(old), value)
        }
    };
    row.threshold = Some(threshold);
    let holds = rule.bound.holds(value, threshold);
    row.verdict = if holds { Verdict::Pass } else { Verdict::Fail };
    let is = if holds { "" } else { "is not " };
    row.reason = format!("{} {is}{} {}{against}", figure(value), rule.bound.sign(), figure(threshold));
    row
}

/// What a reference stands for. When there is no such thing the row says so, and is judged as the rule wants it.
fn baseline<'e>(
    rule: &Rule,
    reference: &Reference,
    evidence: &'e Evidence,
    row: &mut Row,
) -> Option<&'e Baseline> {
    match evidence.baselines.get(reference) {
        Some(Ok(baseline)) => {
            row.baseline = Some(baseline.provenance.clone());
            Some(baseline)
        }
        Some(Err(why)) => {
            row.reason = format!("nothing to compare with: {why}");
            if rule.without_baseline == WithoutBaseline::Pass {
                row.verdict = Verdict::Pass;
            }
            None
        }
        None => {
            row.reason = format!("nothing to compare with: nobody looked for {reference}");
            None
        }
    }
}

/// A row for each slice, or one.
fn judge_pairs(rule: &Rule, paired: &Paired, evidence: &Evidence, n: usize) -> Vec<Row> {
    let mut first = row(rule, &rule.metric);
    let Threshold::Of(reference, tolerance) = &rule.threshold else {
        first.reason = "a paired test compares with another run, not with a number".to_owned();
        return vec![first];
    };
    if baseline(rule, reference, evidence, &mut first).is_none() {
        return vec![first];
    }
    let pairs = match evidence.pairs.get(&n) {
        Some(Ok(pairs)) => pairs,
        Some(Err(why)) => {
            first.reason.clone_from(why);
            return vec![first];
        }
        None => {
            first.reason = "nobody read the predictions".to_owned();
            return vec![first];
        }
    };
    let judged = |(slice, part): (&str, Pairs)| {
        let mut row = Row { slice: (!slice.is_empty()).then(|| slice.to_owned()), ..first.clone() };
        match paired::compare(&part, paired, |old| tolerance.apply(old)) {
            Ok(found) => decide(rule, paired, &found, tolerance.apply(found.old), &mut row),
            Err(why) => row.reason = why,
        }
        row
    };
    pairs.by_slice().into_iter().map(judged).collect()
}

/// `>=` and `<=` guard against a loss: only one beyond chance breaks them. `>` and `<` claim a gain: only one beyond
/// chance keeps them.
fn decide(rule: &Rule, paired: &Paired, found: &Difference, threshold: f64, row: &mut Row) {
    row.value = Some(found.new);
    row.threshold = Some(threshold);
    let sign = if rule.bound.wants_more() { 1.0 } else { -1.0 };
    let (better, worse, how_sure) = match (found.interval, found.p_value) {
        (Some((low, high)), _) => {
            let (low_gain, high_gain) = if sign > 0.0 { (low, high) } else { (-high, -low) };
            let share = (paired.confidence * 1000.0).round() / 10.0;
            let interval = format!("{share} % interval {} to {}", figure(low), figure(high));
            (low_gain > 0.0, high_gain < 0.0, interval)
        }
        (None, Some(p)) => {
            let sure = p < 1.0 - paired.confidence;
            let gain = sign * (found.new - found.old);
            (sure && gain > 0.0, sure && gain < 0.0, format!("p = {}", figure(p)))
        }
        (None, None) => (false, false, String::new()),
    };
    let difference =
        format!("{} against {} on {} rows, {how_sure}", figure(found.new), figure(found.old), found.rows);
    let (holds, words) = match (rule.bound.is_strict(), better, worse) {
        (true, true, _) => (true, "better beyond chance"),
        (true, false, true) => (false, "worse beyond chance"),
        (true, false, false) => (false, "not better beyond chance"),
        (false, _, true) => (false, "worse beyond chance"),
        (false, true, false) => (true, "better beyond chance"),
        (false, false, false) => (true, "no difference beyond chance"),
    };
    row.verdict = if holds { Verdict::Pass } else { Verdict::Fail };
    row.reason = format!("{words}: {difference}");
}

/// A threshold that was computed, or the value itself where they differ by what computing costs in the last digits.
fn level(threshold: f64, value: f64) -> f64 {
    let near = 1e-12 * value.abs().max(threshold.abs());
    if (threshold - value).abs() <= near { value } else { threshold }
}

/// A number with as many digits as a reader needs.
fn figure(number: f64) -> String {
    let rounded = (number * 1e6).round() / 1e6;
    let shown = if rounded == 0.0 && number != 0.0 { number } else { rounded };
    python_float(shown)
}

impl Paired {
    /// Why a rule with this test makes no sense, in words; `None` when it does.
    pub fn misuse(&self, bound: Bound, threshold: &Threshold) -> Option<&'static str> {
        let errors_count = self.measure.is_of_numbers();
        if threshold.reference().is_none() {
            return Some(
                "a paired test compares with another run, as in `at_least: champion`, not with a number",
            );
        }
        if self.test == Test::McNemar && self.measure != paired::Measure::Accuracy {
            return Some("McNemar's test is for `accuracy` only; use `test: bootstrap`");
        }
        if self.test == Test::McNemar && !threshold.is_bare_reference() {
            return Some("McNemar's test knows no tolerance; use `test: bootstrap`");
        }
        if errors_count && bound.wants_more() {
            return Some("of errors less is better: use `at_most` or `below`");
        }
        if !errors_count && !bound.wants_more() {
            return Some("more is better here: use `at_least` or `above`");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Measure;

    fn values(list: &[(&str, f64)]) -> BTreeMap<String, f64> {
        list.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect()
    }

    fn evidence(now: &[(&str, f64)], champion: Option<&[(&str, f64)]>) -> Evidence {
        let provenance = Provenance { what: "version 1 of shop".into(), ..Provenance::default() };
        let champion = champion
            .map(|list| Baseline { provenance, values: values(list) })
            .ok_or_else(|| "shop has no champion".to_owned());
        Evidence {
            values: values(now),
            baselines: BTreeMap::from([(Reference::Champion, champion)]),
            pairs: HashMap::new(),
        }
    }

    fn judged(texts: &[&str], evidence: &Evidence) -> Report {
        let rules: Vec<Rule> = texts.iter().map(|text| Rule::parse(text).unwrap()).collect();
        judge(&rules, evidence)
    }

    #[test]
    fn the_worst_rule_decides() {
        let evidence = evidence(&[("accuracy", 0.8), ("loss", f64::NAN)], None);
        let table: [(&[&str], Verdict); 6] = [
            (&["accuracy >= 0.8"], Verdict::Pass),
            (&["accuracy > 0.8"], Verdict::Fail),
            (&["accuracy >= 0.8", "loss < 1"], Verdict::Unknown),
            (&["accuracy > 0.9", "loss < 1"], Verdict::Fail),
            (&["accuracy > 0.5", "absent > 0"], Verdict::Unknown),
            (&[], Verdict::Unknown),
        ];
        for (texts, expected) in table {
            assert_eq!(judged(texts, &evidence).verdict, expected, "{texts:?}");
        }
    }

    #[test]
    fn a_failure_says_the_figures() {
        let report = judged(&["accuracy > 0.99"], &evidence(&[("accuracy", 0.93)], None));
        assert_eq!(report.rules[0].reason, "0.93 is not > 0.99");
    }

    #[test]
    fn runs_are_compared_with_the_champion() {
        let now = [("accuracy", 0.90), ("recall.a", 0.7), ("recall.b", 0.9), ("new", 1.0)];
        let then: &[(&str, f64)] = &[("accuracy", 0.91), ("recall.a", 0.8), ("recall.b", 0.8)];
        let known = evidence(&now, Some(then));
        let table = [
            ("accuracy >= champion", Verdict::Fail),
            ("accuracy >= champion - 0.02", Verdict::Pass),
            ("accuracy >= champion - 1%", Verdict::Fail),
            ("accuracy >= champion - 2%", Verdict::Pass),
            // In binary, 0.8 - 0.1 is a little more than 0.7.
            ("recall.a >= champion - 0.1", Verdict::Pass),
            ("recall.a > champion - 0.1", Verdict::Fail),
            ("new > champion", Verdict::Unknown),
            ("recall.* >= champion", Verdict::Fail),
            ("recall.* >= champion - 0.2", Verdict::Pass),
            ("f1.* >= champion", Verdict::Unknown),
        ];
        for (text, expected) in table {
            assert_eq!(judged(&[text], &known).verdict, expected, "{text}");
        }
        let rows = judged(&["recall.* >= champion"], &known).rules;
        let verdicts: Vec<_> = rows.iter().map(|row| (row.metric.as_str(), row.verdict)).collect();
        assert_eq!(verdicts, [("recall.a", Verdict::Fail), ("recall.b", Verdict::Pass)]);
        assert_eq!(rows[0].reason, "0.7 is not >= 0.8 (version 1 of shop: 0.8)");
        assert_eq!(rows[0].baseline.as_ref().unwrap().what, "version 1 of shop");

        let first = evidence(&now, None);
        let report = judged(&["accuracy > champion"], &first);
        assert_eq!(report.verdict, Verdict::Unknown);
        assert_eq!(report.rules[0].reason, "nothing to compare with: shop has no champion");
        let lenient =
            Rule { without_baseline: WithoutBaseline::Pass, ..Rule::parse("accuracy > champion").unwrap() };
        assert_eq!(judge(&[lenient], &first).verdict, Verdict::Pass);
    }

    #[test]
    fn noise_is_neither_a_loss_nor_a_gain() {
        let pairs = |new_right: usize| {
            let said =
                |right: usize| (0..400).map(|n| if n < right { "a" } else { "b" }.to_owned()).collect();
            Pairs { truth: vec!["a".into(); 400], new: said(new_right), old: said(300), slices: vec![] }
        };
        let bootstrap = Test::Bootstrap { draws: 500, seed: 7 };
        let table = [
            (Bound::AtLeast, bootstrap, 299, Verdict::Pass),
            (Bound::AtLeast, bootstrap, 250, Verdict::Fail),
            (Bound::AtLeast, bootstrap, 350, Verdict::Pass),
            (Bound::Above, bootstrap, 301, Verdict::Fail),
            (Bound::Above, bootstrap, 350, Verdict::Pass),
            (Bound::AtLeast, Test::McNemar, 297, Verdict::Pass),
            (Bound::AtLeast, Test::McNemar, 250, Verdict::Fail),
            (Bound::Above, Test::McNemar, 303, Verdict::Fail),
            (Bound::Above, Test::McNemar, 350, Verdict::Pass),
        ];
        for (bound, test, new_right, expected) in table {
            let paired = Paired {
                predictions: "p.csv".into(),
                truth: "t".into(),
                predicted: "p".into(),
                key: None,
                slice: None,
                measure: Measure::Accuracy,
                test,
                confidence: 0.95,
            };
            let threshold = Threshold::parse("champion").unwrap();
            let rule = Rule { paired: Some(paired), ..Rule::new("accuracy", bound, threshold) };
            let mut evidence = evidence(&[], Some(&[]));
            evidence.pairs.insert(0, Ok(pairs(new_right)));
            let report = judge(&[rule], &evidence);
            assert_eq!(report.verdict, expected, "{bound:?} {test:?} {new_right}: {report:?}");
        }
    }
}
