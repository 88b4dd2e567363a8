//! GraphQL as MLflow's web app speaks it: queries over answers of the REST API.
//!
//! [`plan`] reads a request and checks it against the schema and the limits; the caller answers the fields at the root
//! (each is a request of the REST API), and [`Plan::answer`] makes the answer that was asked for out of them.

mod check;
mod input;
mod schema;

use std::collections::{HashMap, HashSet};

use async_graphql_parser::types::{
    DocumentOperations, ExecutableDocument, Field, FragmentDefinition, OperationDefinition, OperationType,
    Selection, SelectionSet,
};
use async_graphql_parser::{Positioned, parse_query};
use async_graphql_value::Name;
use serde_json::{Map, Value as Json, json};

use schema::{Kind, MUTATIONS, QUERIES, Root, Type};

/// The named fragments of a request.
type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

/// The deepest nesting of fields.
const MAX_DEPTH: usize = 10;
/// The most fields in a request.
const MAX_SELECTIONS: usize = 1000;

/// How much a request may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Fields at the root.
    pub root_fields: usize,
    /// Fields with another name on one level.
    pub aliases: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { root_fields: 10, aliases: 10 }
    }
}

/// A request that keeps the rules.
pub struct Plan {
    fields: Vec<Step>,
    fragments: Fragments,
    /// Where the name of the type at the root was asked for, and that name.
    typenames: Vec<(String, &'static str)>,
}

/// A field at the root.
pub struct Step {
    /// Its name in the schema, as `mlflowGetRun`.
    pub name: &'static str,
    /// The argument `input` as an object, or `inputString` of the fields `test` and `testMutation`.
    pub input: Json,
    root: &'static Root,
    field: Field,
}

/// Reads and checks a request; errors are messages for the client.
pub fn plan(request: &Json, limits: Limits) -> Result<Plan, Vec<String>> {
    let text = request.get("query").and_then(Json::as_str).unwrap_or_default();
    let document = parse_query(text).map_err(|error| vec![format!("Syntax Error: {error}")])?;
    check_limits(&document, limits).map_err(|message| vec![message])?;
    let ExecutableDocument { operations, fragments } = document;
    let name = request.get("operationName").and_then(Json::as_str);
    let (said, operation) = choose(operations, name).map_err(|message| vec![message])?;
    let (roots, root_name) = match operation.ty {
        OperationType::Query => (QUERIES, "Query"),
        OperationType::Mutation => (MUTATIONS, "Mutation"),
        OperationType::Subscription => {
            return Err(vec!["Schema is not configured to execute subscription operation.".to_owned()]);
        }
    };
    let mut errors = check::faults(&operation, said.as_deref(), (roots, root_name), &fragments);
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut fields = Vec::new();
    let mut typenames = Vec::new();
    let variables = input::variables(&operation, request).map_err(|message| vec![message])?;
    for field in flat(&operation.selection_set.node, &fragments) {
        let Some(root) = roots.iter().find(|root| field.name.node == root.name) else {
            typenames.push((field.response_key().node.to_string(), root_name));
            continue;
        };
        match input::input(&field, root, &variables, root_name) {
            Ok(input) => fields.push(Step { name: root.name, input, root, field }),
            Err(message) => errors.push(message),
        }
    }
    if errors.is_empty() { Ok(Plan { fields, fragments, typenames }) } else { Err(errors) }
}

impl Plan {
    /// The fields to be answered.
    pub fn steps(&self) -> &[Step] {
        &self.fields
    }

    /// Whether the runs of a field are wanted with a field of their own, as `experiment`.
    pub fn asks_of_runs(&self, step: &Step, wanted: &str) -> bool {
        let below = |field: &Field| flat(&field.selection_set.node, &self.fragments);
        below(&step.field)
            .iter()
            .filter(|field| matches!(field.name.node.as_str(), "run" | "runs"))
            .any(|runs| below(runs).iter().any(|field| field.name.node == wanted))
    }

    /// The answer, from an answer of the REST API or an error for every step. What must not be shown is null.
    pub fn answer(&self, answers: Vec<Result<Json, String>>) -> Json {
        let mut data = Map::new();
        let mut errors = Vec::new();
        data.extend(self.typenames.iter().map(|(key, name)| (key.clone(), Json::from(*name))));
        for (step, answer) in self.fields.iter().zip(answers) {
            let shown = match answer {
                Ok(Json::Null) => Json::Null,
                Ok(answer) => {
                    object(&answer, step.root.answer, &step.field.selection_set.node, &self.fragments)
                }
                Err(message) => {
                    errors.push(message);
                    Json::Null
                }
            };
            data.insert(step.field.response_key().node.to_string(), shown);
        }
        response(Json::Object(data), errors)
    }
}

/// The body of an answer.
pub fn response(data: Json, errors: Vec<String>) -> Json {
    let errors = if errors.is_empty() { Json::Null } else { json!(errors) };
    json!({"data": data, "errors": errors})
}

/// The operation that is meant, with its name.
fn choose(
    operations: DocumentOperations,
    name: Option<&str>,
) -> Result<(Option<String>, OperationDefinition), String> {
    match operations {
        DocumentOperations::Single(operation) => Ok((None, operation.node)),
        DocumentOperations::Multiple(mut operations) => match name {
            Some(name) => match operations.remove(name) {
                Some(operation) => Ok((Some(name.to_owned()), operation.node)),
                None => Err(format!("Unknown operation named '{name}'.")),
            },
            None if operations.len() == 1 => {
                let only = operations.drain().next();
                only.map(|(name, operation)| (Some(name.to_string()), operation.node))
                    .ok_or_else(|| "no operation".to_owned())
            }
            None => Err("Must provide operation name if query contains multiple operations.".to_owned()),
        },
    }
}

/// The fields of a selection, with those of its fragments.
fn flat(selection: &SelectionSet, fragments: &Fragments) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut seen: HashSet<&str> = HashSet::new();
    let mut left: Vec<&Positioned<Selection>> = selection.items.iter().rev().collect();
    while let Some(next) = left.pop() {
        match &next.node {
            Selection::Field(field) => fields.push(field.node.clone()),
            Selection::InlineFragment(fragment) => {
                left.extend(fragment.node.selection_set.node.items.iter().rev());
            }
            Selection::FragmentSpread(spread) => {
                let name = spread.node.fragment_name.node.as_str();
                if seen.insert(name)
                    && let Some(fragment) = fragments.get(name)
                {
                    left.extend(fragment.node.selection_set.node.items.iter().rev());
                }
            }
        }
    }
    fields
}

/// Counts depth, fields and aliases before anything is answered.
fn check_limits(document: &ExecutableDocument, limits: Limits) -> Result<(), String> {
    let mut root_fields = 0;
    let mut aliases = 0;
    let mut selections = 0;
    for (_, operation) in document.operations.iter() {
        let mut left = vec![(operation.node.selection_set.node.clone(), 1)];
        while let Some((selection, depth)) = left.pop() {
            if depth > MAX_DEPTH {
                return Err(format!("Query exceeds maximum depth of {MAX_DEPTH}"));
            }
            let fields = flat(&selection, &document.fragments);
            aliases = aliases.max(fields.iter().filter(|field| field.alias.is_some()).count());
            selections += fields.len();
            if selections > MAX_SELECTIONS {
                return Err(format!("Query exceeds maximum total selections of {MAX_SELECTIONS}"));
            }
            if depth == 1 {
                root_fields += fields.len();
            }
            let deeper = fields.into_iter().map(|field| field.selection_set.node);
            left.extend(deeper.filter(|set| !set.items.is_empty()).map(|set| (set, depth + 1)));
        }
    }
    let exceeded = |most: usize, found: usize, what: &str, variable: &str| {
        Err(format!(
            "GraphQL queries should have at most {most} {what}, got {found} {what}. To increase the limit, set the {variable} \
             environment variable."
        ))
    };
    if root_fields > limits.root_fields {
        return exceeded(
            limits.root_fields,
            root_fields,
            "root fields",
            "MLFLOW_SERVER_GRAPHQL_MAX_ROOT_FIELDS",
        );
    }
    if aliases > limits.aliases {
        return exceeded(limits.aliases, aliases, "aliases", "MLFLOW_SERVER_GRAPHQL_MAX_ALIASES");
    }
    Ok(())
}

/// The fields of an object that were asked for.
fn object(value: &Json, of: &Type, selection: &SelectionSet, fragments: &Fragments) -> Json {
    let mut shown = Map::new();
    for field in flat(selection, fragments) {
        let key = field.response_key().node.to_string();
        let asked = field.name.node.as_str();
        if asked == "__typename" {
            shown.insert(key, Json::from(of.name));
            continue;
        }
        let Some((_, kind)) = of.fields.iter().find(|(known, _)| *known == asked) else { continue };
        let inner = value.get(snake_case(asked)).filter(|inner| !inner.is_null());
        let set = &field.selection_set.node;
        let mut one = match kind {
            Kind::One(of) => object(inner.unwrap_or(&Json::Null), of, set, fragments),
            Kind::Maybe(of) => inner.map_or(Json::Null, |inner| object(inner, of, set, fragments)),
            Kind::Many(of) => {
                let items = inner.and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
                items.iter().map(|item| object(item, of, set, fragments)).collect()
            }
            plain => scalar(inner, *plain),
        };
        // The same field twice, with other parts of it each time, is one field.
        if let (Some(Json::Object(before)), Json::Object(now)) = (shown.get_mut(&key), &mut one) {
            before.append(now);
        } else {
            shown.insert(key, one);
        }
    }
    Json::Object(shown)
}

fn scalar(value: Option<&Json>, kind: Kind) -> Json {
    match (kind, value) {
        (Kind::Long, Some(Json::Number(number))) => Json::from(number.to_string()),
        (Kind::Long, None) => Json::from("0"),
        (Kind::Real, Some(Json::String(_))) => Json::Null,
        (Kind::Real, None) => Json::from(0.0),
        (Kind::Flag, None) => Json::from(false),
        (Kind::Text, None) => Json::from(""),
        (Kind::Choice(unset), None) => Json::from(unset),
        (Kind::Texts, None) => json!([]),
        (_, Some(value)) => value.clone(),
        (_, None) => Json::Null,
    }
}

fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(query: &str, variables: Json) -> Vec<String> {
        match plan(&json!({"query": query, "variables": variables}), Limits::default()) {
            Ok(_) => Vec::new(),
            Err(errors) => errors,
        }
    }

    #[test]
    fn what_was_asked_is_answered() {
        let request = json!({
            "query": "query Q($i: MlflowGetRunInput!) @component(name: \"x\") { first: mlflowGetRun(input: $i) { apiError { code } \
                run { ...R info { endTime __typename } data { metrics { key value step } } modelVersions { name } } } } \
                fragment R on MlflowRunExtension { info { id: runId status } experiment { name } }",
            "variables": {"i": {"runId": "r"}},
        });
        let plan = plan(&request, Limits::default()).unwrap();
        let step = &plan.steps()[0];
        assert_eq!((step.name, &step.input), ("mlflowGetRun", &json!({"runId": "r"})));
        assert!(plan.asks_of_runs(step, "experiment") && !plan.asks_of_runs(step, "inputs"));
        let rest = json!({"run": {"info": {"run_id": "r", "status": "FINISHED"},
            "data": {"metrics": [{"key": "m", "value": "NaN", "timestamp": 3, "step": 4}]}}});
        let answer = plan.answer(vec![Ok(rest)]);
        assert_eq!(
            answer,
            json!({"data": {"first": {"apiError": null, "run": {
            "info": {"id": "r", "status": "FINISHED", "endTime": "0", "__typename": "MlflowRunInfo"},
            "experiment": null, "data": {"metrics": [{"key": "m", "value": null, "step": "4"}]}, "modelVersions": [],
        }}}, "errors": null})
        );
        let hidden = plan.answer(vec![Ok(Json::Null)]);
        assert_eq!(hidden, json!({"data": {"first": null}, "errors": null}));
        let failed = plan.answer(vec![Err("no such run".to_owned())]);
        assert_eq!(failed, json!({"data": {"first": null}, "errors": ["no such run"]}));
    }

    #[test]
    fn faults() {
        let test = |inner: &str| format!("{{ test(inputString: \"x\") {{ {inner} }} }}");
        for (query, variables, want) in [
            (test("nope"), json!({}), "Cannot query field 'nope' on type 'Test'."),
            ("{ bogus }".to_owned(), json!({}), "Cannot query field 'bogus' on type 'Query'."),
            (test("output { deep }"), json!({}), "Field 'output' must not have a selection since it has no subfields."),
            (
                "query A { test(inputString: \"a\") { output } } query B { test(inputString: \"b\") { output } }".to_owned(),
                json!({}),
                "Must provide operation name if query contains multiple operations.",
            ),
            (
                "query Q($i: MlflowGetRunInput!) { mlflowGetRun(input: $i) { run { info { runId } } } }".to_owned(),
                json!({}),
                "Variable '$i' of required type 'MlflowGetRunInput!' was not provided.",
            ),
            (
                "query Q($i: MlflowGetRunInput!) { mlflowGetRun(input: $i) { run { info { runId } } } }".to_owned(),
                json!({"i": {"bogus": "x"}}),
                "Variable '$i' got invalid value {'bogus': 'x'}; Field 'bogus' is not defined by type 'MlflowGetRunInput'.",
            ),
            ("{ ...N } ".to_owned(), json!({}), "Unknown fragment 'N'."),
            (
                "{ test(inputString: \"x\") { output } } fragment N on Test { output }".to_owned(),
                json!({}),
                "Fragment 'N' is never used.",
            ),
            (test("output @include(if: true)"), json!({}), "Unknown directive '@include'."),
            (test("... on Nope { output }"), json!({}), "Unknown type 'Nope'."),
            (
                test("... on MlflowRunInfo { runId }"),
                json!({}),
                "Fragment cannot be spread here as objects of type 'Test' can never be of type 'MlflowRunInfo'.",
            ),
            (
                "query Q { test(inputString: $s) { output } } query R { test(inputString: \"\") { output } }".to_owned(),
                json!({}),
                "Must provide operation name if query contains multiple operations.",
            ),
            (
                "query ($s: String) { test(inputString: \"x\") { output } }".to_owned(),
                json!({}),
                "Variable '$s' is never used.",
            ),
            ("query ($s: Nope) { test(inputString: $s) { output } }".to_owned(), json!({}), "Unknown type 'Nope'."),
            (
                "query ($s: Int) { test(inputString: $s) { output } }".to_owned(),
                json!({"s": 5}),
                "Variable '$s' of type 'Int' used in position expecting type 'String'.",
            ),
            (
                "query ($s: String!) { test(inputString: $s) { output } }".to_owned(),
                json!({"s": null}),
                "Variable '$s' of non-null type 'String!' must not be null.",
            ),
            (
                "query ($i: MlflowSearchRunsInput) { mlflowSearchRuns(input: $i) { nextPageToken } }".to_owned(),
                json!({"i": {"maxResults": "5"}}),
                "Variable '$i' got invalid value '5' at 'i.maxResults'; Int cannot represent non-integer value: '5'",
            ),
        ] {
            assert_eq!(errors(&query, variables), [want], "{query}");
        }
        assert!(errors("{ test(", json!({}))[0].starts_with("Syntax Error"));
    }

    #[test]
    fn bombs() {
        let many = |alias: bool| {
            let field = |n: usize| {
                let alias = if alias { format!("a{n}: ") } else { String::new() };
                format!("{alias}test(inputString: \"x\") {{ output }} ")
            };
            format!("{{ {} }}", (0..12).map(field).collect::<String>())
        };
        assert!(errors(&many(false), json!({}))[0].contains("at most 10 root fields, got 12 root fields"));
        assert!(errors(&many(true), json!({}))[0].contains("at most 10 root fields"));
        let aliases: String = (0..11).map(|n| format!("o{n}: output ")).collect();
        let query = format!("{{ test(inputString: \"x\") {{ {aliases} }} }}");
        assert!(errors(&query, json!({}))[0].contains("at most 10 aliases, got 11 aliases"));
        let deep = format!("{{ {} output {} }}", "run { ".repeat(20), "}".repeat(20));
        assert_eq!(errors(&deep, json!({})), ["Query exceeds maximum depth of 10"]);
        let endless = "{ test(inputString: \"x\") { ...F } } fragment F on Test { run { ...F } }";
        assert_eq!(errors(endless, json!({})), ["Query exceeds maximum depth of 10"]);
        let huge = format!("{{ {} b {} }}", "a { ".repeat(100_000), "}".repeat(100_000));
        assert_eq!(errors(&huge, json!({})).len(), 1);
    }
}
