//! A query string, a form, a request target, cookies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seclang::Bag;
use seclang::body::urlencoded::parse;
use seclang::request::{Target, parse_cookies, split_request_line};

fuzz_target!(|data: &[u8]| {
    let mut out = Bag::default();
    parse(data, b'&', 1000, &mut out);
    assert!(out.bytes() <= data.len() && out.len() <= 1000);

    let (_, target, _) = split_request_line(data);
    let target = Target::parse(target);
    assert!(target.basename().len() <= target.filename.len() && target.uri.len() <= data.len());

    for v1 in [false, true] {
        out.clear();
        parse_cookies(data, v1, &mut out);
        assert!(out.bytes() <= data.len());
    }
});
