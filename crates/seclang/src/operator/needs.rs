//! What a value must have to match, so that most values need not be looked at.
//!
//! For a pattern: a walk over its parts gathers what every match contains. Strings are compared without
//! regard to ASCII case, which may only let more values through.

use super::{Operator, injection};
use crate::byteset::ByteSet;
use crate::rule::Text;
use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

/// Literals of one pattern.
pub const LITERALS_MAX: usize = 128;
/// A literal is cut to its rarest piece of this length: more makes it hardly rarer, and the automaton that
/// looks for all of them large.
pub const LITERAL_BYTES_MAX: usize = 6;
/// A shorter literal is in too many values.
pub const LITERAL_BYTES_MIN: usize = 2;
/// Sets of bytes of one operator.
pub const BYTE_SETS_MAX: usize = 4;
/// Strings that a part of a pattern may be, while they are multiplied.
const EXACT_MAX: usize = 256;
/// Members of a class that are taken for strings of one byte.
const CLASS_MAX: usize = 12;
/// Parts within parts; deeper ones promise nothing.
const DEPTH_MAX: usize = 200;

/// What every value that an operator matches has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// At least so many bytes.
    pub min_len: usize,
    /// A byte of each of these.
    pub byte_sets: Vec<ByteSet>,
    /// One of these, in lower case, wherever and in whatever ASCII case it stands. `None`: nothing is known.
    /// An empty list: nothing matches.
    pub literals: Option<Vec<Vec<u8>>>,
}

impl Operator {
    /// What a value must have for [`test`](Self::test) to hold. For operators whose argument has macros, as
    /// for those that match nearly anything: nothing.
    pub fn needs(&self) -> Needs {
        let byte_set = |set| Needs { min_len: 1, byte_sets: vec![set], literals: None };
        match self {
            Self::Pm(words) => Needs {
                min_len: words.words.iter().map(Vec::len).min().unwrap_or(0),
                byte_sets: Vec::new(),
                literals: Some(pieces(&words.words)),
            },
            Self::Rx(pattern)
            | Self::RxGlobal(pattern)
            | Self::VerifyCc(pattern)
            | Self::VerifyCpf(pattern)
            | Self::VerifySsn(pattern)
            | Self::VerifySvnr(pattern) => pattern.needs().clone(),
            Self::BeginsWith(text)
            | Self::Contains(text)
            | Self::ContainsWord(text)
            | Self::EndsWith(text)
            | Self::StrMatch(text)
            | Self::StrEq(text) => of_text(text),
            Self::IpMatch(_) => Needs { min_len: 2, ..Needs::default() },
            Self::DetectSqli => byte_set(injection::SQLI_BYTES),
            Self::DetectXss => byte_set(injection::XSS_BYTES),
            Self::ValidateByteRange(allowed) => {
                let mut others = ByteSet::NONE;
                for byte in (0..=u8::MAX).filter(|byte| !allowed.contains(*byte)) {
                    others.insert(byte);
                }
                byte_set(others)
            }
            Self::ValidateUrlEncoding => byte_set(const { ByteSet::NONE.with(b'%') }),
            Self::ValidateUtf8Encoding => byte_set(const { ByteSet::NONE.with_range(0x80, 0xff) }),
            Self::NoMatch => Needs { literals: Some(Vec::new()), ..Needs::default() },
            Self::Within(_)
            | Self::Eq(_)
            | Self::Ge(_)
            | Self::Gt(_)
            | Self::Le(_)
            | Self::Lt(_)
            | Self::RxText(_)
            | Self::UnconditionalMatch => Needs::default(),
        }
    }
}

/// The rarest piece of each word.
fn pieces(words: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut pieces: Vec<Vec<u8>> = words
        .iter()
        .map(|word| {
            let word = word.to_ascii_lowercase();
            if word.len() > LITERAL_BYTES_MAX { window(&word, LITERAL_BYTES_MAX) } else { word }
        })
        .collect();
    pieces.sort_unstable();
    pieces.dedup();
    pieces
}

fn of_text(text: &Text) -> Needs {
    match text.literal() {
        Some(text) if !text.is_empty() => {
            let mut found = Found::default();
            found.offer(vec![text.to_ascii_lowercase()]);
            found.into_needs(text.len())
        }
        _ => Needs::default(),
    }
}

/// What every match of a pattern has.
pub fn of_hir(hir: &Hir) -> Needs {
    let mut walked = walk(hir, 0);
    if let Some(exact) = walked.exact.take() {
        walked.found.offer(exact);
    }
    walked.found.into_needs(hir.properties().minimum_len().unwrap_or(0))
}

/// What a part of a pattern promises.
#[derive(Default)]
struct Walked {
    /// All that it can match, in lower case, when that is little.
    exact: Option<Vec<Vec<u8>>>,
    found: Found,
}

/// What every match of a part contains.
#[derive(Default)]
struct Found {
    literals: Option<Vec<Vec<u8>>>,
    /// The rarest first, each with its commonness.
    byte_sets: Vec<(u32, ByteSet)>,
}

impl Found {
    /// Every match contains one of these.
    fn offer(&mut self, strings: Vec<Vec<u8>>) {
        if strings.iter().any(Vec::is_empty) {
            return;
        }
        let mut set = ByteSet::NONE;
        for byte in strings.iter().filter_map(|string| rarest(string)) {
            set.insert(byte);
            set.insert(byte.to_ascii_uppercase());
        }
        self.offer_set(set);
        if let Some(literals) = tidy(strings) {
            self.offer_literals(literals);
        }
    }

    fn offer_literals(&mut self, literals: Vec<Vec<u8>>) {
        if self.literals.as_ref().is_none_or(|best| score(best) < score(&literals)) {
            self.literals = Some(literals);
        }
    }

    fn offer_set(&mut self, set: ByteSet) {
        if self.byte_sets.iter().any(|(_, known)| *known == set) {
            return;
        }
        let common = commonness(set);
        if common <= COMMONNESS_MAX {
            self.insert_set(common, set);
        }
    }

    fn insert_set(&mut self, common: u32, set: ByteSet) {
        if self.byte_sets.iter().any(|(_, known)| *known == set) {
            return;
        }
        let at = self.byte_sets.partition_point(|(known, _)| *known <= common);
        if at < BYTE_SETS_MAX {
            self.byte_sets.insert(at, (common, set));
            self.byte_sets.truncate(BYTE_SETS_MAX);
        }
    }

    fn merge(&mut self, other: Self) {
        if let Some(literals) = other.literals {
            self.offer_literals(literals);
        }
        for (common, set) in other.byte_sets {
            self.insert_set(common, set);
        }
    }

    fn into_needs(self, min_len: usize) -> Needs {
        Needs {
            min_len,
            byte_sets: self.byte_sets.into_iter().map(|(_, set)| set).collect(),
            literals: self.literals.map(shortest),
        }
    }
}

fn walk(hir: &Hir, depth: usize) -> Walked {
    if depth > DEPTH_MAX {
        return Walked::default();
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => exactly(vec![Vec::new()]),
        HirKind::Literal(literal) => exactly(vec![literal.0.to_ascii_lowercase()]),
        HirKind::Class(class) => of_class(class),
        HirKind::Capture(capture) => walk(&capture.sub, depth + 1),
        HirKind::Repetition(repetition) => of_repetition(repetition, depth),
        HirKind::Concat(parts) => of_concat(parts, depth),
        HirKind::Alternation(parts) => of_alternation(parts, depth),
    }
}

fn exactly(strings: Vec<Vec<u8>>) -> Walked {
    Walked { exact: Some(strings), found: Found::default() }
}

fn of_class(class: &Class) -> Walked {
    let mut set = ByteSet::NONE;
    match class {
        Class::Bytes(class) => {
            for range in class.ranges() {
                set = set.with_range(range.start(), range.end());
            }
        }
        Class::Unicode(class) => {
            for range in class.ranges() {
                match (u8::try_from(u32::from(range.start())), u8::try_from(u32::from(range.end())))
                {
                    (Ok(start), Ok(end)) if end < 0x80 => set = set.with_range(start, end),
                    // Beyond ASCII a character is several bytes: nothing is promised.
                    _ => return Walked::default(),
                }
            }
        }
    }
    let mut folded = ByteSet::NONE;
    for byte in (0..=u8::MAX).filter(|byte| set.contains(*byte)) {
        folded.insert(byte.to_ascii_lowercase());
    }
    if folded.len() as usize <= CLASS_MAX {
        let strings = (0..=u8::MAX).filter(|byte| folded.contains(*byte)).map(|byte| vec![byte]);
        return exactly(strings.collect());
    }
    let mut walked = Walked::default();
    walked.found.offer_set(set);
    walked
}

fn of_repetition(repetition: &Repetition, depth: usize) -> Walked {
    let mut walked = walk(&repetition.sub, depth + 1);
    match (repetition.min, repetition.max) {
        (1, Some(1)) => walked,
        (0, Some(1)) => {
            let Some(mut exact) = walked.exact else {
                return Walked::default();
            };
            exact.push(Vec::new());
            exactly(exact)
        }
        (0, _) => Walked::default(),
        (min, max) => {
            if let Some(exact) = walked.exact.take() {
                // The first copies stand side by side.
                let mut strings = vec![Vec::new()];
                let mut copies = 0;
                while copies < min
                    && let Some(more) = product(&strings, &exact)
                    && more.iter().all(|string| string.len() <= LITERAL_BYTES_MAX)
                {
                    strings = more;
                    copies += 1;
                    if exact.iter().all(Vec::is_empty) {
                        break;
                    }
                }
                if copies == min && max == Some(min) {
                    return exactly(strings);
                }
                walked.found.offer(if copies == 0 { exact } else { strings });
            }
            walked
        }
    }
}

fn of_concat(parts: &[Hir], depth: usize) -> Walked {
    let mut found = Found::default();
    let mut all_exact = true;
    let mut run = vec![Vec::new()];
    for part in parts {
        let walked = walk(part, depth + 1);
        found.merge(walked.found);
        let Some(exact) = walked.exact else {
            all_exact = false;
            found.offer(std::mem::replace(&mut run, vec![Vec::new()]));
            continue;
        };
        if let Some(longer) = product(&run, &exact) {
            run = longer;
        } else {
            all_exact = false;
            found.offer(std::mem::replace(&mut run, exact));
        }
    }
    if all_exact {
        return Walked { exact: Some(run), found };
    }
    found.offer(run);
    Walked { exact: None, found }
}

fn of_alternation(parts: &[Hir], depth: usize) -> Walked {
    let branches: Vec<Walked> = parts.iter().map(|part| walk(part, depth + 1)).collect();
    let count: usize =
        branches.iter().map(|branch| branch.exact.as_ref().map_or(EXACT_MAX + 1, Vec::len)).sum();
    if count <= EXACT_MAX {
        return exactly(branches.into_iter().filter_map(|branch| branch.exact).flatten().collect());
    }
    let mut literals = Some(Vec::new());
    let mut set = Some(ByteSet::NONE);
    for mut branch in branches {
        if let Some(exact) = branch.exact.take() {
            branch.found.offer(exact);
        }
        literals = literals.zip(branch.found.literals).map(|(mut all, more)| {
            all.extend(more);
            all
        });
        set = set.zip(branch.found.byte_sets.first()).map(|(all, (_, more))| all.union(*more));
    }
    let mut found = Found::default();
    if let Some(set) = set {
        found.offer_set(set);
    }
    if let Some(literals) = literals.and_then(tidy) {
        found.offer_literals(literals);
    }
    Walked { exact: None, found }
}

/// Each of `left` before each of `right`, when they are not too many.
fn product(left: &[Vec<u8>], right: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    if left.len().saturating_mul(right.len()) > EXACT_MAX {
        return None;
    }
    let pair = |a: &Vec<u8>, b: &Vec<u8>| a.iter().chain(b).copied().collect();
    Some(left.iter().flat_map(|a| right.iter().map(move |b| pair(a, b))).collect())
}

/// Not too many, not too short, not too long; `None` when that cannot be.
fn tidy(mut strings: Vec<Vec<u8>>) -> Option<Vec<Vec<u8>>> {
    if strings.iter().any(|string| string.len() < LITERAL_BYTES_MIN) {
        return None;
    }
    for length in [LITERAL_BYTES_MAX, 4, 3, LITERAL_BYTES_MIN] {
        for string in strings.iter_mut().filter(|string| string.len() > length) {
            *string = window(string, length);
        }
        strings.sort_unstable();
        strings.dedup();
        if strings.len() <= LITERALS_MAX {
            return Some(strings);
        }
    }
    None
}

/// Leaves out what contains another.
fn shortest(mut literals: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    literals.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for literal in literals {
        let has = |short: &Vec<u8>| literal.windows(short.len()).any(|piece| piece == short);
        if !kept.iter().any(has) {
            kept.push(literal);
        }
    }
    kept
}

/// The rarest piece of this length.
fn window(string: &[u8], length: usize) -> Vec<u8> {
    string
        .windows(length)
        .max_by_key(|piece| piece.iter().map(|byte| rareness(*byte)).sum::<u32>())
        .unwrap_or(string)
        .to_vec()
}

fn rarest(string: &[u8]) -> Option<u8> {
    string.iter().copied().max_by_key(|byte| rareness(*byte))
}

/// The higher, the fewer values of web traffic contain one of these.
fn score(literals: &[Vec<u8>]) -> u32 {
    let rarest = literals
        .iter()
        .map(|literal| literal.iter().map(|byte| rareness(*byte)).sum::<u32>())
        .min()
        .unwrap_or(u32::MAX);
    rarest.saturating_sub(literals.len().checked_ilog2().unwrap_or(0))
}

/// A set that more values than not have a byte of is of no use.
const COMMONNESS_MAX: u32 = 400;

/// How many of a thousand bytes of web traffic are in the set, about.
fn commonness(set: ByteSet) -> u32 {
    (0..=u8::MAX)
        .filter(|byte| set.contains(*byte))
        .map(|byte| 1024u32 >> rareness(byte.to_ascii_lowercase()))
        .sum()
}

/// In bits, by how often a byte stands in parameters, paths and headers.
const fn rareness(byte: u8) -> u32 {
    match byte {
        b'e' | b'a' | b'i' | b'o' | b't' | b'n' | b'r' | b's' => 4,
        b'l' | b'c' | b'd' | b'u' | b'm' | b'p' | b'h' | b'0'..=b'9' => 5,
        b'q' | b'x' | b'z' | b'j' => 8,
        b'b' | b'f' | b'g' | b'k' | b'v' | b'w' | b'y' => 6,
        b' ' | b'/' | b'.' | b'-' | b'=' | b'_' => 6,
        b',' | b';' | b':' | b'%' | b'&' | b'?' | b'+' => 7,
        _ => 9,
    }
}
