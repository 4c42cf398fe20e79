//! Transformations (reference manual, "Transformation functions").

mod decode;
mod entity;
mod path;
mod strip;

use crate::byteset::ByteSet;

/// No transformation makes a value longer than this many times its length, and
/// [`GROWTH_BYTES_MAX`] more: `urlEncode` and `utf8toUnicode` set the bound.
pub const GROWTH_FACTOR_MAX: usize = 4;
/// What a digest or a number may add to an empty value.
pub const GROWTH_BYTES_MAX: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[rustfmt::skip]
pub enum Transformation {
    Base64Decode, Base64DecodeExt, Base64Encode, CmdLine, CompressWhitespace, CssDecode,
    EscapeSeqDecode, HexDecode, HexEncode, HtmlEntityDecode, JsDecode, Length, Lowercase, Md5,
    NormalizePath, NormalizePathWin, ParityEven7bit, ParityOdd7bit, ParityZero7bit, RemoveComments,
    RemoveCommentsChar, RemoveNulls, RemoveWhitespace, ReplaceComments, ReplaceNulls, Sha1,
    SqlHexDecode, Trim, TrimLeft, TrimRight, Uppercase, UrlDecode, UrlDecodeUni, UrlEncode,
    Utf8ToUnicode,
}

/// Names in lower case, sorted; both spellings of `normalise`.
const NAMES: [(&str, Transformation); 39] = [
    ("base64decode", Transformation::Base64Decode),
    ("base64decodeext", Transformation::Base64DecodeExt),
    ("base64encode", Transformation::Base64Encode),
    ("cmd_line", Transformation::CmdLine),
    ("cmdline", Transformation::CmdLine),
    ("compress_whitespace", Transformation::CompressWhitespace),
    ("compresswhitespace", Transformation::CompressWhitespace),
    ("cssdecode", Transformation::CssDecode),
    ("escapeseqdecode", Transformation::EscapeSeqDecode),
    ("hexdecode", Transformation::HexDecode),
    ("hexencode", Transformation::HexEncode),
    ("htmlentitydecode", Transformation::HtmlEntityDecode),
    ("jsdecode", Transformation::JsDecode),
    ("length", Transformation::Length),
    ("lowercase", Transformation::Lowercase),
    ("md5", Transformation::Md5),
    ("normalisepath", Transformation::NormalizePath),
    ("normalisepathwin", Transformation::NormalizePathWin),
    ("normalizepath", Transformation::NormalizePath),
    ("normalizepathwin", Transformation::NormalizePathWin),
    ("parityeven7bit", Transformation::ParityEven7bit),
    ("parityodd7bit", Transformation::ParityOdd7bit),
    ("parityzero7bit", Transformation::ParityZero7bit),
    ("removecomments", Transformation::RemoveComments),
    ("removecommentschar", Transformation::RemoveCommentsChar),
    ("removenulls", Transformation::RemoveNulls),
    ("removewhitespace", Transformation::RemoveWhitespace),
    ("replacecomments", Transformation::ReplaceComments),
    ("replacenulls", Transformation::ReplaceNulls),
    ("sha1", Transformation::Sha1),
    ("sqlhexdecode", Transformation::SqlHexDecode),
    ("trim", Transformation::Trim),
    ("trimleft", Transformation::TrimLeft),
    ("trimright", Transformation::TrimRight),
    ("uppercase", Transformation::Uppercase),
    ("urldecode", Transformation::UrlDecode),
    ("urldecodeuni", Transformation::UrlDecodeUni),
    ("urlencode", Transformation::UrlEncode),
    ("utf8tounicode", Transformation::Utf8ToUnicode),
];

/// The byte that a code page has for a code point of `%uXXXX`, where it has one.
pub type CodePage<'a> = &'a dyn Fn(u16) -> Option<u8>;

impl Transformation {
    /// By the name that stands after `t:`, without regard to case; `normalise…` spellings included.
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let at = NAMES.binary_search_by(|(known, _)| (*known).cmp(name.as_str())).ok()?;
        NAMES.get(at).map(|(_, transformation)| *transformation)
    }

    /// The nth of all names, counted again from the start when there are no more.
    pub fn named(number: usize) -> Option<Self> {
        NAMES.get(number % NAMES.len()).map(|(_, transformation)| *transformation)
    }

    /// Puts the transformed `input` into `out` (cleared first). `false`: nothing changes, `out` is unused.
    pub fn apply(self, input: &[u8], out: &mut Vec<u8>) -> bool {
        self.apply_mapped(input, out, &|_| None)
    }

    /// As [`apply`](Self::apply), with the code page of `SecUnicodeMapFile` for `urlDecodeUni`.
    pub fn apply_mapped(self, input: &[u8], out: &mut Vec<u8>, page: CodePage<'_>) -> bool {
        out.clear();
        let changes = match self {
            Self::Base64Decode => decode::base64(input, out),
            Self::Base64DecodeExt => decode::base64_lenient(input, out),
            Self::Base64Encode => decode::base64_encode(input, out),
            Self::CmdLine => strip::command_line(input, out),
            Self::CompressWhitespace => strip::compress_whitespace(input, out),
            Self::CssDecode => entity::css(input, out),
            Self::EscapeSeqDecode => entity::escapes(input, out),
            Self::HexDecode => decode::hex(input, out),
            Self::HexEncode => decode::hex_encode(input, out),
            Self::HtmlEntityDecode => entity::html(input, out),
            Self::JsDecode => entity::js(input, out),
            Self::Length => decode::length(input, out),
            Self::Lowercase => strip::map(input, out, u8::to_ascii_lowercase),
            Self::Md5 => decode::md5(input, out),
            Self::NormalizePath => path::normalize(input, out, false),
            Self::NormalizePathWin => path::normalize(input, out, true),
            Self::ParityEven7bit => strip::map(input, out, parity_even),
            Self::ParityOdd7bit => strip::map(input, out, |byte| parity_even(byte) ^ 0x80),
            Self::ParityZero7bit => strip::map(input, out, |byte| byte & 0x7f),
            Self::RemoveComments => strip::remove_comments(input, out),
            Self::RemoveCommentsChar => strip::remove_comment_marks(input, out),
            Self::RemoveNulls => strip::remove(input, out, |byte| byte == 0),
            Self::RemoveWhitespace => strip::remove(input, out, strip::is_space_or_no_break),
            Self::ReplaceComments => strip::replace_comments(input, out),
            Self::ReplaceNulls => {
                strip::map(input, out, |byte| if *byte == 0 { b' ' } else { *byte })
            }
            Self::Sha1 => decode::sha1(input, out),
            Self::SqlHexDecode => decode::sql_hex(input, out),
            Self::Trim => strip::trim(input, out, true, true),
            Self::TrimLeft => strip::trim(input, out, true, false),
            Self::TrimRight => strip::trim(input, out, false, true),
            Self::Uppercase => strip::map(input, out, u8::to_ascii_uppercase),
            Self::UrlDecode => decode::url(input, out),
            Self::UrlDecodeUni => decode::url_unicode(input, out, page),
            Self::UrlEncode => decode::url_encode(input, out),
            Self::Utf8ToUnicode => decode::utf8_to_unicode(input, out),
        };
        changes && out.as_slice() != input
    }

    /// A value that has none of these bytes comes out as it went in. [`ByteSet::ALL`] means that even the
    /// empty value may change.
    pub fn touches(self) -> ByteSet {
        const SPACE: ByteSet = ByteSet::NONE.with_all(b" \t\n\r\x0b\x0c");
        match self {
            Self::Base64Decode
            | Self::Base64DecodeExt
            | Self::Base64Encode
            | Self::HexDecode
            | Self::HexEncode
            | Self::Length
            | Self::Md5
            | Self::Sha1 => ByteSet::ALL,
            Self::CmdLine => {
                const { ByteSet::NONE.with_all(b"\"'\\^,;\t\r\n ").with_range(b'A', b'Z') }
            }
            Self::CompressWhitespace | Self::Trim | Self::TrimLeft | Self::TrimRight => SPACE,
            Self::CssDecode | Self::EscapeSeqDecode | Self::JsDecode => {
                const { ByteSet::NONE.with(b'\\') }
            }
            Self::HtmlEntityDecode => const { ByteSet::NONE.with(b'&') },
            Self::Lowercase => const { ByteSet::NONE.with_range(b'A', b'Z') },
            Self::Uppercase => const { ByteSet::NONE.with_range(b'a', b'z') },
            Self::NormalizePath => const { ByteSet::NONE.with_all(b"/.") },
            Self::NormalizePathWin => const { ByteSet::NONE.with_all(b"/\\.") },
            Self::ParityEven7bit => const { parity_changes(0) },
            Self::ParityOdd7bit => const { parity_changes(0x80) },
            Self::ParityZero7bit => const { ByteSet::NONE.with_range(0x80, 0xff) },
            // Every mark of a comment has one of these: `/*`, `<!--`, `--`, `#`.
            Self::RemoveComments | Self::RemoveCommentsChar => {
                const { ByteSet::NONE.with_all(b"*-#") }
            }
            Self::ReplaceComments => const { ByteSet::NONE.with(b'*') },
            Self::RemoveNulls | Self::ReplaceNulls => const { ByteSet::NONE.with(0) },
            Self::RemoveWhitespace => const { SPACE.with(0xa0).with(0xc2) },
            Self::SqlHexDecode => const { ByteSet::NONE.with_all(b"xX") },
            Self::UrlDecode | Self::UrlDecodeUni => const { ByteSet::NONE.with_all(b"%+") },
            Self::UrlEncode => {
                const {
                    ByteSet::NONE
                        .with_range(0, 41)
                        .with_range(43, 47)
                        .with_range(58, 64)
                        .with_range(91, 96)
                        .with_range(123, 255)
                }
            }
            Self::Utf8ToUnicode => const { ByteSet::NONE.with(0).with_range(0x80, 0xff) },
        }
    }
}

/// The highest bit is set so that the number of ones is even.
///
/// libmodsecurity takes the parity of all eight bits it was given, and so do we.
fn parity_even(byte: &u8) -> u8 {
    if byte.count_ones() % 2 == 1 { byte | 0x80 } else { byte & 0x7f }
}

const fn parity_changes(flip: u8) -> ByteSet {
    let mut set = ByteSet::NONE;
    let mut byte: u8 = 0;
    loop {
        let even = if byte.count_ones() % 2 == 1 { byte | 0x80 } else { byte & 0x7f };
        if even ^ flip != byte {
            set = set.with(byte);
        }
        if byte == u8::MAX {
            return set;
        }
        byte += 1;
    }
}

#[cfg(test)]
mod tests;
