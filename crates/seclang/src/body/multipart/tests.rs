#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::body::tests::shown;

const LIMITS: Limits = Limits { arguments_max: 100, files_max: 3 };

/// `|` is a line end and `BB` a boundary line's `--b`.
fn read_as(content_type: &str, body: &str) -> (Multipart, Vec<u8>) {
    let body = body.replace('|', "\r\n").replace("BB", "--b").into_bytes();
    let mut out = Multipart::default();
    parse(content_type.as_bytes(), &body, LIMITS, &mut out);
    (out, body)
}

fn read(body: &str) -> Multipart {
    read_as("multipart/form-data; boundary=b", body).0
}

/// Which flags are up, and what is wrong.
fn judged(out: &Multipart) -> String {
    let flags = &out.flags;
    let mut words: Vec<String> = [
        (flags.boundary_quoted, "boundary-quoted"),
        (flags.boundary_whitespace, "boundary-whitespace"),
        (flags.data_after, "data-after"),
        (flags.data_before, "data-before"),
        (flags.file_limit_exceeded, "file-limit-exceeded"),
        (flags.header_folding, "header-folding"),
        (flags.invalid_header_folding, "invalid-header-folding"),
        (flags.invalid_part, "invalid-part"),
        (flags.invalid_quoting, "invalid-quoting"),
        (flags.lf_line, "lf-line"),
        (flags.crlf_lf_lines(), "crlf-lf-lines"),
        (flags.missing_semicolon, "missing-semicolon"),
        (flags.unmatched_boundary == 1, "unmatched-boundary"),
        (flags.strict_error(), "strict"),
    ]
    .into_iter()
    .filter(|(up, _)| *up)
    .map(|(_, word)| word.to_owned())
    .collect();
    if let Some(error) = &out.error {
        words.push(error.to_string().replace("Multipart parsing error: ", "! "));
    }
    words.join(" ")
}

fn check(body: &str, args: &str, expected: &str) {
    let out = read(body);
    assert_eq!((shown(&out.args).as_str(), judged(&out).as_str()), (args, expected), "{body}");
}

fn part(disposition: &str, value: &str) -> String {
    format!("BB|Content-Disposition: {disposition}||{value}|BB--|")
}

#[test]
fn fields_and_files() {
    let body = "BB|Content-Disposition: form-data; name=\"a\"||1|BB|content-disposition: form-data; \
        name=f; filename=\"x.txt\"|Content-Type: text/plain||line\r\n--line\r\n\0|BB|Content-Disposition: \
        form-data; name=\"f\"; filename=\"y\"|||BB--|";
    let (out, body) = read_as("multipart/form-data; boundary=b", body);
    // A line that looks like a boundary is forgiven once the real one follows.
    assert_eq!(judged(&out), "");
    assert_eq!(out.flags.unmatched_boundary, 2);
    assert_eq!(shown(&out.args), "a=1");
    assert_eq!(shown(&out.files), "f=x.txt f=y");
    assert_eq!(shown(&out.file_sizes), "f=15 f=0");
    assert_eq!(out.files_combined_size, 15);
    assert_eq!(shown(&out.names), "a=a f=f f=f");
    assert_eq!(shown(&out.filenames), "x.txt=x.txt y=y");
    assert_eq!(
        shown(&out.part_headers),
        "a=Content-Disposition: form-data; name=\\\"a\\\" f=content-disposition: form-data; name=f; \
         filename=\\\"x.txt\\\" f=Content-Type: text/plain f=Content-Disposition: form-data; \
         name=\\\"f\\\"; filename=\\\"y\\\""
    );
    let contents: Vec<_> = out.contents(&body).map(|(_, content)| content).collect();
    assert_eq!(contents, [b"line\r\n--line\r\n\0".as_slice(), b""]);
}

#[test]
fn values_keep_their_lines() {
    check(&part("form-data; name=a", "1|2\n\n3|"), "a=1\\r\\n2\\n\\n3\\r\\n", "");
    check(&part("form-data; name=a", ""), "a=", "");
    check(&part("form-data; name=a", "%41+"), "a=%41+", "");
    check("BB|Content-Disposition: form-data; name=a||1|BB--", "a=1", "");
}

#[test]
fn the_content_type_is_read_strictly() {
    for (content_type, expected) in [
        ("multipart/form-data; boundary=b", ""),
        ("Multipart/Form-Data;boundary=b", ""),
        ("multipart/form-data; boundary=\"b\"", "boundary-quoted strict"),
        ("multipart/form-data boundary=b", "missing-semicolon strict"),
        ("multipart/form-data; boundary =b", "boundary-whitespace strict"),
        ("multipart/form-data; boundary= b", "data-before strict boundary-whitespace"),
        ("multipart/form-data; boundary=b; charset=utf-8", ""),
        ("multipart/form-data; boundary=b;c", ""),
        (
            "multipart/form-data; boundary=b;boundary=c",
            "strict ! Multiple boundary parameters in C-T.",
        ),
        (
            "multipart/form-data; boundary=c; Boundary=b",
            "strict ! Multiple boundary parameters in C-T.",
        ),
        (
            "multipart/form-data; boundary=b, boundary=b",
            "strict ! Multiple boundary parameters in C-T.",
        ),
        (
            "multipart/form-data; charset=x; boundary=b",
            "strict ! Invalid boundary in C-T (malformed).",
        ),
        ("multipart/form-data;; boundary=b", "strict ! Invalid boundary in C-T (malformed)."),
        ("multipart/form-data, boundary=b", "strict ! Invalid boundary in C-T (malformed)."),
        ("multipart/form-data; BOUNDARY=b", "strict ! Invalid boundary in C-T (case sensitivity)."),
        ("multipart/form-data; boundary", "strict ! Invalid boundary in C-T (malformed)."),
        ("multipart/form-data; boundaryx=b", "strict ! Invalid boundary in C-T (parameter name)."),
        ("multipart/form-data; boundary=", "strict ! Invalid boundary in C-T (empty)."),
        (
            "multipart/form-data; boundary=\"\"",
            "boundary-quoted strict ! Invalid boundary in C-T (empty).",
        ),
        ("multipart/form-data; boundary=\"b", "strict ! Invalid boundary in C-T (quote)."),
        ("multipart/form-data; boundary=b\"", "strict ! Invalid boundary in C-T (quote)."),
        ("multipart/form-data; boundary=\"", "strict ! Invalid boundary in C-T (quote)."),
        ("multipart/form-data; boundary='b'!", "strict ! Invalid boundary in C-T (characters)."),
        ("multipart/form-data; boundary=b ", "strict ! Invalid boundary in C-T (characters)."),
        ("multipart/form-data; boundary=b\0", "strict ! Invalid boundary in C-T (characters)."),
        ("multipart/form-data", "strict ! Boundary not found in C-T."),
        ("multipart/mixed; boundary=b", "strict ! Invalid MIME type."),
        ("", "strict ! Content-Type header not available."),
    ] {
        let (out, _) = read_as(content_type, &part("form-data; name=a", "1"));
        let judged = judged(&out);
        if content_type.ends_with("= b") {
            // The space belongs to the boundary, which is therefore nowhere.
            assert!(
                judged.contains("boundary-whitespace") && judged.contains("No boundaries"),
                "{judged}"
            );
            continue;
        }
        assert_eq!(judged, expected, "{content_type}");
        assert_eq!(
            shown(&out.args),
            if out.error.is_some() { "" } else { "a=1" },
            "{content_type}"
        );
    }
    let long = format!("multipart/form-data; boundary={}", "b".repeat(CONTENT_TYPE_BYTES_MAX));
    assert_eq!(judged(&read_as(&long, "").0), "strict ! Invalid boundary in C-T (length).");
}

#[test]
fn dispositions() {
    for (disposition, args, files, expected) in [
        ("form-data; name=\"a\"", "a=1", "", ""),
        ("form-data ;\tname = a", "a=1", "", ""),
        ("form-data; name=\"a;b\\\"c\\\\d\\e\"", "a;b\\\"c\\\\d\\\\e=1", "", ""),
        ("form-data; name=a; filename=\"C:\\dir\\f.php\"", "", "a=C:\\\\dir\\\\f.php", ""),
        ("form-data; name=a; filename=\"\"", "a=1", "", ""),
        ("form-data; name='a'", "a=1", "", "invalid-quoting strict"),
        ("form-data; name=a'b", "a\\'b=1", "", "invalid-quoting strict"),
        ("form-data; name=\"a'b\"", "a\\'b=1", "", ""),
        ("form-data; name=\"a\"b\"", "a=1", "", "invalid-part invalid-quoting strict ! -12"),
        ("form-data; name=\"a", "=1", "", "invalid-part strict ! -10"),
        ("form-data; name=\"a\\", "=1", "", "invalid-part strict ! -8"),
        ("form-data; name=a; name=b", "a=1", "", "invalid-part strict ! -14"),
        ("form-data; name=a; filename=b; filename=c.php", "", "a=b", "invalid-part strict ! -15"),
        ("form-data; name=a; filename*=UTF-8''b.php; filename=c", "", "a=c a=b.php", ""),
        ("form-data; name=a; filename=c; filename*=utf-8'en'%2e%2e%2fb", "", "a=c a=../b", ""),
        ("form-data; name=a; filename*=UTF-8''b.php", "", "a=b.php", "invalid-part strict ! -21"),
        ("form-data; name=a; filename=c; filename*=b.php", "", "a=c", "invalid-part strict ! -16"),
        (
            "form-data; name=a; filename=c; filename*=UTF-8'b",
            "",
            "a=c",
            "invalid-part strict ! -17",
        ),
        (
            "form-data; name=a; filename=c; filename*=UTF-8''b%2",
            "",
            "a=c",
            "invalid-part strict ! -18",
        ),
        (
            "form-data; name=a; filename=c; filename*=UTF-8''b\"",
            "",
            "a=c",
            "invalid-part strict ! -19",
        ),
        (
            "form-data; name=a; filename=c; filename*=U''b; filename*=U''d",
            "",
            "a=c a=b",
            "invalid-part strict ! -20",
        ),
        (
            "form-data; name=a; filename =f",
            "",
            "a=f",
            "! Invalid Content-Disposition header (filename).",
        ),
        ("form-data; name=a; size=3", "a=1", "", "invalid-part strict ! -11"),
        ("Form-Data; name=a", "=1", "", "invalid-part strict ! -1"),
        ("attachment; name=a", "=1", "", "invalid-part strict ! -1"),
        ("form-data, name=a", "=1", "", "invalid-part strict ! -2"),
        ("form-data; name=a; ", "a=1", "", "invalid-part strict ! -3"),
        ("form-data; name", "=1", "", "invalid-part strict ! -4"),
        ("form-data; name ", "=1", "", "invalid-part strict ! -5"),
        ("form-data; name=", "=1", "", "invalid-part strict ! -6"),
        ("form-data; name=\"", "=1", "", "invalid-part strict ! -7"),
        ("form-data; name a", "=1", "", "invalid-part strict ! -13"),
        (
            "form-data",
            "=1",
            "",
            "invalid-part strict ! Content-Disposition header missing name field.",
        ),
        (
            "form-data; name=\"\"",
            "=1",
            "",
            "invalid-part strict ! Content-Disposition header missing name field.",
        ),
    ] {
        let out = read(&part(disposition, "1"));
        let number = format!(
            "Invalid Content-Disposition header ({}): ",
            expected.rsplit(' ').next().unwrap()
        );
        let judged = judged(&out);
        if expected.contains("! -") {
            assert!(judged.contains(&number), "{disposition}: {judged}");
            assert!(
                judged.starts_with(expected.split('!').next().unwrap()),
                "{disposition}: {judged}"
            );
        } else {
            assert_eq!(judged, expected, "{disposition}");
        }
        assert_eq!(
            (shown(&out.args).as_str(), shown(&out.files).as_str()),
            (args, files),
            "{disposition}"
        );
    }
}

#[test]
fn headers_of_a_part() {
    let name = "Content-Disposition: form-data; name=a";
    check(&format!("BB|{name};|  filename=f|X: 1|\t2||1|BB--|"), "", "header-folding strict");
    check(
        "BB|Content-Disposition:|\x0bform-data; name=a||1|BB--|",
        "=1",
        "header-folding invalid-header-folding invalid-part strict ! Invalid Content-Disposition header (-1):  form-data; name=a",
    );
    check(
        &format!("BB| x|{name}||1|BB--|"),
        "a=1",
        "header-folding strict ! Invalid part header (folding error).",
    );
    check(&format!("BB|X|{name}||1|BB--|"), "a=1", "! Invalid part header (colon missing): X");
    check(
        &format!("BB|: x|{name}||1|BB--|"),
        "a=1",
        "! Invalid part header (header name missing).",
    );
    check(&format!("BB|X: \0|{name}||1|BB--|"), "a=1", "! Nul byte in part headers.");
    check(
        &format!("BB|{name}|content-DISPOSITION: form-data; name=b||1|BB--|"),
        "a=1",
        "! Duplicate part header: content-DISPOSITION.",
    );
    check(
        "BB|Content-Type: a/b||1|BB--|",
        "=1",
        "invalid-part strict ! Part missing Content-Disposition header.",
    );
    check(
        "BB|Content-Disposition : form-data; name=a||1|BB--|",
        "=1",
        "invalid-part strict ! Part missing Content-Disposition header.",
    );
    check("BB||1|BB--|", "=1", "invalid-part strict ! Part missing Content-Disposition header.");
    let out = read(&format!("BB|{name}|X: 1|\t2||1|BB--|"));
    assert!(shown(&out.part_headers).ends_with("a=X: 1 2"), "{}", shown(&out.part_headers));
}

#[test]
fn line_ends() {
    let name = "Content-Disposition: form-data; name=a";
    check(&format!("BB\n{name}\n\n1\nBB--\n"), "a=1", "lf-line strict");
    check(&format!("BB|{name}||1\nBB--|"), "a=1", "lf-line crlf-lf-lines strict");
    check(&format!("BB|{name}\n|1|BB--|"), "a=1", "lf-line crlf-lf-lines strict");
    check(&format!("BB|{name}||1\nBB--"), "a=1", "lf-line crlf-lf-lines strict");
    // A lone CR ends nothing.
    check(&format!("BB|{name}||1\rBB--\r2|BB--|"), "a=1\\r--b--\\r2", "");
}

#[test]
fn boundaries() {
    let name = "Content-Disposition: form-data; name=a";
    let one = format!("BB|{name}||1|");
    check(&format!("x|{one}BB--|"), "a=1", "data-before strict");
    check(&format!("|{one}BB--|"), "a=1", "data-before strict");
    check(&format!("{one}BB--|x"), "a=1", "data-after strict");
    check(&format!("{one}BB--|BB|{name}||2|BB--|"), "a=1", "data-after strict");
    check(&one, "a=1\\r\\n", "! Final boundary missing.");
    check(&format!("{one}BB"), "a=1\\r\\n--b", "! Final boundary missing.");
    check(&format!("{one}BB-- "), "a=1\\r\\n--b-- ", "! Final boundary missing.");
    check(&format!("{one}BB-- |"), "a=1\\r\\n", "strict ! Invalid boundary: --b-- ");
    check(&format!("{one}BBx|2|BB--|"), "a=1\\r\\n", "strict ! Invalid boundary: --bx");
    check(&format!("{one}BB\0|2|BB--|"), "a=1\\r\\n--b\\x00\\r\\n2", "");
    check(&format!("{one}-- b|BB--|"), "a=1\\r\\n", "strict ! Invalid boundary (whitespace).");
    check(
        &format!("{one}--c|"),
        "a=1\\r\\n--c\\r\\n",
        "unmatched-boundary ! Final boundary missing.",
    );
    check(
        &format!("{one}x--b|"),
        "a=1\\r\\nx--b\\r\\n",
        "unmatched-boundary ! Final boundary missing.",
    );
    check("x|y|", "", "data-before strict ! No boundaries found in payload.");
    check("BB--|", "", "");
    check("", "", "");
    // A boundary where content should begin: some take it as content, and the next part is no part to them.
    check(&format!("BB|{name}||BB|{name}||1|BB--|"), "a= a=1", "invalid-part strict");
    check(&format!("BB|{name}|BB|{name}||1|BB--|"), "= a=1", "invalid-part strict");
    let (out, _) = read_as("multipart/form-data; boundary=\"b\"", "--\"b\"|x|");
    assert!(judged(&out).ends_with("! Invalid boundary (quotes)."), "{}", judged(&out));
}

#[test]
fn limits() {
    let field = |count: usize| "BB|Content-Disposition: form-data; name=a||1|".repeat(count);
    let out = read(&format!("{}BB--|", field(101)));
    assert_eq!((out.args.len(), judged(&out)), (100, "! Arguments limit exceeded.".to_owned()));

    let file = "BB|Content-Disposition: form-data; name=a; filename=f||123|".repeat(4);
    let (out, body) = read_as("multipart/form-data; boundary=b", &format!("{file}BB--|"));
    assert!(judged(&out).starts_with("file-limit-exceeded strict ! Upload file limit exceeded 3."));
    assert_eq!(
        (shown(&out.file_sizes), out.files_combined_size),
        ("a=3 a=3 a=3 a=3".to_owned(), 12)
    );
    assert_eq!(
        out.contents(&body).map(|(_, content)| content.len()).collect::<Vec<_>>(),
        [3, 3, 3, 0]
    );

    let line = |bytes: usize| {
        format!("BB|Content-Disposition: form-data; name=a|X: {}||1|BB--|", "x".repeat(bytes - 5))
    };
    check(&line(HEADER_LINE_BYTES_MAX - 1), "a=1", "");
    let out = read(&line(HEADER_LINE_BYTES_MAX));
    assert_eq!(judged(&out), "invalid-part strict ! Part header line over 4096 bytes long");

    let folded = format!("BB|X: 1|{}||BB--|", " 2|".repeat(3000));
    assert!(judged(&read(&folded)).ends_with("! Part header too long."));
    let headers: String = (0..=PART_HEADERS_MAX).map(|number| format!("X{number}: 1|")).collect();
    assert!(
        judged(&read(&format!("BB|{headers}|1|BB--|")))
            .ends_with("! More than 32 headers in a part.")
    );
    let parts = read(&"BB|".repeat(PARTS_MAX + 2));
    assert!(parts.names.is_empty() && parts.flags.error);
}
