#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

fn globs(pattern: &str, value: &str) -> bool {
    let mut predicates = Predicates::default();
    let pattern = crate::text::Pattern::parse(pattern);
    let test = test_of(pattern, false);
    let id = predicates.intern(Predicate { field: None, test }).unwrap();
    predicates.fits(id, &Scalar::Text(value))
}

#[test]
fn a_pattern_comes_down_to_the_plainest_test() {
    let test = |pattern: &str| test_of(crate::text::Pattern::parse(pattern), false);
    let text = |text: &str| text.to_owned();
    assert_eq!(test("Ab"), Test::Equals { text: text("ab"), cased: false });
    assert_eq!(test("Ab*"), Test::StartsWith { text: text("ab"), cased: false });
    assert_eq!(test("*Ab"), Test::EndsWith { text: text("ab"), cased: false });
    assert_eq!(test("*Ab*"), Test::Contains { text: text("ab"), cased: false });
    assert!(matches!(test("a*b"), Test::Glob { .. }));
}

#[test]
fn wildcards_match_as_written() {
    for (pattern, value, fits) in [
        ("*", "", true),
        ("a*c", "abc", true),
        ("a*c", "ac", true),
        ("a*c", "acb", false),
        ("*a*b*", "xxaxxbxx", true),
        ("*a*b*", "xxbxxaxx", false),
        ("a*b*c", "abc", true),
        ("a*bc", "abc", true),
        ("a*ab", "ab", false),
        ("prog?.exe", "progA.exe", true),
        ("prog?.exe", "prog.exe", false),
        ("prog?.exe", "prog12.exe", false),
        ("?", "한", true),
        ("a?*", "a", false),
        ("a*?c.*", "A\nbC.x", true),
        (r"a\?c", "abc", false),
        (r"a\?c", "a?c", true),
        ("a.c", "abc", false),
    ] {
        assert_eq!(globs(pattern, value), fits, "{pattern} on {value:?}");
    }
}

#[test]
fn equal_predicates_are_kept_once() {
    let mut predicates = Predicates::default();
    let predicate = |text: &str| Predicate {
        field: Some("Image".into()),
        test: test_of(crate::text::Pattern::parse(text), false),
    };
    let one = predicates.intern(predicate("*\\CMD.exe")).unwrap();
    let two = predicates.intern(predicate("*\\cmd.EXE")).unwrap();
    let other = predicates.intern(predicate("*\\cmd.ex")).unwrap();
    assert_eq!((one == two, one == other, predicates.len()), (true, false, 2));
}

#[test]
fn parts_of_times_are_taken_as_written() {
    let part = |part, value| time_part(part, value);
    assert_eq!(part(TimePart::Hour, "2026-03-01T07:40:10.165324Z"), Some(7));
    assert_eq!(part(TimePart::Minute, "2026-03-01 07:40:10.132"), Some(40));
    assert_eq!(part(TimePart::Day, "2026-03-01"), Some(1));
    assert_eq!(part(TimePart::Week, "2026-12-31"), Some(53));
    assert_eq!(part(TimePart::Month, "2026-12-31"), Some(12));
    assert_eq!(part(TimePart::Year, "2026-12-31"), Some(2026));
    assert_eq!(part(TimePart::Hour, "2026-12-31"), None);
    assert_eq!(part(TimePart::Hour, "2026-12-31T25:00:00"), None);
    assert_eq!(part(TimePart::Day, "2026-02-30"), None);
    assert_eq!(part(TimePart::Day, "yesterday"), None);
    assert_eq!(part(TimePart::Day, "한글한글한글"), None);
}

#[test]
fn an_address_is_looked_up_in_its_family() {
    let net = |net: &str, value| in_net(&net.parse().unwrap(), value);
    assert!(net("10.0.0.0/8", "10.1.2.3"));
    assert!(!net("10.0.0.0/8", "11.1.2.3"));
    assert!(net("10.0.0.0/8", "::ffff:10.1.2.3"));
    assert!(net("fe80::/10", "fe80::1%eth0"));
    assert!(!net("fe80::/10", "10.1.2.3"));
    assert!(!net("0.0.0.0/0", "localhost"));
    assert!(!net("0.0.0.0/0", ""));
}

#[test]
fn a_regular_expression_is_bounded() {
    let none = RegexFlags::default();
    assert!(compile_regex(r"(?:\w{1,64}\s?){1,3}", none).is_ok());
    assert!(compile_regex("(((((a{100}){100}){100}){100}){100})", none).is_err());
    assert!(compile_regex(&"(".repeat(60), none).is_err());
    assert!(compile_regex(&format!("{}a{}", "(".repeat(60), ")".repeat(60)), none).is_err());
    assert!(compile_regex("a(?=b)", none).unwrap_err().contains("look-around"));
    assert!(!compile_regex(r"^\w$", none).unwrap().is_match("é"));
}

proptest! {
    /// The quick way over texts and runs finds what a regular expression of the same pieces finds.
    #[test]
    fn wildcards_match_as_a_regular_expression_does(pattern in "[ab*]{0,8}", value in "[ab]{0,10}") {
        let pieces = crate::text::Pattern::parse(&pattern).0;
        let regex = compile_regex(&regex_of(&pieces), DOT_ALL).unwrap();
        prop_assert_eq!(glob(&pieces, &value), regex.is_match(&value));
        prop_assert_eq!(globs(&pattern, &value), regex.is_match(&value));
    }
}
