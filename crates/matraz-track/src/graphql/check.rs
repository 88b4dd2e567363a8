//! Whether a request keeps to the schema: its fields, fragments, directives and variables. Nothing is answered before.
//!
//! The messages are those of the library that MLflow answers with.

use std::collections::HashSet;

use async_graphql_parser::Positioned;
use async_graphql_parser::types::{Directive, Field, OperationDefinition, Selection, SelectionSet};
use async_graphql_value::Value as Literal;

use super::Fragments;
use super::schema::{Kind, Root, Type};

/// The only directive of the schema; it names the part of the web app that asks.
const DIRECTIVE: &str = "component";

/// What fields are asked of.
#[derive(Clone, Copy)]
enum Parent {
    Root(&'static [Root], &'static str),
    Type(&'static Type),
}

impl Parent {
    fn name(self) -> &'static str {
        match self {
            Self::Root(_, name) => name,
            Self::Type(of) => of.name,
        }
    }
}

struct Check<'d> {
    fragments: &'d Fragments,
    used_fragments: HashSet<&'d str>,
    /// The fragments around the place that is looked at: none of them may come again.
    around: Vec<&'d str>,
    used_variables: Vec<&'d str>,
    errors: Vec<String>,
}

/// Everything that is wrong with an operation.
pub(super) fn faults(
    operation: &OperationDefinition,
    name: Option<&str>,
    (roots, root_name): (&'static [Root], &'static str),
    fragments: &Fragments,
) -> Vec<String> {
    let mut check = Check {
        fragments,
        used_fragments: HashSet::new(),
        around: Vec::new(),
        used_variables: Vec::new(),
        errors: Vec::new(),
    };
    check.directives(&operation.directives);
    check.selection(&operation.selection_set.node, Parent::Root(roots, root_name));
    let Check { used_fragments, used_variables, mut errors, .. } = check;
    let mut unused: Vec<&str> = fragments.keys().map(|name| name.as_str()).collect();
    unused.retain(|name| !used_fragments.contains(name));
    unused.sort_unstable();
    errors.extend(unused.iter().map(|name| format!("Fragment '{name}' is never used.")));
    let defined: Vec<&str> =
        operation.variable_definitions.iter().map(|it| it.node.name.node.as_str()).collect();
    let (by, within) = name.map_or_else(Default::default, |name| {
        (format!(" by operation '{name}'"), format!(" in operation '{name}'"))
    });
    for used in &used_variables {
        if !defined.contains(used) {
            errors.push(format!("Variable '${used}' is not defined{by}."));
        }
    }
    for name in defined {
        if !used_variables.contains(&name) {
            errors.push(format!("Variable '${name}' is never used{within}."));
        }
    }
    let mut seen = HashSet::new();
    errors.retain(|error| seen.insert(error.clone()));
    errors
}

impl<'d> Check<'d> {
    fn directives(&mut self, directives: &'d [Positioned<Directive>]) {
        for directive in directives {
            if directive.node.name.node != DIRECTIVE {
                self.errors.push(format!("Unknown directive '@{}'.", directive.node.name.node));
            }
            for (_, value) in &directive.node.arguments {
                self.variables_in(&value.node);
            }
        }
    }

    fn variables_in(&mut self, value: &'d Literal) {
        match value {
            Literal::Variable(name) => self.used_variables.push(name.as_str()),
            Literal::List(items) => items.iter().for_each(|item| self.variables_in(item)),
            Literal::Object(fields) => fields.values().for_each(|field| self.variables_in(field)),
            _ => {}
        }
    }

    fn selection(&mut self, selection: &'d SelectionSet, of: Parent) {
        for item in &selection.items {
            self.directives(item.node.directives());
            match &item.node {
                Selection::Field(field) => self.field(&field.node, of),
                Selection::InlineFragment(fragment) => {
                    let on = fragment.node.type_condition.as_ref().map(|on| on.node.on.node.as_str());
                    if self.fits("Fragment", on, of) {
                        self.selection(&fragment.node.selection_set.node, of);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    let Some(fragment) = self.fragments.get(name) else {
                        self.errors.push(format!("Unknown fragment '{name}'."));
                        continue;
                    };
                    self.used_fragments.insert(name);
                    if self.around.contains(&name) {
                        self.errors.push(format!("Cannot spread fragment '{name}' within itself."));
                        continue;
                    }
                    self.directives(&fragment.node.directives);
                    let on = fragment.node.type_condition.node.on.node.as_str();
                    if self.fits(&format!("Fragment '{name}'"), Some(on), of) {
                        self.around.push(name);
                        self.selection(&fragment.node.selection_set.node, of);
                        self.around.pop();
                    }
                }
            }
        }
    }

    /// Whether a fragment is about the type that it stands in.
    fn fits(&mut self, what: &str, on: Option<&str>, of: Parent) -> bool {
        match on {
            Some(on) if on != of.name() => {
                self.errors.push(if super::schema::has_type(on) {
                    let parent = of.name();
                    format!("{what} cannot be spread here as objects of type '{parent}' can never be of type '{on}'.")
                } else {
                    format!("Unknown type '{on}'.")
                });
                false
            }
            _ => true,
        }
    }

    fn field(&mut self, field: &'d Field, of: Parent) {
        let name = field.name.node.as_str();
        let selection = &field.selection_set.node;
        for (_, value) in &field.arguments {
            self.variables_in(&value.node);
        }
        let inner = match of {
            _ if name == "__typename" => None,
            Parent::Root(roots, _) => match roots.iter().find(|root| root.name == name) {
                Some(root) => Some(root.answer),
                None => return self.unknown_field(name, of),
            },
            Parent::Type(of_type) => match of_type.fields.iter().find(|(known, _)| *known == name) {
                Some((_, Kind::One(inner) | Kind::Maybe(inner) | Kind::Many(inner))) => Some(*inner),
                Some(_) => None,
                None => return self.unknown_field(name, of),
            },
        };
        if let (Parent::Type(_), Some((argument, _))) = (of, field.arguments.first()) {
            self.errors.push(format!(
                "Unknown argument '{}' on field '{}.{name}'.",
                argument.node,
                of.name()
            ));
        }
        match inner {
            Some(inner) if selection.items.is_empty() => self.errors.push(format!(
                "Field '{name}' of type '{}' must have a selection of subfields. Did you mean '{name} {{ ... }}'?",
                inner.name
            )),
            Some(inner) => self.selection(selection, Parent::Type(inner)),
            None if !selection.items.is_empty() => self
                .errors
                .push(format!("Field '{name}' must not have a selection since it has no subfields.")),
            None => {}
        }
    }

    fn unknown_field(&mut self, name: &str, of: Parent) {
        self.errors.push(format!("Cannot query field '{name}' on type '{}'.", of.name()));
    }
}
