//! A name in running text, and where its value stands.

/// Bytes of a name looked at to either side of a stem.
const NAME_REACH: usize = 64;
/// Blanks allowed between a name and its separator, and after it.
const GAP_MAX: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Separator {
    /// `=`, `=>`, `:=`
    Equals,
    Colon,
    /// `>` of an XML element, or of a multipart part the blank line.
    Element,
    Part,
    /// `is`, `は`, `는`, or a blank after `--password`.
    Is,
    /// A blank, and then a digit: `계좌번호 110-123-456789`, `PIN 1234`.
    Blank,
}

fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'[' | b']' | b'$')
}

/// Where the name around a stem begins. In Korean and Japanese the letters before belong to it too.
pub(super) fn name_start(text: &str, at: usize) -> usize {
    let head = text.get(..at).unwrap_or_default();
    let mut start = at;
    for (i, c) in head.char_indices().rev() {
        let belongs = if c.is_ascii() { is_name_byte(c as u8) } else { c.is_alphabetic() };
        if !belongs || at - i > NAME_REACH {
            break;
        }
        start = i;
    }
    // `[` opens before a name only as `user[password]`.
    let lead = text.get(start..at).unwrap_or_default();
    start + (lead.len() - lead.trim_start_matches(['[', ']', '-', '.', '$']).len())
}

/// Where it ends: ASCII name bytes, or letters of the same script, without Korean and Japanese particles.
pub(super) fn name_end(text: &str, at: usize) -> usize {
    let tail = text.get(at..).unwrap_or_default();
    let mut end = at;
    for (i, c) in tail.char_indices() {
        let belongs = if c.is_ascii() { is_name_byte(c as u8) } else { c.is_alphabetic() };
        if !belongs
            || i > NAME_REACH
            || is_particle(c, tail.get(i + c.len_utf8()..).unwrap_or_default())
        {
            break;
        }
        end = at + i + c.len_utf8();
    }
    let name = text.get(at..end).unwrap_or_default();
    at + name.trim_end_matches(['-', '.']).len()
}

/// `는`, `은`, `가`, `이`, `は`, `が` when they end the word.
fn is_particle(c: char, after: &str) -> bool {
    matches!(c, '는' | '은' | '가' | '이' | 'は' | 'が')
        && !after.chars().next().is_some_and(|next| !next.is_ascii() && next.is_alphabetic())
}

/// What stands between the name and its value, and where the value begins.
pub(super) fn separator(
    text: &str,
    name_start: usize,
    name_end: usize,
) -> Option<(Separator, usize)> {
    let bytes = text.as_bytes();
    let mut at = name_end;
    // The name's own closing quote, escaped or not.
    let mut quoted = false;
    for quote in ["\\\"", "\"", "\\'", "'", "&quot;", "`", "**"] {
        if bytes.get(at..).is_some_and(|rest| rest.starts_with(quote.as_bytes())) {
            at += quote.len();
            quoted = quote.ends_with(['"', '\'']);
            break;
        }
    }
    if quoted {
        // A multipart part sent under another name: `name="password"`, blank line, value.
        let rest = text.get(at..).unwrap_or_default();
        let head = rest.get(..rest.len().min(512)).unwrap_or(rest);
        let named =
            text.get(..name_start).is_some_and(|t| t.ends_with("name=\"") || t.ends_with("name='"));
        if named {
            for blank in ["\r\n\r\n", "\n\n"] {
                if let Some(gap) = head.find(blank)
                    && !head.get(..gap).unwrap_or_default().contains('<')
                    && !head.get(..gap).unwrap_or_default().contains("\n--")
                {
                    return Some((Separator::Part, at + gap + blank.len()));
                }
            }
            // `<input name="csrf_token" type="hidden" value="…">`
            let tag = head.split(['>', '<']).next().unwrap_or_default();
            for attribute in ["value=", "content="] {
                if let Some(gap) = tag.find(attribute) {
                    return Some((Separator::Equals, at + gap + attribute.len()));
                }
            }
            return None;
        }
    }
    if let Some(value_at) = next_element(text, at) {
        return Some((Separator::Element, value_at));
    }
    let blanks_at = at;
    while at - blanks_at < GAP_MAX
        && bytes.get(at).is_some_and(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'))
    {
        at += 1;
    }
    let rest = text.get(at..).unwrap_or_default();
    let blank = at > blanks_at;
    let (separator, length) =
        if rest.starts_with("=>") || rest.starts_with(":=") || rest.starts_with("==") {
            (Separator::Equals, 2)
        } else if rest.starts_with("->") {
            (Separator::Colon, 2)
        } else if rest.starts_with('=') {
            (Separator::Equals, 1)
        } else if rest.starts_with(':') && !rest.starts_with("://") {
            (Separator::Colon, 1)
        } else if rest.starts_with('：') || rest.starts_with('＝') {
            (Separator::Colon, 3)
        } else if rest.starts_with('>') && !blank {
            (Separator::Element, 1)
        } else if let Some(particle) =
            rest.chars().next().filter(|c| matches!(c, '는' | '은' | '가' | '이' | 'は' | 'が'))
        {
            (Separator::Is, particle.len_utf8())
        } else if blank
            && (rest.starts_with("is ") || rest.starts_with("was ") || rest.starts_with("are "))
        {
            (Separator::Is, rest.find(' ').unwrap_or(0))
        } else if blank && text.get(..name_start).is_some_and(|before| before.ends_with("--")) {
            (Separator::Is, 0)
        } else if blank && rest.starts_with(|c: char| c.is_ascii_digit()) {
            (Separator::Blank, 0)
        } else {
            return None;
        };
    at += length;
    let gap_at = at;
    while at - gap_at < GAP_MAX
        && bytes.get(at).is_some_and(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r' | b'*'))
    {
        at += 1;
    }
    Some((separator, at))
}

/// `<key>password</key><string>x</string>`, `<th>PIN</th><td>1234</td>`: the element after the name's.
fn next_element(text: &str, at: usize) -> Option<usize> {
    // Two tags and the blanks between them.
    const TAGS_BYTES_MAX: usize = 256;
    let rest = text.get(at..)?.strip_prefix("</")?;
    let end = (0..=rest.len().min(TAGS_BYTES_MAX)).rev().find(|i| rest.is_char_boundary(*i))?;
    let rest = rest.get(..end)?;
    let from = at + 2;
    let (_, after) = rest.split_once('>')?;
    let element = after.trim_start().strip_prefix('<')?;
    let (tag, value) = element.split_once('>')?;
    let name = tag.split(' ').next().unwrap_or_default();
    let holds = ["td", "dd", "string", "value", "data", "integer"]
        .iter()
        .any(|t| name.eq_ignore_ascii_case(t));
    holds.then(|| from + rest.len() - value.len())
}

/// The value's range, without quotes, and whether it was quoted.
pub(super) fn value(text: &str, at: usize, separator: Separator) -> Option<(usize, usize, bool)> {
    let rest = text.get(at..)?;
    if separator == Separator::Element {
        let end = rest.find('<').unwrap_or(rest.len());
        let value = rest.get(..end)?;
        let inner = value.strip_prefix("![CDATA[").unwrap_or(value);
        // `<b>Password</b>` closes, and a nested element has names of its own.
        if inner.trim().is_empty() {
            let cdata = rest.strip_prefix("<![CDATA[")?;
            let start = at + (rest.len() - cdata.len());
            let end = cdata.find("]]>").unwrap_or(cdata.len());
            return Some((start, start + end, true));
        }
        return Some((at, at + end, true));
    }
    if separator == Separator::Part {
        let end = rest.find("\r\n--").or_else(|| rest.find("\n--")).unwrap_or(rest.len());
        return (end > 0).then_some((at, at + end, true));
    }
    for quote in ["\\\"", "\\'", "\"", "'", "&quot;", "`"] {
        if let Some(inner) = rest.strip_prefix(quote) {
            let start = at + quote.len();
            let end = closing_quote(inner, quote);
            return (end > 0).then_some((start, start + end, true));
        }
    }
    if rest.starts_with(['[', '{']) {
        // A list or object in broken JSON: to its end, or to the end of all.
        let end = balanced(rest);
        return Some((at, at + end, true));
    }
    let end = rest
        .find(|c: char| c.is_whitespace() || matches!(c, '&' | '"' | '<' | '\'' | '`'))
        .unwrap_or(rest.len());
    (end > 0).then_some((at, at + end, false))
}

fn closing_quote(inner: &str, quote: &str) -> usize {
    if quote.starts_with('\\') || quote.starts_with('&') {
        return inner.find(quote).unwrap_or(inner.len());
    }
    let mut escaped = false;
    for (i, b) in inner.bytes().enumerate() {
        if escaped {
            escaped = false;
        } else if b == b'\\' {
            escaped = true;
        } else if quote.as_bytes() == [b] {
            return i;
        }
    }
    inner.len()
}

fn balanced(text: &str) -> usize {
    let mut depth = 0usize;
    for (i, b) in text.bytes().enumerate() {
        match b {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return i + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

/// Leaves `Bearer` and its like in front of a secret, and takes the rest of the header with it.
pub(super) fn after_scheme(
    text: &str,
    bytes: &[u8],
    start: usize,
    end: usize,
    quoted: bool,
) -> (usize, usize) {
    let value = text.get(start..end).unwrap_or_default();
    let schemes = ["bearer", "basic", "token", "digest", "apikey", "negotiate"];
    if quoted {
        return match value.split_once(' ') {
            Some((scheme, _)) if schemes.iter().any(|s| scheme.eq_ignore_ascii_case(s)) => {
                (start + scheme.len() + 1, end)
            }
            _ => (start, end),
        };
    }
    if schemes.iter().any(|s| value.eq_ignore_ascii_case(s)) && bytes.get(end) == Some(&b' ') {
        let rest = text.get(end + 1..).unwrap_or_default();
        let length = rest.find(['\r', '\n', '"', '\'', '<']).unwrap_or(rest.len());
        let line = rest.get(..length).unwrap_or_default();
        // `Digest a="b", c="d"` goes on; a token ends at a blank.
        let length = if value.eq_ignore_ascii_case("digest") {
            rest.find(['\r', '\n']).unwrap_or(rest.len())
        } else {
            line.find(' ').unwrap_or(length)
        };
        if length > 0 {
            return (end + 1, end + 1 + length);
        }
    }
    (start, end)
}
