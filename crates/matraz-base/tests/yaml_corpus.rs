//! Reads and writes a corpus whose answers were made by `ruamel.yaml` (as DVC sets it up) and `PyYAML`.
//!
//! Each line is one case: `{"read", "text", "value"}` for a plain scalar, `{"write", "value", "yaml"}` for a
//! document. Floats, large integers, dates and mappings are spelled out as `{"!float": "…"}` and so on.

#![expect(clippy::unwrap_used, reason = "a fixture that does not read must fail the test")]

use matraz_base::yaml::{Dialect, parse_with, write_with};
use matraz_base::{Map, Value};
use serde_json::Value as Json;

fn dialect(name: &Json) -> Dialect {
    if name == "ruamel" { Dialect::Ruamel12 } else { Dialect::PyYaml11 }
}

fn decode(json: &Json) -> Value {
    let Json::Object(object) = json else {
        return match json {
            Json::Array(items) => Value::List(items.iter().map(decode).collect()),
            other => Value::from(other),
        };
    };
    let (tag, inner) = object.iter().next().unwrap();
    let text = inner.as_str().unwrap_or_default();
    match tag.as_str() {
        "!int" => text.parse().map(Value::Int).unwrap_or(Value::BigInt(text.to_owned())),
        "!float" => Value::Float(text.parse().unwrap()),
        "!date" => Value::Date(text.to_owned()),
        _ => Value::Map(
            inner
                .as_array()
                .unwrap()
                .iter()
                .map(|pair| (pair[0].as_str().unwrap().to_owned(), decode(&pair[1])))
                .collect::<Map>(),
        ),
    }
}

fn cases() -> Vec<Json> {
    let path = std::env::var("YAML_CORPUS").unwrap_or("tests/yaml/corpus.jsonl".into());
    std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn plain_scalars_mean_what_they_mean_to_python() {
    let mut wrong = Vec::new();
    for case in cases().iter().filter(|case| case.get("read").is_some()) {
        let text = case["text"].as_str().unwrap();
        let parsed = parse_with(&format!("k: {text}\n"), dialect(&case["read"]));
        let read = parsed.map(|node| format!("{:?}", node.get("k").unwrap().to_value()));
        let expected =
            if case["value"] == "!error" { None } else { Some(format!("{:?}", decode(&case["value"]))) };
        match (&read, &expected) {
            (_, None) => {}
            (Ok(read), Some(expected)) if read == expected => {}
            _ => wrong.push(format!("{} {text:?}: read {read:?}, expected {expected:?}", case["read"])),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn documents_are_written_byte_for_byte_as_python_does() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for case in cases().iter().filter(|case| case.get("write").is_some()) {
        count += 1;
        let value = decode(&case["value"]);
        let written = write_with(&value, dialect(&case["write"]));
        // `lossy`: Python does not read back what it wrote. There another text will do if it reads back.
        let reads_back = || {
            let read = parse_with(&written, dialect(&case["write"]));
            read.is_ok_and(|read| format!("{:?}", read.to_value()) == format!("{value:?}"))
        };
        if case["yaml"] != written.as_str() && !(case.get("lossy").is_some() && reads_back()) {
            wrong.push(format!(
                "{}\nexpected {:?}\nwritten  {written:?}",
                case["write"],
                case["yaml"].as_str().unwrap()
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {count} differ\n{}",
        wrong.len(),
        wrong[..wrong.len().min(12)].join("\n\n")
    );
}

#[test]
fn what_is_written_reads_back_equal() {
    // `lossy`: a case where Python itself does not read back what it wrote.
    for case in cases().iter().filter(|case| case.get("write").is_some() && case.get("lossy").is_none()) {
        let value = decode(&case["value"]);
        let which = dialect(&case["write"]);
        let text = write_with(&value, which);
        let read = parse_with(&text, which).unwrap_or_else(|error| panic!("{error:?} in\n{text}"));
        assert_eq!(format!("{:?}", read.to_value()), format!("{value:?}"), "{text}");
    }
}
