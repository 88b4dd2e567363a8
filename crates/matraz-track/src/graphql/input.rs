//! The values of a request: of its variables, and of the arguments of the fields at the root.

use async_graphql_parser::types::{BaseType, Field, OperationDefinition, Type as Declared};
use async_graphql_value::{ConstValue, Name, Value as Literal};
use serde_json::{Map, Value as Json};

use super::schema::{Input, MUTATIONS, QUERIES, Root, VIEW_TYPE, VIEWS, Value};

/// The type of a variable.
#[derive(Clone, Copy)]
enum Shape {
    Plain(Value),
    Object(&'static Input),
}

/// A variable that an operation declares.
pub(super) struct Variable {
    name: String,
    /// As it is declared, without the sign that it must be there.
    kind: String,
    /// `None` when it was not sent and has no default.
    value: Option<Json>,
}

/// The values of the variables that an operation declares.
pub(super) fn variables(operation: &OperationDefinition, request: &Json) -> Result<Vec<Variable>, String> {
    let sent = request.get("variables");
    let mut variables = Vec::new();
    for definition in &operation.variable_definitions {
        let definition = &definition.node;
        let name = definition.name.node.to_string();
        let declared = &definition.var_type.node;
        let shape = shape(declared)?;
        let required = !declared.nullable;
        let default = definition.default_value.as_ref().and_then(|value| value.node.clone().into_json().ok());
        let value = match sent.and_then(|sent| sent.get(&name)).cloned() {
            Some(Json::Null) if required => {
                return Err(format!("Variable '${name}' of non-null type '{declared}' must not be null."));
            }
            Some(value) => Some(coerced(&value, shape, &name).map_err(|(value, place, why)| {
                let at = if place == name { String::new() } else { format!(" at '{place}'") };
                format!("Variable '${name}' got invalid value {}{at}; {why}", shown(&value))
            })?),
            None if default.is_none() && required => {
                return Err(format!("Variable '${name}' of required type '{declared}' was not provided."));
            }
            None => default,
        };
        variables.push(Variable { name, kind: declared.to_string().trim_end_matches('!').to_owned(), value });
    }
    Ok(variables)
}

/// The type that a declaration names.
fn shape(declared: &Declared) -> Result<Shape, String> {
    let (name, list) = match &declared.base {
        BaseType::Named(name) => (name.as_str(), false),
        BaseType::List(inner) => match &inner.base {
            BaseType::Named(name) => (name.as_str(), true),
            BaseType::List(_) => return Err(format!("Unknown type '{}'.", declared.base)),
        },
    };
    let mut inputs = QUERIES.iter().chain(MUTATIONS).map(|root| &root.input);
    Ok(match name {
        "String" if list => Shape::Plain(Value::Texts),
        "String" => Shape::Plain(Value::Text),
        "Int" => Shape::Plain(Value::Int),
        "LongString" => Shape::Plain(Value::Long),
        VIEW_TYPE => Shape::Plain(Value::Name),
        _ => match inputs.find(|input| input.name == name) {
            Some(input) => Shape::Object(input),
            None => return Err(format!("Unknown type '{name}'.")),
        },
    })
}

/// The wrong value, where it is, and what is wrong with it.
type Misfit = (Json, String, String);

/// A value in the form that its type has: a single text for a list is a list of one.
fn coerced(value: &Json, shape: Shape, place: &str) -> Result<Json, Misfit> {
    match shape {
        _ if value.is_null() => Ok(Json::Null),
        Shape::Plain(kind) => plain(value, kind).map_err(|why| (value.clone(), place.to_owned(), why)),
        Shape::Object(of) => {
            let Json::Object(fields) = value else {
                let why = format!("Expected type '{}' to be a mapping.", of.name);
                return Err((value.clone(), place.to_owned(), why));
            };
            let mut object = Map::new();
            for (name, inner) in fields {
                let Some((_, kind)) = of.fields.iter().find(|(known, _)| known == name) else {
                    let why = format!("Field '{name}' is not defined by type '{}'.", of.name);
                    return Err((value.clone(), place.to_owned(), why));
                };
                let inner = coerced(inner, Shape::Plain(*kind), &format!("{place}.{name}"))?;
                object.insert(name.clone(), inner);
            }
            Ok(Json::Object(object))
        }
    }
}

/// A value as Python writes it: that is the language of the messages.
fn shown(value: &Json) -> String {
    match value {
        Json::String(text) => format!("'{text}'"),
        Json::Null => "None".to_owned(),
        Json::Bool(true) => "True".to_owned(),
        Json::Bool(false) => "False".to_owned(),
        Json::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Json::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("'{name}': {}", shown(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        Json::Number(number) => number.to_string(),
    }
}

fn plain(value: &Json, kind: Value) -> Result<Json, String> {
    let fits = match kind {
        Value::Text => value.is_string(),
        Value::Texts => match value {
            Json::Array(items) => items.iter().all(Json::is_string),
            Json::String(_) => return Ok(Json::Array(vec![value.clone()])),
            _ => false,
        },
        Value::Int => value.is_i64(),
        Value::Long => value.is_i64() || value.as_str().is_some_and(|text| text.parse::<i64>().is_ok()),
        Value::Name => value.as_str().is_some_and(|name| VIEWS.contains(&name)),
    };
    match kind {
        _ if fits => Ok(value.clone()),
        Value::Text | Value::Texts => {
            Err(format!("String cannot represent a non string value: {}", shown(value)))
        }
        Value::Int => Err(format!("Int cannot represent non-integer value: {}", shown(value))),
        Value::Long => Err(format!("LongString cannot represent the value {}", shown(value))),
        Value::Name => match value.as_str() {
            Some(name) => Err(format!("Value '{name}' does not exist in '{VIEW_TYPE}' enum.")),
            None => Err(format!("Enum '{VIEW_TYPE}' cannot represent non-string value: {}.", shown(value))),
        },
    }
}

/// The input of a field at the root, checked against its type.
pub(super) fn input(
    field: &Field,
    root: &'static Root,
    variables: &[Variable],
    parent: &str,
) -> Result<Json, String> {
    let (argument, shape) = match root.input.fields {
        [] => ("inputString", Shape::Plain(Value::Text)),
        _ => ("input", Shape::Object(&root.input)),
    };
    if let Some((other, _)) = field.arguments.iter().find(|(name, _)| name.node != argument) {
        return Err(format!("Unknown argument '{}' on field '{parent}.{}'.", other.node, root.name));
    }
    let Some((_, value)) = field.arguments.first() else {
        return Err(format!("Field '{}' needs the argument '{argument}'.", root.name));
    };
    if let (Literal::Object(fields), Shape::Object(of)) = (&value.node, shape) {
        for (name, inner) in fields {
            if let Some((_, kind)) = of.fields.iter().find(|(known, _)| *known == name.as_str()) {
                check_place(inner, Shape::Plain(*kind), variables)?;
                // A text that looks like one of the names is no name, and the reverse.
                match (kind, inner) {
                    (Value::Name, Literal::String(text)) => {
                        return Err(format!(
                            "Enum '{VIEW_TYPE}' cannot represent non-enum value: \"{text}\"."
                        ));
                    }
                    (Value::Text | Value::Texts, Literal::Enum(word)) => {
                        return Err(format!("String cannot represent a non string value: {word}"));
                    }
                    _ => {}
                }
            }
        }
    }
    check_place(&value.node, shape, variables)?;
    let of_variable = |name: Name| {
        let found = variables.iter().find(|variable| variable.name == name.as_str());
        match found.and_then(|variable| variable.value.clone()) {
            Some(value) => ConstValue::from_json(value).map_err(|error| error.to_string()),
            None => Ok(ConstValue::Null),
        }
    };
    let value = value.node.clone().into_const_with(of_variable)?;
    let value = value.into_json().map_err(|error| error.to_string())?;
    match coerced(&value, shape, argument) {
        Ok(Json::Null) if !root.input.fields.is_empty() => {
            Err(format!("Expected a value of type '{}', found null.", root.input.name))
        }
        other => other.map_err(|(_, _, why)| why),
    }
}

/// Whether a variable may stand where it stands.
fn check_place(value: &Literal, shape: Shape, variables: &[Variable]) -> Result<(), String> {
    let Literal::Variable(name) = value else { return Ok(()) };
    let wanted = match shape {
        Shape::Object(input) => input.name,
        Shape::Plain(Value::Text) => "String",
        Shape::Plain(Value::Texts) => "[String]",
        Shape::Plain(Value::Int) => "Int",
        Shape::Plain(Value::Long) => "LongString",
        Shape::Plain(Value::Name) => VIEW_TYPE,
    };
    match variables.iter().find(|variable| variable.name == name.as_str()) {
        // `[String!]` goes where `[String]` is wanted.
        Some(variable) if variable.kind.replace('!', "") != wanted => Err(format!(
            "Variable '${name}' of type '{}' used in position expecting type '{wanted}'.",
            variable.kind
        )),
        _ => Ok(()),
    }
}
