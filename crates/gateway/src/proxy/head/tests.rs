use super::*;

const LIMITS: HeadLimits =
    HeadLimits { header_bytes_max: 4096, header_count_max: 8, target_bytes_max: 64 };

fn check(head: &str) -> Result<Head, &'static str> {
    let bytes = head.as_bytes();
    match HeadScanner::default().scan(bytes, &LIMITS) {
        Ok(Some(len)) => read(&bytes[..len], &LIMITS).map_err(Refusal::code),
        Ok(None) => Err("partial"),
        Err(refusal) => Err(refusal.code()),
    }
}

fn framing(head: &str) -> Framing {
    check(head).unwrap().framing
}

#[test]
fn ordinary_heads_have_one_reading() {
    assert_eq!(framing("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Framing::None);
    assert_eq!(
        framing("POST /a?b=c HTTP/1.1\r\nHost: a:8080\r\nContent-Length: 7\r\n\r\n"),
        Framing::Length(7)
    );
    assert_eq!(
        framing("POST / HTTP/1.1\r\nHost: [::1]:80\r\nTransfer-Encoding: Chunked\r\n\r\n"),
        Framing::Chunked
    );
    assert_eq!(framing("GET http://A/x HTTP/1.1\r\nHost: a\r\n\r\n"), Framing::None);
    assert_eq!(framing("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), Framing::None);
    assert_eq!(framing("GET / HTTP/1.0\r\n\r\n"), Framing::None);
    assert_eq!(
        framing("GET /\u{d55c}?q=\u{ae00} HTTP/1.1\r\nHost: a\r\nX:\r\n\r\n"),
        Framing::None
    );
    let upgrade = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert!(check(upgrade).unwrap().websocket);
    assert!(!check(&upgrade.replace("websocket", "h2c")).unwrap().websocket);
}

#[test]
fn ambiguous_heads_are_refused_by_name() {
    let post = |fields: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
    let cases = [
        (
            post("Content-Length: 5\r\nTransfer-Encoding: chunked"),
            "content-length-and-transfer-encoding",
        ),
        (post("Content-Length: 5\r\nContent-Length: 5"), "repeated-content-length"),
        (post("Content-Length: 5, 5"), "invalid-content-length"),
        (post("Content-Length: +5"), "invalid-content-length"),
        (post("Content-Length: 5 5"), "invalid-content-length"),
        (post("Content-Length:"), "invalid-content-length"),
        (post("Content-Length: 9999999999999999999"), "invalid-content-length"),
        (post("Transfer-Encoding: xchunked"), "unsupported-transfer-encoding"),
        (post("Transfer-Encoding: gzip, chunked"), "unsupported-transfer-encoding"),
        (
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
            "unsupported-transfer-encoding",
        ),
        (post("Transfer-Encoding: \u{b}chunked"), "invalid-header-value"),
        (post("Transfer-Encoding : chunked"), "space-before-colon"),
        (post("X: a\r\n Transfer-Encoding: chunked"), "folded-header"),
        (post("X: a\r\n\tb"), "folded-header"),
        (post("X: a\nY: b"), "bare-line-feed"),
        (post("X: a\rY: b"), "bare-carriage-return"),
        (post("X: a\0b"), "nul-byte"),
        (post("X\u{1}: a"), "invalid-header-name"),
        (post(": a"), "invalid-header-name"),
        (post("no colon"), "invalid-header-name"),
        (post("X: \u{7f}"), "invalid-header-value"),
        (post("Host: a"), "repeated-host"),
        (post("Expect: 200-ok"), "expectation-unknown"),
        (
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".into(),
            "transfer-encoding-in-http10",
        ),
        ("GET / HTTP/1.1\r\n\r\n".into(), "missing-host"),
        ("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n".into(), "invalid-host"),
        ("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n".into(), "invalid-host"),
        ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n".into(), "host-mismatch"),
        ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n".into(), "invalid-target"),
        ("GET a HTTP/1.1\r\nHost: a\r\n\r\n".into(), "invalid-target"),
        ("GET /#x HTTP/1.1\r\nHost: a\r\n\r\n".into(), "invalid-target"),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n".into(), "invalid-request-line"),
        ("GET / x HTTP/1.1\r\nHost: a\r\n\r\n".into(), "invalid-request-line"),
        ("GET /\r\n\r\n".into(), "invalid-request-line"),
        ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".into(), "invalid-request-line"),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n".into(), "unsupported-version"),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n".into(), "unsupported-version"),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n".into(), "method-refused"),
        ("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n".into(), "method-refused"),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(64)), "target-too-long"),
        (post(&["X: y"; 8].join("\r\n")), "too-many-headers"),
        (post(&format!("X: {}", "y".repeat(4096))), "head-too-large"),
        ("y".repeat(4097), "head-too-large"),
    ];
    for (head, code) in cases {
        assert_eq!(check(&head), Err(code), "{head:?}");
    }
}

#[test]
fn a_head_split_anywhere_reads_the_same() {
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\nGET";
    for cut in 0..head.len() - 3 {
        let mut scanner = HeadScanner::default();
        assert_eq!(scanner.scan(&head[..cut], &LIMITS), Ok(None), "cut at {cut}");
        assert_eq!(scanner.scan(head, &LIMITS), Ok(Some(head.len() - 3)), "cut at {cut}");
    }
}

#[test]
fn every_character_that_passes_is_one_that_hyper_takes() {
    for byte in 0x21u8..0x7f {
        if byte == b'#' {
            continue;
        }
        for (target, odd) in [
            (vec![b'/', byte], byte != b'?' && is_odd(byte, false)),
            (vec![b'/', b'?', byte], is_odd(byte, true)),
        ] {
            let shown = String::from_utf8_lossy(&target).into_owned();
            let taken = http::uri::PathAndQuery::try_from(target.as_slice()).is_ok();
            assert_eq!(taken, !odd, "{shown}");
            let mut encoded = Vec::new();
            encode_target(&target, &mut encoded);
            assert!(http::uri::PathAndQuery::try_from(encoded.as_slice()).is_ok(), "{shown}");
        }
    }
    let mut encoded = Vec::new();
    encode_target(b"/a<`\"?q=<script>\"`", &mut encoded);
    assert_eq!(encoded, b"/a%3C%60\"?q=%3Cscript%3E%22`");
}
