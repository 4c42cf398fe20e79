//! Which route a request belongs to, and what an endpoint without one is called.

/// Segments of a path that are looked at; what follows is `**`.
const SEGMENTS_MAX: usize = 12;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    /// `{id}` or `*`.
    Any(String),
    /// `**`, at the end only.
    Rest,
}

/// `POST /login`, `GET|HEAD /orders/{id}`, `* /files/**`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// Empty means all.
    methods: Vec<String>,
    segments: Vec<Segment>,
    pub(super) path: String,
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Pattern, String> {
        let wrong = |why: &str| format!("cannot read route `{text}`: {why}");
        let (methods, path) = match text.trim().split_once(' ') {
            Some((methods, path)) => (methods, path.trim()),
            None => ("*", text.trim()),
        };
        if !path.starts_with('/') {
            return Err(wrong("the path does not begin with `/`"));
        }
        let methods = match methods {
            "*" => Vec::new(),
            list => list.split('|').map(str::to_ascii_uppercase).collect(),
        };
        if methods
            .iter()
            .any(|m| m.is_empty() || !m.bytes().all(|b| b.is_ascii_uppercase() || b == b'-'))
        {
            return Err(wrong("the method is not a word"));
        }
        let mut segments = Vec::new();
        for segment in path.trim_matches('/').split('/') {
            if segments.last() == Some(&Segment::Rest) {
                return Err(wrong("`**` stands only at the end"));
            }
            segments.push(match segment {
                "**" => Segment::Rest,
                "*" => Segment::Any(String::new()),
                s => match s.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
                    Some(name) if !name.is_empty() => Segment::Any(name.to_owned()),
                    Some(_) => return Err(wrong("`{}` has no name")),
                    None if s.contains(['{', '}', '*', '?']) => {
                        return Err(wrong("a segment is a word, `{name}`, `*` or `**`"));
                    }
                    None => Segment::Literal(s.to_owned()),
                },
            });
        }
        Ok(Pattern { methods, segments, path: path.to_owned() })
    }

    /// The first segment, when it is a word.
    pub(super) fn first_literal(&self) -> Option<&str> {
        match self.segments.first() {
            Some(Segment::Literal(literal)) => Some(literal),
            _ => None,
        }
    }

    pub(super) fn matches(&self, method: &str, path: &str) -> bool {
        if !self.methods.is_empty() && !self.methods.iter().any(|m| m == method) {
            return false;
        }
        let mut parts = path.trim_matches('/').split('/');
        for segment in &self.segments {
            let part = parts.next();
            let fits = match (segment, part) {
                (Segment::Rest, _) => return true,
                (Segment::Literal(literal), Some(part)) => literal == part,
                (Segment::Any(_), Some(part)) => !part.is_empty(),
                (_, None) => false,
            };
            if !fits {
                return false;
            }
        }
        parts.next().is_none()
    }

    /// Puts the path's parts in the place of their names in `text`.
    pub(super) fn fill(&self, text: &str, path: &str) -> String {
        let mut out = text.to_owned();
        for (segment, part) in self.segments.iter().zip(path.trim_matches('/').split('/')) {
            if let Segment::Any(name) = segment
                && !name.is_empty()
            {
                out = out.replace(&format!("{{{name}}}"), part);
            }
        }
        out
    }
}

/// `GET /orders/{id}`: what looks like an id becomes one.
pub(super) fn template(method: &str, path: &str) -> String {
    let mut out = String::with_capacity(method.len() + path.len() + 8);
    out.push_str(method);
    out.push(' ');
    if !path.starts_with('/') {
        out.push('/');
    }
    for (i, segment) in path.split('/').enumerate() {
        if i > SEGMENTS_MAX {
            out.push_str("/**");
            break;
        }
        if i > 0 {
            out.push('/');
        }
        // What follows `;` are parameters of the segment.
        let segment = segment.split(';').next().unwrap_or_default();
        out.push_str(if is_id(segment) { "{id}" } else { segment });
    }
    out
}

/// Numbers, UUIDs, hex, long words with digits, anything encoded, masked or addressed.
fn is_id(segment: &str) -> bool {
    const WORD_MAX: usize = 32;
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    let hex = segment.len() >= 8 && segment.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    segment.len() > WORD_MAX
        || segment.contains(['%', '@', '[', ':', '='])
        || (digits > 0 && digits == segment.len())
        || (digits > 0 && hex)
        || (segment.len() >= 16 && digits >= 3)
        || (digits >= 4 && segment.len() - digits <= 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_route_that_fits() {
        let fits = |pattern: &str, request: &str| {
            let (method, path) = request.split_once(' ').unwrap();
            Pattern::parse(pattern).unwrap().matches(method, path)
        };
        assert!(fits("POST /login", "POST /login") && fits("POST /login", "POST /login/"));
        assert!(!fits("POST /login", "GET /login") && !fits("POST /login", "POST /login/x"));
        assert!(fits("GET|HEAD /orders/{id}", "HEAD /orders/7"));
        assert!(
            !fits("GET /orders/{id}", "GET /orders/")
                && !fits("GET /orders/{id}", "GET /orders/7/items")
        );
        assert!(fits("* /files/**", "PUT /files/a/b") && fits("/files/**", "GET /files"));
        for bad in ["", "login", "GET login", "G3T /x", "GET /a/**/b", "GET /{}", "GET /a*"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
        let pattern = Pattern::parse("GET /shops/{shop}/orders/{id}").unwrap();
        assert_eq!(pattern.fill("order {id} of {shop}", "/shops/a/orders/7"), "order 7 of a");
    }

    #[test]
    fn ids_in_paths_become_one_endpoint() {
        let check = |path: &str, expected: &str| {
            assert_eq!(template("GET", path), format!("GET {expected}"))
        };
        check("/orders/1042/items", "/orders/{id}/items");
        check("/u/550e8400-e29b-41d4-a716-446655440000", "/u/{id}");
        check("/c/deadbeef01", "/c/{id}");
        check("/users/kim%40example.com", "/users/{id}");
        check("/users/[email:k***@example.com#12345678]", "/users/{id}");
        check("/v1/chat/completions", "/v1/chat/completions");
        check("/decade/facade", "/decade/facade");
        check("/products/blue-shirt", "/products/blue-shirt");
        check("/a/ORD-20240101", "/a/{id}");
        check("/x;jsessionid=1", "/x");
        check("/", "/");
    }
}
