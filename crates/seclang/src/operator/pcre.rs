//! PCRE's syntax in the words of `regex-syntax`, where both can mean the same.
//!
//! libmodsecurity compiles without UTF, with DOTALL and MULTILINE: a pattern is about bytes, `.` is any of
//! them. What has no counterpart (lookaround, backreferences, recursion) is refused, never approximated.
//! Known small differences: `^` also matches behind a line feed that ends the value, and `\Z` and `\R` may
//! be taken back by what follows them.

use std::fmt::Write;

/// What is wrong, and a hint.
pub type Refusal = (String, Option<String>);

/// A pattern longer than this is refused. CRS's longest has 8 KiB.
pub const PATTERN_BYTES_MAX: usize = 64 * 1024;
/// Groups within groups.
pub const PATTERN_DEPTH_MAX: usize = 128;

/// A translated pattern.
#[derive(Debug)]
pub struct Translated {
    pub text: String,
    /// Where greedy stands for possessive or atomic: to be proven equivalent.
    pub atomic: bool,
}

/// # Errors
/// Names what Rust's engine has no counterpart for.
pub fn translate(pattern: &[u8]) -> Result<Translated, Refusal> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err((
            format!("the pattern has {} bytes, {PATTERN_BYTES_MAX} are allowed", pattern.len()),
            Some("split it into several rules".to_owned()),
        ));
    }
    let mut translator = Translator {
        rest: pattern,
        out: String::with_capacity(pattern.len() + pattern.len() / 4),
        extended: vec![false],
        groups: count_groups(pattern),
        atomic: false,
    };
    translator.run()?;
    Ok(Translated { text: translator.out, atomic: translator.atomic })
}

struct Translator<'a> {
    rest: &'a [u8],
    out: String,
    /// Whether `(?x)` holds: one for each group that is open, and one for the pattern.
    extended: Vec<bool>,
    /// How many capture groups the pattern has: `\12` is the twelfth, or octal.
    groups: usize,
    atomic: bool,
}

/// What stands in a class.
enum Member {
    Byte(u8),
    /// Several, as they are written in a class.
    Set(&'static str),
}

impl<'a> Translator<'a> {
    fn run(&mut self) -> Result<(), Refusal> {
        loop {
            self.rest = match self.rest {
                [] => return Ok(()),
                [b'\\', tail @ ..] => {
                    self.rest = tail;
                    self.escape()?;
                    continue;
                }
                [b'[', tail @ ..] => {
                    self.rest = tail;
                    self.class()?;
                    continue;
                }
                [b'(', tail @ ..] => {
                    self.rest = tail;
                    self.group()?;
                    continue;
                }
                [b')', tail @ ..] => {
                    if self.extended.len() > 1 {
                        self.extended.pop();
                    }
                    self.out.push(')');
                    tail
                }
                [b'*' | b'+' | b'?' | b'{', ..] => {
                    self.quantifier();
                    continue;
                }
                [byte @ (b'|' | b'^' | b'$' | b'.'), tail @ ..] => {
                    self.out.push(char::from(*byte));
                    tail
                }
                [b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, tail @ ..] if self.is_extended() => {
                    tail
                }
                [b'#', tail @ ..] if self.is_extended() => {
                    let end = memchr::memchr(b'\n', tail).unwrap_or(tail.len());
                    tail.get(end..).unwrap_or_default()
                }
                [byte, tail @ ..] => {
                    literal(*byte, &mut self.out);
                    tail
                }
            };
        }
    }

    fn is_extended(&self) -> bool {
        self.extended.last().copied().unwrap_or(false)
    }

    /// `*`, `+`, `?`, `{n,m}`, each lazy or possessive; a `{` that is none is itself.
    fn quantifier(&mut self) {
        let length = match self.rest {
            [b'{', tail @ ..] => match counted(tail) {
                Some(length) => length + 1,
                None => {
                    self.out.push_str("\\{");
                    self.rest = tail;
                    return;
                }
            },
            _ => 1,
        };
        let (quantifier, tail) = self.rest.split_at(length.min(self.rest.len()));
        self.out.extend(quantifier.iter().map(|byte| char::from(*byte)));
        self.rest = match tail {
            [b'?', tail @ ..] => {
                self.out.push('?');
                tail
            }
            [b'+', tail @ ..] => {
                self.atomic = true;
                tail
            }
            tail => tail,
        };
    }

    /// What follows a backslash outside a class.
    fn escape(&mut self) -> Result<(), Refusal> {
        let (letter, tail) = match self.rest {
            [] => return Err(("the pattern ends in a backslash".to_owned(), None)),
            [letter, tail @ ..] => (*letter, tail),
        };
        let simple = match letter {
            b'd' | b'D' | b'w' | b'W' | b's' | b'S' | b'b' | b'B' | b'A' | b'z' => {
                self.out.push('\\');
                self.out.push(char::from(letter));
                self.rest = tail;
                return Ok(());
            }
            b'h' => "[\\t\\x20\\xA0]",
            b'H' => "[^\\t\\x20\\xA0]",
            b'v' => "[\\n-\\r\\x85]",
            b'V' => "[^\\n-\\r\\x85]",
            b'N' => "[^\\n]",
            b'C' => "(?s:.)",
            b'R' => "(?:\\r\\n|[\\n-\\r\\x85])",
            b'Z' => "(?:\\n?\\z)",
            b'E' => "",
            b'Q' => {
                let end = memchr::memmem::find(tail, b"\\E").unwrap_or(tail.len());
                let (quoted, tail) = tail.split_at(end);
                for byte in quoted {
                    literal(*byte, &mut self.out);
                }
                self.rest = tail.get(2..).unwrap_or_default();
                return Ok(());
            }
            b'K' | b'G' | b'X' | b'p' | b'P' => {
                return Err((
                    format!("`\\{}` has no counterpart here", char::from(letter)),
                    Some("rewrite the pattern without it".to_owned()),
                ));
            }
            b'g' | b'k' => return Err(backreference(letter)),
            b'1'..=b'9' if !self.is_octal() => return Err(backreference(letter)),
            _ => {
                let byte = self.escaped_byte()?;
                literal(byte, &mut self.out);
                return Ok(());
            }
        };
        self.out.push_str(simple);
        self.rest = tail;
        Ok(())
    }

    /// `\1` to `\9` are always backreferences, larger ones when there are so many groups.
    fn is_octal(&self) -> bool {
        let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).take(4).count();
        let number = self
            .rest
            .iter()
            .take(digits)
            .fold(0usize, |number, digit| number * 10 + usize::from(digit.wrapping_sub(b'0')));
        number > 9 && number > self.groups && self.rest.first().is_some_and(|digit| *digit <= b'7')
    }

    /// A byte by its number, its letter, or itself; moves behind it.
    fn escaped_byte(&mut self) -> Result<u8, Refusal> {
        let (byte, tail) = match self.rest {
            [b'x', b'{', tail @ ..] | [b'o', b'{', tail @ ..] => {
                let radix = if self.rest.first() == Some(&b'x') { 16 } else { 8 };
                let end = memchr::memchr(b'}', tail).unwrap_or(tail.len());
                let (digits, tail) = tail.split_at(end);
                let value = std::str::from_utf8(digits)
                    .ok()
                    .and_then(|digits| u8::from_str_radix(digits, radix).ok())
                    .ok_or_else(|| {
                        (
                            format!(
                                "`{}` in braces is not the number of a byte",
                                String::from_utf8_lossy(digits)
                            ),
                            Some(
                                "patterns are about bytes: write the bytes of its UTF-8".to_owned(),
                            ),
                        )
                    })?;
                (value, tail.get(1..).unwrap_or_default())
            }
            [b'x', tail @ ..] => number(tail, 16, 2),
            [b'0'..=b'7', ..] => number(self.rest, 8, 3),
            [b'c', letter, tail @ ..] => (letter.to_ascii_uppercase() ^ 0x40, tail),
            [b'a', tail @ ..] => (0x07, tail),
            [b'e', tail @ ..] => (0x1b, tail),
            [b'f', tail @ ..] => (0x0c, tail),
            [b'n', tail @ ..] => (b'\n', tail),
            [b'r', tail @ ..] => (b'\r', tail),
            [b't', tail @ ..] => (b'\t', tail),
            [byte, tail @ ..] => (*byte, tail),
            [] => return Err(("the pattern ends in a backslash".to_owned(), None)),
        };
        self.rest = tail;
        Ok(byte)
    }

    /// What follows `[`, to the `]` that closes it.
    fn class(&mut self) -> Result<(), Refusal> {
        self.out.push('[');
        if let [b'^', tail @ ..] = self.rest {
            self.out.push('^');
            self.rest = tail;
        }
        let mut first = true;
        loop {
            match self.rest {
                [] => {
                    return Err((
                        "a `[` is not closed".to_owned(),
                        Some("write `\\[` for the bracket itself".to_owned()),
                    ));
                }
                [b']', tail @ ..] if !first => {
                    self.rest = tail;
                    self.out.push(']');
                    return Ok(());
                }
                _ => {}
            }
            first = false;
            let Some(member) = self.member()? else {
                continue;
            };
            let from = match member {
                Member::Set(set) => {
                    self.out.push_str(set);
                    continue;
                }
                Member::Byte(byte) => byte,
            };
            class_byte(from, &mut self.out);
            // A range, unless the dash is the last in the class or a set follows it.
            if let [b'-', tail @ ..] = self.rest
                && tail.first().is_some_and(|next| *next != b']')
            {
                self.rest = tail;
                match self.member()? {
                    Some(Member::Byte(to)) if to < from => {
                        return Err(("a range in a class ends before it begins".to_owned(), None));
                    }
                    Some(Member::Byte(to)) => {
                        self.out.push('-');
                        class_byte(to, &mut self.out);
                    }
                    Some(Member::Set(set)) => {
                        self.out.push_str("\\-");
                        self.out.push_str(set);
                    }
                    None => self.out.push_str("\\-"),
                }
            }
        }
    }

    /// One member of a class; `None` for what means nothing, like `\E`.
    fn member(&mut self) -> Result<Option<Member>, Refusal> {
        let member = match self.rest {
            [b'\\', letter, tail @ ..] => {
                let set = match letter {
                    b'd' => "\\d",
                    b'D' => "\\D",
                    b'w' => "\\w",
                    b'W' => "\\W",
                    b's' => "\\s",
                    b'S' => "\\S",
                    b'h' => "\\t\\x20\\xA0",
                    b'H' => "[^\\t\\x20\\xA0]",
                    b'v' => "\\n-\\r\\x85",
                    b'V' => "[^\\n-\\r\\x85]",
                    b'b' => {
                        self.rest = tail;
                        return Ok(Some(Member::Byte(0x08)));
                    }
                    b'E' => {
                        self.rest = tail;
                        return Ok(None);
                    }
                    b'Q' | b'p' | b'P' | b'N' | b'R' | b'X' => {
                        return Err((
                            format!(
                                "`\\{}` in a class has no counterpart here",
                                char::from(*letter)
                            ),
                            Some("write its members one by one".to_owned()),
                        ));
                    }
                    _ => {
                        self.rest = self.rest.get(1..).unwrap_or_default();
                        return self.escaped_byte().map(|byte| Some(Member::Byte(byte)));
                    }
                };
                self.rest = tail;
                Member::Set(set)
            }
            [b'[', b':', tail @ ..] => match posix(tail) {
                Some((set, tail)) => {
                    self.rest = tail;
                    Member::Set(set)
                }
                None => {
                    self.rest = self.rest.get(1..).unwrap_or_default();
                    Member::Byte(b'[')
                }
            },
            [byte, tail @ ..] => {
                self.rest = tail;
                Member::Byte(*byte)
            }
            [] => return Err(("a `[` is not closed".to_owned(), None)),
        };
        Ok(Some(member))
    }

    /// What follows `(`.
    fn group(&mut self) -> Result<(), Refusal> {
        let extended = self.is_extended();
        let (opening, tail) = match self.rest {
            [b'?', b':', tail @ ..] => ("(?:", tail),
            [b'?', b'>', tail @ ..] => {
                self.atomic = true;
                ("(?:", tail)
            }
            [b'?', b'#', tail @ ..] => {
                let end = memchr::memchr(b')', tail).unwrap_or(tail.len());
                self.rest = tail.get(end + 1..).unwrap_or_default();
                return Ok(());
            }
            [b'?', b'=' | b'!', ..] | [b'?', b'<', b'=' | b'!', ..] => {
                return Err((
                    "lookaround (`(?=`, `(?!`, `(?<=`, `(?<!`) is not supported".to_owned(),
                    Some(
                        "say it with a second, chained rule: `chain` and then `@rx` or `!@rx`"
                            .to_owned(),
                    ),
                ));
            }
            [b'?', b'P', b'<', tail @ ..] | [b'?', b'<', tail @ ..] => ("(", name(tail, b'>')?),
            [b'?', b'\'', tail @ ..] => ("(", name(tail, b'\'')?),
            [b'?', b'|' | b'(' | b'R' | b'&' | b'0'..=b'9' | b'+' | b'P' | b'C', ..]
            | [b'*', ..] => {
                return Err((
                    "recursion, conditions, branch reset and verbs are not supported".to_owned(),
                    Some("rewrite the pattern without them".to_owned()),
                ));
            }
            [b'?', tail @ ..] => return self.flags(tail),
            tail => ("(", tail),
        };
        self.out.push_str(opening);
        self.rest = tail;
        self.open(extended)
    }

    fn open(&mut self, extended: bool) -> Result<(), Refusal> {
        self.extended.push(extended);
        if self.extended.len() > PATTERN_DEPTH_MAX {
            return Err((
                format!("groups are nested deeper than {PATTERN_DEPTH_MAX}"),
                Some("flatten the pattern".to_owned()),
            ));
        }
        Ok(())
    }

    /// `(?i)`, `(?i-s:`: flags for the rest of the group, or for a group of their own.
    fn flags(&mut self, flags: &'a [u8]) -> Result<(), Refusal> {
        let length = flags.iter().take_while(|byte| !matches!(byte, b')' | b':')).count();
        let (flags, tail) = flags.split_at(length);
        let mut extended = self.is_extended();
        let (mut on, mut off) = (String::new(), String::new());
        let mut turns_on = true;
        for flag in flags {
            match flag {
                b'-' => turns_on = false,
                b'x' => extended = turns_on,
                b'i' | b'm' | b's' | b'U' => {
                    if turns_on { &mut on } else { &mut off }.push(char::from(*flag));
                }
                _ => {
                    return Err((
                        format!("`(?{}` is not understood", String::from_utf8_lossy(flags)),
                        Some("use only the flags `i`, `m`, `s`, `x` and `U`".to_owned()),
                    ));
                }
            }
        }
        if !off.is_empty() {
            on.push('-');
        }
        on.push_str(&off);
        match tail {
            [b':', tail @ ..] => {
                self.rest = tail;
                self.out.push_str("(?");
                self.out.push_str(&on);
                self.out.push(':');
                self.open(extended)
            }
            [_, tail @ ..] => {
                self.rest = tail;
                if let Some(last) = self.extended.last_mut() {
                    *last = extended;
                }
                if !on.is_empty() {
                    self.out.push_str("(?");
                    self.out.push_str(&on);
                    self.out.push(')');
                }
                Ok(())
            }
            [] => Err(("a `(` is not closed".to_owned(), None)),
        }
    }
}

/// The length of `n}`, `n,}` or `n,m}`.
fn counted(tail: &[u8]) -> Option<usize> {
    let end = memchr::memchr(b'}', tail)?;
    let mut numbers = tail.get(..end)?.splitn(2, |byte| *byte == b',');
    let is_number = |number: &[u8]| number.iter().all(u8::is_ascii_digit);
    let first = numbers.next()?;
    let second = numbers.next().unwrap_or_default();
    (!first.is_empty() && is_number(first) && is_number(second)).then_some(end + 1)
}

/// Up to `digits_max` digits; none is 0.
fn number(tail: &[u8], radix: u32, digits_max: usize) -> (u8, &[u8]) {
    let digits =
        tail.iter().take(digits_max).take_while(|byte| char::from(**byte).is_digit(radix)).count();
    let (code, tail) = tail.split_at(digits);
    let value = code
        .iter()
        .fold(0u32, |value, digit| value * radix + char::from(*digit).to_digit(radix).unwrap_or(0));
    #[expect(clippy::cast_possible_truncation, reason = "as PCRE without UTF: the low byte")]
    let byte = value as u8;
    (byte, tail)
}

/// Behind the name of a group. Groups go by number here, so the name is dropped.
fn name(tail: &[u8], closing: u8) -> Result<&[u8], Refusal> {
    let end = memchr::memchr(closing, tail).unwrap_or(0);
    let is_name = tail
        .get(..end)
        .is_some_and(|name| name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_'));
    if end == 0 || !is_name {
        return Err(("the name of a group is not closed".to_owned(), None));
    }
    Ok(tail.get(end + 1..).unwrap_or_default())
}

fn backreference(letter: u8) -> Refusal {
    (
        format!("the backreference `\\{}` is not supported", char::from(letter)),
        Some("write out what the group may be, or compare with `TX` in a chained rule".to_owned()),
    )
}

/// `alpha:]` and its like, behind `[:`.
fn posix(tail: &[u8]) -> Option<(&'static str, &[u8])> {
    const CLASSES: [(&str, &str, &str); 14] = [
        ("alnum", "[:alnum:]", "[:^alnum:]"),
        ("alpha", "[:alpha:]", "[:^alpha:]"),
        ("ascii", "[:ascii:]", "[:^ascii:]"),
        ("blank", "[:blank:]", "[:^blank:]"),
        ("cntrl", "[:cntrl:]", "[:^cntrl:]"),
        ("digit", "[:digit:]", "[:^digit:]"),
        ("graph", "[:graph:]", "[:^graph:]"),
        ("lower", "[:lower:]", "[:^lower:]"),
        ("print", "[:print:]", "[:^print:]"),
        ("punct", "[:punct:]", "[:^punct:]"),
        ("space", "[:space:]", "[:^space:]"),
        ("upper", "[:upper:]", "[:^upper:]"),
        ("word", "[:word:]", "[:^word:]"),
        ("xdigit", "[:xdigit:]", "[:^xdigit:]"),
    ];
    let end = memchr::memmem::find(tail, b":]")?;
    let (name, rest) = tail.split_at(end);
    let (negated, name) = match name {
        [b'^', name @ ..] => (true, name),
        name => (false, name),
    };
    let (_, set, without) = CLASSES.iter().find(|(known, ..)| known.as_bytes() == name)?;
    // Brackets of their own: a class within the class.
    Some((if negated { without } else { set }, rest.get(2..).unwrap_or_default()))
}

/// A byte that stands for itself, outside a class.
fn literal(byte: u8, out: &mut String) {
    if byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'_' | b'/'
                | b'<'
                | b'>'
                | b'='
                | b'\''
                | b'"'
                | b','
                | b';'
                | b':'
                | b'!'
                | b'%'
                | b'@'
                | b'`'
        )
    {
        out.push(char::from(byte));
    } else {
        // Writing into a string does not fail.
        let _ = write!(out, "\\x{byte:02X}");
    }
}

/// A byte that stands for itself, in a class.
fn class_byte(byte: u8, out: &mut String) {
    if byte.is_ascii_alphanumeric() {
        out.push(char::from(byte));
    } else {
        let _ = write!(out, "\\x{byte:02X}");
    }
}

/// An upper bound is enough: capture groups, and brackets in classes with them.
fn count_groups(pattern: &[u8]) -> usize {
    let mut count = 0;
    let mut rest = pattern;
    loop {
        rest = match rest {
            [] => return count,
            [b'\\', _, tail @ ..] => tail,
            [b'(', b'?', tail @ ..] if !matches!(tail.first(), Some(b'<' | b'P' | b'\'')) => tail,
            [b'(', tail @ ..] => {
                count += 1;
                tail
            }
            [_, tail @ ..] => tail,
        };
    }
}
