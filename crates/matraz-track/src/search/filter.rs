//! The grammar of filters: clauses joined by `AND`, each `name operator value`.
//!
//! ```text
//! filter  = clause { AND clause }
//! clause  = name ( "=" | "!=" | "<" | "<=" | ">" | ">=" | LIKE | ILIKE | RLIKE ) value
//!         | name [NOT] IN "(" text { "," text } ")"
//!         | name IS [NOT] NULL
//! name    = [ prefix "." { word "." } ] ( word { "." word } | "`" any "`" | '"' any '"' )
//! value   = number | "'" any "'" | '"' any '"'
//! ```
//! Keywords are read in any case. A doubled quote inside a text stands for one.

use winnow::ascii::{Caseless, multispace0, multispace1};
use winnow::combinator::{alt, cut_err, eof, fail, not, opt, peek, preceded, terminated};
use winnow::error::{ContextError, ErrMode, StrContext, StrContextValue};
use winnow::prelude::*;
use winnow::stream::{LocatingSlice, Location as _};
use winnow::token::{one_of, take_till, take_while};

use super::Fault;

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Clause {
    /// What is compared.
    pub name: Name,
    /// How.
    pub operator: Operator,
    /// The byte at which the operator starts.
    pub operator_at: usize,
    /// With what; nothing for `IS NULL` and `IS NOT NULL`.
    pub value: Option<Value>,
    /// The byte at which the value starts.
    pub value_at: usize,
}

/// A name in front of an operator, or in an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The part before the first dot, as `metrics`; nothing for a bare name.
    pub prefix: Option<String>,
    /// The rest, without its quotes.
    pub key: String,
    /// Whether the key was quoted.
    pub quoted: bool,
    /// The byte at which the name starts.
    pub at: usize,
    /// The byte at which the key starts.
    pub key_at: usize,
}

/// How a name is compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `LIKE`: `%` any text, `_` any character, minding case.
    Like,
    /// `ILIKE`: the same, not minding case.
    Ilike,
    /// `RLIKE`: a regular expression matches a part.
    Rlike,
    /// `IN`
    In,
    /// `NOT IN`
    NotIn,
    /// `IS NULL`
    IsNull,
    /// `IS NOT NULL`
    IsNotNull,
}

impl Operator {
    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Like => "LIKE",
            Self::Ilike => "ILIKE",
            Self::Rlike => "RLIKE",
            Self::In => "IN",
            Self::NotIn => "NOT IN",
            Self::IsNull => "IS NULL",
            Self::IsNotNull => "IS NOT NULL",
        }
    }
}

/// The operators for numbers.
pub const FOR_NUMBERS: &[Operator] = &[
    Operator::Equal,
    Operator::NotEqual,
    Operator::Less,
    Operator::LessOrEqual,
    Operator::Greater,
    Operator::GreaterOrEqual,
];

/// A value on the right side.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A quoted text.
    Text(String),
    /// A number, and whether it was written without point and exponent.
    Number(f64, bool),
    /// Quoted texts in parentheses.
    List(Vec<String>),
}

impl Value {
    /// How the value is called in messages.
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Text(_) => "a quoted text",
            Self::Number(..) => "a number",
            Self::List(_) => "a list",
        }
    }
}

type Input<'t> = LocatingSlice<&'t str>;

/// The most comparisons of a filter. Databases bound the depth of an expression (SQLite: 1000).
const MOST_CLAUSES: usize = 200;

/// Reads a filter. An empty one has no clauses; one of blanks is a mistake, as with MLflow.
pub fn parse(text: &str) -> Result<Vec<Clause>, Fault> {
    if !text.is_empty() && text.trim().is_empty() {
        return Err(Fault::new("expected a comparison, found the end".to_owned(), text.len()));
    }
    let clauses = filter.parse(LocatingSlice::new(text)).map_err(|error| {
        let at = error.offset();
        let expected = error.inner().context().find_map(|context| match context {
            StrContext::Expected(StrContextValue::Description(text)) => Some(*text),
            _ => None,
        });
        Fault::new(message(expected.unwrap_or("a comparison"), &text[at..]), at)
    })?;
    match clauses.get(MOST_CLAUSES) {
        Some(first_too_many) => {
            let message = format!("more than {MOST_CLAUSES} comparisons");
            Err(Fault::new(message, first_too_many.name.at))
        }
        None => Ok(clauses),
    }
}

/// `expected …, found …` with the word that stands at the place.
pub(super) fn message(expected: &str, rest: &str) -> String {
    let word: String = match rest.chars().next() {
        None => return format!("expected {expected}, found the end"),
        Some(first) if is_word(first) => rest.chars().take_while(|letter| is_word(*letter)).collect(),
        Some(first) => first.to_string(),
    };
    match word.to_ascii_uppercase().as_str() {
        "OR" => "comparisons can be joined with AND only, not with OR".to_owned(),
        _ => format!("expected {expected}, found '{word}'"),
    }
}

fn filter(input: &mut Input) -> ModalResult<Vec<Clause>> {
    let mut clauses = Vec::new();
    multispace0.parse_next(input)?;
    if eof::<_, ErrMode<ContextError>>.parse_next(input).is_ok() {
        return Ok(clauses);
    }
    loop {
        clauses.push(cut_err(clause).parse_next(input)?);
        multispace0.parse_next(input)?;
        if eof::<_, ErrMode<ContextError>>.parse_next(input).is_ok() {
            return Ok(clauses);
        }
        cut_err(keyword("AND")).context(expected("AND or the end of the filter")).parse_next(input)?;
        multispace0.parse_next(input)?;
    }
}

fn clause(input: &mut Input) -> ModalResult<Clause> {
    let name = name.context(expected("a name such as metrics.accuracy")).parse_next(input)?;
    multispace0.parse_next(input)?;
    let operator_at = input.current_token_start();
    let operator = cut_err(operator)
        .context(expected("one of = != < <= > >= LIKE ILIKE IN NOT IN IS NULL IS NOT NULL"))
        .parse_next(input)?;
    multispace0.parse_next(input)?;
    let value_at = input.current_token_start();
    let value = match operator {
        Operator::IsNull | Operator::IsNotNull => None,
        Operator::In | Operator::NotIn => Some(cut_err(list).parse_next(input)?),
        _ => Some(cut_err(scalar).context(expected("a number or a quoted text")).parse_next(input)?),
    };
    Ok(Clause { name, operator, operator_at, value, value_at })
}

/// A name with or without a prefix.
pub(super) fn name(input: &mut Input) -> ModalResult<Name> {
    let at = input.current_token_start();
    if let Some(key) = opt(quoted_name).parse_next(input)? {
        return Ok(Name { prefix: None, key, quoted: true, at, key_at: at });
    }
    let first = word.parse_next(input)?;
    if opt('.').parse_next(input)?.is_none() {
        return Ok(Name { prefix: None, key: first.to_owned(), quoted: false, at, key_at: at });
    }
    let key_at = input.current_token_start();
    if let Some(key) = opt(quoted_name).parse_next(input)? {
        return Ok(Name { prefix: Some(first.to_owned()), key, quoted: true, at, key_at });
    }
    let dotted = take_while(1.., |letter| is_word(letter) || letter == '.');
    let mut key = cut_err(dotted).context(expected("a name after the dot")).parse_next(input)?.to_owned();
    // The last part of a longer path may be quoted: span.attributes.`llm.model`
    if key.ends_with('.')
        && let Some(last) = opt(quoted_name).parse_next(input)?
    {
        key.push_str(&last);
    }
    Ok(Name { prefix: Some(first.to_owned()), key, quoted: false, at, key_at })
}

fn quoted_name(input: &mut Input) -> ModalResult<String> {
    let quote = one_of(['`', '"']).parse_next(input)?;
    let key = take_till(0.., move |letter| letter == quote).parse_next(input)?;
    cut_err(quote).context(expected("the closing quote of the name")).parse_next(input)?;
    Ok(key.to_owned())
}

fn operator(input: &mut Input) -> ModalResult<Operator> {
    let symbol = alt((
        "!=".value(Operator::NotEqual),
        "<=".value(Operator::LessOrEqual),
        ">=".value(Operator::GreaterOrEqual),
        "=".value(Operator::Equal),
        "<".value(Operator::Less),
        ">".value(Operator::Greater),
    ));
    // `==` and `<>` are no operators here.
    let symbol = terminated(symbol, peek(not(one_of(['=', '<', '>', '!']))));
    let null = preceded(
        (keyword("IS"), multispace1),
        alt((
            (keyword("NOT"), multispace1, keyword("NULL")).value(Operator::IsNotNull),
            keyword("NULL").value(Operator::IsNull),
        )),
    );
    alt((
        symbol,
        keyword("LIKE").value(Operator::Like),
        keyword("ILIKE").value(Operator::Ilike),
        keyword("RLIKE").value(Operator::Rlike),
        keyword("IN").value(Operator::In),
        (keyword("NOT"), multispace1, keyword("IN")).value(Operator::NotIn),
        null,
    ))
    .parse_next(input)
}

fn scalar(input: &mut Input) -> ModalResult<Value> {
    alt((text.map(Value::Text), number)).parse_next(input)
}

fn number(input: &mut Input) -> ModalResult<Value> {
    let start = *input;
    let digits = take_while(1.., |letter: char| letter.is_ascii_digit() || "-.eE+".contains(letter))
        .parse_next(input)?;
    let is_number = digits.starts_with(|letter: char| letter.is_ascii_digit() || "-.".contains(letter));
    match digits.parse::<f64>() {
        Ok(value) if is_number && value.is_finite() => {
            let whole = digits.chars().all(|letter| letter.is_ascii_digit() || letter == '-');
            Ok(Value::Number(value, whole))
        }
        _ => {
            *input = start;
            fail.parse_next(input)
        }
    }
}

fn text(input: &mut Input) -> ModalResult<String> {
    let quote = one_of(['\'', '"']).parse_next(input)?;
    let mut text = String::new();
    loop {
        text.push_str(take_till(0.., move |letter| letter == quote).parse_next(input)?);
        cut_err(quote).context(expected("the closing quote")).parse_next(input)?;
        if opt(quote).parse_next(input)?.is_none() {
            return Ok(text);
        }
        text.push(quote);
    }
}

fn list(input: &mut Input) -> ModalResult<Value> {
    '('.context(expected("a list in parentheses")).parse_next(input)?;
    let mut items = Vec::new();
    loop {
        multispace0.parse_next(input)?;
        // A comma may stand behind the last item.
        if !items.is_empty() && opt(')').parse_next(input)?.is_some() {
            return Ok(Value::List(items));
        }
        items.push(cut_err(text).context(expected("a quoted text")).parse_next(input)?);
        multispace0.parse_next(input)?;
        if opt(',').parse_next(input)?.is_none() {
            cut_err(')').context(expected("',' or ')'")).parse_next(input)?;
            return Ok(Value::List(items));
        }
    }
}

/// A keyword in any case that is not the start of a longer word.
fn keyword<'t>(word: &'static str) -> impl Parser<Input<'t>, &'t str, ErrMode<ContextError>> {
    terminated(Caseless(word), peek(not(one_of(is_word))))
}

fn word<'t>(input: &mut Input<'t>) -> ModalResult<&'t str> {
    take_while(1.., is_word).parse_next(input)
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

pub(super) fn expected(description: &'static str) -> StrContext {
    StrContext::Expected(StrContextValue::Description(description))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn short(text: &str) -> String {
        match parse(text) {
            Err(fault) => format!("{} @{}", fault.message, fault.at),
            Ok(clauses) => {
                let shown: Vec<String> = clauses
                    .iter()
                    .map(|clause| {
                        let prefix = clause.name.prefix.as_deref().unwrap_or("-");
                        let value =
                            clause.value.as_ref().map_or("-".to_owned(), |value| format!("{value:?}"));
                        format!("{prefix}|{}|{}|{value}", clause.name.key, clause.operator.text())
                    })
                    .collect();
                shown.join(" & ")
            }
        }
    }

    #[test]
    fn a_filter_has_a_bound() {
        let filter = |count: usize| vec!["a = 1"; count].join(" AND ");
        assert_eq!(parse(&filter(MOST_CLAUSES)).unwrap().len(), MOST_CLAUSES);
        let fault = parse(&filter(MOST_CLAUSES + 1)).unwrap_err();
        assert_eq!(fault, Fault::new("more than 200 comparisons", MOST_CLAUSES * 10));
    }

    #[test]
    fn clauses() {
        for (text, want) in [
            ("", ""),
            ("metrics.acc > 0.9", "metrics|acc|>|Number(0.9, false)"),
            ("metrics.acc>=1", "metrics|acc|>=|Number(1.0, true)"),
            ("metric.`a b/c` != -1.5e-3", "metric|a b/c|!=|Number(-0.0015, false)"),
            ("m.a=.5", "m|a|=|Number(0.5, false)"),
            ("params.\"model.name\" like 'x%'", "params|model.name|LIKE|Text(\"x%\")"),
            ("tags.mlflow.source.type ILIKE \"o'k\"", "tags|mlflow.source.type|ILIKE|Text(\"o'k\")"),
            ("tags.a = 'it''s'", "tags|a|=|Text(\"it's\")"),
            (
                "status = 'RUNNING' and start_time < 5",
                "-|status|=|Text(\"RUNNING\") & -|start_time|<|Number(5.0, true)",
            ),
            ("`Run name` = 'x'", "-|Run name|=|Text(\"x\")"),
            ("run_id NOT  in ( 'a' ,\"b\", )", "-|run_id|NOT IN|List([\"a\", \"b\"])"),
            ("tags.a IS NULL AND params.b is not\nnull", "tags|a|IS NULL|- & params|b|IS NOT NULL|-"),
            ("span.attributes.`a.b c` = 'x'", "span|attributes.a.b c|=|Text(\"x\")"),
            ("tags.ü = 'é'", "tags|ü|=|Text(\"é\")"),
        ] {
            assert_eq!(short(text), want, "{text}");
        }
    }

    #[test]
    fn faults_know_their_place() {
        for (text, want) in [
            ("= 1", "expected a name such as metrics.accuracy, found '=' @0"),
            ("metrics. = 1", "expected a name after the dot, found ' ' @8"),
            (
                "metrics.acc",
                "expected one of = != < <= > >= LIKE ILIKE IN NOT IN IS NULL IS NOT NULL, found the end @11",
            ),
            ("metrics.acc >", "expected a number or a quoted text, found the end @13"),
            (
                "params.a == 'b'",
                "expected one of = != < <= > >= LIKE ILIKE IN NOT IN IS NULL IS NOT NULL, found '=' @9",
            ),
            (
                "params.a <> 'b'",
                "expected one of = != < <= > >= LIKE ILIKE IN NOT IN IS NULL IS NOT NULL, found '<' @9",
            ),
            ("params.a = b", "expected a number or a quoted text, found 'b' @11"),
            ("params.a = 'b", "expected the closing quote, found the end @13"),
            ("params.`a = 'b'", "expected the closing quote of the name, found the end @15"),
            ("a = 1 OR b = 2", "comparisons can be joined with AND only, not with OR @6"),
            ("a = 1; b = 2", "expected AND or the end of the filter, found ';' @5"),
            ("a = 1 AND", "expected a name such as metrics.accuracy, found the end @9"),
            ("a = 1 b = 2", "expected AND or the end of the filter, found 'b' @6"),
            ("(a = 1)", "expected a name such as metrics.accuracy, found '(' @0"),
            ("a IN ()", "expected a quoted text, found ')' @6"),
            ("a IN ('x' 'y')", "expected ',' or ')', found ''' @10"),
            ("a IN 'x'", "expected a list in parentheses, found ''' @5"),
            ("a IN ('x', 1)", "expected a quoted text, found '1' @11"),
            (
                "a BETWEEN 1 AND 2",
                "expected one of = != < <= > >= LIKE ILIKE IN NOT IN IS NULL IS NOT NULL, found 'BETWEEN' @2",
            ),
            ("a = 1e999", "expected a number or a quoted text, found '1e999' @4"),
            ("a = --1", "expected a number or a quoted text, found '-' @4"),
            ("a = 1x", "expected AND or the end of the filter, found 'x' @5"),
        ] {
            assert_eq!(short(text), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "\\PC{0,40}") {
            if let Err(fault) = parse(&text) {
                prop_assert!(text.is_char_boundary(fault.at));
                let _ = fault.in_text("filter", &text);
            }
        }

        #[test]
        fn what_is_quoted_comes_back(key in "[^`\\x00]{1,20}", value in "[^\\x00]{0,20}", number in -1e6..1e6_f64) {
            let text = format!("tags.`{key}` = '{}' AND metrics.m < {number:?}", value.replace('\'', "''"));
            let clauses = parse(&text).unwrap();
            prop_assert_eq!(&clauses[0].name.key, &key);
            prop_assert_eq!(clauses[0].value.as_ref(), Some(&Value::Text(value)));
            prop_assert!(matches!(clauses[1].value, Some(Value::Number(got, _)) if got == number));
        }
    }
}
