//! An XML body, and paths in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seclang::body::xml::{XML_DEPTH_MAX, parse};
use seclang::{Bag, XmlPath};

fuzz_target!(|data: &[u8]| {
    let (document, _) = parse(data);
    for path in ["/*", "//@*", "//*", "//a//b/@c", "/a/text()"] {
        let mut out = Bag::default();
        let path = XmlPath::parse(path).expect("a path that rules use");
        assert!(document.select(&path, &mut out));
        assert!(out.bytes() <= 3 * data.len() * XML_DEPTH_MAX);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = XmlPath::parse(text);
    }
});
