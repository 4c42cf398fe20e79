//! A multipart body; its first line is the content type.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plura_fuzz::seed;

const SEED: &[u8] = b"multipart/form-data; boundary=\"b\"\n\
    --b\r\nContent-Disposition: form-data; name=\"a\"; filename*=utf-8''%41\r\nX: y\r\n z\r\n\r\n1\r\n\
    --b\r\nContent-Disposition: form-data; name='b'; filename=\"f\\\"\"\r\nContent-Type: text/plain\r\n\
    Content-Transfer-Encoding: base64\r\n\r\n2\n--bx\r\n--b--\r\n";

fuzz_target!(init: seed("multipart", || vec![SEED.to_vec()]), |data: &[u8]| {
    seclang::fuzz_multipart(data);
});
