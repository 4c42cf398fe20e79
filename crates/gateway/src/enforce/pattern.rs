use std::borrow::Cow;

/// `/path`, `/path/*` or either after a method: what stays open while a step-up is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    method: Option<String>,
    path: String,
    /// Everything below `path`, too.
    below: bool,
}

impl Pattern {
    pub fn parse(text: &str) -> Option<Pattern> {
        let (method, path) = match text.split_once(' ') {
            Some((method, path)) => (Some(method.to_ascii_uppercase()), path.trim_start()),
            None => (None, text),
        };
        let (path, below) = match path.strip_suffix('*') {
            Some(stem) => (stem, true),
            None => (path, false),
        };
        let fits = path.starts_with('/')
            && !path.contains(['*', ' ', '?', '#'])
            && (!below || path.ends_with('/'))
            && method.as_ref().is_none_or(|m| m.bytes().all(|b| b.is_ascii_uppercase()));
        fits.then(|| Pattern { method, path: path.to_owned(), below })
    }

    /// A path with dots, escapes of `/` or `.`, backslashes or empty segments never matches: the
    /// application may read it as another.
    pub fn matches(&self, method: &str, path: &str) -> bool {
        let method_fits = self.method.as_ref().is_none_or(|m| m == method);
        let path_fits = if self.below { path.starts_with(&self.path) } else { path == self.path };
        method_fits && path_fits && !is_ambiguous(path)
    }

    /// The same, of paths with their escapes undone on both sides ([`plain_path`]).
    pub fn matches_plain(&self, method: &str, plain: &str) -> bool {
        let own = plain_path(&self.path).unwrap_or(Cow::Borrowed(&self.path));
        let method_fits = self.method.as_ref().is_none_or(|m| m == method);
        method_fits && if self.below { plain.starts_with(&*own) } else { plain == own }
    }
}

/// A path with its escapes undone. `None`: an application may read it as more than one.
pub fn plain_path(path: &str) -> Option<Cow<'_, str>> {
    if is_ambiguous(path) {
        return None;
    }
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
    }
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            plain.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        plain.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(plain).ok().map(Cow::Owned)
}

fn is_ambiguous(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    path.contains("//")
        || path.contains('\\')
        || path.contains(';')
        || path.split('/').any(|segment| segment == "." || segment == "..")
        || ["%2e", "%2f", "%5c", "%00", "%25", "%3b"].iter().any(|escape| lower.contains(escape))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_open_what_they_name_and_nothing_beside() {
        let below = Pattern::parse("/static/*").unwrap();
        assert!(below.matches("GET", "/static/app.css"));
        for path in [
            "/static",
            "/staticx",
            "/static/../admin",
            "/static/%2e%2e/admin",
            "/static/..;/a",
            "/static//a",
        ] {
            assert!(!below.matches("GET", path), "{path}");
        }
        let one = Pattern::parse("POST /verify").unwrap();
        assert!(one.matches("POST", "/verify"));
        assert!(!one.matches("GET", "/verify"));
        assert!(!one.matches("POST", "/verify/x"));
        for text in ["verify", "/a*", "/a?b", "P0ST /a", ""] {
            assert_eq!(Pattern::parse(text), None, "{text}");
        }
    }
    #[test]
    fn escapes_are_undone_where_there_is_one_way_to() {
        for (path, plain) in [
            ("/admin/x", Some("/admin/x")),
            ("/%61dmin/x", Some("/admin/x")),
            ("/a%20b/caf%c3%a9", Some("/a b/café")),
            ("/admin//x", None),
            ("/%2561dmin", None),
            ("/%u0061dmin", None),
            ("/%6", None),
            ("/%ff", None),
        ] {
            assert_eq!(plain_path(path).as_deref(), plain, "{path}");
        }
        let below = Pattern::parse("/caf%C3%A9/*").unwrap();
        assert!(below.matches_plain("GET", "/café/x") && !below.matches_plain("GET", "/cafe/x"));
    }
}
