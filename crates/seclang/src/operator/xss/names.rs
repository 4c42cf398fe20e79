//! Tags, attributes, addresses and comments that run scripts.

/// Bytes of a name that are looked at: one more than the longest name has.
const NAME_MAX: usize = 14;
/// Bytes of an address that are looked at.
const SCHEME_MAX: usize = 11;
/// The largest number of a character reference that is understood.
const REFERENCE_MAX: u32 = 0x10_00ff;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attribute {
    #[default]
    Harmless,
    /// Whatever its value is.
    Dangerous,
    /// Its value is an address.
    Url,
    /// Its value is the name of an attribute.
    Name,
}

pub fn attribute(name: &[u8]) -> Attribute {
    if name.len() >= 5 {
        let head = name.get(..5).unwrap_or_default();
        if starts_with(name, b"on") || matches!(plain(head).as_slice(), b"XMLNS" | b"XLINK") {
            return Attribute::Dangerous;
        }
    } else if name.len() < 2 {
        return Attribute::Harmless;
    }
    match plain(name).as_slice() {
        b"DATAFORMATAS" | b"DATASRC" | b"FILTER" | b"STYLE" => Attribute::Dangerous,
        b"ATTRIBUTENAME" => Attribute::Name,
        b"ACTION" | b"BACKGROUND" | b"BY" | b"DYNSRC" | b"FOLDER" | b"FORMACTION" | b"FROM"
        | b"HANDLER" | b"HREF" | b"LOWSRC" | b"POSTER" | b"SRC" | b"TO" | b"VALUES"
        | b"XLINK:HREF" => Attribute::Url,
        _ => Attribute::Harmless,
    }
}

pub fn is_dangerous_tag(name: &[u8]) -> bool {
    if name.len() < 3 {
        return false;
    }
    starts_with(name, b"svg")
        || starts_with(name, b"xsl")
        || matches!(
            plain(name).as_slice(),
            b"APPLET"
                | b"BASE"
                | b"COMMENT"
                | b"EMBED"
                | b"FRAME"
                | b"FRAMESET"
                | b"HANDLER"
                | b"IFRAME"
                | b"IMPORT"
                | b"ISINDEX"
                | b"LINK"
                | b"LISTENER"
                | b"META"
                | b"NOSCRIPT"
                | b"OBJECT"
                | b"SCRIPT"
                | b"STYLE"
                | b"VMLFRAME"
                | b"XML"
                | b"XSS"
        )
}

/// Addresses whose scheme runs what follows.
pub fn is_dangerous_url(value: &[u8]) -> bool {
    let start = value.iter().position(|byte| matches!(byte, 0x21..=0x7e));
    let mut rest = start.and_then(|at| value.get(at..)).unwrap_or_default();
    let mut scheme = Name::<SCHEME_MAX>::default();
    while let Some((character, len)) = decode(rest) {
        rest = rest.get(len..).unwrap_or_default();
        let skipped = if scheme.len == 0 { character <= 32 } else { matches!(character, 0 | 10) };
        if skipped {
            continue;
        }
        let [low, ..] = character.to_le_bytes();
        // Capitals come before the cut to a byte: U+0164 is no `d`, but U+0144 is a `D`.
        let is_small = (u32::from(b'a')..=u32::from(b'z')).contains(&character);
        if !scheme.push(if is_small { low.to_ascii_uppercase() } else { low }) {
            break;
        }
    }
    let scheme = scheme.as_slice();
    [&b"DATA"[..], b"VIEW-SOURCE", b"JAVA", b"VBSCRIPT"].iter().any(|bad| scheme.starts_with(bad))
}

/// Comments that old browsers look into.
pub fn is_dangerous_comment(text: &[u8]) -> bool {
    memchr::memchr(b'`', text).is_some()
        || text.len() > 3 && (starts_with(text, b"[if") || starts_with(text, b"xml"))
        || text.get(..6).is_some_and(|head| matches!(plain(head).as_slice(), b"IMPORT" | b"ENTITY"))
}

fn starts_with(text: &[u8], small: &[u8]) -> bool {
    text.get(..small.len()).is_some_and(|head| head.eq_ignore_ascii_case(small))
}

/// The first `MAX` bytes of a name, as browsers that skip zero bytes read it, in capitals.
struct Name<const MAX: usize> {
    bytes: [u8; MAX],
    len: usize,
}

impl<const MAX: usize> Default for Name<MAX> {
    fn default() -> Self {
        Self { bytes: [0; MAX], len: 0 }
    }
}

impl<const MAX: usize> Name<MAX> {
    /// `false`: there was no room.
    fn push(&mut self, byte: u8) -> bool {
        let Some(place) = self.bytes.get_mut(self.len) else {
            return false;
        };
        *place = byte;
        self.len += 1;
        true
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

fn plain(name: &[u8]) -> Name<NAME_MAX> {
    let mut plain = Name::default();
    for byte in name {
        if *byte != 0 && !plain.push(byte.to_ascii_uppercase()) {
            break;
        }
    }
    plain
}

/// The first character, a numeric reference counting as one, and its bytes. Other references are none.
fn decode(text: &[u8]) -> Option<(u32, usize)> {
    let first = *text.first()?;
    let plain = Some((u32::from(first), 1));
    let (digits, start, radix) = match text {
        [b'&', b'#', b'x' | b'X', digits @ ..] => (digits, 3, 16),
        [b'&', b'#', digits @ ..] => (digits, 2, 10),
        _ => return plain,
    };
    let mut number = 0;
    let mut len = start;
    for byte in digits {
        let Some(digit) = char::from(*byte).to_digit(radix) else {
            break;
        };
        number = number * radix + digit;
        len += 1;
        // The first digit alone is never too large.
        if number > REFERENCE_MAX {
            return plain;
        }
    }
    if len == start {
        return plain;
    }
    Some((number, len + usize::from(text.get(len) == Some(&b';'))))
}
