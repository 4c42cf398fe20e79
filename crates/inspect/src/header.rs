//! Names of headers.

/// A header's name as people and clients write it. Rules compare without case, but they show names in
/// what they log, and tools that read that know the written form; hyper keeps lower case only.
pub fn written(name: &str) -> &str {
    match name {
        "accept" => "Accept",
        "accept-charset" => "Accept-Charset",
        "accept-encoding" => "Accept-Encoding",
        "accept-language" => "Accept-Language",
        "authorization" => "Authorization",
        "cache-control" => "Cache-Control",
        "connection" => "Connection",
        "content-encoding" => "Content-Encoding",
        "content-length" => "Content-Length",
        "content-type" => "Content-Type",
        "cookie" => "Cookie",
        "host" => "Host",
        "if-none-match" => "If-None-Match",
        "location" => "Location",
        "origin" => "Origin",
        "range" => "Range",
        "referer" => "Referer",
        "server" => "Server",
        "set-cookie" => "Set-Cookie",
        "transfer-encoding" => "Transfer-Encoding",
        "user-agent" => "User-Agent",
        "x-forwarded-for" => "X-Forwarded-For",
        other => other,
    }
}
