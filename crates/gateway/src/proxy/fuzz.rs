//! Entry point for fuzzing: any bytes in, no panic, and the same reading however they are cut.

use super::guard::{Conversation, Guard, GuardLimits};
use super::head::HeadLimits;
use super::refusal::Refusal;
use std::sync::Arc;
use std::time::Duration;

const LIMITS: GuardLimits = GuardLimits {
    head: HeadLimits { header_bytes_max: 1024, header_count_max: 16, target_bytes_max: 256 },
    header_read: Duration::from_secs(1),
    idle: Duration::from_secs(1),
    stall: Duration::from_secs(1),
};

/// Reads `data` as what one connection sends, whole and cut in two.
pub fn fuzz_requests(data: &[u8]) {
    let Some((cut, bytes)) = data.split_first() else { return };
    let cut = usize::from(*cut).min(bytes.len());
    let (first, second) = bytes.split_at_checked(cut).unwrap_or((bytes, &[]));
    assert_eq!(read(&[bytes]), read(&[first, second]), "a cut changes the reading");
}

/// How many bytes pass, and what is wrong with what follows.
fn read(parts: &[&[u8]]) -> (usize, Option<Refusal>) {
    let mut guard = Guard::new((), LIMITS, Arc::new(Conversation::default()));
    let mut held = Vec::new();
    let mut total = 0;
    for part in parts {
        held.extend_from_slice(part);
        let (passed, refusal) = guard.judge(&held);
        total += passed;
        held.drain(..passed.min(held.len()));
        if refusal.is_some() {
            return (total, refusal);
        }
    }
    (total, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_in_a_row_read_the_same_cut_anywhere() {
        let good = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello\
            POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nA: b\r\n\r\n";
        let bad = b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n";
        let both = [good.as_slice(), bad].concat();
        for (bytes, wanted) in [(good.to_vec(), None), (both, Some(Refusal::InvalidLength))] {
            for cut in 0..bytes.len() {
                let reading = read(&[&bytes[..cut], &bytes[cut..]]);
                assert_eq!(reading, (good.len(), wanted), "cut at {cut}");
            }
        }
    }
}
