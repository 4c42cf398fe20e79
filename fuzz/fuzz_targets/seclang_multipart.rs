//! A multipart body; its first line is the content type.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seclang::body::multipart::{Limits, Multipart, parse};

fuzz_target!(|data: &[u8]| {
    let (content_type, body) = match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (b"multipart/form-data; boundary=b".as_slice(), data),
    };
    let mut out = Multipart::default();
    parse(content_type, body, Limits { arguments_max: 100, files_max: 10 }, &mut out);
    assert_eq!(out.file_sizes.len(), out.file_contents.len());
    assert!(out.contents(body).map(|(_, content)| content.len()).sum::<usize>() <= body.len());
});
