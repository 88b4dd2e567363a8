//! The sections `gates` and `baselines` of `matraz.yaml`.

use std::collections::BTreeMap;

use matraz_base::yaml::{Key, Node};
use matraz_base::{Explain, Value};
use matraz_ship::gate::{Bound, Measure, Paired, Reference, Rule, Test, Threshold, WithoutBaseline};

use super::{Fields, SettingsError, Source, quoted};

/// The draws of a bootstrap that says nothing else.
const DRAWS: usize = 2000;
/// The most draws that are taken.
const MOST_DRAWS: usize = 100_000;
/// The confidence that is asked for when nothing else is said.
const CONFIDENCE: f64 = 0.95;

const RULE_KEYS: [&str; 7] =
    ["metric", "above", "at_least", "below", "at_most", "without_baseline", "paired"];
const PAIRED_KEYS: [&str; 9] =
    ["predictions", "truth", "predicted", "key", "slice", "measure", "test", "confidence", "draws"];

impl Source<'_> {
    pub(super) fn gates(
        &self,
        node: &Node,
        baselines: &BTreeMap<String, String>,
    ) -> Result<Vec<Rule>, SettingsError> {
        if node.is_null() {
            return Ok(Vec::new());
        }
        let Some(items) = node.as_list() else {
            let message = format!("`gates` must be a list of rules, not {}", node.type_name());
            return Err(self.wrong(
                node.span,
                message,
                Some("write `- metric: accuracy` and `above: 0.8`".into()),
            ));
        };
        let mut rules = Vec::new();
        for item in items {
            for rule in self.gate(item)? {
                if let Some(Reference::Named(name)) = rule.threshold.reference()
                    && !baselines.contains_key(name)
                {
                    let message = format!("there is no baseline `{name}`");
                    let hint = format!(
                        "add `baselines:` and below it `{name}: models:/NAME/VERSION`, a run or a commit"
                    );
                    return Err(self.wrong(item.span, message, Some(hint)));
                }
                rules.push(rule);
            }
        }
        Ok(rules)
    }

    pub(super) fn baselines(&self, node: &Node) -> Result<BTreeMap<String, String>, SettingsError> {
        if node.is_null() {
            return Ok(BTreeMap::new());
        }
        let Some(entries) = node.as_map() else {
            let message = format!("`baselines` must be a mapping, not {}", node.type_name());
            return Err(self.wrong(node.span, message, Some("write `release: models:/NAME/VERSION`".into())));
        };
        let baseline = |(key, node): &(Key, Node)| match node.as_str() {
            Some(text) if !text.is_empty() => Ok((key.text.clone(), text.to_owned())),
            _ => {
                let message = format!("the baseline `{}` must be text, not {}", key.text, node.type_name());
                let hint = "name a model version (`models:/NAME/VERSION`), a run or a commit".to_owned();
                Err(self.wrong(node.span, message, Some(hint)))
            }
        };
        entries.iter().map(baseline).collect()
    }

    /// A rule for each bound of an entry.
    fn gate(&self, node: &Node) -> Result<Vec<Rule>, SettingsError> {
        if let Some(line) = node.as_str() {
            let rule =
                Rule::parse(line).map_err(|error| self.wrong(node.span, error.to_string(), error.hint()))?;
            return Ok(vec![rule]);
        }
        let fields = self.fields(node, "gates", &RULE_KEYS)?;
        let metric = self.needed(&fields, "metric")?;
        let without_baseline = match fields.get("without_baseline").map(|node| (node, node.as_str())) {
            None => WithoutBaseline::default(),
            Some((_, Some("pass"))) => WithoutBaseline::Pass,
            Some((_, Some("unknown"))) => WithoutBaseline::Unknown,
            Some((node, _)) => {
                let message = "`gates.without_baseline` must be `pass` or `unknown`".to_owned();
                return Err(self.wrong(node.span, message, None));
            }
        };
        let mut rules = Vec::new();
        for (key, bound) in Bound::KEYS {
            let Some(node) = fields.get(key) else { continue };
            let threshold = self.threshold(&metric, node)?;
            let paired = match fields.get("paired") {
                Some(paired) => Some(self.paired(paired, &metric, bound, &threshold)?),
                None => None,
            };
            rules.push(Rule { without_baseline, paired, ..Rule::new(&metric, bound, threshold) });
        }
        if rules.is_empty() {
            let message = format!("the rule for `{metric}` needs a bound");
            let hint = "a bound is one of `above`, `at_least`, `below`, `at_most`".to_owned();
            return Err(self.wrong(node.span, message, Some(hint)));
        }
        Ok(rules)
    }

    fn threshold(&self, metric: &str, node: &Node) -> Result<Threshold, SettingsError> {
        if let Some(number) = node.to_value().as_f64().filter(|number| !number.is_nan()) {
            return Ok(Threshold::Number(number));
        }
        node.as_str().and_then(|text| Threshold::parse(text).ok()).ok_or_else(|| {
            let message = format!("the bound of `{metric}` must be a number or what to compare with");
            let hint = "write `0.8`, `champion`, `champion - 0.01`, `merge-base - 2%` or `@NAME`".to_owned();
            self.wrong(node.span, message, Some(hint))
        })
    }

    fn paired(
        &self,
        node: &Node,
        metric: &str,
        bound: Bound,
        threshold: &Threshold,
    ) -> Result<Paired, SettingsError> {
        let fields = self.fields(node, "paired", &PAIRED_KEYS)?;
        let measures: Vec<&str> = Measure::NAMES.iter().map(|(name, _)| *name).collect();
        let named = self.text(&fields, "measure")?;
        let measure = Measure::named(named.as_deref().unwrap_or(metric)).ok_or_else(|| {
            let message = match &named {
                Some(name) => format!("`paired.measure` is `{name}`, which is not known"),
                None => format!("`paired` has no `measure`, and `{metric}` is none"),
            };
            let span = fields.get("measure").map_or(node.span, |node| node.span);
            self.wrong(span, message, Some(format!("measures are {}", quoted(&measures))))
        })?;
        let paired = Paired {
            predictions: self.needed(&fields, "predictions")?,
            truth: self.needed(&fields, "truth")?,
            predicted: self.needed(&fields, "predicted")?,
            key: self.text(&fields, "key")?,
            slice: self.text(&fields, "slice")?,
            measure,
            test: self.test(&fields)?,
            confidence: self.confidence(&fields)?,
        };
        match paired.misuse(bound, threshold) {
            Some(why) => Err(self.wrong(node.span, why.to_owned(), None)),
            None => Ok(paired),
        }
    }

    fn test(&self, fields: &Fields<'_>) -> Result<Test, SettingsError> {
        let draws = match fields.get("draws") {
            None => DRAWS,
            Some(node) => match node.to_value() {
                Value::Int(draws) if (100..=MOST_DRAWS as i64).contains(&draws) => draws as usize,
                _ => {
                    let message = format!("`paired.draws` must be a whole number from 100 to {MOST_DRAWS}");
                    return Err(self.wrong(node.span, message, None));
                }
            },
        };
        match self.text(fields, "test")?.as_deref() {
            None | Some("bootstrap") => Ok(Test::Bootstrap { draws, seed: 0 }),
            Some("mcnemar") if fields.get("draws").is_none() => Ok(Test::McNemar),
            Some("mcnemar") => Err(self.wrong(
                fields.span,
                "McNemar's test draws nothing: leave `draws` out".to_owned(),
                None,
            )),
            Some(other) => {
                let message = format!("`paired.test` is `{other}`, which is not known");
                Err(self.wrong(fields.span, message, Some("tests are `bootstrap` and `mcnemar`".into())))
            }
        }
    }

    fn confidence(&self, fields: &Fields<'_>) -> Result<f64, SettingsError> {
        let Some(node) = fields.get("confidence") else { return Ok(CONFIDENCE) };
        match node.to_value().as_f64() {
            Some(share) if (0.5..1.0).contains(&share) => Ok(share),
            _ => {
                let message = "`paired.confidence` must be a number from 0.5 to below 1, as 0.95".to_owned();
                Err(self.wrong(node.span, message, None))
            }
        }
    }
}
