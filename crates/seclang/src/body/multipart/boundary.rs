//! The boundary that a `Content-Type` names.

use super::Flags;

/// A `Content-Type` longer than this is an error.
pub const CONTENT_TYPE_BYTES_MAX: usize = 1024;

/// The boundary, or what is wrong with the header.
///
/// Strict on purpose: whatever two parsers could read differently is an error, since the application behind may
/// choose the other reading.
pub(super) fn of_content_type<'a>(
    header: &'a [u8],
    flags: &mut Flags,
) -> Result<&'a [u8], &'static str> {
    if header.is_empty() {
        return Err("Content-Type header not available.");
    }
    if header.len() > CONTENT_TYPE_BYTES_MAX {
        return Err("Invalid boundary in C-T (length).");
    }
    let Some((kind, parameters)) = header.split_at_checked(b"multipart/form-data".len()) else {
        return Err("Invalid MIME type.");
    };
    if !kind.eq_ignore_ascii_case(b"multipart/form-data") {
        return Err("Invalid MIME type.");
    }
    if count_parameters(header) > 1 {
        return Err("Multiple boundary parameters in C-T.");
    }
    let Some(at) = memchr::memmem::find(parameters, b"boundary") else {
        return Err(match count_parameters(header) {
            0 => "Boundary not found in C-T.",
            _ => "Invalid boundary in C-T (case sensitivity).",
        });
    };
    let (before, parameter) = parameters.split_at_checked(at).unwrap_or((parameters, b""));
    let mut between = before.iter().filter(|byte| !is_space(**byte));
    match (between.next(), between.next()) {
        (None, _) => flags.missing_semicolon = true,
        (Some(b';'), None) => {}
        _ => return Err("Invalid boundary in C-T (malformed)."),
    }
    let after_name = parameter.get(b"boundary".len()..).unwrap_or_default();
    let Some(equals) = memchr::memchr(b'=', after_name) else {
        return Err("Invalid boundary in C-T (malformed).");
    };
    let (gap, value) = after_name.split_at_checked(equals).unwrap_or_default();
    let value = value.get(1..).unwrap_or_default();
    if !gap.iter().all(|byte| is_space(*byte)) {
        return Err("Invalid boundary in C-T (parameter name).");
    }
    flags.boundary_whitespace =
        !gap.is_empty() || value.first().is_some_and(|byte| is_space(*byte));

    let mut boundary = match value {
        [b'"', inner @ .., b'"'] => {
            flags.boundary_quoted = true;
            inner
        }
        [b'"', ..] | [.., _, b'"'] => return Err("Invalid boundary in C-T (quote)."),
        plain => plain,
    };
    if count_parameters(boundary) != 0 {
        return Err("Invalid boundary in C-T (content).");
    }
    // Some frameworks send `; charset=` after the boundary: tolerated.
    if !has_valid_characters(boundary)
        && let Some(semicolon) = memchr::memchr(b';', boundary)
    {
        boundary = boundary.get(..semicolon).unwrap_or_default();
    }
    if !has_valid_characters(boundary) {
        return Err("Invalid boundary in C-T (characters).");
    }
    if boundary.is_empty() {
        return Err("Invalid boundary in C-T (empty).");
    }
    Ok(boundary)
}

/// How often `boundary` stands before a `=`, in any case.
fn count_parameters(text: &[u8]) -> usize {
    let Some(last_equals) = memchr::memrchr(b'=', text) else { return 0 };
    let before = text.get(..last_equals).unwrap_or_default();
    before.windows(8).filter(|window| window.eq_ignore_ascii_case(b"boundary")).count()
}

/// RFC 2046, "boundary": a space only inside.
fn has_valid_characters(boundary: &[u8]) -> bool {
    boundary.last() != Some(&b' ')
        && boundary
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b" '()+_,-./:=?".contains(byte))
}

/// C's `isspace`.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}
