//! Whose request it is: credential, session, account.

use super::body::{MediaType, decode, text};
use super::exchange::{CapturedBody, RequestHead};
use super::keys::Keys;
use super::place::{Place, json_text};
use super::protect::Protect;
use super::site::{Route, Site};
use super::view::{View, bearer, cookies, pair, prefix_text, set_cookie, text_of};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use schema::{Entity, EntityKind};
use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// Longest account kept; of a longer one, its beginning.
const ACCOUNT_CHARS_MAX: usize = 128;

/// What the enforcer compares with the restrictions in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKeys {
    pub address: IpAddr,
    /// `METHOD /path/template`.
    pub endpoint: String,
    /// Keyed hash of the API key or token.
    pub credential: Option<String>,
    /// Keyed hash of the session.
    pub session: Option<String>,
    /// As [`schema::Event::account`] has it: masked where it is an e-mail address or a number.
    pub account: Option<String>,
    /// The account is nothing but the name in a Basic header, which the site does not say counts.
    pub is_account_claimed: bool,
}

impl RequestKeys {
    /// As entities, most telling first.
    pub fn entities(&self) -> Vec<Entity> {
        let of =
            |kind, value: &Option<String>| value.as_ref().map(|v| Entity::new(kind, v.as_str()));
        [
            of(EntityKind::Credential, &self.credential),
            of(EntityKind::Account, &self.account),
            of(EntityKind::Session, &self.session),
            Some(Entity::new(EntityKind::Endpoint, self.endpoint.as_str())),
            Some(Entity::new(EntityKind::Address, self.address.to_string())),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Whether a restriction on `target` concerns this request.
    pub fn concerns(&self, target: &Entity) -> bool {
        let is = |value: &Option<String>| value.as_deref() == Some(target.value.as_str());
        match target.kind {
            EntityKind::Credential => is(&self.credential),
            EntityKind::Account => is(&self.account),
            EntityKind::Session => is(&self.session),
            EntityKind::Endpoint => self.endpoint == target.value,
            EntityKind::Address => {
                target.value.parse::<IpAddr>().is_ok_and(|address| address == self.address)
            }
            EntityKind::Device => false,
        }
    }
}

/// Who a request is from, before it is answered.
///
/// The same entities [`super::observe`] will write for it. `body`: its beginning where the proxy has it
/// already, for the account of a login.
pub fn request_keys(
    head: &RequestHead,
    body: Option<&[u8]>,
    site: &Site,
    keys: &Keys,
    book: &SessionBook,
) -> RequestKeys {
    let mut protect = Protect::new(&site.scanner, keys, &[], Uuid::nil());
    let (_, endpoint) = site.endpoint(head.method.as_str(), &head.path, &mut protect);
    let route = site.route(head.method.as_str(), &head.path);
    let view = View::of_request(head, body.and_then(prefix_text));
    let who = identify(&view, route, site, keys, book, &mut protect);
    RequestKeys {
        address: head.client_ip,
        endpoint,
        credential: who.credential,
        session: who.session,
        account: who.account,
        is_account_claimed: who.unverified == Some(Place::BasicUser),
    }
}

/// Whether the site says what a request means; without, it is never more than its method.
pub fn has_route(head: &RequestHead, site: &Site) -> bool {
    site.route(head.method.as_str(), &head.path).is_some()
}

/// Whether a request begins a session, or ends it.
pub fn is_sign_in(head: &RequestHead, site: &Site) -> bool {
    let route = site.route(head.method.as_str(), &head.path);
    let action = route.and_then(|route| route.action.as_deref());
    matches!(action, Some("login" | "token-issue" | "logout"))
}

/// Whether the account of this request stands in its body: the route says so, or it is a login.
pub fn wants_body(head: &RequestHead, site: &Site) -> bool {
    let Some(route) = site.route(head.method.as_str(), &head.path) else { return false };
    if route.account.is_empty() {
        return route.action.as_deref() == Some("login");
    }
    route.account.iter().any(|place| matches!(place, Place::Json(_) | Place::Form(_)))
}

/// The account a request's body names, where [`wants_body`].
pub fn account_in_body(
    head: &RequestHead,
    body: &[u8],
    site: &Site,
    keys: &Keys,
) -> Option<String> {
    if !wants_body(head, site) {
        return None;
    }
    let route = site.route(head.method.as_str(), &head.path)?;
    // The whole is not at hand, and nobody asks for its hash.
    let body = CapturedBody { bytes: Bytes::copy_from_slice(body), ..CapturedBody::default() };
    let decoded = decode(&body, &head.headers, site.body_bytes);
    let text = text(&decoded.bytes, &MediaType::of(&head.headers), true);
    let view = View::of_request(head, text.as_deref());
    let value = match route.account.as_slice() {
        [] => usual_account(&view),
        places => places.iter().find_map(|place| view.at(place)),
    };
    let mut protect = Protect::new(&site.scanner, keys, &[], Uuid::nil());
    account(&value?, site, &mut protect)
}

#[derive(Debug, Default)]
pub(super) struct Identity {
    pub(super) credential: Option<String>,
    pub(super) session: Option<String>,
    pub(super) account: Option<String>,
    /// The account was read from this place, and nobody has checked it.
    pub(super) unverified: Option<Place>,
}

pub(super) fn identify(
    view: &View<'_>,
    route: Option<&Route>,
    site: &Site,
    keys: &Keys,
    book: &SessionBook,
    protect: &mut Protect<'_>,
) -> Identity {
    let hash = |value: Cow<'_, str>| keys.secret_hash(value.as_bytes());
    let credential = match site.credential.as_slice() {
        [] => usual_credential(view).map(hash),
        places => places.iter().find_map(|place| view.at(place)).map(hash),
    };
    let session = session(view, site, keys, book);
    let is_login = route.is_some_and(|r| r.action.as_deref() == Some("login"));
    let named = route.map(|r| r.account.as_slice()).unwrap_or_default();
    let mut unverified = None;
    let mut stated = named.iter().find_map(|place| {
        let value = view.at(place)?;
        unverified = matches!(place, Place::UnverifiedClaim(_)).then(|| place.clone());
        Some(value)
    });
    if stated.is_none() && is_login && named.is_empty() {
        stated = usual_account(view);
    }
    if stated.is_none() {
        // Anybody can write a name there: where the site does not say that it counts, whoever is
        // known by session or key is somebody else.
        stated = view.at(&Place::BasicUser);
        unverified = stated.as_ref().map(|_| Place::BasicUser);
    }
    let known = || {
        let session = session.as_deref().and_then(|s| book.account(s));
        session.or_else(|| credential.as_deref().and_then(|c| book.account(c)))
    };
    let account = match stated {
        // A login states the account tried, whoever the session was before; its answer checks it.
        Some(value) if is_login => {
            unverified = unverified.filter(|place| *place != Place::BasicUser);
            account(&value, site, protect)
        }
        Some(value) if unverified.is_none() => account(&value, site, protect),
        Some(value) => match known() {
            Some(known) => {
                unverified = None;
                Some(known)
            }
            None => account(&value, site, protect),
        },
        None => known(),
    };
    Identity { credential, session, account, unverified }
}

/// The session a request belongs to. Of several, one that a login here began: anybody can put another
/// before it, and the application may look at the last. The head's limit bounds how many there are.
fn session(view: &View<'_>, site: &Site, keys: &Keys, book: &SessionBook) -> Option<String> {
    let hash = |value: &str| keys.secret_hash(value.as_bytes());
    let headers = &view.request.headers;
    let values: Vec<Cow<'_, str>> = match site.session.as_slice() {
        [] => cookies(headers, is_session_cookie).map(|(_, value)| value).collect(),
        places => places
            .iter()
            .flat_map(|place| match place {
                Place::Cookie(name) => {
                    cookies(headers, |n| n == name).map(|(_, value)| value).collect()
                }
                place => view.at(place).into_iter().collect::<Vec<_>>(),
            })
            .collect(),
    };
    match values.as_slice() {
        [] => None,
        [only] => Some(hash(only)),
        [first, ..] => {
            let mut hashes = values.iter().map(|value| hash(value));
            hashes.find(|hash| book.account(hash).is_some()).or_else(|| Some(hash(first)))
        }
    }
}

/// The account as it may be written: without what is personal, unless the site wants it plain.
pub(super) fn account(value: &str, site: &Site, protect: &mut Protect<'_>) -> Option<String> {
    let short: String =
        value.trim().chars().filter(|c| !c.is_control()).take(ACCOUNT_CHARS_MAX).collect();
    // Mail addresses are compared without case; other names are the application's affair.
    let short = if short.contains('@') { short.to_lowercase() } else { short };
    if short.is_empty() {
        return None;
    }
    if site.accounts_in_clear {
        return Some(short);
    }
    Some(protect.text(&short, false, 0).unwrap_or(short))
}

fn usual_credential<'a>(view: &View<'a>) -> Option<Cow<'a, str>> {
    let headers = &view.request.headers;
    if let Some(token) = bearer(headers) {
        return Some(token.into());
    }
    let header = ["x-api-key", "api-key", "x-goog-api-key", "x-auth-token"]
        .iter()
        .find_map(|name| text_of(headers, name))
        .filter(|value| !value.is_empty());
    if let Some(key) = header {
        return Some(key.into());
    }
    if let Some(query) = view.request.query.as_deref() {
        let key = ["api_key", "apikey", "apiKey", "access_token"]
            .iter()
            .find_map(|name| pair(query, name));
        if let Some(key) = key.filter(|key| !key.is_empty()) {
            return Some(key);
        }
    }
    let basic = headers.get(AUTHORIZATION)?.to_str().ok()?.trim();
    let (scheme, credential) = basic.split_once(' ')?;
    scheme.eq_ignore_ascii_case("basic").then(|| credential.trim().into())
}

/// The names frameworks give their session cookie.
pub(super) fn is_session_cookie(name: &str) -> bool {
    let has = |part: &str| {
        name.as_bytes().windows(part.len()).any(|w| w.eq_ignore_ascii_case(part.as_bytes()))
    };
    // `connect.sid`, `JSESSIONID`, `PHPSESSID`, `ASP.NET_SessionId`, `laravel_session`, `sid`.
    (has("sess") && !has("csrf"))
        || name.eq_ignore_ascii_case("sid")
        || name.ends_with(".sid")
        || name.ends_with("_sid")
}

fn usual_account<'a>(view: &View<'a>) -> Option<Cow<'a, str>> {
    const NAMES: [&str; 12] = [
        "username", "user", "user_id", "userid", "userId", "login", "login_id", "loginId",
        "account", "email", "id", "mb_id",
    ];
    let json = view.request_json();
    NAMES
        .iter()
        .find_map(|name| match json {
            Some(json) => json.get(*name).and_then(json_text),
            None => view.form(name),
        })
        .filter(|value| !value.is_empty())
        .map(Cow::Owned)
}

/// Learns from a login that succeeded: the sessions and tokens it gave are its account's from now on.
pub(super) fn remember(
    view: &View<'_>,
    who: &Identity,
    site: &Site,
    keys: &Keys,
    book: &SessionBook,
) {
    let Some(account) = &who.account else { return };
    let hash = |value: &str| keys.secret_hash(value.as_bytes());
    let mut given = false;
    if let Some(headers) = view.response_headers {
        let wanted = |name: &str| match site.session.as_slice() {
            [] => is_session_cookie(name),
            places => places
                .iter()
                .any(|p| matches!(p, Place::Cookie(n) | Place::ResponseCookie(n) if n == name)),
        };
        if let Some((_, value)) = set_cookie(headers, wanted) {
            book.remember(hash(&value), account);
            given = true;
        }
    }
    // Only an answer that is JSON can hand out a token worth parsing for.
    let tokens = ["access_token", "accessToken", "token", "id_token", "jwt", "api_key", "apiKey"];
    let mentions = view
        .response_text
        .is_some_and(|t| t.starts_with('{') && tokens.iter().any(|n| t.contains(n)));
    if mentions && let Some(json) = view.response_json() {
        for token in
            tokens.iter().filter_map(|name| json.get(*name)?.as_str()).filter(|t| !t.is_empty())
        {
            book.remember(hash(token), account);
            given = true;
        }
    }
    if !given && let Some(session) = &who.session {
        book.remember(session.clone(), account);
    }
}

/// Which account a session or token belongs to, learned from logins. Bounded: the least recently used
/// is forgotten first. Shared by the recorder, which learns, and the enforcer, which asks.
pub struct SessionBook {
    book: Mutex<Book>,
}

struct Book {
    limit: usize,
    slots: HashMap<String, usize>,
    entries: Vec<Entry>,
    /// Most and least recently used.
    newest: usize,
    oldest: usize,
}

struct Entry {
    key: String,
    account: String,
    newer: usize,
    older: usize,
}

/// No entry.
const NONE: usize = usize::MAX;

impl SessionBook {
    /// Sessions remembered unless told otherwise: about 25 MiB.
    pub const LIMIT_DEFAULT: usize = 100_000;

    pub fn new(limit: usize) -> SessionBook {
        SessionBook {
            book: Mutex::new(Book {
                limit: limit.max(1),
                slots: HashMap::new(),
                entries: Vec::new(),
                newest: NONE,
                oldest: NONE,
            }),
        }
    }

    /// Sessions remembered now.
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn account(&self, key: &str) -> Option<String> {
        let mut book = self.lock();
        let slot = *book.slots.get(key)?;
        book.touch(slot);
        book.entries.get(slot).map(|entry| entry.account.clone())
    }

    pub(super) fn remember(&self, key: String, account: &str) {
        let mut book = self.lock();
        if let Some(slot) = book.slots.get(&key).copied() {
            if let Some(entry) = book.entries.get_mut(slot) {
                account.clone_into(&mut entry.account);
            }
            book.touch(slot);
            return;
        }
        let entry =
            Entry { key: key.clone(), account: account.to_owned(), newer: NONE, older: NONE };
        let slot = if book.entries.len() < book.limit {
            book.entries.push(entry);
            book.entries.len() - 1
        } else {
            let slot = book.oldest;
            book.unlink(slot);
            if let Some(old) = book.entries.get_mut(slot) {
                let old = std::mem::replace(old, entry);
                book.slots.remove(&old.key);
            }
            slot
        };
        book.slots.insert(key, slot);
        book.link(slot);
    }

    /// A session that logged out is nobody's. Its slot stays until it is the oldest.
    pub(super) fn forget(&self, key: &str) {
        let mut book = self.lock();
        let Some(slot) = book.slots.remove(key) else { return };
        if let Some(entry) = book.entries.get_mut(slot) {
            entry.key.clear();
            entry.account.clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        // Every change leaves the book whole enough to go on with.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for SessionBook {
    fn default() -> Self {
        SessionBook::new(SessionBook::LIMIT_DEFAULT)
    }
}

impl Book {
    fn touch(&mut self, slot: usize) {
        if self.newest != slot {
            self.unlink(slot);
            self.link(slot);
        }
    }

    fn unlink(&mut self, slot: usize) {
        let Some((newer, older)) = self.entries.get(slot).map(|e| (e.newer, e.older)) else {
            return;
        };
        match self.entries.get_mut(newer) {
            Some(entry) => entry.older = older,
            None => self.newest = older,
        }
        match self.entries.get_mut(older) {
            Some(entry) => entry.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn link(&mut self, slot: usize) {
        let newest = self.newest;
        if let Some(entry) = self.entries.get_mut(slot) {
            entry.newer = NONE;
            entry.older = newest;
        }
        match self.entries.get_mut(newest) {
            Some(entry) => entry.newer = slot,
            None => self.oldest = slot,
        }
        self.newest = slot;
    }
}

#[cfg(test)]
mod tests {
    use super::super::site::{IdentitySpec, RouteSpec, SiteSpec};
    use super::*;
    use http::{HeaderName, HeaderValue};

    #[test]
    fn the_book_forgets_what_was_used_least_recently() {
        let book = SessionBook::new(3);
        for (session, account) in [("a", "kim"), ("b", "lee"), ("c", "park")] {
            book.remember(session.to_owned(), account);
        }
        assert_eq!(book.account("a").as_deref(), Some("kim"));
        book.remember("d".to_owned(), "choi");
        assert_eq!(book.account("b"), None, "the least recently used");
        assert_eq!(book.account("a").as_deref(), Some("kim"));
        book.remember("a".to_owned(), "han");
        assert_eq!(book.account("a").as_deref(), Some("han"));
        book.forget("a");
        assert_eq!(book.account("a"), None);
        for i in 0..10 {
            book.remember(format!("s{i}"), "x");
            assert!(book.len() <= 3);
        }
        assert_eq!(book.account("s7").as_deref(), Some("x"));
        assert_eq!(book.account("s6"), None);
    }

    #[test]
    fn session_cookies_by_their_usual_names() {
        for name in
            ["sid", "JSESSIONID", "PHPSESSID", "connect.sid", "ASP.NET_SessionId", "my_session"]
        {
            assert!(is_session_cookie(name), "{name}");
        }
        for name in ["csrf_session", "theme", "side", "_ga", "lang"] {
            assert!(!is_session_cookie(name), "{name}");
        }
    }

    /// Session and account of a request, and whether the account is but a claim; `s1` is kim's.
    fn who(site: &SiteSpec, headers: &[(&str, &[u8])]) -> (Option<String>, Option<String>, bool) {
        let (site, keys) = (Site::compile("shop", site).unwrap(), Keys::new(&[7; 32]));
        let book = SessionBook::new(4);
        book.remember(keys.secret_hash(b"s1"), "kim");
        let mut head = RequestHead { path: "/orders".to_owned(), ..RequestHead::default() };
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            head.headers.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        let found = request_keys(&head, None, &site, &keys, &book);
        (found.session, found.account, found.is_account_claimed)
    }

    #[test]
    fn a_decoy_does_not_hide_the_session() {
        let configured = SiteSpec {
            identity: IdentitySpec {
                session: vec![Place::Cookie("sid".to_owned())],
                ..IdentitySpec::default()
            },
            ..SiteSpec::default()
        };
        let hers = Some(Keys::new(&[7; 32]).secret_hash(b"s1"));
        for cookies in [
            &b"sid=s1"[..],
            b"a_session=x; sid=s1",
            b"sid=x; sid=s1; sid=y",
            b"theme=\xff; sid=s1",
            b"sid=\xff; sid=s1",
        ] {
            for site in [&SiteSpec::default(), &configured] {
                let found = who(site, &[("cookie", cookies)]);
                assert_eq!(found, (hers.clone(), Some("kim".to_owned()), false), "{cookies:?}");
            }
        }
        let lines = [("cookie", &b"sid=x"[..]), ("cookie", b"sid=s1")];
        assert_eq!(who(&SiteSpec::default(), &lines).0, hers, "over two lines");
        let strange = who(&SiteSpec::default(), &[("cookie", b"sid=x; sid=y")]);
        assert_eq!(
            strange.0,
            Some(Keys::new(&[7; 32]).secret_hash(b"x")),
            "of strangers, the first"
        );
    }

    #[test]
    fn a_name_in_a_basic_header_is_a_claim_unless_the_site_says_that_it_counts() {
        let lee = ("authorization", &b"Basic bGVlOng="[..]);
        let nobody = SiteSpec::default();
        assert_eq!(who(&nobody, &[lee]), (None, Some("lee".to_owned()), true));
        let (_, account, is_claim) = who(&nobody, &[("cookie", b"sid=s1"), lee]);
        assert_eq!((account.as_deref(), is_claim), (Some("kim"), false), "whose session it is");
        let counts = SiteSpec {
            routes: vec![RouteSpec {
                pattern: "* /**".to_owned(),
                account: vec![Place::BasicUser],
                ..RouteSpec::default()
            }],
            ..SiteSpec::default()
        };
        assert_eq!(who(&counts, &[lee]), (None, Some("lee".to_owned()), false));
    }
}
