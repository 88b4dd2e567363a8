//! The functions of overrides: those that stand for several values (`choice`, `range`), that order them (`sort`,
//! `shuffle`), and that change the type of a value (`int`, `float`, `str`, `bool`).

use std::cmp::Ordering;

use matraz_base::Value;
use matraz_base::value::python_float;

use super::super::name::random;
use super::value::{Element, typed};

/// An argument of a function.
pub struct Argument {
    /// Its name, when it is given by name.
    pub key: Option<String>,
    /// Its value.
    pub element: Element,
    /// The value as it is written.
    pub text: String,
}

/// What a call stands for. The error says what is wrong.
pub fn evaluate(name: &str, arguments: Vec<Argument>) -> Result<Element, String> {
    match name {
        "choice" => choice(arguments),
        "range" => {
            let number = |at: usize, key: &str| match argument(&arguments, at, key) {
                None => Ok(None),
                Some(Element::One(value @ (Value::Int(_) | Value::Float(_)))) => Ok(Some(value.clone())),
                Some(_) => Err("`range` takes numbers".to_owned()),
            };
            let (start, stop) = match (number(0, "start")?, number(1, "stop")?) {
                (Some(stop), None) => (Value::Int(0), stop),
                (start, Some(stop)) => (start.unwrap_or(Value::Int(0)), stop),
                (None, None) => return Err("`range` needs an end".into()),
            };
            range(&start, &stop, &number(2, "step")?.unwrap_or(Value::Int(1))).map(Element::Many)
        }
        "int" | "float" | "str" | "bool" => {
            let value = arguments.into_iter().next().ok_or_else(|| format!("`{name}` needs a value"))?;
            each(value.element, &|value| cast(name, value))
        }
        "sort" => {
            let backwards =
                argument(&arguments, usize::MAX, "reverse") == Some(&Element::One(Value::Bool(true)));
            in_order(name, arguments, &|values| {
                let mut wrong = None;
                values.sort_by(|a, b| {
                    order(a, b).unwrap_or_else(|| {
                        wrong = Some(format!("`{a}` and `{b}` have no order"));
                        Ordering::Equal
                    })
                });
                if backwards {
                    values.reverse();
                }
                wrong.map_or(Ok(()), Err)
            })
        }
        "shuffle" => in_order(name, arguments, &|values| {
            for n in (1..values.len()).rev() {
                values.swap(n, (random() % (n as u64 + 1)) as usize);
            }
            Ok(())
        }),
        // Tags are for sweepers of other kinds.
        "tag" => match arguments.into_iter().next_back().map(|last| last.element) {
            Some(sweep @ Element::Many(_)) => Ok(sweep),
            _ => Err("`tag` needs a sweep".into()),
        },
        "glob" => Err("a glob is not supported".into()),
        "interval" => Err("`interval` stands for no number of values; use `range` or `choice`".into()),
        other => Err(format!("the function `{other}` is not known")),
    }
}

fn argument<'a>(arguments: &'a [Argument], at: usize, key: &str) -> Option<&'a Element> {
    let by_name = arguments.iter().find(|one| one.key.as_deref() == Some(key));
    by_name.or_else(|| arguments.iter().filter(|one| one.key.is_none()).nth(at)).map(|one| &one.element)
}

fn choice(arguments: Vec<Argument>) -> Result<Element, String> {
    let mut texts = Vec::new();
    for one in arguments {
        if one.key.is_some() || matches!(one.element, Element::Many(_)) {
            return Err("`choice` takes values".into());
        }
        texts.push(one.text);
    }
    if texts.is_empty() { Err("`choice` needs values".into()) } else { Ok(Element::Many(texts)) }
}

/// Does the same with a value, with each of a list, or with each of a sweep.
fn each(element: Element, change: &dyn Fn(&Value) -> Result<Value, String>) -> Result<Element, String> {
    match element {
        Element::One(Value::List(items)) => {
            Ok(Element::One(Value::List(items.iter().map(change).collect::<Result<_, _>>()?)))
        }
        Element::One(value) => change(&value).map(Element::One),
        Element::Many(texts) => {
            let changed = texts.iter().map(|text| Ok(written(&change(&typed(unquoted(text)))?)));
            Ok(Element::Many(changed.collect::<Result<_, String>>()?))
        }
    }
}

/// Brings values into an order: several arguments are a sweep, and so are those of a sweep; one value is a list.
fn in_order(
    name: &str,
    arguments: Vec<Argument>,
    arrange: &dyn Fn(&mut Vec<Value>) -> Result<(), String>,
) -> Result<Element, String> {
    let mut plain: Vec<Argument> = arguments.into_iter().filter(|one| one.key.is_none()).collect();
    if plain.len() != 1 {
        let mut values = Vec::new();
        for one in plain {
            match one.element {
                Element::One(value) => values.push(value),
                Element::Many(_) => return Err(format!("`{name}` takes one sweep")),
            }
        }
        if values.is_empty() {
            return Err(format!("`{name}` needs values"));
        }
        arrange(&mut values)?;
        return Ok(Element::Many(values.iter().map(written).collect()));
    }
    match plain.remove(0).element {
        Element::Many(texts) => {
            let mut values: Vec<Value> = texts.iter().map(|text| typed(unquoted(text))).collect();
            arrange(&mut values)?;
            Ok(Element::Many(values.iter().map(written).collect()))
        }
        Element::One(Value::List(mut items)) => {
            arrange(&mut items)?;
            Ok(Element::One(Value::List(items)))
        }
        Element::One(value) => Ok(Element::One(Value::List(vec![value]))),
    }
}

fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Str(a), Value::Str(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

fn unquoted(text: &str) -> &str {
    let inner = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inner('\'').or_else(|| inner('"')).unwrap_or(text)
}

/// A value as it could stand in an override.
fn written(value: &Value) -> String {
    match value {
        Value::Str(text) if matches!(typed(text), Value::Str(_)) && text.chars().all(is_plain) => {
            text.clone()
        }
        Value::Str(text) => format!("'{}'", text.replace('\'', "\\'")),
        Value::Bool(truth) => truth.to_string(),
        Value::Null => "null".into(),
        Value::List(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(",")),
        Value::Map(map) => {
            let entries = map.iter().map(|(key, value)| format!("{key}:{}", written(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_/-+.".contains(c)
}

fn cast(name: &str, value: &Value) -> Result<Value, String> {
    let fail = || format!("`{value}` is no {name}");
    match (name, value) {
        ("str", value) => Ok(Value::Str(value.to_string())),
        ("int", Value::Bool(truth)) => Ok(Value::Int(i64::from(*truth))),
        ("int", Value::Float(x)) => Ok(Value::Int(x.trunc() as i64)),
        ("int", value) => value.to_string().trim().parse().map(Value::Int).map_err(|_| fail()),
        ("float", Value::Bool(truth)) => Ok(Value::Float(f64::from(u8::from(*truth)))),
        ("float", value) => value.to_string().trim().parse().map(Value::Float).map_err(|_| fail()),
        ("bool", Value::Str(text)) => match text.to_lowercase().as_str() {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(fail()),
        },
        ("bool", value) => {
            Ok(Value::Bool(value.as_f64().is_some_and(|x| x != 0.0) || *value == Value::Bool(true)))
        }
        _ => Err(fail()),
    }
}

/// More experiments than anybody wants from one command.
const MOST: usize = 100_000;

/// The numbers from `start` up to `stop`, which is not among them.
fn range(start: &Value, stop: &Value, step: &Value) -> Result<Vec<String>, String> {
    let real = |value: &Value| value.as_f64().unwrap_or(0.0);
    if real(step) == 0.0 {
        return Err("the step of a `range` cannot be 0".into());
    }
    let mut values = Vec::new();
    if let (Value::Int(start), Value::Int(stop), Value::Int(step)) = (start, stop, step) {
        let mut next = *start;
        while (*step > 0 && next < *stop) || (*step < 0 && next > *stop) {
            values.push(next.to_string());
            if values.len() > MOST {
                return Err("the `range` has too many values".into());
            }
            next += step;
        }
    } else {
        let (start, stop, step) = (real(start), real(stop), real(step));
        let mut next = start;
        while (step > 0.0 && next < stop) || (step < 0.0 && next > stop) {
            values.push(python_float(next));
            if values.len() > MOST {
                return Err("the `range` has too many values".into());
            }
            next += step;
        }
    }
    if values.is_empty() { Err("the `range` has no values".into()) } else { Ok(values) }
}

#[cfg(test)]
mod tests {
    use super::super::value::parse;
    use super::*;

    fn many(text: &str) -> String {
        match parse(text) {
            Ok(Element::Many(values)) => values.join(" | "),
            Ok(Element::One(value)) => format!("= {value}"),
            Err(why) => why,
        }
    }

    #[test]
    fn sweeps_list_their_values_as_texts() {
        assert_eq!(many("1,2"), "1 | 2");
        assert_eq!(many("[1,2],'a,b', x"), "[1,2] | 'a,b' | x");
        assert_eq!(many("choice(a, \"b c\",{d:1})"), "a | \"b c\" | {d:1}");
        assert_eq!(many("range(1,5)"), "1 | 2 | 3 | 4");
        assert_eq!(many("range(3)"), "0 | 1 | 2");
        assert_eq!(many("range(0,1,0.25)"), "0.0 | 0.25 | 0.5 | 0.75");
        assert_eq!(many("range(start=4,stop=0,step=-2)"), "4 | 2");
        for wrong in
            ["range(5,1)", "range(1,2,0)", "glob(a*)", "interval(1,2)", "nope(1)", "1,,2", "choice()"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sweeps_and_lists_are_ordered_and_cast() {
        for (text, expected) in [
            ("sort(3,1,2)", "1 | 2 | 3"),
            ("sort(range(1,4),reverse=true)", "3 | 2 | 1"),
            ("sort(choice(b,a))", "a | b"),
            ("sort([3,1,2])", "= [1, 2, 3]"),
            ("shuffle(1)", "= [1]"),
            ("shuffle(range(1,2))", "1"),
            ("int(choice(1.5,2.5))", "1 | 2"),
            ("int([1.5,2])", "= [1, 2]"),
            ("str([1,2])", "= ['1', '2']"),
            ("str(choice(1,2))", "'1' | '2'"),
            ("tag(a,choice(1,2))", "1 | 2"),
        ] {
            assert_eq!(many(text), expected, "{text}");
        }
        assert_eq!(many("shuffle(1,2,3,4)").split(" | ").count(), 4);
        for wrong in ["sort(b,1)", "sort()", "choice(choice(1,2))", "int(a)", "tag(a,b)"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
