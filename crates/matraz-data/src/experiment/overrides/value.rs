//! Values of overrides: plain words with the types that they look like, quoted texts, lists, mappings, and the functions
//! that stand for several values.

use matraz_base::{Map, Value};

use super::function::{self, Argument};

/// What stands behind the `=`.
#[derive(Clone, Debug, PartialEq)]
pub enum Element {
    /// One value.
    One(Value),
    /// The values of a sweep, as texts.
    Many(Vec<String>),
}

/// Reads what stands behind the `=`. The error says what is wrong.
pub fn parse(text: &str) -> Result<Element, String> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let mut elements = Vec::new();
    loop {
        let start = parser.at;
        let element = parser.element()?;
        elements.push((element, text[start..parser.at].trim().to_owned()));
        match parser.peek() {
            Some(',') => parser.at += 1,
            None => break,
            Some(other) => return Err(format!("unexpected `{other}`")),
        }
    }
    match elements.len() {
        1 => Ok(elements.remove(0).0),
        _ => elements
            .into_iter()
            .map(|(element, text)| match element {
                Element::One(_) if !text.is_empty() => Ok(text),
                Element::One(_) => Err("a value of the sweep is missing".into()),
                Element::Many(_) => Err("a sweep inside of a sweep".into()),
            })
            .collect::<Result<_, _>>()
            .map(Element::Many),
    }
}

/// Lists and mappings may be nested this deep.
const DEEPEST: usize = 50;

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.skip_space();
        let there = self.peek() == Some(wanted);
        if there {
            self.at += wanted.len_utf8();
        }
        there
    }

    fn element(&mut self) -> Result<Element, String> {
        self.skip_space();
        let rest = &self.text[self.at..];
        let word = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        if word > 0 && rest[word..].starts_with('(') {
            let name = rest[..word].to_owned();
            self.at += word + 1;
            let element = self.call(&name)?;
            self.skip_space();
            return Ok(element);
        }
        let value = self.value()?;
        self.skip_space();
        Ok(Element::One(value))
    }

    fn value(&mut self) -> Result<Value, String> {
        self.skip_space();
        match self.peek() {
            Some(quote @ ('\'' | '"')) => self.quoted(quote).map(Value::Str),
            Some('[') => self.list(),
            Some('{') => self.map(),
            _ => self.plain(),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, String> {
        self.at += 1;
        let mut out = String::new();
        let mut slashes = 0;
        while let Some(c) = self.peek() {
            self.at += c.len_utf8();
            match c {
                '\\' => slashes += 1,
                // Only before a quote do backslashes mean anything.
                c if c == quote => {
                    out.extend(std::iter::repeat_n('\\', slashes / 2));
                    if slashes % 2 == 0 {
                        return Ok(out);
                    }
                    slashes = 0;
                    out.push(quote);
                }
                c => {
                    out.extend(std::iter::repeat_n('\\', slashes));
                    slashes = 0;
                    out.push(c);
                }
            }
        }
        Err("a quote is open at the end".into())
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEEPEST { Err("nested too deeply".into()) } else { Ok(()) }
    }

    fn list(&mut self) -> Result<Value, String> {
        self.deeper()?;
        self.at += 1;
        let mut items = Vec::new();
        if !self.eat(']') {
            loop {
                items.push(self.value()?);
                if self.eat(']') {
                    break;
                }
                if !self.eat(',') {
                    return Err("a `]` is missing".into());
                }
            }
        }
        self.depth -= 1;
        Ok(Value::List(items))
    }

    fn map(&mut self) -> Result<Value, String> {
        self.deeper()?;
        self.at += 1;
        let mut map = Map::new();
        if !self.eat('}') {
            loop {
                self.skip_space();
                let key = match self.peek() {
                    Some(quote @ ('\'' | '"')) => self.quoted(quote)?,
                    _ => self.word(":,]}[{()=")?.0,
                };
                if key.is_empty() || !self.eat(':') {
                    return Err("a mapping needs `key: value`".into());
                }
                let value = self.value()?;
                map.insert(key, value);
                if self.eat('}') {
                    break;
                }
                if !self.eat(',') {
                    return Err("a `}` is missing".into());
                }
            }
        }
        self.depth -= 1;
        Ok(Value::Map(map))
    }

    fn plain(&mut self) -> Result<Value, String> {
        let (text, escaped) = self.word(",]}[{()=")?;
        Ok(if escaped { Value::Str(text) } else { typed(&text) })
    }

    /// A text without quotes up to one of `ends`, and whether something in it was escaped.
    fn word(&mut self, ends: &str) -> Result<(String, bool), String> {
        let mut out = String::new();
        let mut escaped = false;
        while let Some(c) = self.peek() {
            if ends.contains(c) {
                break;
            }
            self.at += c.len_utf8();
            match c {
                '\\' if self.peek().is_some_and(|next| "\\()[]{}:=, \t".contains(next)) => {
                    escaped = true;
                    out.extend(self.peek());
                    self.at += 1;
                }
                '$' if self.peek() == Some('{') => {
                    let end = self.text[self.at..].find('}').ok_or("a `${` is open at the end")?;
                    out.push_str(&self.text[self.at - 1..=self.at + end]);
                    self.at += end + 1;
                }
                c if c.is_ascii_alphanumeric() || "_/-\\+.$%*@?|: \t".contains(c) => out.push(c),
                c => return Err(format!("`{c}` needs quotes")),
            }
        }
        Ok((out.trim().to_owned(), escaped))
    }

    /// A function, behind its opening bracket.
    fn call(&mut self, name: &str) -> Result<Element, String> {
        self.deeper()?;
        let mut arguments = Vec::new();
        if !self.eat(')') {
            loop {
                self.skip_space();
                let rest = &self.text[self.at..];
                let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
                let is_named = end > 0 && rest[end..].starts_with('=');
                let key = is_named.then(|| rest[..end].to_owned());
                self.at += key.as_ref().map_or(0, |key| key.len() + 1);
                self.skip_space();
                let start = self.at;
                let element = self.element()?;
                let text = self.text[start..self.at].trim().to_owned();
                arguments.push(Argument { key, element, text });
                if self.eat(')') {
                    break;
                }
                if !self.eat(',') {
                    return Err("a `)` is missing".into());
                }
            }
        }
        self.depth -= 1;
        function::evaluate(name, arguments).map_err(|reason| match name {
            "glob" => format!("Glob override '{}' is not supported.", self.text),
            _ => reason,
        })
    }
}

/// The value that a plain word looks like.
pub fn typed(text: &str) -> Value {
    match text.to_ascii_lowercase().as_str() {
        "null" => return Value::Null,
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let whole = is_whole(digits);
    if whole {
        let plain = text.replace('_', "");
        let plain = plain.strip_prefix('+').unwrap_or(&plain);
        return plain.parse().map_or_else(|_| Value::BigInt(plain.to_owned()), Value::Int);
    }
    if is_real(digits)
        && let Ok(x) = text.replace('_', "").parse()
    {
        return Value::Float(x);
    }
    Value::Str(text.to_owned())
}

/// `0`, or digits that do not begin with 0, perhaps with single `_` between them.
fn is_whole(digits: &str) -> bool {
    digits == "0" || (digits.starts_with(|c: char| ('1'..='9').contains(&c)) && is_digits(digits))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('_')
        && !text.ends_with('_')
        && !text.contains("__")
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
}

fn is_real(text: &str) -> bool {
    if ["inf", "nan"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return true;
    }
    let (number, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let exponent_fits = exponent.is_none_or(|text| is_digits(text.strip_prefix(['+', '-']).unwrap_or(text)));
    let number_fits = match number.split_once('.') {
        Some((whole, part)) => {
            (whole.is_empty() || is_digits(whole))
                && (part.is_empty() || is_digits(part))
                && !(whole.is_empty() && part.is_empty())
        }
        None => exponent.is_some() && is_digits(number),
    };
    number_fits && exponent_fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_the_types_that_they_look_like() {
        for (text, shown) in [
            ("1", "Int(1)"),
            ("-1_000", "Int(-1000)"),
            ("007", "Str(\"007\")"),
            ("1e-3", "Float(0.001)"),
            (".5", "Float(0.5)"),
            ("1.", "Float(1.0)"),
            ("inf", "Float(inf)"),
            ("Null", "Null"),
            ("TRUE", "Bool(true)"),
            ("yes", "Str(\"yes\")"),
            ("a/b-c.d", "Str(\"a/b-c.d\")"),
            ("10:30", "Str(\"10:30\")"),
            ("e5", "Str(\"e5\")"),
        ] {
            assert_eq!(format!("{:?}", parse(text)), format!("Ok(One({shown}))"), "{text}");
        }
    }

    #[test]
    fn quotes_and_backslashes() {
        let one = |text: &str| match parse(text) {
            Ok(Element::One(Value::Str(text))) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(one(r"'it\'s'"), "it's");
        assert_eq!(one(r#""a\\b\n""#), r"a\\b\n");
        assert_eq!(one(r"a\,b\ "), "a,b");
        assert_eq!(one("''"), "");
    }
}
