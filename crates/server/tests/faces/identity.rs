//! Coming in: first password, sessions, tokens, lockout, and what one tenant sees of another.

use crate::common::{As, House, config, event, ndjson};
use serde_json::json;
use server::rights::Scope;
use server::{handle, start_unjudged};
use store::meta::Role;

const PASSWORD: &str = "correct horse battery staple";

fn session_of(answer: &crate::common::Answer) -> As {
    let cookie = &answer.headers["set-cookie"];
    for word in ["__Host-plura=", "Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(word), "{cookie}");
    }
    As::Session {
        cookie: cookie.split(';').next().unwrap().to_owned(),
        csrf: answer.json()["csrf"].as_str().unwrap().to_owned(),
        tenant: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_owner_chooses_a_password_and_logs_in_again() {
    let house = House::open().await;
    let once = house.server.one_time_password.clone().unwrap();
    let login = json!({ "name": "owner", "password": once.reveal() });
    let answer = house.post("/api/v1/login", &As::Nobody, login).await.ok();
    assert_eq!(answer.json()["must_change_password"], true);
    let session = session_of(&answer);
    assert_eq!(house.get("/api/v1/incidents", &session).await.code(), "password-change-required");

    let weak = json!({ "current": once.reveal(), "new": "owner owner owner" });
    assert_eq!(house.post("/api/v1/password", &session, weak).await.code(), "password-too-weak");
    let change = json!({ "current": once.reveal(), "new": PASSWORD });
    house.post("/api/v1/password", &session, change).await.ok();
    house.get("/api/v1/incidents", &session).await.ok();
    house.post("/api/v1/logout", &session, json!({})).await.ok();
    assert_eq!(house.get("/api/v1/me", &session).await.code(), "unauthenticated");

    let old = json!({ "name": "owner", "password": once.reveal() });
    assert_eq!(house.post("/api/v1/login", &As::Nobody, old).await.code(), "login-failed");
    let new = json!({ "name": "owner", "password": PASSWORD });
    let session = session_of(&house.post("/api/v1/login", &As::Nobody, new).await.ok());
    let audit = house.get("/api/v1/audit", &session).await.ok().json();
    let kinds: Vec<&str> =
        audit.as_array().unwrap().iter().map(|e| e["leaf"]["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["user-change", "login", "user-change", "login-failed", "login"]);

    // The second start has an owner and shows no password; nothing of it is on disk.
    let House { folder, server, .. } = house;
    server.shutdown().await;
    let again = start_unjudged(config(folder.path())).await.unwrap();
    assert!(again.one_time_password.is_none());
    again.shutdown().await;
    let meta = std::fs::read(folder.path().join("data/meta.sqlite")).unwrap();
    assert!(!meta.windows(once.reveal().len()).any(|w| w == once.reveal().as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_costs_time_and_never_locks_for_ever() {
    let house = House::open().await;
    let once = house.server.one_time_password.clone().unwrap();
    let wrong = json!({ "name": "owner", "password": "wrong" });
    for _ in 0..5 {
        let answer = house.post("/api/v1/login", &As::Nobody, wrong.clone()).await;
        assert_eq!(answer.code(), "login-failed");
    }
    assert_eq!(
        house.post("/api/v1/login", &As::Nobody, wrong.clone()).await.code(),
        "login-failed"
    );
    let right = json!({ "name": "owner", "password": once.reveal() });
    let locked = house.post("/api/v1/login", &As::Nobody, right.clone()).await;
    assert_eq!((locked.status, locked.code().as_str()), (429, "login-locked"));
    assert_eq!(locked.headers["retry-after"], "1");

    // The wait ends by itself: moved into the past here, so that the test need not sleep.
    let key = server::identity::lockout::account("owner");
    let meta = &house.server.app.meta;
    let mut attempts = meta.read(|r| r.attempts(&key)).unwrap();
    attempts.locked_until = 0;
    meta.write(|tx| tx.set_attempts(&key, attempts)).unwrap();
    house.post("/api/v1/login", &As::Nobody, right).await.ok();
    assert_eq!(meta.read(|r| r.attempts(&key)).unwrap().failures, 0);

    // From now on this address is known: an attacker elsewhere keeps the account waiting, not its owner.
    let hammered =
        store::meta::Attempts { failures: 99, last: handle::now(), locked_until: i64::MAX };
    meta.write(|tx| tx.set_attempts(&key, hammered)).unwrap();
    let right = json!({ "name": "owner", "password": once.reveal() });
    house.post("/api/v1/login", &As::Nobody, right).await.ok();
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_and_writes_need_their_header() {
    let house = House::open().await;
    let (user, session) = house.owner();
    let As::Session { cookie, .. } = &session else { panic!("a session") };
    let forged = As::Session { cookie: cookie.clone(), csrf: "0".repeat(64), tenant: None };
    let body = json!({ "name": "x", "scopes": ["intake"] });
    assert_eq!(house.post("/api/v1/tokens", &forged, body).await.code(), "csrf-missing");
    house.get("/api/v1/tokens", &forged).await.ok();

    let now = handle::now();
    let idle = house.session(user, now - 31 * 60_000, i64::MAX);
    assert_eq!(house.get("/api/v1/me", &idle).await.code(), "unauthenticated");
    let over = house.session(user, now, now - 1);
    assert_eq!(house.get("/api/v1/me", &over).await.code(), "unauthenticated");

    let (lee, lee_session) = house.person("lee", &[("default", Role::Analyst)]);
    house.get("/api/v1/incidents", &lee_session).await.ok();
    let disable = json!({ "disabled": true });
    house.call("PATCH", &format!("/api/v1/users/{lee}"), &session, Some(disable)).await.ok();
    assert_eq!(house.get("/api/v1/me", &lee_session).await.code(), "unauthenticated");
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_do_what_their_scopes_say_while_their_maker_may() {
    let house = House::open().await;
    let (_, owner) = house.owner();
    let make = json!({ "name": "hunting", "scopes": ["query"], "expires_days": 30 });
    let (lee, session) = house.person("lee", &[("default", Role::Admin)]);
    let made = house.post("/api/v1/tokens", &session, make).await.ok().json();
    let token = As::Token(made["token"].as_str().unwrap().to_owned());
    house.get("/api/v1/incidents", &token).await.ok();
    assert_eq!(house.get("/api/v1/users", &token).await.code(), "forbidden");
    let listed = house.get("/api/v1/tokens", &owner).await.ok();
    assert!(!String::from_utf8_lossy(&listed.bytes).contains(made["token"].as_str().unwrap()));

    // Not further than one's own rights; and no person's token without end.
    let wide = json!({ "name": "x", "scopes": ["reveal"], "expires_days": 30 });
    assert_eq!(house.post("/api/v1/tokens", &session, wide).await.code(), "scope-too-wide");
    let endless = json!({ "name": "x", "scopes": ["query"] });
    assert_eq!(house.post("/api/v1/tokens", &session, endless).await.code(), "expiry-invalid");
    let gateway = json!({ "name": "gw", "scopes": ["gateway"] });
    let gateway = house.post("/api/v1/tokens", &session, gateway).await.ok().json();
    let gateway = As::Token(gateway["token"].as_str().unwrap().to_owned());

    // Lee leaves: the person's token ends with the role, the machine's goes on.
    house.call("DELETE", &format!("/api/v1/users/{lee}"), &owner, None).await.ok();
    assert_eq!(house.get("/api/v1/incidents", &token).await.code(), "forbidden");
    house.get("/api/v1/gateway/restrictions", &gateway).await.ok();

    let id = made["view"]["id"].as_str().unwrap();
    for _ in 0..2 {
        house.call("DELETE", &format!("/api/v1/tokens/{id}"), &owner, None).await.ok();
    }
    assert_eq!(house.get("/api/v1/me", &token).await.code(), "token-expired");
    let guess =
        As::Token(format!("plura_{}_{}", made["view"]["prefix"].as_str().unwrap(), "0".repeat(64)));
    assert_eq!(house.get("/api/v1/me", &guess).await.code(), "unauthenticated");
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_are_made_by_owners_and_the_last_one_stays() {
    let house = House::open().await;
    let (admin_id, admin) = house.person("adam", &[("default", Role::Admin)]);
    let owner_new = json!({ "name": "eve", "role": "owner" });
    assert_eq!(house.post("/api/v1/users", &admin, owner_new).await.code(), "owner-required");
    let raise = json!({ "role": "owner" });
    let path = format!("/api/v1/users/{admin_id}");
    assert_eq!(house.call("PATCH", &path, &admin, Some(raise)).await.code(), "owner-required");

    let users = house.get("/api/v1/users", &admin).await.ok().json();
    let first = users.as_array().unwrap().iter().find(|u| u["role"] == "owner").unwrap();
    let path = format!("/api/v1/users/{}", first["id"].as_str().unwrap());
    assert_eq!(house.call("DELETE", &path, &admin, None).await.code(), "owner-required");
    let first = first["id"].as_str().unwrap().parse().unwrap();
    let session = house.session(first, handle::now(), i64::MAX);
    // The first owner still has to choose a password; as far as roles go it is the last one.
    assert_eq!(
        house.call("DELETE", &path, &session, None).await.code(),
        "password-change-required"
    );
    let meta = &house.server.app.meta;
    assert!(
        meta.write(|tx| tx.set_role(&"default".parse().unwrap(), first, Role::Viewer)).is_err()
    );

    let made = json!({ "name": "vera", "role": "viewer" });
    let made = house.post("/api/v1/users", &admin, made).await.ok().json();
    let once = made["one_time_password"].as_str().unwrap();
    let login = json!({ "name": "vera", "password": once });
    assert_eq!(
        house.post("/api/v1/login", &As::Nobody, login).await.ok().json()["must_change_password"],
        true
    );
    let taken = json!({ "name": "vera", "role": "viewer" });
    assert_eq!(house.post("/api/v1/users", &admin, taken).await.code(), "name-taken");
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tenant_sees_nothing_of_another() {
    let house = House::open().await;
    house.tenant("other");
    let (owner, home) = house.owner();
    let (other_id, other) = house.person("olga", &[("other", Role::Owner)]);
    let intake = house.token("default", owner, &[Scope::Intake]);
    let body = ndjson(&[event("gw-1", 1, "alice")]);
    house.send("POST", "/api/v1/intake/events", &intake, &[], body).await.ok();
    let found = house.get("/api/v1/events", &home).await.ok().json();
    let id = found["items"][0]["metadata"]["uid"].as_str().unwrap().to_owned();

    assert_eq!(house.get("/api/v1/events", &other).await.ok().json()["items"], json!([]));
    assert_eq!(house.get(&format!("/api/v1/events/{id}"), &other).await.code(), "not-found");
    let sql = json!({ "sql": "select count(*) from events" });
    assert_eq!(house.post("/api/v1/query", &other, sql.clone()).await.ok().json()["rows"][0][0], 0);
    assert_eq!(house.post("/api/v1/query", &home, sql).await.ok().json()["rows"][0][0], 1);
    let users = house.get("/api/v1/users", &other).await.ok().json();
    assert_eq!(users.as_array().unwrap().len(), 1);
    let path = format!("/api/v1/users/{owner}");
    assert_eq!(house.call("DELETE", &path, &other, None).await.code(), "not-found");
    assert_eq!(house.get("/api/v1/tokens", &other).await.ok().json(), json!([]));
    let audit = house.get("/api/v1/audit", &other).await.ok().json();
    assert_eq!(audit, json!([]));

    // Choosing a tenant one does not belong to is refused, whether it exists or not.
    let As::Session { cookie, csrf, .. } = &other else { panic!("a session") };
    for tenant in ["default", "no-such"] {
        let tenant = Some(tenant.to_owned());
        let asked = As::Session { cookie: cookie.clone(), csrf: csrf.clone(), tenant };
        assert_eq!(house.get("/api/v1/events", &asked).await.code(), "not-a-member");
    }
    // Somebody in both has to say which.
    let join = json!({ "name": "olga", "role": "viewer" });
    assert_eq!(house.post("/api/v1/users", &other, join.clone()).await.code(), "name-taken");
    house.post("/api/v1/users", &home, join).await.ok();
    assert_eq!(house.get("/api/v1/incidents", &other).await.code(), "tenant-required");
    let asked = As::Session {
        cookie: cookie.clone(),
        csrf: csrf.clone(),
        tenant: Some("other".to_owned()),
    };
    house.get("/api/v1/incidents", &asked).await.ok();
    // Who could reset a shared account's password would get into the other tenant.
    let reset = json!({ "reset_password": true });
    let path = format!("/api/v1/users/{other_id}");
    assert_eq!(house.call("PATCH", &path, &home, Some(reset)).await.code(), "account-shared");
    house.server.shutdown().await;
}
