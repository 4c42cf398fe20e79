#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;

fn pieces(text: &str) -> Vec<Piece> {
    Pattern::parse(text).0
}

fn text(text: &str) -> Piece {
    Piece::Text(text.to_owned())
}

#[test]
fn a_backslash_escapes_wildcards_and_itself_and_nothing_else() {
    assert_eq!(pieces(r"C:\Windows\x"), [text(r"C:\Windows\x")]);
    assert_eq!(pieces(r"C:\\Windows"), [text(r"C:\Windows")]);
    assert_eq!(pieces(r"a\*b\?"), [text("a*b?")]);
    assert_eq!(pieces(r"a\\*"), [text(r"a\"), Piece::Many]);
    assert_eq!(pieces(r"a\\\*"), [text(r"a\*")]);
    assert_eq!(pieces(r"\\\\x"), [text(r"\\x")]);
    assert_eq!(pieces(r"\\\x"), [text(r"\\x")]);
    assert_eq!(pieces(r"end\"), [text(r"end\")]);
    assert_eq!(pieces("a**?"), [text("a"), Piece::Many, Piece::One]);
    assert_eq!(pieces(""), []);
}

#[test]
fn case_is_folded_by_character() {
    assert_eq!(fold("CMD.exe"), "cmd.exe");
    assert_eq!(fold("ÄÖÜ Журнал ΣΑΣ"), "äöü журнал σασ");
    assert_eq!(fold("ς"), "σ");
    // Its lower case is two characters: it stays.
    assert_eq!(fold("İ"), "İ");
    assert_eq!(fold("한글"), "한글");
    assert!(matches!(fold("plain 1"), Cow::Borrowed(_)));
}

fn windash(value: &str) -> Vec<String> {
    Pattern::parse(value)
        .windash()
        .iter()
        .map(|pattern| pattern.as_plain().unwrap_or("open").to_owned())
        .collect()
}

#[test]
fn a_dash_that_leads_a_word_is_any_of_five() {
    assert_eq!(windash("-f"), ["-f", "/f", "–f", "—f", "―f"]);
    assert_eq!(windash(" /c "), [" -c ", " /c ", " –c ", " —c ", " ―c "]);
    assert_eq!(windash("a-b"), ["a-b"]);
    assert_eq!(windash("- x"), ["- x"]);
    assert_eq!(windash(" -a -b").len(), 25);
    assert_eq!(windash("-a -b -c"), ["open"]);
    assert_eq!(Pattern::parse("-a -b -c").windash()[0].0[0], Piece::Dash);
}

fn encoded(text: &str, encodings: &[Encoding]) -> Vec<String> {
    let patterns = encode(text, encodings).unwrap();
    patterns.iter().map(|pattern| pattern.as_plain().unwrap().to_owned()).collect()
}

#[test]
fn encodings_are_those_of_the_specification() {
    use Encoding::*;
    assert_eq!(encoded("cmd", &[Base64]), ["Y21k"]);
    assert_eq!(encoded("cmd", &[Utf16Le]), ["c\0m\0d\0"]);
    assert_eq!(encoded("cmd", &[Utf16Be]), ["\0c\0m\0d"]);
    assert_eq!(encoded("cmd", &[Utf16]), ["\u{ff}\u{fe}c\0m\0d\0"]);
    assert_eq!(encoded("ping", &[Utf16Le, Base64]), ["cABpAG4AZwA="]);
    assert_eq!(encoded("foobar", &[Base64Offset]), ["Zm9vYmFy", "Zvb2Jhc", "mb29iYX"]);
    assert!(encode("", &[Base64Offset]).is_err());
}

#[test]
fn a_value_in_base64_is_found_wherever_it_begins() {
    for value in ["http", "/bin/bash", "IEX(New-Object", "ab"] {
        let found = encoded(value, &[Encoding::Base64Offset]);
        for before in 0..9 {
            let whole = format!("{}{value}{}", "#".repeat(before), "tail");
            let base64 = BASE64.encode(whole.as_bytes());
            assert!(found.iter().any(|part| base64.contains(part)), "{value} behind {before}");
        }
        let other = BASE64.encode(b"nothing of the kind is in here");
        assert!(!found.iter().any(|part| part.len() > 2 && other.contains(part)));
    }
}

#[test]
fn placeholders_are_replaced() {
    let values = |name: &str| match name {
        "Servers" => Some(vec!["srv*".to_owned(), "db1".to_owned()]),
        "none" => Some(Vec::new()),
        _ => None,
    };
    let all = |text: &str| expand(text, &values);
    assert_eq!(all("%Servers%").unwrap(), ["srv*", "db1"]);
    assert_eq!(all("a%Servers%.b").unwrap(), ["asrv*.b", "adb1.b"]);
    assert_eq!(all(r"\%plain%Servers%").unwrap(), ["%plainsrv*", "%plaindb1"]);
    assert_eq!(all("100% of it").unwrap(), ["100% of it"]);
    assert_eq!(all("%Servers% %Servers%").unwrap().len(), 4);
    assert!(all("%none%").is_err());
    assert!(all("%Server%").unwrap_err().contains("`%Server%`"));
    assert!(all(&"%Servers%".repeat(12)).is_err());
}
