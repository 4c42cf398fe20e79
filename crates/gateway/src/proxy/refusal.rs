//! Why a request was not understood, or was understood too well to be let through.

use http::StatusCode;

macro_rules! refusals {
    ($( $(#[$doc:meta])* $name:ident => $code:literal, $status:ident );* $(;)?) => {
        /// A request the gateway will not pass on. Codes are permanent.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Refusal { $( $(#[$doc])* $name ),* }

        impl Refusal {
            pub const ALL: &[Refusal] = &[ $( Refusal::$name ),* ];

            /// The permanent code: in problem+json, in `/metrics` and in the log.
            pub fn code(self) -> &'static str {
                match self { $( Refusal::$name => $code ),* }
            }

            pub fn status(self) -> StatusCode {
                match self { $( Refusal::$name => StatusCode::$status ),* }
            }
        }
    };
}

refusals! {
    /// Both `Content-Length` and `Transfer-Encoding` (RFC 9112 §6.1).
    LengthAndChunked => "content-length-and-transfer-encoding", BAD_REQUEST;
    /// More than one `Content-Length`, equal or not (RFC 9112 §6.3).
    RepeatedLength => "repeated-content-length", BAD_REQUEST;
    /// Not plain digits (RFC 9112 §6.2).
    InvalidLength => "invalid-content-length", BAD_REQUEST;
    /// Anything but one `chunked` (RFC 9112 §6.1).
    TransferEncoding => "unsupported-transfer-encoding", BAD_REQUEST;
    /// `Transfer-Encoding` in HTTP/1.0 (RFC 9112 §6.1).
    ChunkedInOldVersion => "transfer-encoding-in-http10", BAD_REQUEST;
    /// A header line that continues the one before (RFC 9112 §5.2).
    FoldedHeader => "folded-header", BAD_REQUEST;
    /// White space between header name and colon (RFC 9112 §5.1).
    SpaceBeforeColon => "space-before-colon", BAD_REQUEST;
    /// LF without CR (RFC 9112 §2.2).
    BareLineFeed => "bare-line-feed", BAD_REQUEST;
    /// CR without LF (RFC 9112 §2.2).
    BareCarriageReturn => "bare-carriage-return", BAD_REQUEST;
    NulByte => "nul-byte", BAD_REQUEST;
    InvalidHeaderName => "invalid-header-name", BAD_REQUEST;
    InvalidHeaderValue => "invalid-header-value", BAD_REQUEST;
    InvalidRequestLine => "invalid-request-line", BAD_REQUEST;
    InvalidTarget => "invalid-target", BAD_REQUEST;
    UnsupportedVersion => "unsupported-version", HTTP_VERSION_NOT_SUPPORTED;
    /// `CONNECT` and `TRACE` have no business at a reverse proxy.
    MethodRefused => "method-refused", METHOD_NOT_ALLOWED;
    MissingHost => "missing-host", BAD_REQUEST;
    RepeatedHost => "repeated-host", BAD_REQUEST;
    InvalidHost => "invalid-host", BAD_REQUEST;
    /// Absolute-form target or `:authority` that names another host than `Host` (RFC 9112 §3.2.2).
    HostMismatch => "host-mismatch", BAD_REQUEST;
    HeadTooLarge => "head-too-large", REQUEST_HEADER_FIELDS_TOO_LARGE;
    TooManyHeaders => "too-many-headers", REQUEST_HEADER_FIELDS_TOO_LARGE;
    TargetTooLong => "target-too-long", URI_TOO_LONG;
    /// `Expect` other than `100-continue`.
    ExpectationUnknown => "expectation-unknown", EXPECTATION_FAILED;
    /// Chunk size that is not hexadecimal, is too long, or has white space around it.
    InvalidChunkSize => "invalid-chunk-size", BAD_REQUEST;
    ChunkExtensionTooLong => "chunk-extension-too-long", BAD_REQUEST;
    /// Chunk data not followed by CRLF.
    InvalidChunkEnd => "invalid-chunk-end", BAD_REQUEST;
    InvalidTrailer => "invalid-trailer", BAD_REQUEST;
    TrailersTooLarge => "trailers-too-large", BAD_REQUEST;
    /// `Connection`, `Transfer-Encoding`, `Upgrade`… or `TE` other than `trailers` in HTTP/2
    /// (RFC 9113 §8.2.2).
    ConnectionSpecificHeader => "connection-specific-header", BAD_REQUEST;
    /// The body is not as long as `Content-Length` said (RFC 9113 §8.1.1).
    LengthMismatch => "content-length-mismatch", BAD_REQUEST;
    /// The peer took longer than `header_read_ms` to finish a head it had begun.
    HeaderTimeout => "header-timeout", REQUEST_TIMEOUT;
    /// The peer stopped sending its body.
    BodyTimeout => "body-timeout", REQUEST_TIMEOUT;
    /// Bytes after an `Upgrade` request that was not accepted yet.
    EarlyTunnelData => "early-tunnel-data", BAD_REQUEST;
    BodyTooLarge => "body-too-large", PAYLOAD_TOO_LARGE;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_refusal_has_a_code_of_its_own() {
        let codes: BTreeSet<_> = Refusal::ALL.iter().map(|r| r.code()).collect();
        assert_eq!(codes.len(), Refusal::ALL.len());
    }
}
