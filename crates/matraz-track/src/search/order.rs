//! The grammar of orders: `name [ASC | DESC]`.

use winnow::ascii::{Caseless, multispace0, multispace1};
use winnow::combinator::{alt, cut_err, eof, opt, preceded};
use winnow::error::{StrContext, StrContextValue};
use winnow::prelude::*;
use winnow::stream::LocatingSlice;

use super::Fault;
use super::filter::{self, Name, expected};

/// One key to order by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What is ordered by.
    pub name: Name,
    /// Upwards, or downwards.
    pub ascending: bool,
}

/// Reads one order expression.
pub fn parse(text: &str) -> Result<Order, Fault> {
    order.parse(LocatingSlice::new(text)).map_err(|error| {
        let at = error.offset();
        let wanted = error.inner().context().find_map(|context| match context {
            StrContext::Expected(StrContextValue::Description(text)) => Some(*text),
            _ => None,
        });
        Fault::new(filter::message(wanted.unwrap_or("a name"), &text[at..]), at)
    })
}

fn order(input: &mut LocatingSlice<&str>) -> ModalResult<Order> {
    multispace0.parse_next(input)?;
    let name = filter::name.context(expected("a name such as metrics.accuracy")).parse_next(input)?;
    let direction = alt((Caseless("ASC").value(true), Caseless("DESC").value(false)));
    let ascending = opt(preceded(multispace1, direction)).parse_next(input)?.unwrap_or(true);
    multispace0.parse_next(input)?;
    cut_err(eof).context(expected("ASC, DESC or the end")).parse_next(input)?;
    Ok(Order { name, ascending })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders() {
        for (text, want) in [
            ("metrics.acc", Ok(("metrics", "acc", true))),
            ("metrics.acc desc", Ok(("metrics", "acc", false))),
            (" params.`a b`  ASC ", Ok(("params", "a b", true))),
            ("\"start_time\" DESC", Ok(("", "start_time", false))),
            ("tags.desc", Ok(("tags", "desc", true))),
            ("metrics.acc UP", Err("expected ASC, DESC or the end, found 'UP'")),
            ("metrics.acc desc extra", Err("expected ASC, DESC or the end, found 'extra'")),
            ("metrics.acc descending", Err("expected ASC, DESC or the end, found 'ending'")),
            ("", Err("expected a name such as metrics.accuracy, found the end")),
        ] {
            let got = parse(text);
            let got = match &got {
                Ok(order) => {
                    Ok((order.name.prefix.as_deref().unwrap_or(""), order.name.key.as_str(), order.ascending))
                }
                Err(fault) => Err(fault.message.as_str()),
            };
            assert_eq!(got, want, "{text}");
        }
    }
}
