//! Transformations (reference manual, "Transformation functions").

use crate::byteset::ByteSet;

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

impl Transformation {
    /// By the name that stands after `t:`, without regard to case; `normalise…` spellings included.
    pub fn parse(name: &str) -> Option<Self> {
        let _ = name;
        None
    }

    /// Puts the transformed `input` into `out` (cleared first). `false`: nothing changes, `out` is unused.
    pub fn apply(self, input: &[u8], out: &mut Vec<u8>) -> bool {
        out.clear();
        let _ = input;
        false
    }

    /// A value that has none of these bytes comes out as it went in.
    pub fn touches(self) -> ByteSet {
        ByteSet::ALL
    }
}
