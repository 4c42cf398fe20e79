//! Entry points for fuzzing what is not public: any bytes in, no panic, bounded work, and what must hold holds.

use crate::Bag;
use crate::body::json::{JSON_OUTPUT_BYTES_MIN, JSON_OUTPUT_FACTOR};
use crate::body::multipart::{Limits, Multipart};
use crate::body::xml::select::{XML_SELECTED_BYTES_MIN, XML_SELECTED_FACTOR};
use crate::body::{events, json, multipart, urlencoded, xml};
use crate::byteset::ByteSet;
use crate::load::Files;
use crate::operator::sqli::FINGERPRINT_MAX;
use crate::operator::{CAPTURES_MAX, Captures, Needs, Operator, sqli, xss};
use crate::parse::operators;
use crate::request::{COOKIES_MAX, Target, parse_cookies};
use crate::rule::Text;
use crate::transform::{GROWTH_BYTES_MAX, GROWTH_FACTOR_MAX, Transformation};
use crate::variable::XmlPath;

/// A query string, a form, a request target, cookies.
pub fn fuzz_urlencoded(data: &[u8]) {
    let mut out = Bag::default();
    urlencoded::parse(data, b'&', 1000, &mut out);
    assert!(out.bytes() <= data.len() && out.len() <= 1000, "no more than came");
    let target = Target::parse(data);
    assert!(target.basename().len() <= target.filename.len(), "a base name is a part");
    assert!(target.uri.len() <= data.len(), "no more than came");
    for v1 in [false, true] {
        out.clear();
        parse_cookies(data, v1, &mut out);
        assert!(out.bytes() <= data.len() && out.len() <= COOKIES_MAX, "no more than came");
    }
}

/// A multipart body; its first line is the content type.
pub fn fuzz_multipart(data: &[u8]) {
    let (content_type, body) = match cut(data, b'\n') {
        (_, None) => (&b"multipart/form-data; boundary=b"[..], data),
        (line, Some(rest)) => (line, rest),
    };
    let mut out = Multipart::default();
    multipart::parse(content_type, body, Limits { arguments_max: 100, files_max: 10 }, &mut out);
    assert_eq!(out.file_sizes.len(), out.file_contents.len(), "each file has both");
    let contents: usize = out.contents(body).map(|(_, content)| content.len()).sum();
    assert!(contents <= body.len(), "no more than came");
}

/// A JSON body: what we take, another reader takes.
pub fn fuzz_json(data: &[u8]) {
    let mut out = Bag::default();
    let result = json::parse(data, 512, 1000, &mut out);
    assert!(out.len() <= 1000, "no more than asked for");
    let most = (data.len() * JSON_OUTPUT_FACTOR).max(JSON_OUTPUT_BYTES_MIN);
    assert!(out.bytes() <= most, "names repeated within their limit");
    if result.is_ok()
        && !data.is_empty()
        && let Err(error) = serde_json::from_slice::<serde_json::Value>(data)
    {
        // It nests 128 deep and keeps numbers as floats.
        let text = error.to_string();
        assert!(text.contains("recursion") || text.contains("out of range"), "{text}");
    }
}

/// A stream of events; the first byte says how deep its JSON may be. Cut anywhere it is no more than it was, and
/// what one event says is what its JSON says.
pub fn fuzz_events(data: &[u8]) {
    const ARGUMENTS_MAX: usize = 100;
    let Some((depth, body)) = data.split_first() else { return };
    let depth = usize::from(*depth);
    for typed in [false, true] {
        let _ = events::is_stream(body, typed);
    }
    let mut out = Bag::default();
    let limit = events::parse(body, depth, ARGUMENTS_MAX, &mut out);
    // Values, and each text as a whole.
    assert!(out.len() <= 2 * ARGUMENTS_MAX, "no more than asked for");
    let most = (body.len() * JSON_OUTPUT_FACTOR).max(JSON_OUTPUT_BYTES_MIN);
    assert!(out.bytes() <= 2 * most, "names repeated within their limit");
    let mut again = Bag::default();
    assert_eq!(events::parse(body, depth, ARGUMENTS_MAX, &mut again), limit, "the same twice");
    assert!(again == out, "the same twice");
    // One JSON text on one line is one event: each of its values is there, once.
    let mut values = Bag::default();
    let line = !body.contains(&b'\n') && !body.contains(&b'\r');
    if line && json::parse(body, depth, ARGUMENTS_MAX / 2, &mut values).is_ok() {
        let mut out = Bag::default();
        let event = [b"data: ", body, b"\r\n\r\n"].concat();
        if events::parse(&event, depth, ARGUMENTS_MAX, &mut out).is_none() {
            for value in values.iter() {
                assert!(out.iter().any(|found| found == value), "what the event says");
            }
        }
    }
}

/// An XML body, and paths in it.
pub fn fuzz_xml(data: &[u8]) {
    let (document, _) = xml::parse(data);
    for path in ["/*", "//@*", "//*", "//a//b/@c", "/a/text()"] {
        let Ok(path) = XmlPath::parse(path) else { continue };
        let mut out = Bag::default();
        // An encoding may make three bytes of two, and names stand beside what is selected.
        let most = (3 * data.len() * XML_SELECTED_FACTOR).max(XML_SELECTED_BYTES_MIN);
        document.select(&path, &mut out);
        assert!(out.bytes() <= most, "text repeated within its limit");
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = XmlPath::parse(text);
    }
}

/// SQL, also with a quote more.
pub fn fuzz_sqli(data: &[u8]) {
    if let Some(found) = sqli::sqli(data) {
        assert!((1..=FINGERPRINT_MAX).contains(&found.as_bytes().len()), "a fingerprint's length");
    }
    let _ = sqli::sqli(&[data, b"'"].concat());
    let _ = sqli::sqli(&[data, b"\""].concat());
}

/// HTML. Without a tag or a value there is nothing to run.
pub fn fuzz_xss(data: &[u8]) {
    let needed = data.contains(&b'<') || data.contains(&b'=');
    assert!(!xss::is_xss(data) || needed, "nothing to run");
    let _ = xss::is_xss(&[b"<a href='", data].concat());
}

/// Up to four transformations one behind the other, chosen by the first four bytes; the fifth says how often
/// what follows is repeated.
pub fn fuzz_transform(data: &[u8]) {
    let Some((head, value)) = data.split_at_checked(5) else { return };
    let (choices, times) = head.split_at(4);
    let mut value = repeated(value, times.first().copied().unwrap_or(0));
    let mut out = Vec::new();
    for choice in choices {
        let Some(one) = Transformation::named(usize::from(*choice)) else { break };
        let before = value.len();
        let changed = one.apply(&value, &mut out);
        let mut dirty = b"dirt".to_vec();
        assert_eq!(one.apply(&value, &mut dirty), changed, "{one:?}: the same twice");
        if !changed {
            continue;
        }
        assert!(dirty == out && out != value, "{one:?}: the same twice, and a change");
        assert!(out.len() <= before * GROWTH_FACTOR_MAX + GROWTH_BYTES_MAX, "{one:?} grows");
        let touched = one.touches();
        let told = touched == ByteSet::ALL || ByteSet::of(&value).meets(touched);
        assert!(told, "{one:?} touches what it says");
        std::mem::swap(&mut value, &mut out);
        if value.len() > FUZZED_BYTES_MAX {
            return;
        }
    }
}

/// An operator as rules write it on the first line; the rest is the value, repeated as the first byte says.
pub fn fuzz_operator(data: &[u8]) {
    let Some((times, data)) = data.split_first() else { return };
    let (line, Some(value)) = cut(data, b'\n') else { return };
    let Ok(test) = operators::parse(&String::from_utf8_lossy(line), &FewFiles, "a.conf") else {
        return;
    };
    let operator = test.operator;
    let argument = crate::engine::argument(&operator).and_then(Text::literal).unwrap_or_default();
    if let Operator::Rx(pattern) | Operator::RxGlobal(pattern) = &operator {
        assert!(pattern.regex().is_some(), "{}: what was let through compiles", test.text);
    }
    let needs = operator.needs();
    for value in [value, &repeated(value, *times), line, b""] {
        let matches = operator.test(value, argument, None);
        let mut captures = Captures::default();
        let caught = operator.test(value, argument, Some(&mut captures));
        assert_eq!(matches, caught, "captures change nothing: {}", test.text);
        assert!(captures.groups.len() <= CAPTURES_MAX, "no more groups than TX has");
        assert!(!matches || has(value, &needs), "{}: needs {needs:?}", test.text);
    }
}

/// The longest value that repetition makes.
const FUZZED_BYTES_MAX: usize = 64 << 10;

fn repeated(value: &[u8], times: u8) -> Vec<u8> {
    // Most values stay short: the fuzzer is to see many.
    let times = if times < 0xf0 { 1 } else { 1 << (times & 15) };
    let most = FUZZED_BYTES_MAX.checked_div(value.len()).unwrap_or(1).max(1);
    value.repeat(times.min(most))
}

fn cut(data: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    let mut parts = data.splitn(2, |byte| *byte == at);
    (parts.next().unwrap_or_default(), parts.next())
}

fn has(value: &[u8], needs: &Needs) -> bool {
    let bytes = ByteSet::of(value);
    let lower = value.to_ascii_lowercase();
    value.len() >= needs.min_len
        && needs.byte_sets.iter().all(|set| set.meets(bytes))
        && needs.literals.as_ref().is_none_or(|literals| {
            literals.iter().any(|literal| memchr::memmem::find(&lower, literal).is_some())
        })
}

/// The files that operators of fuzzed rules may name.
struct FewFiles;

impl Files for FewFiles {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        match path {
            "words" => Ok(b"# words\nunion select\n\nexec\n".to_vec()),
            "nets" => Ok(b"192.0.2.0/24 # ours\n2001:db8::/32\n".to_vec()),
            _ => Err("no such file".to_owned()),
        }
    }

    fn matching(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
}
