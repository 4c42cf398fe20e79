use super::*;
use crate::evidence::{Site, SiteSpec};

#[track_caller]
fn check(text: &str, expected: &[(&str, What)]) {
    let site = Site::compile("s", &SiteSpec::default()).unwrap();
    let mut spans = Vec::new();
    site.scanner.spans(text, false, &mut spans);
    let found: Vec<_> = spans.iter().map(|s| (&text[s.start..s.end], s.what.clone())).collect();
    let expected: Vec<_> = expected.to_vec();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn names_with_values_in_running_text() {
    check("my password is hunter2.", &[("hunter2.", What::Secret)]);
    check("my password is wrong", &[]);
    check("API key: abc123", &[("abc123", What::Secret)]);
    check("curl --password s3cret -v", &[("s3cret", What::Secret)]);
    check("제 비밀번호는 abcd1234 입니다", &[("abcd1234", What::Secret)]);
    check("postgres://app:s3cr3t@db/x", &[("s3cr3t", What::Secret)]);
    check("계좌번호 110-123-456789 로", &[("110-123-456789", What::Personal(Kind::BankAccount))]);
    check("여권번호: M12345678", &[("M12345678", What::Personal(Kind::Passport))]);
    check("<key>password</key><string>x1</string>", &[("x1", What::Secret)]);
    check("the token ring of a tokenizer", &[]);
}

#[test]
fn private_keys_go_whole() {
    check(
        "a -----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY----- b",
        &[("-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----", What::Secret)],
    );
    check("-----BEGIN CERTIFICATE-----\nMII", &[]);
}

#[test]
fn a_cut_takes_the_half_token_with_it() {
    let site = Site::compile("s", &SiteSpec::default()).unwrap();
    let mut spans = Vec::new();
    site.scanner.spans("the card 4111 1111 11", true, &mut spans);
    assert_eq!(spans, [Span { start: 9, end: 21, what: What::Cut }]);
    site.scanner.spans("a sentence that ends ", true, &mut spans);
    assert_eq!(spans, []);
}
