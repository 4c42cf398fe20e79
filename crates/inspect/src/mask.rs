//! What stands where something was hidden: the gateway's `[secret:…]` and its kin (docs/body-evidence.md),
//! the log readers' `****` (docs/sources.md), and what others write.

use memchr::memchr2;
use std::borrow::Cow;

/// What rules see instead: a word that tells nothing. As a whole value they do not see it at all.
const STAND_IN: &[u8] = b"pluramasked";

/// Longest mask: a long mail domain, and what stands around it.
const MASK_BYTES_MAX: usize = 400;

/// Kinds of the gateway's masks.
const KINDS: [&[u8]; 9] = [
    b"secret",
    b"email",
    b"card",
    b"phone",
    b"bank-account",
    b"rrn",
    b"my-number",
    b"passport",
    b"other",
];

/// Masks without a hash, ours and those that loggers write.
const WORDS: [&[u8]; 8] = [
    b"[cut]",
    b"[undecodable]",
    b"[REDACTED]",
    b"[redacted]",
    b"[FILTERED]",
    b"[MASKED]",
    b"[masked]",
    b"[HIDDEN]",
];

/// What the log readers write.
const STARS: &[u8] = b"****";

/// The text as it may be shown to rules; borrowed: nothing was hidden in it.
///
/// A mask holds letters, digits and `*@.-_+#` only, so no attack can pass for one.
pub(crate) fn unmasked(text: &[u8]) -> Cow<'_, [u8]> {
    let mut out: Vec<u8> = Vec::new();
    let (mut done, mut at) = (0, 0);
    let mut json = Json::of(text);
    while let Some(found) = memchr2(b'[', b'*', text.get(at..).unwrap_or_default()) {
        let start = at + found;
        let before = start.checked_sub(1).and_then(|before| text.get(before));
        let rest = text.get(start..).unwrap_or_default();
        match mask_length(before.copied(), rest) {
            Some(length) => {
                out.extend_from_slice(text.get(done..start).unwrap_or_default());
                // Where a number was, a bare word would break the document.
                let is_bare = json.as_mut().is_some_and(|json| json.is_bare(text, start));
                let quote: &[u8] = if is_bare { b"\"" } else { b"" };
                for part in [quote, STAND_IN, quote] {
                    out.extend_from_slice(part);
                }
                at = start + length;
                done = at;
            }
            // A run of stars is looked at once, not from each of its stars.
            None => at = start + rest.iter().take_while(|byte| **byte == b'*').count().max(1),
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(text.get(done..).unwrap_or_default());
    Cow::Owned(out)
}

/// Whether all of a value was hidden. Of text that [`unmasked`] has seen.
pub(crate) fn is_masked(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    value == STAND_IN
        || (value.len() >= 3 && value.iter().all(|byte| *byte == b'*'))
        || [&b"REDACTED"[..], b"<redacted>", b"***REDACTED***"].contains(&value)
}

/// Whether something was hidden in text that [`unmasked`] has seen.
pub(crate) fn has_mask(text: &[u8]) -> bool {
    memchr::memmem::find(text, STAND_IN).is_some() || is_masked(text)
}

/// Where in a JSON document we are.
struct Json {
    at: usize,
    in_string: bool,
}

impl Json {
    /// `None`: the text does not look like JSON.
    fn of(text: &[u8]) -> Option<Json> {
        let text = text.trim_ascii_start();
        let begins = matches!(text.first(), Some(b'{' | b'[')) && mask_length(None, text).is_none();
        begins.then_some(Json { at: 0, in_string: false })
    }

    /// Whether the place is outside of strings. Places are asked for in their order.
    fn is_bare(&mut self, text: &[u8], place: usize) -> bool {
        while self.at < place {
            match text.get(self.at) {
                Some(b'"') => self.in_string = !self.in_string,
                Some(b'\\') if self.in_string => self.at += 1,
                _ => {}
            }
            self.at += 1;
        }
        !self.in_string
    }
}

fn mask_length(before: Option<u8>, rest: &[u8]) -> Option<usize> {
    if rest.first() == Some(&b'*') {
        // Stars in the middle of something else are not ours: `UN/****/ION` is an attack.
        let after = rest.get(STARS.len()).copied();
        let is_ours = rest.starts_with(STARS)
            && before.is_none_or(|byte| b"=:\"' [,;(".contains(&byte))
            && after.is_none_or(|byte| b"&;,\"' @]}).".contains(&byte) || byte.is_ascii_control());
        return is_ours.then_some(STARS.len());
    }
    if let Some(word) = WORDS.iter().find(|word| rest.starts_with(word)) {
        return Some(word.len());
    }
    let window = rest.get(1..rest.len().min(MASK_BYTES_MAX)).unwrap_or_default();
    let kind = KINDS
        .iter()
        .find(|kind| window.starts_with(kind) && window.get(kind.len()) == Some(&b':'))?;
    let content = window.get(kind.len() + 1..)?;
    let safe =
        |byte: &u8| byte.is_ascii_alphanumeric() || *byte >= 0x80 || b"*@.-_+#%".contains(byte);
    let length = content.iter().take_while(|byte| safe(byte)).count();
    let (shown, end) = (content.get(..length)?, content.get(length)?);
    let is_hash =
        |hash: &[u8], digits: usize| hash.len() == digits && hash.iter().all(u8::is_ascii_hexdigit);
    let is_ours = *end == b']'
        && if *kind == b"secret" {
            is_hash(shown, 16)
        } else {
            // Where the text is a form, `#` is written `%23`.
            let hash = shown.get(shown.len().saturating_sub(8)..)?;
            let head = shown.get(..shown.len() - hash.len())?;
            is_hash(hash, 8) && (head.ends_with(b"#") || head.ends_with(b"%23"))
        };
    is_ours.then_some(1 + kind.len() + 1 + length + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_become_a_word_and_what_stands_around_them_stays() {
        for (text, expected) in [
            ("q=[secret:0123456789abcdef]&p=1", "q=pluramasked&p=1"),
            ("to [email:k***@example.com#0a1b2c3d], <b>", "to pluramasked, <b>"),
            ("q=[email:ü***@example.com%230a1b2c3d]", "q=pluramasked"),
            ("[card:****1111#0a1b2c3d][rrn:#0a1b2c3d]", "pluramaskedpluramasked"),
            (r#"{"password":"****","n":1}"#, r#"{"password":"pluramasked","n":1}"#),
            (r#"{"pin":****}"#, r#"{"pin":"pluramasked"}"#),
            (
                r#"{"n":"a: ****, \"b","pin":****,"c":["****"]}"#,
                r#"{"n":"a: pluramasked, \"b","pin":"pluramasked","c":["pluramasked"]}"#,
            ),
            ("https://kim:****@db/x", "https://kim:pluramasked@db/x"),
            ("a=[cut]", "a=pluramasked"),
        ] {
            assert_eq!(String::from_utf8_lossy(&unmasked(text.as_bytes())), expected, "{text}");
        }
    }

    #[test]
    fn an_attack_does_not_pass_for_a_mask() {
        for text in [
            "UN/****/ION",
            "q=*****",
            "[secret:' OR 1=1--]",
            "[email:<script>alert(1)</script>#0a1b2c3d]",
            "[email:k***@example.com]",
            "[email:k***@example.com#0a1b2c3d OR]",
            "[secret:0123456789abcde]",
            "[[[[[[[secret:",
            "[",
        ] {
            assert_eq!(unmasked(text.as_bytes()), text.as_bytes(), "{text}");
        }
    }

    #[test]
    fn a_value_is_masked_only_when_all_of_it_is() {
        for value in ["pluramasked", " pluramasked ", "***", "********", "REDACTED"] {
            assert!(is_masked(value.as_bytes()), "{value}");
        }
        for value in ["", "**", "pluramasked x", "Bearer pluramasked", "word"] {
            assert!(!is_masked(value.as_bytes()), "{value}");
        }
    }
}
