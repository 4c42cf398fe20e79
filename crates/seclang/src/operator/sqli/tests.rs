//! What libinjection 3.9.2 says of these values, and what holds for every value.

use super::*;
use crate::operator::injection::may_be_sqli;
use proptest::prelude::*;
use std::time::{Duration, Instant};

/// Injections and their fingerprints.
const INJECTIONS: &[(&[u8], &str)] = &[
    (b"7 or 7=7", "1&1"),
    (b"7' or 7=7 --", "s&1c"),
    (b"7\" or \"x\"=\"x", "s&sos"),
    (b"x' and 1=1#", "s&1c"),
    (b"19 union all select name, pass from users", "1UEnk"),
    (b"19 union select null,null,null--", "1UEvc"),
    (b"19 UNION/**/ALL/**/SELECT(1),2", "1UE(1"),
    (b"1; drop table members", "1;Tnn"),
    (b"1; IF (1=1) waitfor delay '0:0:5'", "1;T(1"),
    (b"1'; exec xp_cmdshell('dir') --", "s;Tn("),
    (b"9 and sleep(9)", "1&f(1"),
    (b"9 and benchmark(9000,md5(9))", "1&f(1"),
    (b"-9' having 3=3 --", "sB1c"),
    (b"9 order by 30--", "1B1c"),
    (b"9 group by 1 having 1=1", "1B1B1"),
    (b"x' into outfile '/tmp/x", "sks"),
    (b"a into outfile b", "nkn"),
    (b"1 into dumpfile 2", "1k1"),
    (b"match(a) against('b' in boolean mode) union select 1", "k(n)k"),
    (b"9 not in (select 1)", "1o(E1"),
    (b"1 and user() like 'root%'", "1&f()"),
    (b"1 union select @x:=1", "1UEv"),
    (b"`a`=`b` or 1", "n&1"),
    (b"{``.``.id}", "X"),
    (b"9 and {x 1}=1", "1&1"),
    (b"/*! select 1 */", "X"),
    (b"1 /*!50000union*/ select 1", "X"),
    (b"9 /* a /* b */ c */", "X"),
    (b"9 /* a */", "1c"),
    (b"9--", "1c"),
    (b"9 --", "1c"),
    (b"9-- x", "1c"),
    (b"1234-ABCDEFabcdef--", "1c"),
    (b"x /*", "nc"),
    (b"9 union /**/", "1Uc"),
    (b"foo' + 'bar", "sos"),
    (b"foo' or 'bar", "s&s"),
    (b"'a' and 17", "s&1"),
    (b"'a' and 17<18", "s&1"),
    (b"x'1f' or 1=1", "1&1"),
    (b"b'01' or 1=1", "1&1"),
    (b"n'a' or 1=1", "s&1"),
    (b"q'[a]' or 1=1", "s&1"),
    (b"nq'!a!' or 1=1", "s&1"),
    (b"u&'a' or 1=1", "s&1"),
    (b"e'a' or 1=1", "s&1"),
    (b"$$a$$ or 1=1", "s&1"),
    (b"$tag$a$tag$ or 1=1", "s&1"),
    (b"$1,000.00 or 1=1", "1&1"),
    (b"1e5 or 1=1", "1&1"),
    (b"1.5d or 1=1", "1&1"),
    (b"1funion select 1", "1UE1"),
    (b"select.1 from x", "E1kn"),
    (b"\\N or 1=1", "1&1"),
    (b"\\%1 or 1=1", "1&1"),
    (b"1::int or 1=1", "1&1"),
    (b"1<=>1 or 2", "1&1"),
    (b"1 || 2 || 3", "1&1"),
    (b"!!1 or 1", "1&1"),
    (b"not 1 or 1", "1&1"),
    (b"((1)) or ((1))=((1))", "1)&(1"),
    (b"1))) or (((1=1", "1)&(1"),
    (b"select - sin(1)", "Ef(1)"),
    (b"1,-sin(1) union select 1", "1,f(1"),
    (b"9 having sp_password--", "1Bnc"),
    (b"binary 1 or 1=1", "1&1"),
    (b"'a' 'b' or 1=1", "s&1"),
    (b"''' or 1=1 --", "s&1c"),
    (b"'a\\\\' or 1=1", "s&1"),
    (b"9 or 1 like (1)", "1&1f("),
    (b"9 is not null or 1", "1ov&1"),
    (b"\xa01\xa0or\xa01=1", "1&1"),
    (b"1\x00or\x001=1", "1&1"),
    (b"\xff\xfe or 1=1", "n&1"),
    (b"9 or\x0b1=1", "1&1"),
];

const HARMLESS: &[&[u8]] = &[
    b"",
    b"9 lock in share mode",
    b"1 in boolean mode",
    b"9 in (1,2,3)",
    b"user(1)",
    b"1 and current_user(",
    b"select @@version",
    b"select @@`version`",
    b"9a--",
    b"9#",
    b"x#",
    b"x--",
    b"9 union",
    b"9 'a' union",
    b"'a' and 'b'",
    b"17 and 17",
    b"1 or $.",
    b"0x31 or 0b1",
    b"1e or 1",
    b"select`a`from`b`",
    b"'a' collate latin1_bin or 1",
    b"[a] or [b]=1",
    b"1 && 1",
    b"select -1, +2, ~3",
    b"1;;drop;x",
    b"sp_password 1 -- sp_password",
    b"\\' or 1=1 --",
    b"9 natural left join b",
    b"insert high_priority into x values(1)",
    b"hello world",
    b"O'Reilly",
    b"it's a nice day, isn't it?",
    b"the union of select students",
    b"5 - 3 + 2",
    b"12:30:45",
    b"a.b.c/d-e_f?g=h&i=j",
    b"me@example.org",
];

fn fingerprint(value: &[u8]) -> Option<String> {
    sqli(value).map(|found| found.as_bytes().escape_ascii().to_string())
}

#[test]
fn injections_have_fingerprints() {
    for (value, expected) in INJECTIONS {
        assert_eq!(fingerprint(value).as_deref(), Some(*expected), "{}", value.escape_ascii());
    }
    for value in HARMLESS {
        assert_eq!(fingerprint(value), None, "{}", value.escape_ascii());
    }
}

#[test]
fn only_the_first_bytes_of_a_token_count() {
    // A word of 31 bytes is looked up whole, longer ones are bare.
    for (spaces, expected) in [(0, "1UE1"), (60, "1UE1")] {
        let value = format!("1 union{} select 1", " ".repeat(spaces));
        assert_eq!(fingerprint(value.as_bytes()).as_deref(), Some(expected));
    }
    let long = format!("1 union {} 1", "select".repeat(9));
    assert_eq!(fingerprint(long.as_bytes()), None);
    let dotted = format!("1 union select.{} from x", "a".repeat(90));
    assert_eq!(fingerprint(dotted.as_bytes()).as_deref(), Some("1UEnk"));
}

#[test]
fn a_long_value_takes_no_longer_than_its_length() {
    let start = Instant::now();
    for part in [
        "like.", "like`", "select.", "1,", "a.", "a=b ", "((", "\\", "\\'", "''", "$a", "$a$ ",
        "$$a", "/*", "/**/", "--\n", "x'a", "b'0", "q'a", "@`", "`", "{a ", "[", "1e+", "-", "#\n",
        "u&'", "\" \\\\", "not ", "like.1 ",
    ] {
        let value = part.repeat(100_000);
        let _ = sqli(value.as_bytes());
        let _ = sqli(format!("1 {value}' or \"1").as_bytes());
    }
    // Seconds even without optimisation; hours if anything were looked at again and again.
    assert!(start.elapsed() < Duration::from_secs(120));
}

/// Words, marks and bytes that the reader treats differently.
fn parts() -> impl Strategy<Value = Vec<u8>> {
    let marks = prop::sample::select(vec![
        "'",
        "\"",
        "`",
        "--",
        "#",
        "/*",
        "*/",
        "/*!",
        "\\",
        "(",
        ")",
        ",",
        ";",
        "@",
        "{",
        "}",
        "[",
        "]",
        "0x",
        "1e",
        ".",
        "$",
        "$$",
        "$a$",
        "u&'",
        "n'",
        "q'",
        "x'1",
        "b'0",
        " ",
        "\n",
        "1",
        "a",
        "||",
        "::",
        "!",
        "-",
        "union",
        "select",
        "or",
        "and",
        "in",
        "not",
        "like",
        "collate",
        "a_b",
        "if",
        "user",
        "int",
        "into",
        "outfile",
        "sp_password",
    ]);
    prop_oneof![
        3 => marks.prop_map(|mark| mark.as_bytes().to_vec()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_value_has_a_verdict(parts in prop::collection::vec(parts(), 0..24)) {
        let value = parts.concat();
        if let Some(found) = sqli(&value) {
            prop_assert!((1..=FINGERPRINT_MAX).contains(&found.as_bytes().len()));
            prop_assert!(tables::get().is_fingerprint(found.as_bytes()));
            prop_assert!(may_be_sqli(&value), "{}", value.escape_ascii());
        }
    }

    #[test]
    fn one_word_is_no_injection(word in "[a-zA-Z0-9_\\x{80}-\\x{9f}\\x{a1}-\\x{ff}]{0,48}") {
        let word: Vec<u8> = word.chars().map(|one| one as u8).collect();
        prop_assert!(!may_be_sqli(&word));
        prop_assert_eq!(sqli(&word), None);
    }
}
