//! A multipart body; its first line is the content type.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    seclang::fuzz_multipart(data);
});
