//! The web console's files, as a browser gets them. The console itself is in `console/`.
//!
//! A release build carries the files in it; a debug build reads `console/dist/www` when asked,
//! or the folder that `PLURA_CONSOLE` names.
//! Without a built console there is one page that says so.

use std::borrow::Cow;

#[cfg(not(debug_assertions))]
mod files {
    include!(concat!(env!("OUT_DIR"), "/files.rs"));
}

/// Where the client-side routes begin: what is not a file is this page.
const PAGE: &str = "index.html";

/// Names of built files carry a hash of their content, so these never change.
const HASHED: &str = "assets/";

/// Characters of a file's name.
const NAME_CHARS_MAX: usize = 200;

const MISSING: &[u8] = include_bytes!("missing.html");

/// One file, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub body: Cow<'static, [u8]>,
    pub media_type: &'static str,
    /// `br` or `gzip`; `None` as it is.
    pub encoding: Option<&'static str>,
    /// True when another content would have another name.
    pub is_immutable: bool,
}

/// The file at `path` (`/assets/app-1f2e.js`), in the smallest form that `accept_encoding` allows.
pub fn file(path: &str, accept_encoding: &str) -> Option<File> {
    let name = path.strip_prefix('/')?;
    if !is_plain(name) || name == PAGE {
        return None;
    }
    find(name, accept_encoding)
}

/// The page every client-side route begins with.
pub fn page(accept_encoding: &str) -> File {
    find(PAGE, accept_encoding).unwrap_or(File {
        body: Cow::Borrowed(MISSING),
        media_type: "text/html; charset=utf-8",
        encoding: None,
        is_immutable: false,
    })
}

/// Whether this build has a console.
pub fn is_built() -> bool {
    read(PAGE).is_some()
}

fn find(name: &str, accept_encoding: &str) -> Option<File> {
    let packed = |encoding: &'static str, ending: &str| {
        let body = accepts(accept_encoding, encoding).then(|| read(&format!("{name}{ending}")));
        Some((body??, Some(encoding)))
    };
    let (body, encoding) = packed("br", ".br")
        .or_else(|| packed("gzip", ".gz"))
        .or_else(|| Some((read(name)?, None)))?;
    Some(File {
        body,
        media_type: media_type(name)?,
        encoding,
        is_immutable: name.starts_with(HASHED),
    })
}

/// RFC 9110 §12.5.3, as far as it matters here: named, and not with `q=0`.
fn accepts(accept_encoding: &str, encoding: &str) -> bool {
    accept_encoding.split(',').any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(encoding));
        let is_refused = parts.any(|part| {
            let quality = part.strip_prefix("q=").and_then(|q| q.trim().parse::<f32>().ok());
            quality == Some(0.0)
        });
        is_named && !is_refused
    })
}

/// What is not listed is not served: precompressed forms have no address of their own.
fn media_type(name: &str) -> Option<&'static str> {
    let (_, ending) = name.rsplit_once('.')?;
    Some(match ending {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        "json" | "webmanifest" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

/// Letters, digits, `-`, `_`, `.` and `/`; no segment that begins with a dot.
fn is_plain(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    name.len() <= NAME_CHARS_MAX
        && name.chars().all(is_allowed)
        && name.split('/').all(|segment| !segment.is_empty() && !segment.starts_with('.'))
}

#[cfg(not(debug_assertions))]
fn read(name: &str) -> Option<Cow<'static, [u8]>> {
    let at = files::FILES.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
    files::FILES.get(at).map(|(_, body)| Cow::Borrowed(*body))
}

#[cfg(debug_assertions)]
fn read(name: &str) -> Option<Cow<'static, [u8]>> {
    const BUILT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../console/dist/www");
    let folder = std::env::var_os("PLURA_CONSOLE").unwrap_or_else(|| BUILT.into());
    std::fs::read(std::path::Path::new(&folder).join(name)).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_there_with_or_without_a_build() {
        let page = page("");
        assert_eq!(page.media_type, "text/html; charset=utf-8");
        assert!(!page.is_immutable);
        assert_eq!(page.body.as_ref() == MISSING, !is_built());
    }

    #[test]
    fn only_plain_names_are_looked_for() {
        assert!(is_plain("assets/app-1f2e.js"));
        for name in [
            "",
            "../Cargo.toml",
            "a/../b",
            "a//b",
            ".hidden",
            "a/.git/config",
            "a%2e",
            "a\\b",
            "a\0b",
        ] {
            assert!(!is_plain(name), "{name:?}");
            assert_eq!(file(&format!("/{name}"), ""), None, "{name:?}");
        }
    }

    #[test]
    fn an_encoding_counts_when_it_is_named_and_not_refused() {
        assert!(accepts("gzip, deflate, br", "br"));
        assert!(accepts("GZIP;q=0.5", "gzip"));
        assert!(!accepts("gzip", "br"));
        assert!(!accepts("br;q=0, gzip", "br"));
        assert!(!accepts("", "gzip"));
    }

    #[test]
    fn what_has_no_media_type_is_no_file() {
        assert_eq!(media_type("assets/app.js"), Some("text/javascript; charset=utf-8"));
        assert_eq!(media_type("assets/app.js.br"), None);
        assert_eq!(media_type("assets/app.js.map"), None);
    }
}
