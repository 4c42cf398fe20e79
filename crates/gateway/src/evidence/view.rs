//! What rules and places may look at in an exchange, read only when something asks.

use super::exchange::RequestHead;
use super::place::{Place, json_at, json_text};
use super::protect::percent_decode;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use serde_json::Value;
use std::borrow::Cow;
use std::cell::OnceCell;

/// Bodies longer than this are not parsed for a place or a rule.
const PARSED_BYTES_MAX: usize = 1024 * 1024;

pub(super) struct View<'a> {
    pub(super) request: &'a RequestHead,
    pub(super) request_text: Option<&'a str>,
    pub(super) status: Option<u16>,
    pub(super) response_headers: Option<&'a HeaderMap>,
    pub(super) response_text: Option<&'a str>,
    request_json: OnceCell<Option<Value>>,
    response_json: OnceCell<Option<Value>>,
}

impl<'a> View<'a> {
    pub(super) fn of_request(request: &'a RequestHead, text: Option<&'a str>) -> View<'a> {
        View {
            request,
            request_text: text,
            status: None,
            response_headers: None,
            response_text: None,
            request_json: OnceCell::new(),
            response_json: OnceCell::new(),
        }
    }

    pub(super) fn request_json(&self) -> Option<&Value> {
        self.request_json.get_or_init(|| parse(self.request_text)).as_ref()
    }

    pub(super) fn response_json(&self) -> Option<&Value> {
        self.response_json.get_or_init(|| parse(self.response_text)).as_ref()
    }

    pub(super) fn form(&self, name: &str) -> Option<String> {
        // A JSON body holds no form, and a form no braces at its beginning.
        let text = self.request_text.filter(|t| !t.starts_with(['{', '[', '<', '-']))?;
        pair(text, name).map(Cow::into_owned)
    }

    /// The value at a place; never empty.
    pub(super) fn at(&self, place: &Place) -> Option<Cow<'a, str>> {
        let value = match place {
            Place::Header(name) => Cow::Borrowed(text_of(&self.request.headers, name.as_str())?),
            Place::Cookie(name) => cookie(&self.request.headers, |n| n == name)?.1,
            Place::Query(name) => pair(self.request.query.as_deref()?, name)?,
            Place::Form(name) => Cow::Owned(self.form(name)?),
            Place::Json(path) => Cow::Owned(json_text(json_at(self.request_json()?, path)?)?),
            Place::ResponseHeader(name) => {
                Cow::Borrowed(text_of(self.response_headers?, name.as_str())?)
            }
            Place::ResponseCookie(name) => set_cookie(self.response_headers?, |n| n == name)?.1,
            Place::ResponseJson(path) => {
                Cow::Owned(json_text(json_at(self.response_json()?, path)?)?)
            }
            Place::Bearer => Cow::Borrowed(bearer(&self.request.headers)?),
            Place::BasicUser => Cow::Owned(basic_user(&self.request.headers)?),
            Place::UnverifiedClaim(name) => {
                Cow::Owned(claim(bearer(&self.request.headers)?, name)?)
            }
        };
        (!value.is_empty()).then_some(value)
    }
}

fn parse(text: Option<&str>) -> Option<Value> {
    let text =
        text.filter(|t| t.len() <= PARSED_BYTES_MAX)?.trim_start_matches('\u{feff}').trim_start();
    if !text.starts_with(['{', '[']) {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// The text of a captured body that needs no decoding: for the enforcer, which sees a prefix.
pub(super) fn prefix_text(body: &[u8]) -> Option<&str> {
    match std::str::from_utf8(body) {
        Ok(text) => Some(text),
        Err(error) => std::str::from_utf8(body.get(..error.valid_up_to())?).ok(),
    }
}

pub(super) fn text_of<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// The first pair called `name` in a query or form.
pub(super) fn pair<'t>(text: &'t str, name: &str) -> Option<Cow<'t, str>> {
    text.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == name || percent_decode(key, true) == name).then(|| percent_decode(value, true))
    })
}

/// The first cookie whose name is wanted.
fn cookie(headers: &HeaderMap, wanted: impl Fn(&str) -> bool) -> Option<(&str, Cow<'_, str>)> {
    cookies(headers, wanted).next()
}

/// The cookies whose name is wanted. One that is not text hides none of its neighbours.
pub(super) fn cookies(
    headers: &HeaderMap,
    wanted: impl Fn(&str) -> bool,
) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
        .filter_map(|cookie| std::str::from_utf8(cookie).ok()?.split_once('='))
        .map(|(name, value)| (name.trim(), cookie_value(value)))
        .filter(move |(name, value)| !value.is_empty() && wanted(name))
}

/// The first cookie set whose name is wanted.
pub(super) fn set_cookie(
    headers: &HeaderMap,
    wanted: impl Fn(&str) -> bool,
) -> Option<(&str, Cow<'_, str>)> {
    headers
        .get_all(SET_COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .filter_map(|value| value.split(';').next()?.split_once('='))
        .map(|(name, value)| (name.trim(), cookie_value(value)))
        .find(|(name, value)| !value.is_empty() && wanted(name))
}

/// What the laxest of applications reads: blanks, quotes and percent signs make no other session of it.
fn cookie_value(value: &str) -> Cow<'_, str> {
    percent_decode(value.trim().trim_matches('"'), false)
}

/// The credential of `Authorization`, its scheme taken off.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?.trim();
    let (scheme, credential) = value.split_once(' ')?;
    let takes =
        ["bearer", "token", "apikey", "api-key"].iter().any(|s| scheme.eq_ignore_ascii_case(s));
    (takes && !credential.trim().is_empty()).then(|| credential.trim())
}

fn basic_user(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?.trim();
    let (scheme, credential) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let plain = BASE64.decode(credential.trim().as_bytes()).ok()?;
    let plain = String::from_utf8(plain).ok()?;
    plain.split_once(':').map(|(user, _)| user.to_owned())
}

/// A claim of a JWT, read and not believed.
fn claim(token: &str, name: &str) -> Option<String> {
    const PAYLOAD_MAX: usize = 16 * 1024;
    let payload = token.split('.').nth(1).filter(|p| p.len() <= PAYLOAD_MAX)?;
    let plain = BASE64URL_NOPAD.decode(payload.trim_end_matches('=').as_bytes()).ok()?;
    let claims: Value = serde_json::from_slice(&plain).ok()?;
    json_text(json_at(&claims, name)?)
}
