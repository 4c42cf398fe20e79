//! YAML in; values, or diagnostics with file, line, column and a hint, out.

use schema::{Diagnostic, nearest};
use serde::de::DeserializeOwned;
use serde_saphyr::{Error, Location, Options};

/// `file:line:column`, or the file alone where the place is not known.
pub(crate) fn place(file: &str, at: Option<Location>) -> String {
    match at {
        Some(at) if at.line() > 0 => format!("{file}:{}:{}", at.line(), at.column()),
        _ => file.to_owned(),
    }
}

/// Reads a whole file. What is not understood has its own diagnostic; nothing is guessed.
pub(crate) fn read<T: DeserializeOwned>(
    file: &str,
    text: &str,
    bytes_max: usize,
) -> Result<T, Diagnostic> {
    if text.len() > bytes_max {
        return Err(Diagnostic::new(
            "file-too-large",
            file,
            format!("{} bytes are more than {bytes_max}", text.len()),
        )
        .hint("keep the file within the limit"));
    }
    let options: Options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| diagnose(file, &error))
}

fn diagnose(file: &str, error: &Error) -> Diagnostic {
    let error = error.without_snippet();
    let at = place(file, error.location());
    let one_of = |names: &[&str]| {
        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    match error {
        Error::SerdeUnknownField { field, expected, .. } => {
            Diagnostic::new("unknown-field", at, format!("unknown field `{field}`")).hint(
                match nearest(field, expected.iter().copied()) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => format!("use one of {}", one_of(expected)),
                },
            )
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            Diagnostic::new("unknown-value", at, format!("`{variant}` is not known here")).hint(
                match nearest(variant, expected.iter().copied()) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => format!("use one of {}", one_of(expected)),
                },
            )
        }
        Error::SerdeMissingField { field, .. } => {
            Diagnostic::new("missing-field", at, format!("`{field}` is missing"))
                .hint(format!("add `{field}:`"))
        }
        Error::DuplicateMappingKey { key, .. } => Diagnostic::new(
            "duplicate-key",
            at,
            format!("`{}` is there twice", key.as_deref().unwrap_or("a key")),
        )
        .hint("keep one of the two"),
        Error::SerdeInvalidType { unexpected, expected, .. }
        | Error::SerdeInvalidValue { unexpected, expected, .. } => {
            Diagnostic::new("wrong-type", at, format!("{unexpected} stands here"))
                .hint(format!("write {expected}"))
        }
        other => {
            let text = other.to_string();
            let line = text.lines().next().unwrap_or("cannot be read").to_owned();
            Diagnostic::new("bad-yaml", at, line)
                .hint("check indentation, quotes and colons at this place")
        }
    }
}
