//! The shop: the small application that stories and the demo protect.
//!
//! It is a pure model (request and time in, response out), so the same shop answers a replayed
//! scenario and, behind a socket, the live demo. It has the weaknesses the stories need: an order
//! API that does not ask whose order it is, an upload that takes scripts, and a model API whose
//! keys can leak.

mod accounts;
mod http;
mod model_api;

pub use accounts::{Account, account, account_count, api_key};
pub use http::{Request, Response};

use schema::Timestamp;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Sessions end after this long without a request.
const SESSION_IDLE_MS: i64 = 2 * 60 * 60 * 1000;
const PRODUCTS: u32 = 240;
/// Orders are numbered from here; order `ORDER_FIRST + n` belongs to account `n % accounts`.
const ORDER_FIRST: u32 = 10_000;
const ORDERS: u32 = 6_000;

#[derive(Debug, Default)]
pub struct Shop {
    sessions: BTreeMap<String, Session>,
    /// Accounts that changed their e-mail address.
    emails: BTreeMap<u32, String>,
    uploads: BTreeSet<String>,
    logins: u64,
    salt: u64,
}

#[derive(Debug)]
struct Session {
    account: u32,
    last_seen: Timestamp,
}

impl Shop {
    /// `salt` keeps session ids of two runs apart; a scenario uses a fixed one.
    pub fn new(salt: u64) -> Self {
        Shop { salt, ..Shop::default() }
    }

    pub fn handle(&mut self, request: &Request, now: Timestamp) -> Response {
        let path = request.path.as_str();
        let mut segments = path.trim_start_matches('/').split('/');
        let route = (segments.next().unwrap_or(""), segments.next(), segments.next());
        match (request.method.as_str(), route) {
            ("GET" | "HEAD", ("", None, None)) => page("Plura demo shop"),
            ("GET", ("health", None, None)) => Response::json(200, &json!({ "status": "ok" })),
            ("GET", ("products", None, None)) => catalogue(request),
            ("GET", ("products", Some(id), None)) => product(id),
            ("GET", ("search", None, None)) => search(request),
            ("GET", ("login", None, None)) => page("Log in"),
            ("POST", ("login", None, None)) => self.login(request, now),
            ("POST", ("logout", None, None)) => self.logout(request),
            ("GET", ("account", None, None)) => self.with_account(request, now, Self::profile),
            ("POST", ("account", Some("email"), None)) => self.change_email(request, now),
            ("POST", ("account", Some("password"), None)) => self.change_password(request, now),
            ("POST", ("cart", None, None)) => {
                self.with_account(request, now, |_, _| Response::json(200, &json!({ "items": 1 })))
            }
            ("POST", ("checkout", None, None)) => self.with_account(request, now, |_, account| {
                Response::json(201, &json!({ "order": ORDER_FIRST + account.number, "paid": true }))
            }),
            ("GET", ("api", Some("orders"), Some(id))) => {
                let id = id.to_owned();
                self.with_account(request, now, move |shop, _| shop.order(&id))
            }
            ("POST", ("upload", None, None)) => self.upload(request, now),
            ("GET" | "POST", ("uploads", Some(name), None)) => self.uploaded(name, request),
            ("GET", ("verify", None, None)) => page("Confirm that it is you"),
            ("POST", ("verify", None, None)) => self.verify(request, now),
            ("GET", ("v1", Some("models"), None)) => model_api::models(request),
            ("POST", ("v1", Some("chat"), Some("completions"))) => model_api::chat(request),
            _ => Response::json(404, &json!({ "error": "not_found" })),
        }
    }

    fn login(&mut self, request: &Request, now: Timestamp) -> Response {
        let form = request.form();
        let name = form.get("username").map_or("", String::as_str);
        let password = form.get("password").map_or("", String::as_str);
        let Some(account) = accounts::by_name(name) else {
            return Response::json(401, &json!({ "error": "unknown_account" }));
        };
        if account.password != password {
            return Response::json(401, &json!({ "error": "bad_password" }));
        }
        self.logins += 1;
        let seed = format!("{}\0{}\0{}", self.salt, account.number, self.logins);
        let sid = schema::sha256(seed.as_bytes()).to_hex().chars().take(32).collect::<String>();
        let cookie = format!("sid={sid}; Path=/; HttpOnly; Secure; SameSite=Lax");
        self.sessions.insert(sid, Session { account: account.number, last_seen: now });
        Response::json(200, &json!({ "user": account.name })).header("set-cookie", &cookie)
    }

    fn logout(&mut self, request: &Request) -> Response {
        if let Some(sid) = request.cookie("sid") {
            self.sessions.remove(&sid);
        }
        Response::json(200, &json!({ "ok": true }))
    }

    fn with_account(
        &mut self,
        request: &Request,
        now: Timestamp,
        answer: impl FnOnce(&Shop, &Account) -> Response,
    ) -> Response {
        match self.session_account(request, now) {
            Some(account) => answer(self, &account),
            None => Response::json(401, &json!({ "error": "login_required" })),
        }
    }

    fn session_account(&mut self, request: &Request, now: Timestamp) -> Option<Account> {
        let session = self.sessions.get_mut(&request.cookie("sid")?)?;
        if now - session.last_seen > SESSION_IDLE_MS {
            return None;
        }
        session.last_seen = now;
        account(session.account)
    }

    fn profile(&self, account: &Account) -> Response {
        let email = self.emails.get(&account.number).unwrap_or(&account.email);
        Response::json(
            200,
            &json!({ "user": account.name, "name": account.full_name, "email": email, "phone": account.phone }),
        )
    }

    fn change_email(&mut self, request: &Request, now: Timestamp) -> Response {
        match (self.session_account(request, now), request.form().get("email")) {
            (Some(account), Some(email)) => {
                self.emails.insert(account.number, email.clone());
                Response::json(200, &json!({ "changed": "email" }))
            }
            (Some(_), None) => Response::json(400, &json!({ "error": "email_missing" })),
            (None, _) => Response::json(401, &json!({ "error": "login_required" })),
        }
    }

    fn change_password(&mut self, request: &Request, now: Timestamp) -> Response {
        let Some(account) = self.session_account(request, now) else {
            return Response::json(401, &json!({ "error": "login_required" }));
        };
        let right = request.form().get("current").is_some_and(|p| *p == account.password);
        if right {
            Response::json(200, &json!({ "changed": "password" }))
        } else {
            Response::json(403, &json!({ "error": "bad_password" }))
        }
    }

    /// The weakness: any logged-in user may read any order.
    fn order(&self, id: &str) -> Response {
        let found = id
            .parse::<u32>()
            .ok()
            .and_then(|id| id.checked_sub(ORDER_FIRST))
            .filter(|n| *n < ORDERS)
            .and_then(|n| account(n % account_count()).map(|a| (n, a)));
        match found {
            Some((n, owner)) => Response::json(
                200,
                &json!({
                    "order": ORDER_FIRST + n,
                    "name": owner.full_name, "email": owner.email, "phone": owner.phone,
                    "items": [{ "product": n % PRODUCTS, "quantity": 1 + n % 3 }],
                    "total": 9_900 + (n % 50) * 1_000,
                }),
            ),
            None => Response::json(404, &json!({ "error": "no_such_order" })),
        }
    }

    /// The weakness: the name, script or not, becomes a path that is served.
    fn upload(&mut self, request: &Request, now: Timestamp) -> Response {
        if self.session_account(request, now).is_none() {
            return Response::json(401, &json!({ "error": "login_required" }));
        }
        match request.multipart_file_name() {
            Some(name) => {
                let url = format!("/uploads/{name}");
                self.uploads.insert(name);
                Response::json(201, &json!({ "url": url }))
            }
            None => Response::json(400, &json!({ "error": "file_missing" })),
        }
    }

    fn uploaded(&self, name: &str, request: &Request) -> Response {
        if !self.uploads.contains(name) {
            return Response::json(404, &json!({ "error": "not_found" }));
        }
        if name.ends_with(".php") {
            let ran = request.query_value("c").unwrap_or_default();
            Response::text(200, "text/html", &format!("uid=33(www-data) gid=33(www-data)\n{ran}\n"))
        } else {
            Response::text(200, "image/png", "\u{89}PNG")
        }
    }

    /// Step-up: the code a user's phone would show is the last four digits of the phone number.
    fn verify(&mut self, request: &Request, now: Timestamp) -> Response {
        let Some(account) = self.session_account(request, now) else {
            return Response::json(401, &json!({ "error": "login_required" }));
        };
        let code = request.form().get("code").cloned().unwrap_or_default();
        if code.len() == 4 && account.phone.ends_with(&code) {
            Response::json(200, &json!({ "verified": true }))
        } else {
            Response::json(403, &json!({ "error": "bad_code" }))
        }
    }
}

fn page(title: &str) -> Response {
    let html = format!(
        "<!doctype html><meta charset=utf-8><title>{title}</title><h1>{title}</h1><p>A small application for stories. Nothing here is real.</p>"
    );
    Response::text(200, "text/html; charset=utf-8", &html)
}

fn catalogue(request: &Request) -> Response {
    let page = request.query_value("page").and_then(|p| p.parse::<u32>().ok()).unwrap_or(0);
    let first = (page * 20).min(PRODUCTS);
    let items: Vec<_> = (first..(first + 20).min(PRODUCTS))
        .map(|id| json!({ "id": id, "name": format!("Item {id}"), "price": 1_000 + id * 100 }))
        .collect();
    Response::json(200, &json!({ "items": items }))
}

fn product(id: &str) -> Response {
    match id.parse::<u32>() {
        Ok(id) if id < PRODUCTS => Response::json(
            200,
            &json!({ "id": id, "name": format!("Item {id}"), "price": 1_000 + id * 100, "stock": id % 17 }),
        ),
        _ => Response::json(404, &json!({ "error": "no_such_product" })),
    }
}

fn search(request: &Request) -> Response {
    let words = request.query_value("q").unwrap_or_default();
    let hits = words.len() % 7;
    Response::json(200, &json!({ "query": words, "hits": hits }))
}

#[cfg(test)]
mod tests;
