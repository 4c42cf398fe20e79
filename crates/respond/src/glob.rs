use serde::{Deserialize, Serialize};
use std::fmt;

/// A pattern in which `*` stands for any run of characters and `?` for one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Glob(String);

impl Glob {
    pub fn new(pattern: impl Into<String>) -> Self {
        Glob(pattern.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `text` fits as a whole. Takes at most pattern × text steps, whatever the pattern.
    pub fn matches(&self, text: &str) -> bool {
        let pattern: Vec<char> = self.0.chars().collect();
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut seen) = (0, 0);
        // Where the last `*` was, and how much of the text it has swallowed so far.
        let mut star: Option<(usize, usize)> = None;
        while seen < text.len() {
            match pattern.get(at) {
                Some('*') => {
                    star = Some((at, seen));
                    at += 1;
                }
                Some(c) if *c == '?' || text.get(seen) == Some(c) => {
                    at += 1;
                    seen += 1;
                }
                _ => match star {
                    Some((star_at, swallowed)) => {
                        star = Some((star_at, swallowed + 1));
                        at = star_at + 1;
                        seen = swallowed + 1;
                    }
                    None => return false,
                },
            }
        }
        pattern.get(at..).unwrap_or_default().iter().all(|c| *c == '*')
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_fits_as_a_whole() {
        for (pattern, text) in [
            ("*", ""),
            ("llm-*", "llm-chat"),
            ("*-takeover", "account-takeover"),
            ("a?c", "abc"),
            ("a*b*c", "aXbYbc"),
            ("관리*", "관리자"),
        ] {
            assert!(Glob::new(pattern).matches(text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("", "a"), ("llm-*", "xllm-chat"), ("a?c", "ac"), ("a*b", "abc"), ("shop", "Shop")]
        {
            assert!(!Glob::new(pattern).matches(text), "{pattern} {text}");
        }
    }
}
