use super::*;
use crate::body::tests::shown;

fn read(body: &str) -> (String, bool) {
    let mut out = Bag::default();
    let is_whole = parse(body.as_bytes(), 32, 100, &mut out).is_none();
    (shown(&out), is_whole)
}

fn check(body: &str, expected: &str) {
    assert_eq!(read(body), (expected.to_owned(), true), "{body}");
}

#[test]
fn each_event_is_a_text_of_its_own() {
    let expected = "json.a=1 json.b=2 json.c=3";
    check("data: {\"a\":1}\n\ndata:{\"b\":2}\n\ndata: {\"c\":3}\n\n", expected);
    check("data: {\"a\":1}\r\n\r\ndata:{\"b\":2}\r\n\r\ndata: {\"c\":3}", expected);
    check("data: {\"a\":1}\r\rdata:{\"b\":2}\r\rdata: {\"c\":3}\r\r", expected);
    check("\u{feff}data: {\"a\":1}\n\n", "json.a=1");
}

#[test]
fn lines_of_one_event_are_one_text_or_else_one_each() {
    check("event: x\nid: 7\ndata: {\"a\":\ndata: 1}\n\n", "json.a=1");
    check("data: {\"a\":1}\ndata: {\"b\":2}\n", "json.a=1 json.b=2");
}

#[test]
fn what_is_no_json_is_passed_over() {
    check(
        ": ping\n\ndata: [DONE]\n\ndata:  [DONE] \n\nretry: 3\n\ndata: {\"a\":1}\n\n",
        "json.a=1",
    );
    check("data: hello\n\ndata: {\"a\":1,\n\n", "json.a=1");
    check("{\"a\":1}", "");
    check("", "");
    check("data:\n\ndata\n\n", "");
}

#[test]
fn a_text_in_pieces_is_there_as_a_whole() {
    let chunk = |text: &str| {
        format!("data: {{\"id\":\"x\",\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
    };
    check(
        &[chunk("AK"), chunk("IA"), chunk("AK"), "data: [DONE]\n\n".into()].concat(),
        "json.id=x json.choices.array_0.delta.content=AK json.choices.array_0.delta.content=IA \
         json.choices.array_0.delta.content=AKIAAK json.id=xxx",
    );
}

#[test]
fn numbers_are_not_joined() {
    check("data: {\"a\":1}\n\ndata: {\"a\":2}\n\ndata: {\"a\":2}\n\n", "json.a=1 json.a=2");
}

#[test]
fn texts_of_several_answers_are_kept_apart() {
    let chunk = |index: u8, text: &str| {
        format!("data: {{\"choices\":[{{\"text\":\"{text}\",\"index\":{index}}}]}}\n\n")
    };
    let body = [chunk(0, "a"), chunk(1, "x"), chunk(0, "b"), chunk(1, "y")].concat();
    let (values, _) = read(&body);
    assert!(values.contains("text=ab"), "{values}");
    assert!(values.contains("text=xy"), "{values}");
    let chunk = |index: u8, text: &str| {
        format!("data: {{\"output_index\":{index},\"delta\":\"{text}\"}}\n\n")
    };
    let body = [chunk(0, "a"), chunk(1, "x"), chunk(0, "b"), chunk(1, "y")].concat();
    let (values, _) = read(&body);
    assert!(values.contains("delta=ab") && values.contains("delta=xy"), "{values}");
}

#[test]
fn a_long_stream_of_pieces_is_whole_and_a_flood_of_numbers_is_not() {
    let pieces: String = (0..5_000).map(|n| format!("data: {{\"t\":\"<{n}>\"}}\n\n")).collect();
    let (values, is_whole) = read(&pieces);
    assert!(is_whole);
    assert!(values.contains("<4998><4999>"));
    let numbers: String = (0..101).map(|n| format!("data: {{\"t\":{n}}}\n\n")).collect();
    let (values, is_whole) = read(&numbers);
    assert!(!is_whole);
    assert!(values.ends_with("json.t=99"), "{values}");
    let names: String = (0..101).map(|n| format!("data: {{\"t{n}\":\"x\"}}\n\n")).collect();
    assert!(!read(&names).1);
    let deep = format!("data: {}{}\n\n", "[".repeat(33), "]".repeat(33));
    assert!(!read(&deep).1);
}

#[test]
fn what_a_body_begins_with_says_what_it_is() {
    assert!(is_stream(b"data: {}", false));
    assert!(is_stream(b"\n: hello", false));
    assert!(is_stream(b"hello", true));
    assert!(!is_stream(b" {\"data\":1}", true));
    assert!(!is_stream(b"hello", false));
    assert!(!is_stream(b"", false));
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_within_bounds(body in "(data: ?|[{}\\[\\]\",:a0 \\n\\r]){0,80}") {
        let mut out = Bag::default();
        parse(body.as_bytes(), 32, 100, &mut out);
        assert!(out.bytes() <= (body.len() * OUTPUT_FACTOR).max(json::JSON_OUTPUT_BYTES_MIN));
    }
}

/// The fuzzer's own claims, on what it would begin with.
#[test]
fn what_the_fuzzer_claims_holds() {
    let many = "data: {\"a\":\"x\",\"index\":1}\n\n".repeat(300);
    for body in [
        "",
        "data: 1",
        "{\"a\":[1,\"b\",{\"c\":null}],\"index\":3}",
        "[\"a\",\"a\",[],{}]",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\r\n\r\ndata: [DONE]\n\n",
        "\u{feff}data:{\ndata:}\n\r\r",
        "[[[[[[[[[[1]]]]]]]]]]",
        &many,
    ] {
        for depth in [0, 3, 255] {
            crate::fuzz::fuzz_events(&[&[depth], body.as_bytes()].concat());
        }
    }
}
