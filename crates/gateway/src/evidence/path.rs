//! One path however it is written: `/%61dmin`, `//admin` and `/x/../admin` are `/admin` to an application.

use std::borrow::Cow;

/// Two readers may take the path for two different ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ambiguous;

/// The path in the one form all its spellings share: escapes of unreserved characters undone and dot segments
/// resolved (RFC 3986 §6.2.2), doubled slashes made one, parameters after `;` left out. Other escapes stay: they are
/// part of a name.
pub fn plain(path: &str) -> Result<Cow<'_, str>, Ambiguous> {
    let is_plain = !path.contains(['%', '\\', ';']) && !path.contains("//") && !path.contains("/.");
    if is_plain {
        return Ok(Cow::Borrowed(path));
    }
    let decoded = decode(path)?;
    let mut segments: Vec<&str> = Vec::new();
    let mut ends_open = false;
    for segment in decoded.split('/') {
        let name = segment.split(';').next().unwrap_or_default();
        ends_open = false;
        match name {
            "" | "." | ".." if name != segment => return Err(Ambiguous),
            "" | "." => ends_open = true,
            // Above the root there is nothing that every reader agrees on.
            ".." => {
                segments.pop().ok_or(Ambiguous)?;
                ends_open = true;
            }
            name => segments.push(name),
        }
    }
    let mut plain = String::with_capacity(decoded.len());
    for segment in &segments {
        plain.push('/');
        plain.push_str(segment);
    }
    if plain.is_empty() || ends_open {
        plain.push('/');
    }
    Ok(Cow::Owned(plain))
}

fn decode(path: &str) -> Result<String, Ambiguous> {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find(['%', '\\']) {
        let (before, escape) = rest.split_at_checked(at).ok_or(Ambiguous)?;
        out.push_str(before);
        let digits = escape.strip_prefix('%').and_then(|rest| rest.get(..2)).ok_or(Ambiguous)?;
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let byte = u8::from_str_radix(digits, 16).ok().filter(|_| is_hex).ok_or(Ambiguous)?;
        match byte {
            // A separator some undo and some do not, or a percent sign that some undo once more.
            b'/' | b'\\' | b'%' | b';' => return Err(Ambiguous),
            byte if byte.is_ascii_control() => return Err(Ambiguous),
            b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            _ => {
                out.push('%');
                out.push_str(digits);
            }
        }
        rest = escape.get(3..).ok_or(Ambiguous)?;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_one_path_or_none() {
        for (path, one) in [
            ("/", Some("/")),
            ("/admin/users", Some("/admin/users")),
            ("/admin/", Some("/admin/")),
            ("/%61dmin/%75sers", Some("/admin/users")),
            ("//admin//users", Some("/admin/users")),
            ("/x/../admin/./users", Some("/admin/users")),
            ("/x/%2e%2E/admin", Some("/admin")),
            ("/admin/x/..", Some("/admin/")),
            ("/admin;a=b/users;c", Some("/admin/users")),
            ("/a/.well-known/x", Some("/a/.well-known/x")),
            ("/%EA%B9%80/a%20b", Some("/%EA%B9%80/a%20b")),
            ("/..", None),
            ("/x/..;/admin", None),
            ("/;/admin", None),
            ("/admin%2fusers", None),
            ("/a%5c..%5cadmin", None),
            ("/a\\..\\admin", None),
            ("/%2561dmin", None),
            ("/a%00", None),
            ("/a%3b", None),
            ("/a%zz", None),
            ("/a%+1", None),
            ("/a%4", None),
            ("/a%", None),
            ("/%é9", None),
        ] {
            assert_eq!(plain(path).as_deref().ok(), one, "{path}");
            // What is plain stays as it is.
            assert!(one.is_none_or(|one| plain(one).as_deref() == Ok(one)), "{path}");
        }
    }
}
