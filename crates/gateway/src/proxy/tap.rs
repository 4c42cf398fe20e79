//! Watches a body go by: its first bytes, its length, its digest.

use crate::evidence::CapturedBody;
use bytes::Bytes;
use ring::digest::{Context, SHA256};
use schema::Digest;

/// Keeps the beginning of a body and hashes all of it.
pub struct Tap {
    limit: usize,
    bytes: Vec<u8>,
    total_len: u64,
    /// Made with the first byte: most requests have no body.
    hash: Option<Context>,
}

impl Tap {
    pub fn new(limit: usize) -> Self {
        Tap { limit, bytes: Vec::new(), total_len: 0, hash: None }
    }

    pub fn see(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let space = self.limit.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(bytes.get(..space.min(bytes.len())).unwrap_or_default());
        self.total_len += bytes.len() as u64;
        self.hash.get_or_insert_with(|| Context::new(&SHA256)).update(bytes);
    }

    pub fn total_len(&self) -> u64 {
        self.total_len
    }

    /// `complete`: the end was seen. A body that broke off has no digest and counts as truncated.
    pub fn finish(self, complete: bool) -> CapturedBody {
        let truncated = !complete || self.total_len > self.bytes.len() as u64;
        let sha256 = self.hash.filter(|_| complete).map(|context| {
            let mut out = [0u8; 32];
            out.copy_from_slice(context.finish().as_ref());
            Digest(out)
        });
        CapturedBody {
            bytes: Bytes::from(self.bytes),
            total_len: self.total_len,
            sha256,
            truncated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_is_kept_and_the_whole_is_hashed() {
        let mut tap = Tap::new(4);
        for part in ["abc", "", "def"] {
            tap.see(part.as_bytes());
        }
        let body = tap.finish(true);
        assert_eq!(&body.bytes[..], b"abcd");
        assert_eq!((body.total_len, body.truncated), (6, true));
        assert_eq!(body.sha256, Some(schema::sha256(b"abcdef")));
    }

    #[test]
    fn a_body_that_broke_off_has_no_digest() {
        let mut tap = Tap::new(4);
        tap.see(b"abc");
        let body = tap.finish(false);
        assert_eq!((body.sha256, body.truncated), (None, true));
        let none = Tap::new(4).finish(true);
        assert_eq!((none.sha256, none.truncated, none.total_len), (None, false, 0));
    }
}
