//! GraphQL as MLflow's web app speaks it: queries over answers of the REST API.
//!
//! [`plan`] reads a request and checks it against the schema and the limits; the caller answers the fields at the root
//! (each is a request of the REST API), and [`Plan::answer`] makes the answer that was asked for out of them.

mod schema;

use std::collections::{HashMap, HashSet};

use async_graphql_parser::types::{
    DocumentOperations, ExecutableDocument, Field, FragmentDefinition, OperationDefinition, OperationType,
    Selection, SelectionSet,
};
use async_graphql_parser::{Positioned, parse_query};
use async_graphql_value::{ConstValue, Name};
use serde_json::{Map, Value as Json, json};

use schema::{Input, Kind, MUTATIONS, QUERIES, Root, Type, Value};

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
    fragments: HashMap<Name, Positioned<FragmentDefinition>>,
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
    let operation = choose(operations, name).map_err(|message| vec![message])?;
    let (roots, root_name) = match operation.ty {
        OperationType::Query => (QUERIES, "Query"),
        OperationType::Mutation => (MUTATIONS, "Mutation"),
        OperationType::Subscription => {
            return Err(vec!["Schema is not configured to execute subscription operation.".to_owned()]);
        }
    };
    let mut errors = Vec::new();
    let mut fields = Vec::new();
    let variables = variables(&operation, request).map_err(|message| vec![message])?;
    for field in flat(&operation.selection_set.node, &fragments, root_name) {
        if field.name.node == "__typename" {
            continue;
        }
        let Some(root) = roots.iter().find(|root| field.name.node == root.name) else {
            errors.push(format!("Cannot query field '{}' on type '{root_name}'.", field.name.node));
            continue;
        };
        check_fields(&field, root.name, root.answer, &fragments, &mut errors);
        match input(&field, root, &variables) {
            Ok(input) => fields.push(Step { name: root.name, input, root, field }),
            Err(message) => errors.push(message),
        }
    }
    if errors.is_empty() { Ok(Plan { fields, fragments }) } else { Err(errors) }
}

impl Plan {
    /// The fields to be answered.
    pub fn steps(&self) -> &[Step] {
        &self.fields
    }

    /// Whether the runs of a field are wanted with a field of their own, as `experiment`.
    pub fn asks_of_runs(&self, step: &Step, wanted: &str) -> bool {
        let below = |field: &Field| flat(&field.selection_set.node, &self.fragments, "");
        below(&step.field)
            .iter()
            .filter(|field| matches!(field.name.node.as_str(), "run" | "runs"))
            .any(|runs| below(runs).iter().any(|field| field.name.node == wanted))
    }

    /// The answer, from an answer of the REST API or an error for every step.
    pub fn answer(&self, answers: Vec<Result<Json, String>>) -> Json {
        let mut data = Map::new();
        let mut errors = Vec::new();
        for (step, answer) in self.fields.iter().zip(answers) {
            let shown = match answer {
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

fn choose(operations: DocumentOperations, name: Option<&str>) -> Result<OperationDefinition, String> {
    match operations {
        DocumentOperations::Single(operation) => Ok(operation.node),
        DocumentOperations::Multiple(mut operations) => match name {
            Some(name) => match operations.remove(name) {
                Some(operation) => Ok(operation.node),
                None => Err(format!("Unknown operation named '{name}'.")),
            },
            None if operations.len() == 1 => {
                let only = operations.drain().next();
                only.map(|(_, operation)| operation.node).ok_or_else(|| "no operation".to_owned())
            }
            None => Err("Must provide operation name if query contains multiple operations.".to_owned()),
        },
    }
}

/// The fields of a selection, with those of its fragments.
fn flat(
    selection: &SelectionSet,
    fragments: &HashMap<Name, Positioned<FragmentDefinition>>,
    _type: &str,
) -> Vec<Field> {
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
            let fields = flat(&selection, &document.fragments, "");
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

/// Checks the names of fields against the schema.
fn check_fields(
    field: &Field,
    name: &str,
    of: &'static Type,
    fragments: &HashMap<Name, Positioned<FragmentDefinition>>,
    errors: &mut Vec<String>,
) {
    if field.selection_set.node.items.is_empty() {
        errors.push(format!("Field '{name}' of type '{}' must have a selection of subfields.", of.name));
    }
    for inner in flat(&field.selection_set.node, fragments, of.name) {
        let asked = inner.name.node.as_str();
        if asked == "__typename" {
            continue;
        }
        match of.fields.iter().find(|(known, _)| *known == asked) {
            None => errors.push(format!("Cannot query field '{asked}' on type '{}'.", of.name)),
            Some((_, Kind::One(deeper) | Kind::Maybe(deeper) | Kind::Many(deeper))) => {
                check_fields(&inner, asked, deeper, fragments, errors);
            }
            Some(_) if !inner.selection_set.node.items.is_empty() => {
                errors.push(format!("Field '{asked}' must not have a selection since it has no subfields."));
            }
            Some(_) => {}
        }
    }
}

/// The values of the variables that an operation names.
fn variables(operation: &OperationDefinition, request: &Json) -> Result<Map<String, Json>, String> {
    let sent = request.get("variables");
    let mut values = Map::new();
    for definition in &operation.variable_definitions {
        let definition = &definition.node;
        let name = definition.name.node.as_str();
        let sent = sent.and_then(|sent| sent.get(name)).filter(|value| !value.is_null()).cloned();
        let default = || {
            let default = definition.default_value.as_ref()?;
            default.node.clone().into_json().ok()
        };
        match sent.or_else(default) {
            Some(value) => {
                values.insert(name.to_owned(), value);
            }
            None if !definition.var_type.node.nullable => {
                let kind = &definition.var_type.node;
                return Err(format!("Variable '${name}' of required type '{kind}' was not provided."));
            }
            None => {}
        }
    }
    Ok(values)
}

/// The input of a field at the root, checked against its type.
fn input(field: &Field, root: &Root, variables: &Map<String, Json>) -> Result<Json, String> {
    let argument = if root.input.fields.is_empty() { "inputString" } else { "input" };
    if let Some((other, _)) = field.arguments.iter().find(|(name, _)| name.node != argument) {
        return Err(format!("Unknown argument '{}' on field '{}'.", other.node, root.name));
    }
    let Some((_, value)) = field.arguments.first() else {
        return Err(format!("Field '{}' needs the argument '{argument}'.", root.name));
    };
    let of_variable = |name: Name| match variables.get(name.as_str()) {
        Some(value) => ConstValue::from_json(value.clone()).map_err(|error| error.to_string()),
        None => Ok(ConstValue::Null),
    };
    let value = value.node.clone().into_const_with(of_variable)?;
    let value = value.into_json().map_err(|error| error.to_string())?;
    if root.input.fields.is_empty() {
        return Ok(value);
    }
    checked(value, &root.input)
}

fn checked(value: Json, of: &Input) -> Result<Json, String> {
    let Json::Object(fields) = value else {
        return Err(format!("Expected a value of type '{}', found {value}.", of.name));
    };
    for (name, value) in &fields {
        let Some((_, kind)) = of.fields.iter().find(|(known, _)| known == name) else {
            return Err(format!("Field '{name}' is not defined by type '{}'.", of.name));
        };
        let fits = match kind {
            Value::Text | Value::Name => value.is_string(),
            Value::Texts => match value {
                Json::Array(items) => items.iter().all(Json::is_string),
                other => other.is_string(),
            },
            Value::Int => value.is_i64(),
            Value::Long => value.is_i64() || value.as_str().is_some_and(|text| text.parse::<i64>().is_ok()),
        };
        if !fits && !value.is_null() {
            let kind = match kind {
                Value::Text | Value::Texts => "String",
                Value::Name => "Enum",
                Value::Int => "Int",
                Value::Long => "LongString",
            };
            return Err(format!("{kind} cannot represent the value {value} of '{name}'."));
        }
    }
    Ok(Json::Object(fields))
}

/// The fields of an object that were asked for.
fn object(
    value: &Json,
    of: &Type,
    selection: &SelectionSet,
    fragments: &HashMap<Name, Positioned<FragmentDefinition>>,
) -> Json {
    let mut shown = Map::new();
    for field in flat(selection, fragments, of.name) {
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
                fragment R on MlflowRun { info { id: runId status } experiment { name } }",
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
                "Field 'bogus' is not defined by type 'MlflowGetRunInput'.",
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
