//! The part of Go's templates that test data uses: `{{ "a" | repeat 100 }}`.

/// Bytes that a template may make.
const MADE_BYTES_MAX: usize = 4 << 20;

/// The text with its templates filled in.
///
/// # Errors
/// A template of another form.
pub(super) fn evaluate(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((inside, behind)) = after.split_once("}}") else {
            return Err("`{{` in `data` has no `}}`".to_owned());
        };
        out.push_str(before);
        let made = fill(inside.trim()).ok_or_else(|| {
            format!("the template `{{{{{inside}}}}}` in `data` is not of the form `{{{{ \"a\" | repeat 9 }}}}`")
        })?;
        if out.len() + made.0.len().saturating_mul(made.1) > MADE_BYTES_MAX {
            return Err(format!("`data` grows beyond {MADE_BYTES_MAX} bytes"));
        }
        for _ in 0..made.1 {
            out.push_str(&made.0);
        }
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

/// What is repeated, and how often.
fn fill(inside: &str) -> Option<(String, usize)> {
    if let Some((literal, function)) = inside.rsplit_once('|') {
        let count = function.trim().strip_prefix("repeat")?;
        return Some((quoted(literal.trim())?, count.trim().parse().ok()?));
    }
    if let Some(arguments) = inside.strip_prefix("repeat") {
        let (count, literal) = arguments.trim().split_once(' ')?;
        return Some((quoted(literal.trim())?, count.parse().ok()?));
    }
    Some((quoted(inside)?, 1))
}

fn quoted(literal: &str) -> Option<String> {
    if let Some(raw) = literal.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
        return Some(raw.to_owned());
    }
    serde_json::from_str(literal).ok()
}
