//! `SecAuditLogRelevantStatus`: which answers are kept in the audit log.
//!
//! The manual's own example looks ahead, `^(?:5|4(?!04))`, which our regex engine does not. There are 900
//! statuses: such a pattern is tried on each, and the regex names those that fit.

use crate::parse::{Problem, unquoted};
use regex::bytes::{Regex, RegexBuilder};

/// The compiled regex, in bytes.
pub const STATUS_REGEX_BYTES_MAX: usize = 1 << 20;

/// A pattern that looks ahead.
pub const STATUS_PATTERN_BYTES_MAX: usize = 1000;

/// Groups within groups.
pub const STATUS_DEPTH_MAX: usize = 20;

pub(super) fn parse(subject: &str, written: &str) -> Result<Regex, Problem> {
    let pattern = unquoted(written);
    build(pattern).or_else(|| build(&listed(pattern)?)).ok_or_else(|| {
        Problem::new(subject, format!("the regex `{pattern}` does not compile"))
            .hint("write it without back references, such as `^(?:5|40[0-35-9])`")
    })
}

fn build(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern)
        .unicode(false)
        .dot_matches_new_line(true)
        .size_limit(STATUS_REGEX_BYTES_MAX)
        .build()
        .ok()
}

/// A regex that names each status that `pattern` matches.
fn listed(pattern: &str) -> Option<String> {
    if pattern.len() > STATUS_PATTERN_BYTES_MAX {
        return None;
    }
    let mut reader = Reader { rest: pattern.as_bytes(), depth: 0 };
    let node = reader.alternatives()?;
    if !reader.rest.is_empty() {
        return None;
    }
    let fits = |status: &String| node.steps(status.as_bytes()).iter().any(|ends| *ends != 0);
    let statuses: Vec<String> =
        (100..=999).map(|status: u16| status.to_string()).filter(fits).collect();
    Some(if statuses.is_empty() {
        "[^\\x00-\\xff]".to_owned()
    } else {
        format!("^(?:{})$", statuses.join("|"))
    })
}

/// Places in a status: bit 0 is before its first digit, bit 3 after its last.
type Places = u8;
const START: Places = 0b0001;
const END: Places = 0b1000;

enum Node {
    Sequence(Vec<Node>),
    Alternatives(Vec<Node>),
    /// One of these bytes.
    Byte(Box<[bool; 256]>),
    /// `^` or `$`.
    Only(Places),
    Ahead {
        node: Box<Node>,
        wanted: bool,
    },
    Repeat {
        node: Box<Node>,
        least: u8,
        most: Option<u8>,
    },
}

/// For each place, where a match that starts there may end.
type Steps = [Places; 4];

impl Node {
    /// Each node is looked at once: time grows with the pattern, whatever is nested in it.
    fn steps(&self, status: &[u8]) -> Steps {
        match self {
            Self::Sequence(nodes) => nodes.iter().fold(STAY, |steps, node| {
                let next = node.steps(status);
                steps.map(|at| after(&next, at))
            }),
            Self::Alternatives(nodes) => nodes.iter().fold([0; 4], |mut steps, node| {
                steps.iter_mut().zip(node.steps(status)).for_each(|(step, more)| *step |= more);
                steps
            }),
            Self::Byte(bytes) => {
                let mut steps = [0; 4];
                for (step, (at, byte)) in steps.iter_mut().zip(STAY.into_iter().zip(status)) {
                    let fits = bytes.get(usize::from(*byte)) == Some(&true);
                    *step = if fits { at << 1 } else { 0 };
                }
                steps
            }
            Self::Only(places) => STAY.map(|at| at & places),
            Self::Ahead { node, wanted } => {
                let mut steps = node.steps(status);
                for (step, at) in steps.iter_mut().zip(STAY) {
                    *step = if (*step != 0) == *wanted { at } else { 0 };
                }
                steps
            }
            Self::Repeat { node, least, most } => {
                let once = node.steps(status);
                let mut at = (0..*least).fold(STAY, |at, _| at.map(|at| after(&once, at)));
                let mut ends = at;
                // After three more digits there is nothing left to find.
                for _ in 0..most.map_or(3, |most| most.saturating_sub(*least).min(3)) {
                    at = at.map(|at| after(&once, at));
                    ends.iter_mut().zip(at).for_each(|(ends, at)| *ends |= at);
                }
                ends
            }
        }
    }
}

/// A match of nothing.
const STAY: Steps = [0b0001, 0b0010, 0b0100, 0b1000];

fn after(steps: &Steps, from: Places) -> Places {
    let taken = steps.iter().zip(STAY).filter(|(_, at)| from & at != 0);
    taken.fold(0, |ends, (step, _)| ends | step)
}

struct Reader<'a> {
    rest: &'a [u8],
    depth: usize,
}

impl Reader<'_> {
    fn take(&mut self, start: &[u8]) -> bool {
        let rest = self.rest.strip_prefix(start);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn alternatives(&mut self) -> Option<Node> {
        self.depth += 1;
        if self.depth > STATUS_DEPTH_MAX {
            return None;
        }
        let mut all = vec![self.sequence()?];
        while self.take(b"|") {
            all.push(self.sequence()?);
        }
        self.depth -= 1;
        Some(Node::Alternatives(all))
    }

    fn sequence(&mut self) -> Option<Node> {
        let mut nodes = Vec::new();
        while !matches!(self.rest.first(), None | Some(b'|' | b')')) {
            let node = self.atom()?;
            nodes.push(self.repeated(node)?);
        }
        Some(Node::Sequence(nodes))
    }

    fn atom(&mut self) -> Option<Node> {
        Some(match self.next()? {
            b'^' => Node::Only(START),
            b'$' => Node::Only(END),
            b'.' => Node::Byte(Box::new([true; 256])),
            b'\\' => bytes_of(&self.escape()?),
            b'[' => self.class()?,
            b'(' => {
                let ahead = [(&b"?!"[..], false), (b"?=", true)];
                let wanted =
                    ahead.into_iter().find(|(sign, _)| self.take(sign)).map(|(_, wanted)| wanted);
                if wanted.is_none() && !self.take(b"?:") && self.rest.starts_with(b"?") {
                    return None;
                }
                let node = self.alternatives()?;
                if !self.take(b")") {
                    return None;
                }
                match wanted {
                    Some(wanted) => Node::Ahead { node: Box::new(node), wanted },
                    None => node,
                }
            }
            b'*' | b'+' | b'?' | b'{' => return None,
            byte => bytes_of(&[byte]),
        })
    }

    fn repeated(&mut self, node: Node) -> Option<Node> {
        let (least, most) = if self.take(b"*") {
            (0, None)
        } else if self.take(b"+") {
            (1, None)
        } else if self.take(b"?") {
            (0, Some(1))
        } else if self.take(b"{") {
            let least = self.count()?;
            let most = if !self.take(b",") {
                Some(least)
            } else if self.rest.starts_with(b"}") {
                None
            } else {
                Some(self.count()?)
            };
            if !self.take(b"}") {
                return None;
            }
            (least, most)
        } else {
            return Some(node);
        };
        // Lazy or possessive: for the question whether it matches, lazy is the same.
        self.take(b"?");
        if matches!(self.rest.first(), Some(b'+' | b'*')) {
            return None;
        }
        Some(Node::Repeat { node: Box::new(node), least, most })
    }

    fn count(&mut self) -> Option<u8> {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = self.rest.split_at_checked(digits)?;
        self.rest = rest;
        std::str::from_utf8(number).ok()?.parse().ok()
    }

    /// What stands after a backslash.
    fn escape(&mut self) -> Option<Vec<u8>> {
        match self.next()? {
            b'd' => Some((b'0'..=b'9').collect()),
            letter if letter.is_ascii_alphanumeric() => None,
            sign => Some(vec![sign]),
        }
    }

    fn class(&mut self) -> Option<Node> {
        let negated = self.take(b"^");
        let mut members = Vec::new();
        loop {
            match self.next()? {
                b']' if !members.is_empty() => break,
                b'\\' => members.extend(self.escape()?),
                b'[' => return None,
                from if self.rest.first() == Some(&b'-') && self.rest.get(1) != Some(&b']') => {
                    self.next();
                    members.extend(from..=self.next()?);
                }
                byte => members.push(byte),
            }
        }
        let Node::Byte(mut bytes) = bytes_of(&members) else { return None };
        bytes.iter_mut().for_each(|byte| *byte ^= negated);
        Some(Node::Byte(bytes))
    }
}

fn bytes_of(members: &[u8]) -> Node {
    let mut bytes = Box::new([false; 256]);
    for member in members {
        if let Some(byte) = bytes.get_mut(usize::from(*member)) {
            *byte = true;
        }
    }
    Node::Byte(bytes)
}

#[cfg(test)]
mod tests;
