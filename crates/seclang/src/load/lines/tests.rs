use super::{LINE_BYTES_MAX, lines, words};

fn read(text: &str) -> Vec<(u32, String)> {
    lines(text.as_bytes())
        .into_iter()
        .map(|line| match line {
            Ok(line) => (line.number, line.text),
            Err((number, problem)) => (number, format!("{}: {}", problem.subject, problem.problem)),
        })
        .collect()
}

fn line(number: u32, text: &str) -> (u32, String) {
    (number, text.to_owned())
}

#[test]
fn a_directive_is_counted_where_it_starts() {
    let text = "\n# first\nSecRule A \\\n    \"b\" \\\n  \"c\"\n\nSecMarker X\n";
    assert_eq!(read(text), [line(3, "SecRule A     \"b\"   \"c\""), line(7, "SecMarker X")]);
}

#[test]
fn line_ends_of_all_kinds_are_read() {
    let text = "\u{feff}SecMarker A\r\nSecMarker \\\r\n  B\r\n\tSecMarker C\t";
    assert_eq!(
        read(text),
        [line(1, "SecMarker A"), line(2, "SecMarker   B"), line(4, "SecMarker C")]
    );
}

#[test]
fn a_comment_ends_with_its_line() {
    assert_eq!(read("# C:\\temp\\\nSecMarker A"), [line(2, "SecMarker A")]);
}

#[test]
fn a_rule_that_was_commented_out_goes_on() {
    let text = "#SecRule ARGS \"x\" \\\n  \"id:1\"\nSecMarker A\n# SecAction \\\n#  \"id:2,\\\n#  pass\"\nSecMarker B";
    assert_eq!(read(text), [line(3, "SecMarker A"), line(7, "SecMarker B")]);
}

#[test]
fn variables_may_go_on_after_a_pipe() {
    assert_eq!(read("SecRule A|\\\n    B|\\\n  C x"), [line(1, "SecRule A|B|C x")]);
    assert_eq!(read("SecRule A \"a|\\\n    b\""), [line(1, "SecRule A \"a|    b\"")]);
}

#[test]
fn the_last_line_may_lack_its_rest() {
    assert_eq!(read("SecMarker A \\"), [line(1, "SecMarker A")]);
    assert_eq!(read("\\"), []);
    assert_eq!(read("\\\n\\\n\n"), []);
}

#[test]
fn a_line_has_a_limit_and_a_character_set() {
    let long = format!("SecMarker {}\nSecMarker B", "x".repeat(LINE_BYTES_MAX));
    assert_eq!(read(&long), [line(1, "SecMarker: over 1048576 bytes"), line(2, "SecMarker B")]);
    let latin = lines(b"# caf\xe9\nSecMarker caf\xe9\n");
    let problem = latin.into_iter().next().unwrap().unwrap_err();
    assert_eq!((problem.0, problem.1.problem.as_str()), (2, "is not UTF-8"));
}

#[test]
fn words_are_quoted_as_apache_does() {
    let of = |text: &str| words(text).unwrap();
    assert_eq!(of(r#"a  "b c"	'd "e"' f"#), ["a", "b c", "d \"e\"", "f"]);
    assert_eq!(of(r#""a \"b\" \\ \d \' c""#), [r#"a "b" \\ \d \' c"#]);
    assert_eq!(of(r#""a\\" "b""#), [r"a\\", "b"]);
    assert_eq!(of(r#""a""b""#), ["a", "b"]);
    assert_eq!(of(r#"a"b c"#), ["a\"b", "c"]);
    assert_eq!(of("ARGS:'a b|c' x"), ["ARGS:'a b|c'", "x"]);
    assert_eq!(of("''"), [""]);
    assert_eq!(of(""), [""; 0]);
}

#[test]
fn an_open_quote_is_an_error() {
    let problem = words("SecRule ARGS \"@rx a").unwrap_err();
    assert_eq!(problem.subject, "SecRule");
    assert_eq!(problem.problem, "a `\"` is not closed");
}
