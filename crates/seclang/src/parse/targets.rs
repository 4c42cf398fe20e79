//! `ARGS|!ARGS:token|&REQUEST_HEADERS:Host|XML:/*`: what a rule looks at.

use super::{Problem, did_you_mean};
use crate::parse::xpath;
use crate::rule::Target;
use crate::variable::{Collection, Parts, Selector};
use regex::bytes::RegexBuilder;

/// Variables in one rule. CRS has 20 at most.
pub const TARGETS_MAX: usize = 128;

/// A selector's compiled regex, in bytes.
pub const SELECTOR_REGEX_BYTES_MAX: usize = 1 << 20;

/// What is looked at, and what is left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Targets {
    pub included: Vec<Target>,
    pub excluded: Vec<(Collection, Selector)>,
}

/// Variables between `|` (or `,`, as ModSecurity v3 has it).
pub(crate) fn parse(text: &str) -> Result<Targets, Problem> {
    let mut targets = Targets::default();
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(Problem::new(text, "no variable").hint("name one, such as `ARGS`"));
    }
    loop {
        let (exclude, count, unprefixed) = prefixes(rest);
        let (collection, selector, after) = variable(unprefixed)?;
        if exclude && count {
            return Err(
                Problem::new(collection.name(), "both `!` and `&`").hint("leave one of them out")
            );
        }
        if exclude {
            targets.excluded.push((collection, selector));
        } else if collection.parts() == Parts::Path && matches!(selector, Selector::All) {
            return Err(Problem::new(
                collection.name(),
                format!("`{}` is asked for by path", collection.name()),
            )
            .hint(format!("write `{}:/*`", collection.name())));
        } else {
            targets.included.push(Target { collection, selector, count });
        }
        if targets.included.len() + targets.excluded.len() > TARGETS_MAX {
            return Err(Problem::new(collection.name(), format!("over {TARGETS_MAX} variables"))
                .hint("split the rule"));
        }
        let after = after.trim_start();
        match after.strip_prefix(['|', ',']) {
            Some(next) => rest = next.trim_start(),
            None if after.is_empty() => return Ok(targets),
            None => {
                return Err(Problem::new(after, "does not belong to the variable before it")
                    .hint("put `|` between variables"));
            }
        }
    }
}

/// One `COLLECTION` or `COLLECTION:selector`, and nothing after it.
pub(crate) fn parse_one(text: &str) -> Result<(Collection, Selector), Problem> {
    let (collection, selector, after) = variable(text.trim())?;
    if after.trim().is_empty() {
        Ok((collection, selector))
    } else {
        Err(Problem::new(text.trim(), "more than one variable").hint("name one variable here"))
    }
}

fn prefixes(mut text: &str) -> (bool, bool, &str) {
    let (mut exclude, mut count) = (false, false);
    loop {
        text = text.trim_start();
        if let (Some(rest), false) = (text.strip_prefix('!'), exclude) {
            (exclude, text) = (true, rest);
        } else if let (Some(rest), false) = (text.strip_prefix('&'), count) {
            (count, text) = (true, rest);
        } else {
            return (exclude, count, text);
        }
    }
}

fn variable(text: &str) -> Result<(Collection, Selector, &str), Problem> {
    let name_end = text.find([':', '.', '|', ',', ' ', '\t']).unwrap_or(text.len());
    let (name, rest) = text.split_at(name_end);
    let collection = Collection::parse(name).ok_or_else(|| unknown(name))?;
    let Some(written) = rest.strip_prefix([':', '.']) else {
        return match collection.parts() {
            Parts::Needed => {
                Err(Problem::new(name, format!("`{}` is asked for by part", collection.name()))
                    .hint(format!("write `{}:id`", collection.name())))
            }
            _ => Ok((collection, Selector::All, rest)),
        };
    };
    match collection.parts() {
        Parts::None => Err(Problem::new(
            text.get(..name_end + 1).unwrap_or(text),
            format!("`{}` has one value, no parts", collection.name()),
        )
        .hint(format!("write `{}`", collection.name()))),
        Parts::Path => {
            let (path, after) = path_text(written);
            Ok((collection, Selector::Path(xpath::parse(path)?), after))
        }
        Parts::Named | Parts::Needed => {
            let (selector, after) = selector(name, written)?;
            Ok((collection, selector, after))
        }
    }
}

fn unknown(name: &str) -> Problem {
    let problem = Problem::new(name, "unknown variable");
    let upper = name.to_ascii_uppercase();
    let elsewhere =
        ["STREAM_INPUT_BODY", "STREAM_OUTPUT_BODY", "WEBSERVER_ERROR_LOG", "STATUS_LINE"];
    if elsewhere.contains(&upper.as_str())
        || ["PERF_", "SCRIPT_", "SDBM_", "SERVER_"].iter().any(|old| upper.starts_with(old))
    {
        return problem.hint("it is of ModSecurity v2: leave it out of the rule");
    }
    if name.is_empty() {
        return problem.hint("name a variable between two `|`");
    }
    problem.hint(
        did_you_mean(name, Collection::names())
            .unwrap_or_else(|| "see the reference manual's chapter \"Variables\"".to_owned()),
    )
}

fn selector<'a>(name: &str, written: &'a str) -> Result<(Selector, &'a str), Problem> {
    let subject = |part: &str| format!("{name}:{part}");
    if let Some(quoted) = written.strip_prefix('\'') {
        let Some(end) = closing(quoted, '\'') else {
            return Err(Problem::new(subject(written), "the `'` is not closed")
                .hint("end the selector with `'`"));
        };
        let (inside, after) = quoted.split_at(end);
        let after = after.strip_prefix('\'').unwrap_or_default();
        let pattern = inside.strip_prefix('/').and_then(|inside| inside.strip_suffix('/'));
        return Ok(match pattern {
            Some(pattern) => (regex(&subject(inside), &pattern.replace("\\'", "'"))?, after),
            None => (named(&subject(inside), inside)?, after),
        });
    }
    if let Some(pattern) = written.strip_prefix('/') {
        let Some(end) = closing(pattern, '/') else {
            return Err(Problem::new(subject(written), "the regex is not closed")
                .hint("end it with `/`; a `|` or `,` may follow"));
        };
        let (inside, after) = pattern.split_at(end);
        let after = after.strip_prefix('/').unwrap_or_default();
        return Ok((regex(&subject(inside), inside)?, after));
    }
    let end = written.find(['|', ',']).unwrap_or(written.len());
    let (inside, after) = written.split_at(end);
    Ok((named(&subject(inside), inside.trim_end())?, after))
}

/// Where the first `quote` stands that no backslash goes before and after which the variable ends.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        let ends = letters.peek().is_none_or(|(_, next)| matches!(next, '|' | ',' | ' ' | '\t'));
        if letter == quote && !escaped && ends {
            return Some(at);
        }
        escaped = letter == '\\' && !escaped;
    }
    None
}

fn named(subject: &str, name: &str) -> Result<Selector, Problem> {
    if name.is_empty() {
        return Err(Problem::new(subject, "no name after `:`")
            .hint("name a part, or leave out the `:` for all"));
    }
    Ok(Selector::Name(name.to_ascii_lowercase().into_bytes()))
}

/// As libmodsecurity compiles them: without regard to case, `.` is any byte, `^` and `$` are lines'.
fn regex(subject: &str, pattern: &str) -> Result<Selector, Problem> {
    RegexBuilder::new(pattern)
        .unicode(false)
        .case_insensitive(true)
        .dot_matches_new_line(true)
        .multi_line(true)
        .size_limit(SELECTOR_REGEX_BYTES_MAX)
        .build()
        .map(Selector::Pattern)
        .map_err(|error| {
            let last = error.to_string();
            let last = last.lines().last().unwrap_or_default().trim_start_matches("error: ");
            Problem::new(subject, format!("the regex does not compile: {last}"))
                .hint("look-around and back references are not supported in selectors")
        })
}

fn path_text(written: &str) -> (&str, &str) {
    let end = written.find(['|', ',']).unwrap_or(written.len());
    written.split_at(end)
}

#[cfg(test)]
mod tests;
