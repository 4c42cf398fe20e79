/// A pattern in which `*` stands for any run of characters and `?` for one; case matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob(Box<str>);

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        Glob(pattern.into())
    }

    /// The one text it fits, when there is only one.
    pub(crate) fn plain(&self) -> Option<&str> {
        (!self.0.contains(['*', '?'])).then_some(&*self.0)
    }

    /// Whether `text` fits as a whole. Takes at most pattern × text steps, whatever the pattern.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        // Past the character that begins at `place`: bytes `10xxxxxx` continue one (RFC 3629 §3).
        let next = |place: usize| {
            let more = text.iter().skip(place + 1).take_while(|byte| **byte & 0xC0 == 0x80);
            place + 1 + more.count()
        };
        let (mut at, mut seen) = (0, 0);
        // Where the last `*` was, and how much of the text it has swallowed so far.
        let mut star: Option<(usize, usize)> = None;
        while let Some(byte) = text.get(seen) {
            match pattern.get(at) {
                Some(b'*') => {
                    star = Some((at, seen));
                    at += 1;
                }
                Some(b'?') => {
                    at += 1;
                    seen = next(seen);
                }
                Some(wanted) if wanted == byte => {
                    at += 1;
                    seen += 1;
                }
                _ => match star {
                    Some((star_at, swallowed)) => {
                        let swallowed = next(swallowed);
                        star = Some((star_at, swallowed));
                        at = star_at + 1;
                        seen = swallowed;
                    }
                    None => return false,
                },
            }
        }
        pattern.get(at..).unwrap_or_default().iter().all(|byte| *byte == b'*')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_fits_as_a_whole() {
        for (pattern, text) in [
            ("*", ""),
            ("*@partner.example", "kim@partner.example"),
            ("GET /orders/*", "GET /orders/{id}"),
            ("a?c", "a한c"),
            ("관리*", "관리자"),
            ("*?자", "관리자"),
            ("a*b*c", "aXbYbc"),
        ] {
            assert!(Glob::new(pattern).matches(text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("*@partner.example", "kim@partner.example.evil"),
            ("a?c", "ac"),
            ("a??c", "a한c"),
            ("a*b", "abc"),
            ("shop", "Shop"),
        ] {
            assert!(!Glob::new(pattern).matches(text), "{pattern} {text}");
        }
    }
}
