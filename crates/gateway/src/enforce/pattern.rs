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
}
