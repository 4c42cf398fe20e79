//! A request's head in, the variables that are parts of it out.

use std::borrow::Cow;

use memchr::{memchr, memchr3_iter, memrchr2};

use crate::bag::Bag;
use crate::body::urlencoded::hex;

/// A request target taken apart. Decoding is `%XX` only: `+` and broken escapes stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target<'a> {
    /// `REQUEST_URI_RAW`: as it came.
    pub raw: &'a [u8],
    /// `REQUEST_URI`: decoded as a whole, without scheme, host and fragment.
    pub uri: Cow<'a, [u8]>,
    /// `REQUEST_FILENAME` and `PATH_INFO`: the path, decoded.
    pub filename: Cow<'a, [u8]>,
    /// `QUERY_STRING`: not decoded, without fragment.
    pub query: Option<&'a [u8]>,
}

impl<'a> Target<'a> {
    /// Takes `raw` apart.
    ///
    /// The path ends at the first `?` that is sent as such. A path of an absolute URI is that behind the host;
    /// an absolute URI without one stays whole.
    pub fn parse(raw: &'a [u8]) -> Self {
        let without_fragment = memchr(b'#', raw).and_then(|at| raw.get(..at)).unwrap_or(raw);
        let local = without_host(without_fragment);
        let (path, query) = match memchr(b'?', local) {
            Some(at) => (local.get(..at).unwrap_or_default(), local.get(at + 1..)),
            None => (local, None),
        };
        Self { raw, uri: uri_decoded(local), filename: uri_decoded(path), query }
    }

    /// `REQUEST_BASENAME`: what follows the last slash or backslash of the path.
    pub fn basename(&self) -> &[u8] {
        let at = memrchr2(b'/', b'\\', &self.filename);
        at.and_then(|at| self.filename.get(at + 1..)).unwrap_or_default()
    }
}

/// Cookies of one request. Browsers keep 180 of a site.
pub const COOKIES_MAX: usize = 1_000;

/// Adds the cookies of a `Cookie` header to `out`; values are not decoded. `false`: there were more than
/// [`COOKIES_MAX`] in `out`; what is behind the last is part of that one's value, so that it is looked at.
///
/// Cookies are separated by `;`. White space before a name is dropped, as at the end of the header; a cookie
/// without a name is no cookie. Version 1 (`SecCookieFormat 1`) also separates at `,` and takes values out of
/// double quotes, where separators are ordinary.
pub fn parse_cookies(header: &[u8], v1: bool, out: &mut Bag) -> bool {
    let end = header.iter().rposition(|byte| !is_space(*byte)).map_or(0, |at| at + 1);
    let header = header.get(..end).unwrap_or_default();
    let mut from = 0;
    let mut quoted = false;
    let mut is_whole = true;
    for end in memchr3_iter(b';', b',', b'"', header) {
        match header.get(end) {
            Some(b'"') => quoted = !quoted,
            Some(b',') if !v1 => {}
            _ if v1 && quoted => {}
            _ if out.len() + 1 >= COOKIES_MAX => {
                is_whole = false;
                break;
            }
            _ => {
                push_cookie(header.get(from..end).unwrap_or_default(), v1, out);
                from = end + 1;
            }
        }
    }
    push_cookie(header.get(from..).unwrap_or_default(), v1, out);
    is_whole && out.len() <= COOKIES_MAX
}

fn push_cookie(cookie: &[u8], v1: bool, out: &mut Bag) {
    let (name, value) = match memchr(b'=', cookie) {
        Some(at) => {
            (cookie.get(..at).unwrap_or_default(), cookie.get(at + 1..).unwrap_or_default())
        }
        None => (cookie, b"".as_slice()),
    };
    let name_from = name.iter().position(|byte| !is_space(*byte)).unwrap_or(name.len());
    let name = name.get(name_from..).unwrap_or_default();
    let value = match (v1, value.trim_ascii()) {
        (true, [b'"', inner @ .., b'"']) => inner,
        (true, trimmed) => trimmed,
        (false, _) => value,
    };
    if !name.is_empty() {
        out.push(name, value);
    }
}

/// `text` without `scheme://host`, if it begins with that and has a path behind it.
fn without_host(text: &[u8]) -> &[u8] {
    let Some(colon) = memchr(b':', text) else { return text };
    let (scheme, rest) = text.split_at_checked(colon).unwrap_or_default();
    let is_scheme = scheme.first().is_some_and(u8::is_ascii_alphabetic)
        && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    let Some(rest) = rest.strip_prefix(b"://").filter(|_| is_scheme) else { return text };
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'\\'));
    match end.and_then(|at| rest.get(at..)) {
        Some(path) if !path.starts_with(b"?") => path,
        _ => text,
    }
}

/// `%XX` decoded; what is no escape stays.
fn uri_decoded(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr(b'%', text) else { return Cow::Borrowed(text) };
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    let mut next = Some(first);
    while let Some((plain, escape)) = next.and_then(|at| rest.split_at_checked(at)) {
        decoded.extend_from_slice(plain);
        rest = match escape {
            [_, high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                decoded.push(hex(*high) << 4 | hex(*low));
                rest
            }
            [percent, rest @ ..] => {
                decoded.push(*percent);
                rest
            }
            [] => escape,
        };
        next = memchr(b'%', rest);
    }
    decoded.extend_from_slice(rest);
    Cow::Owned(decoded)
}

/// C's `isspace`.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

#[cfg(test)]
mod tests;
