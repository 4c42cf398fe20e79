//! Actions that write: `setvar` and its like.

use crate::parse::{Problem, did_you_mean, number, unquoted};
use crate::rule::{Change, Deed, Text};
use crate::text::Escapes;
use crate::variable::Collection;

/// `tx.a=1`, `tx.a=+1`, `tx.a=-1`, `!tx.a`, `tx.a`.
pub(super) fn set(written: &str) -> Result<Deed, Problem> {
    let (remove, rest) = match written.strip_prefix('!') {
        Some(rest) => (true, rest.trim_start()),
        None => (false, written),
    };
    let (variable, value) = split_value(rest);
    let (collection, name) = variable_of("setvar", variable)?;
    let change = match (remove, value) {
        (true, None) => Change::Remove,
        (true, Some(_)) => {
            return Err(Problem::new(format!("setvar:{written}"), "both removes and sets")
                .hint("leave out the `!` or the `=…`"));
        }
        (false, None) => Change::To(Text::plain("1")),
        (false, Some(value)) => {
            let text = |value: &str| Text::parse(value, Escapes::Remove);
            match (value.strip_prefix('+'), value.strip_prefix('-')) {
                (Some(more), _) => Change::Add(text(more)?),
                (_, Some(less)) => Change::Subtract(text(less)?),
                _ => Change::To(text(value)?),
            }
        }
    };
    Ok(Deed::Set { collection, name, change })
}

/// `ip.a=60`.
pub(super) fn expire(written: &str) -> Result<Deed, Problem> {
    let (variable, value) = split_value(written);
    let (collection, name) = variable_of("expirevar", variable)?;
    let Some(seconds) = value.filter(|value| !value.is_empty()) else {
        return Err(Problem::new(format!("expirevar:{written}"), "no number of seconds")
            .hint("write `expirevar:ip.name=60`"));
    };
    Ok(Deed::Expire { collection, name, seconds: Text::parse(seconds, Escapes::Remove)? })
}

/// `session.score=60/300`: 60 less every 300 seconds.
pub(super) fn deprecate(written: &str) -> Result<Deed, Problem> {
    let subject = format!("deprecatevar:{written}");
    let (variable, value) = split_value(written);
    let (collection, name) = variable_of("deprecatevar", variable)?;
    let Some((amount, seconds)) = value.and_then(|value| value.split_once('/')) else {
        return Err(Problem::new(subject, "no amount and time")
            .hint("write `deprecatevar:session.score=60/300`"));
    };
    let seconds = number(&subject, seconds)?;
    if seconds == 0 {
        return Err(Problem::new(subject, "no time").hint("write 1 second at least"));
    }
    Ok(Deed::Deprecate { collection, name, amount: number(&subject, amount)?, seconds })
}

/// `ip=%{REMOTE_ADDR}`.
pub(super) fn open(written: &str) -> Result<Deed, Problem> {
    let (collection, key) = match split_value(written) {
        (collection, Some(key)) if !key.is_empty() => (collection.trim(), key),
        _ => {
            return Err(Problem::new(format!("initcol:{written}"), "no key")
                .hint("write `initcol:ip=%{REMOTE_ADDR}`"));
        }
    };
    let found = Collection::parse(collection)
        .filter(|found| found.is_written_by_rules() && *found != Collection::Tx);
    let Some(found) = found else {
        return Err(Problem::new(format!("initcol:{written}"), "no collection that lasts")
            .hint("name `ip`, `session`, `user`, `resource` or `global`"));
    };
    Ok(Deed::Open { collection: found, key: Text::parse(key, Escapes::Remove)? })
}

/// `setsid:…`, `setuid:…`, `setrsc:…`.
pub(super) fn open_named(action: &str, written: &str) -> Result<Deed, Problem> {
    let collection = match action {
        "setsid" => Collection::Session,
        "setuid" => Collection::User,
        _ => Collection::Resource,
    };
    Ok(Deed::Open { collection, key: Text::parse(unquoted(written), Escapes::Remove)? })
}

/// `NAME=value`.
pub(super) fn set_env(written: &str) -> Result<Deed, Problem> {
    let (name, value) = split_value(written);
    let name = name.trim();
    match value {
        Some(value) if !name.is_empty() && !name.contains("%{") => {
            Ok(Deed::SetEnv { name: name.to_owned(), value: Text::parse(value, Escapes::Remove)? })
        }
        _ => Err(Problem::new(format!("setenv:{written}"), "no name and value")
            .hint("write `setenv:NAME=value`")),
    }
}

/// At the first `=` that stands in no `%{…}`.
fn split_value(written: &str) -> (&str, Option<&str>) {
    let mut inside = false;
    for (at, letter) in written.char_indices() {
        match letter {
            '{' => inside = true,
            '}' => inside = false,
            '=' if !inside => {
                let (name, value) = written.split_at(at);
                return (name, value.get(1..));
            }
            _ => {}
        }
    }
    (written, None)
}

/// `tx.name` or `tx:name`; macros may stand in the name.
fn variable_of(action: &str, written: &str) -> Result<(Collection, Text), Problem> {
    let written = written.trim();
    let subject = || format!("{action}:{written}");
    let (collection, name) = match written.find(['.', ':']) {
        Some(at) => {
            (written.get(..at).unwrap_or_default(), written.get(at + 1..).unwrap_or_default())
        }
        None => {
            return Err(Problem::new(subject(), "no collection before the name")
                .hint(format!("write `{action}:tx.{written}`")));
        }
    };
    let found = Collection::parse(collection).filter(|found| found.is_written_by_rules());
    let Some(found) = found else {
        let known = ["tx", "ip", "session", "user", "resource", "global"];
        return Err(Problem::new(subject(), format!("`{collection}` cannot be written")).hint(
            did_you_mean(collection, known.into_iter()).unwrap_or_else(|| {
                format!("write one of {}", known.map(|name| format!("`{name}`")).join(", "))
            }),
        ));
    };
    if name.is_empty() {
        return Err(
            Problem::new(subject(), "no name").hint(format!("write `{action}:{collection}.name`"))
        );
    }
    Ok((found, Text::parse(name, Escapes::Remove)?))
}
