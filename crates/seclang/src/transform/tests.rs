//! Small stories of each transformation, and what holds for all of them.

use super::*;
use proptest::prelude::*;

/// No transformation makes a value longer than this many times its length, and
/// [`GROWTH_BYTES_MAX`] more: `urlEncode` and `utf8toUnicode` set the bound.
const GROWTH_FACTOR_MAX: usize = 4;
/// What a digest or a number may add to an empty value.
const GROWTH_BYTES_MAX: usize = 32;

const ALL: [Transformation; 35] = [
    Transformation::Base64Decode,
    Transformation::Base64DecodeExt,
    Transformation::Base64Encode,
    Transformation::CmdLine,
    Transformation::CompressWhitespace,
    Transformation::CssDecode,
    Transformation::EscapeSeqDecode,
    Transformation::HexDecode,
    Transformation::HexEncode,
    Transformation::HtmlEntityDecode,
    Transformation::JsDecode,
    Transformation::Length,
    Transformation::Lowercase,
    Transformation::Md5,
    Transformation::NormalizePath,
    Transformation::NormalizePathWin,
    Transformation::ParityEven7bit,
    Transformation::ParityOdd7bit,
    Transformation::ParityZero7bit,
    Transformation::RemoveComments,
    Transformation::RemoveCommentsChar,
    Transformation::RemoveNulls,
    Transformation::RemoveWhitespace,
    Transformation::ReplaceComments,
    Transformation::ReplaceNulls,
    Transformation::Sha1,
    Transformation::SqlHexDecode,
    Transformation::Trim,
    Transformation::TrimLeft,
    Transformation::TrimRight,
    Transformation::Uppercase,
    Transformation::UrlDecode,
    Transformation::UrlDecodeUni,
    Transformation::UrlEncode,
    Transformation::Utf8ToUnicode,
];

/// `name|input|output`, each with Rust's escapes.
const STORIES: &[(&str, &[u8], &[u8])] = &[
    ("base64Decode", b"UGx1cmE=", b"Plura"),
    ("base64Decode", b"UGx1\r\ncmE= \n", b"Plura"),
    ("base64Decode", b"UGx1cmE=\0UGx1cmE=", b"Plura"),
    ("base64Decode", b"not base64!", b""),
    ("base64Decode", b"UGx1c", b"Plu"),
    ("base64DecodeExt", b"UG x1.c mE", b"Plura"),
    ("base64DecodeExt", b"UGx1c=x", b""),
    ("base64Encode", b"Plura", b"UGx1cmE="),
    ("base64Encode", b"Plur", b"UGx1cg=="),
    ("cmdLine", b"C^OM\"MAND ,; /C ( DIR", b"command/c( dir"),
    ("compressWhitespace", b"a \t\r\n b\x0bc", b"a b c"),
    ("cssDecode", b"\\65xpression \\ff1c\\00ff1e x\\\ny\\z\\", b"expression <>xyz"),
    ("escapeSeqDecode", b"\\x41\\101\\n\\q\\xzz\\", b"AA\nqxzz\\"),
    ("hexDecode", b"506c757261f", b"Plura"),
    ("hexEncode", b"P\xff", b"50ff"),
    ("htmlEntityDecode", b"&lt;&#x41;&#66&AMP&nbsp;&unknown;&#;&#x", b"<AB&\xa0&unknown;&#;&#x"),
    ("htmlEntityDecode", b"&#99999999999999999999;", b"\xff"),
    ("jsDecode", b"\\u0041\\uff1c\\x41\\101\\777\\n\\q\\u00", b"A<AA?7\nqu00"),
    ("length", b"Plura", b"5"),
    ("length", b"", b"0"),
    ("lowercase", b"PLURA\xc3\x84", b"plura\xc3\x84"),
    ("normalisePath", b"/a/./b/../../../etc//passwd", b"/etc/passwd"),
    ("normalizePath", b"a/../../b", b"../b"),
    ("normalizePath", b"dir/..", b""),
    ("normalizePathWin", b"\\a\\..\\b\\\\c/", b"/b/c/"),
    ("parityEven7bit", b"AC\x81", b"A\xc3\x01"),
    ("parityZero7bit", b"A\xc1", b"AA"),
    ("removeComments", b"a/*b*/c<!--d-->e -- f", b"ace "),
    ("removeComments", b"a/*b", b"a "),
    ("removeCommentsChar", b"a/*b*/<!--c-->--#d", b"abcd"),
    ("removeNulls", b"a\0b\0", b"ab"),
    ("removeWhitespace", b"a b\xc2\xa0c\n", b"abc"),
    ("replaceComments", b"a/*b*/c/*d", b"a c "),
    ("replaceNulls", b"a\0b", b"a b"),
    ("sqlHexDecode", b"select 0x414243, 0x4, a0xg", b"select ABC, 0x4, a0xg"),
    ("trim", b" a b ", b"a b"),
    ("trimLeft", b" a b ", b"a b "),
    ("trimRight", b" a b ", b" a b"),
    ("uppercase", b"plura", b"PLURA"),
    ("urlDecode", b"a%20b+c%zz%4", b"a b c%zz%4"),
    ("urlDecode", b"%u0041", b"%u0041"),
    ("urlDecodeUni", b"%u0041%uff1c%U0062%u00%3c%", b"A<b%u00<%"),
    ("urlEncode", b"a b*/\xff", b"a+b*%2f%ff"),
    (
        "utf8toUnicode",
        b"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xff\0\xc3x",
        b"%u00e4%u20ac%u1f600\xffx",
    ),
];

#[test]
fn stories() {
    let mut out = Vec::new();
    for (name, input, expected) in STORIES {
        let transformation = Transformation::parse(name).unwrap();
        let changed = transformation.apply(input, &mut out);
        let came = if changed { out.as_slice() } else { input };
        assert_eq!(
            came.escape_ascii().to_string(),
            expected.escape_ascii().to_string(),
            "{name} of {}",
            input.escape_ascii()
        );
    }
}

#[test]
fn digests_are_raw() {
    let mut out = Vec::new();
    assert!(Transformation::Md5.apply(b"", &mut out));
    assert_eq!(out.first(), Some(&0xd4));
    assert_eq!(out.len(), 16);
    assert!(Transformation::Sha1.apply(b"", &mut out));
    assert_eq!(out.first(), Some(&0xda));
    assert_eq!(out.len(), 20);
}

#[test]
fn names_are_sorted_and_every_transformation_has_one() {
    assert!(NAMES.is_sorted());
    for one in ALL {
        assert!(NAMES.iter().any(|(_, known)| *known == one), "{one:?}");
    }
    assert_eq!(Transformation::parse("normaliSePath"), Some(Transformation::NormalizePath));
    assert_eq!(Transformation::parse("none"), None);
}

#[test]
fn a_code_page_knows_better() {
    let mut out = Vec::new();
    let page = |code: u16| (code == 0x2024).then_some(b'.');
    assert!(Transformation::UrlDecodeUni.apply_mapped(b"%u2024%u2025", &mut out, &page));
    assert_eq!(out, b".%");
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let special = prop::sample::select(
        b"\\/*-#<!>%+uU&;xX0123fFaA. \t\n\0\xa0\xc2\xe2\x82\xf5='\"^,(".to_vec(),
    );
    prop::collection::vec(prop_oneof![3 => special, 1 => any::<u8>()], 0..24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_is_not_touched_does_not_change(value in value()) {
        let mut out = Vec::new();
        for one in ALL {
            let changed = one.apply(&value, &mut out);
            if changed {
                prop_assert!(out != value, "{:?} says it changed", one);
                prop_assert!(out.len() <= value.len() * GROWTH_FACTOR_MAX + GROWTH_BYTES_MAX);
                if one.touches() != ByteSet::ALL {
                    prop_assert!(ByteSet::of(&value).meets(one.touches()), "{:?}", one);
                }
            }
            // Dirt in the buffer does not matter.
            let mut dirty = b"dirt".to_vec();
            prop_assert_eq!(one.apply(&value, &mut dirty), changed);
            if changed {
                prop_assert_eq!(&dirty, &out);
            }
        }
    }
}
