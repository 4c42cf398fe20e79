#![allow(clippy::unwrap_used)]

use super::*;

fn check(raw: &str, uri: &str, filename: &str, basename: &str, query: Option<&str>) {
    let target = Target::parse(raw.as_bytes());
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let query = query.map(str::to_owned);
    assert_eq!(
        (
            text(&target.uri),
            text(&target.filename),
            text(target.basename()),
            target.query.map(text)
        ),
        (uri.to_owned(), filename.to_owned(), basename.to_owned(), query),
        "{raw}",
    );
    assert_eq!(target.raw, raw.as_bytes());
}

#[test]
fn targets_in_parts() {
    check("/", "/", "/", "", None);
    check("/a/b.php?c=%41+d", "/a/b.php?c=A+d", "/a/b.php", "b.php", Some("c=%41+d"));
    check("/a%20b/%2e%2e/c", "/a b/../c", "/a b/../c", "c", None);
    check("/a?", "/a?", "/a", "a", Some(""));
    check("/a?b?c", "/a?b?c", "/a", "a", Some("b?c"));
    check("/a\\b", r"/a\\b", r"/a\\b", "b", None);
    check("/dir/", "/dir/", "/dir/", "", None);
    check("", "", "", "", None);
    check("*", "*", "*", "", None);
    check("/a%zz%4", "/a%zz%4", "/a%zz%4", "a%zz%4", None);
    check("/%c0%ae%00", r"/\xc0\xae\x00", r"/\xc0\xae\x00", r"\xc0\xae\x00", None);
}

#[test]
fn a_fragment_is_only_raw() {
    check("/a?b=c#d", "/a?b=c", "/a", "a", Some("b=c"));
    check("/a#b?c=d", "/a", "/a", "a", None);
    check("/a%23b", "/a#b", "/a#b", "a#b", None);
}

#[test]
fn a_question_mark_that_is_escaped_hides_nothing_of_the_path() {
    check("/a%3f/../etc", "/a?/../etc", "/a?/../etc", "etc", None);
}

#[test]
fn a_host_is_no_part_of_the_path() {
    check("http://host:80/a/b?c", "/a/b?c", "/a/b", "b", Some("c"));
    check("HTTPS://host/a", "/a", "/a", "a", None);
    check("http://host", "http://host", "http://host", "host", None);
    check("http://host?a=/b", "http://host?a=/b", "http://host", "host", Some("a=/b"));
    check("a?b=http://host/c", "a?b=http://host/c", "a", "", Some("b=http://host/c"));
    check("//host/a", "//host/a", "//host/a", "a", None);
    check("host:443", "host:443", "host:443", "", None);
}

fn check_cookies(header: &str, v1: bool, expected: &str) {
    let mut out = Bag::default();
    parse_cookies(header.as_bytes(), v1, &mut out);
    let shown: Vec<_> = out
        .iter()
        .map(|(name, value)| format!("[{}={}]", name.escape_ascii(), value.escape_ascii()))
        .collect();
    assert_eq!(shown.concat(), expected, "{header}");
}

#[test]
fn cookies() {
    check_cookies("", false, "");
    check_cookies("a=1; b=2;c=3", false, "[a=1][b=2][c=3]");
    check_cookies("a=1; a=2", false, "[a=1][a=2]");
    check_cookies("a=b=c", false, "[a=b=c]");
    check_cookies("a; =b;;  ; c=", false, "[a=][c=]");
    check_cookies("  a = 1 ; b=2  \t", false, "[a = 1 ][b=2]");
    check_cookies("a=%41+b", false, "[a=%41+b]");
    check_cookies("a=\"1;2\"", false, "[a=\\\"1][2\\\"=]");
    check_cookies("a=1,b=2", false, "[a=1,b=2]");
}

#[test]
fn cookies_of_version_1() {
    check_cookies(
        "$Version=\"1\"; a=\"1;2,3\"; $Path=\"/\"",
        true,
        "[$Version=1][a=1;2,3][$Path=/]",
    );
    check_cookies("a=1,b=2", true, "[a=1][b=2]");
    check_cookies("a=\"1; b=2", true, "[a=\\\"1; b=2]");
}
