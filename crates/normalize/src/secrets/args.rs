//! Secrets in commands: `--password X`, `curl -u user:X`, `sshpass -p X`, `Bearer X`.

use super::{MASK, is_secret_name, looks_like_secret, mask_text};
use crate::text::base_name;

/// Programs whose `-p` holds a password: joined (`-pX`), and for the first also apart (`-p X`).
const PASSWORD_APART: [&str; 1] = ["sshpass"];
const PASSWORD_JOINED: [&str; 7] =
    ["sshpass", "mysql", "mysqldump", "mysqladmin", "mysqlimport", "mariadb", "mariadb-dump"];

/// Programs whose `-u` holds `user:password`.
const USER_PASSWORD: [&str; 3] = ["curl", "wget", "http"];

/// What the argument before says about this one.
#[derive(Clone, Copy, PartialEq)]
enum Next {
    Plain,
    Secret,
    UserAndSecret,
    Bearer,
    Basic,
}

#[derive(Clone, Copy, Default)]
struct Program {
    apart: bool,
    joined: bool,
    user: bool,
}

struct Scan {
    next: Next,
    program: Program,
}

impl Scan {
    fn new() -> Self {
        Scan { next: Next::Plain, program: Program::default() }
    }

    /// The offset from which this argument is a secret.
    fn secret_from(&mut self, argument: &str) -> Option<usize> {
        let next = std::mem::replace(&mut self.next, Next::Plain);
        let bytes = argument.as_bytes();
        let found = match next {
            Next::Plain => None,
            Next::Secret => Some(0),
            Next::UserAndSecret => argument.find(':').map(|colon| colon + 1),
            Next::Bearer => (looks_like_secret(bytes, 8)).then_some(0),
            Next::Basic => (looks_like_secret(bytes, 8)).then_some(0),
        };
        if found.is_some() {
            return found;
        }
        let bare = argument.trim_matches(['"', '\'', '\\']);
        if let Some(option) = bare.strip_prefix("--").or(bare.strip_prefix('-')) {
            let short = !bare.starts_with("--");
            if short && self.program.joined && option.starts_with('p') && option.len() > 1 {
                return argument.find("-p").map(|at| at + 2);
            }
            // The value must not decide here: it is the next argument.
            let named = !option.contains('=') && is_secret_name(option.as_bytes());
            if named || (self.program.apart && option == "p") {
                self.next = Next::Secret;
            } else if self.program.user && matches!(option, "u" | "user" | "proxy-user") {
                self.next = Next::UserAndSecret;
            }
        } else if bare.eq_ignore_ascii_case("bearer") {
            self.next = Next::Bearer;
        } else if bare.eq_ignore_ascii_case("basic") {
            self.next = Next::Basic;
        } else if let Some(name) = base_name(bare.rsplit('=').next().unwrap_or(bare))
            && (USER_PASSWORD.contains(&name) || PASSWORD_JOINED.contains(&name))
        {
            self.program = Program {
                apart: PASSWORD_APART.contains(&name),
                joined: PASSWORD_JOINED.contains(&name),
                user: USER_PASSWORD.contains(&name),
            };
        }
        None
    }
}

/// Finds secrets among the words of a text.
pub(super) fn find_options(text: &str, ranges: &mut Vec<(usize, usize)>) {
    let bytes = text.as_bytes();
    if !may_hold_options(bytes) {
        return;
    }
    let mut scan = Scan::new();
    let mut from = 0;
    while let Some((start, end)) = next_word(bytes, from) {
        let word = text.get(start..end).unwrap_or_default();
        let inner = word.trim_matches(['"', '\'', '\\']);
        let lead = word.len() - word.trim_start_matches(['"', '\'', '\\']).len();
        if let Some(offset) = scan.secret_from(inner) {
            ranges.push((start + lead + offset, start + lead + inner.len()));
        }
        from = end;
    }
}

/// Whether ` -x`, `Bearer ` or `Basic ` is anywhere; most lines have none and are done.
fn may_hold_options(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b' ', bytes).any(|space| {
        let ends = |word: &[u8]| {
            let start = space.saturating_sub(word.len());
            bytes.get(start..space).is_some_and(|before| before.eq_ignore_ascii_case(word))
        };
        match (bytes.get(space + 1), bytes.get(space + 2)) {
            (Some(b'-'), Some(next)) => !next.is_ascii_whitespace(),
            _ => ends(b"bearer") || ends(b"basic"),
        }
    })
}

/// The next word; quotes keep spaces together.
fn next_word(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    let tail = bytes.get(from..)?;
    let start = from + tail.iter().position(|b| !b.is_ascii_whitespace())?;
    let first = bytes.get(start).copied()?;
    let length = bytes.get(start..)?.iter().position(u8::is_ascii_whitespace);
    let end = length.map_or(bytes.len(), |length| start + length);
    if !matches!(first, b'"' | b'\'') {
        return Some((start, end));
    }
    // Only a quote that closes within a short way is one; an apostrophe is none.
    const QUOTED_BYTES_MAX: usize = 1024;
    let window = bytes.get(start + 1..bytes.len().min(start + QUOTED_BYTES_MAX))?;
    match memchr::memchr(first, window) {
        Some(close) => Some((start, end.max(start + close + 2))),
        None => Some((start, end)),
    }
}

/// A program's arguments without their secrets; `None` for those that hold none.
pub(crate) fn mask_args(args: &[String]) -> Vec<Option<String>> {
    let mut scan = Scan::new();
    args.iter()
        .map(|arg| match scan.secret_from(arg) {
            Some(from) => {
                let kept = arg.get(..from).unwrap_or_default();
                (arg.len() > from).then(|| format!("{kept}{MASK}"))
            }
            None => match mask_text(arg) {
                std::borrow::Cow::Owned(masked) => Some(masked),
                std::borrow::Cow::Borrowed(_) => None,
            },
        })
        .collect()
}
