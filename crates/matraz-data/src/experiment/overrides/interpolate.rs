//! `${a.b}` in values: where parameters are changed, it becomes the value that it names, as in Hydra's configurations.

use matraz_base::{Map, Value};

use super::apply::{find, parts};

/// Values may name one another through so many steps.
const DEEPEST: usize = 30;

/// The parameters with all names resolved. The error says which one cannot be.
pub fn resolved(root: &Value) -> Result<Value, String> {
    value(root, root, &mut Vec::new(), 0)
}

/// `at` is the place of `value`.
fn value(root: &Value, value: &Value, at: &mut Vec<String>, depth: usize) -> Result<Value, String> {
    if depth > DEEPEST {
        return Err(format!("'{}' names itself", at.join(".")));
    }
    let mut inside = |key: String, item: &Value| {
        at.push(key);
        let done = self::value(root, item, at, depth);
        at.pop();
        done
    };
    Ok(match value {
        Value::Map(map) => {
            let mut done = Map::new();
            for (key, item) in map {
                done.insert(key.clone(), inside(key.clone(), item)?);
            }
            Value::Map(done)
        }
        Value::List(items) => {
            let each = items.iter().enumerate().map(|(n, item)| inside(n.to_string(), item));
            Value::List(each.collect::<Result<_, _>>()?)
        }
        Value::Str(text) if text.contains("${") => self::text(root, text, at, depth)?,
        other => other.clone(),
    })
}

fn text(root: &Value, text: &str, at: &[String], depth: usize) -> Result<Value, String> {
    let mut done = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, behind) = rest.split_at(start);
        if let Some(before) = before.strip_suffix('\\') {
            done.push_str(before);
            done.push_str("${");
            rest = &behind[2..];
            continue;
        }
        let end = end_of_name(behind).ok_or_else(|| format!("a `${{` is open at the end of '{text}'"))?;
        let found = named(root, &behind[2..end], at, depth)?;
        if done.is_empty() && before.is_empty() && end + 1 == behind.len() {
            return Ok(found);
        }
        done.push_str(before);
        done.push_str(&found.to_string());
        rest = &behind[end + 1..];
    }
    done.push_str(rest);
    Ok(Value::Str(done))
}

/// Where the `}` is that ends the name at the beginning of the text.
fn end_of_name(text: &str) -> Option<usize> {
    let mut open = 0;
    for (n, c) in text.char_indices() {
        match c {
            '{' => open += 1,
            '}' if open == 1 => return Some(n),
            '}' => open -= 1,
            _ => {}
        }
    }
    None
}

/// The value that a name stands for: `a.b[0]` from the top, `.a` beside the value at `at`, `..a` above that.
fn named(root: &Value, name: &str, at: &[String], depth: usize) -> Result<Value, String> {
    let name = match name.contains("${") {
        true => text(root, name, at, depth + 1)?.to_string(),
        false => name.to_owned(),
    };
    let name = name.trim();
    if let Some((resolver, _)) = name.split_once(':') {
        return Err(format!("`${{{name}}}`: the resolver `{resolver}` is not supported"));
    }
    let dots = name.bytes().take_while(|byte| *byte == b'.').count();
    let mut place: Vec<String> = match dots {
        0 => Vec::new(),
        dots => at.get(..at.len().saturating_sub(dots)).unwrap_or_default().to_vec(),
    };
    place.extend(parts(&name[dots..]));
    let found =
        find(root, &place).ok_or_else(|| format!("there is no '{}' for `${{{name}}}`", place.join(".")))?;
    value(root, found, &mut place.clone(), depth + 1)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::stage::params;

    fn after(text: &str) -> Result<String, String> {
        let root = params::parse(Path::new("p.yaml"), text).unwrap();
        resolved(&root).map(|value| value.to_string())
    }

    #[test]
    fn names_become_values() {
        let text = "lr: 0.5\nl: [1, '${lr}']\ncopy: ${lr}\nname: run-${lr}-${l[1]}\nesc: \\${lr}\nkey: lr\n\
                    by: ${${key}}\nnet: {a: 1, b: '${.a}', c: '${..lr}', all: '${l}'}\n";
        assert_eq!(
            after(text).unwrap(),
            "{'lr': 0.5, 'l': [1, 0.5], 'copy': 0.5, 'name': 'run-0.5-0.5', 'esc': '${lr}', 'key': 'lr', 'by': 0.5, \
             'net': {'a': 1, 'b': 1, 'c': 0.5, 'all': [1, 0.5]}}"
        );
        for (wrong, word) in [
            ("a: ${b}", "no 'b'"),
            ("a: ${a}", "names itself"),
            ("a: ${oc.env:HOME}", "oc.env"),
            ("a: ${b", "open"),
        ] {
            let why = after(wrong).unwrap_err();
            assert!(why.contains(word), "{wrong}: {why}");
        }
    }
}
