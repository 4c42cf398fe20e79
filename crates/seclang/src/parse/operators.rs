//! `@rx ^\d+$`, `!@eq 0`, or just a regex.

use super::Problem;
use crate::load::Files;
use crate::operator::Operator;
use crate::rule::{Test, Text};
use crate::text::Escapes;

/// `beside` is the rule file: an operator's own files are looked for in its folder.
pub(crate) fn parse(written: &str, files: &dyn Files, beside: &str) -> Result<Test, Problem> {
    let text = written.trim_start();
    let (negated, text) = match text.strip_prefix('!') {
        Some(rest) => (true, rest.trim_start()),
        None => (false, text),
    };
    let (name, argument) = match text.strip_prefix('@') {
        Some(named) => {
            let end = named.find([' ', '\t']).unwrap_or(named.len());
            let (name, argument) = named.split_at(end);
            (name, argument.strip_prefix([' ', '\t']).unwrap_or_default())
        }
        None => ("rx", text),
    };
    let regex = name.eq_ignore_ascii_case("rx") || name.eq_ignore_ascii_case("rxGlobal");
    let escapes = if regex { Escapes::Keep } else { Escapes::Remove };
    let argument_text = Text::parse(argument, escapes)?;
    let operator = Operator::compile(name, &argument_text, files, beside)
        .map_err(|(problem, hint)| Problem::new(format!("@{name}"), problem).hint_maybe(hint))?;
    let sign = if negated { "!" } else { "" };
    let text = if argument.is_empty() {
        format!("{sign}@{name}")
    } else {
        format!("{sign}@{name} {argument}")
    };
    Ok(Test { operator, negated, text })
}
