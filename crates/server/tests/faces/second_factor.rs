//! More than a password: one-time codes, recovery codes, passkeys, and a house that insists.

use crate::common::{Answer, As, House};
use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use schema::sha256;
use serde_json::{Value, json};
use server::handle::now;
use store::meta::Role;

const PASSWORD: &str = "correct horse battery staple";

fn session_of(answer: &Answer) -> As {
    As::Session {
        cookie: answer.headers["set-cookie"].split(';').next().unwrap().to_owned(),
        csrf: answer.json()["csrf"].as_str().unwrap().to_owned(),
        tenant: None,
    }
}

/// The owner with a password of their own.
async fn owner(house: &House) -> As {
    let once = house.server.one_time_password.clone().unwrap();
    let login = json!({ "name": "owner", "password": once.reveal() });
    let session = session_of(&house.post("/api/v1/login", &As::Nobody, login).await.ok());
    let change = json!({ "current": once.reveal(), "new": PASSWORD });
    house.post("/api/v1/password", &session, change).await.ok();
    session
}

/// What an app shows `steps` from now (RFC 6238).
fn code(secret: &str, steps: i64) -> String {
    let key = BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
    let tag = hmac::sign(&key, &(now() / 30_000 + steps).to_be_bytes());
    let tag = tag.as_ref();
    let start = usize::from(tag[19] & 15);
    let bits = u32::from_be_bytes(tag[start..start + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", bits % 1_000_000)
}

async fn login(house: &House, code: Option<&str>) -> Answer {
    let mut body = json!({ "name": "owner", "password": PASSWORD });
    if let Some(code) = code {
        body["code"] = code.into();
    }
    house.post("/api/v1/login", &As::Nobody, body).await
}

/// Adds one-time codes: the secret, the code that confirmed it and the recovery codes.
async fn with_codes(house: &House, session: &As) -> (String, String, Vec<String>) {
    let password = json!({ "password": PASSWORD });
    let proposed = house.post("/api/v1/second-factor/codes", session, password).await.ok().json();
    let secret = proposed["secret"].as_str().unwrap().to_owned();
    assert!(proposed["uri"].as_str().unwrap().contains(&secret));
    let shown = code(&secret, 0);
    let confirm = json!({ "code": shown });
    let answer = house.post("/api/v1/second-factor/codes/confirm", session, confirm).await.ok();
    let told: Vec<String> =
        serde_json::from_value(answer.json()["recovery_codes"].clone()).unwrap();
    (secret, shown, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_asked_for_and_taken_once() {
    let house = House::open().await;
    let session = owner(&house).await;
    let wrong = json!({ "password": "another one entirely" });
    let refused = house.post("/api/v1/second-factor/codes", &session, wrong).await;
    assert_eq!(refused.code(), "password-wrong");
    let early = house
        .post("/api/v1/second-factor/codes/confirm", &session, json!({ "code": "000000" }))
        .await;
    assert_eq!(early.code(), "codes-not-proposed");

    // Until a code is shown, the password is enough.
    let password = json!({ "password": PASSWORD });
    house.post("/api/v1/second-factor/codes", &session, password.clone()).await.ok();
    let came_with_less = session_of(&login(&house, None).await.ok());
    house.get("/api/v1/me", &came_with_less).await.ok();
    let (secret, shown, recovery) = with_codes(&house, &session).await;
    assert_eq!(house.get("/api/v1/me", &came_with_less).await.code(), "unauthenticated");
    assert_eq!(recovery.len(), 10);
    let again = house.post("/api/v1/second-factor/codes", &session, password).await;
    assert_eq!(again.status, 409, "{again:?}");

    let needed = login(&house, None).await;
    assert_eq!((needed.status, needed.code().as_str()), (401, "second-factor-needed"));
    // The code that confirmed is spent, and so is each that let somebody in.
    let next = code(&secret, 1);
    assert_eq!(login(&house, Some(&shown)).await.code(), "code-wrong");
    let inside = session_of(&login(&house, Some(&next)).await.ok());
    assert_eq!(login(&house, Some(&next)).await.code(), "code-wrong");
    assert_eq!(login(&house, Some("12345")).await.code(), "code-wrong");

    // A recovery code works once, as people type it.
    let typed = recovery[3].to_uppercase().replace('-', " ");
    login(&house, Some(&typed)).await.ok();
    assert_eq!(login(&house, Some(&typed)).await.code(), "code-wrong");
    let state = house.get("/api/v1/second-factor", &inside).await.ok().json();
    assert_eq!(
        (&state["recovery_codes_left"], &state["passkeys_possible"]),
        (&9.into(), &true.into())
    );
    let listed = house.get("/api/v1/users", &inside).await.ok().json();
    assert_eq!(listed[0]["second_factor"], true);

    // Nothing that opens the door is in the database as it is.
    let meta = std::fs::read(house.folder.path().join("data/meta.sqlite")).unwrap();
    let raw = BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
    for told in [secret.as_bytes(), &raw, recovery[0].as_bytes()] {
        assert!(!meta.windows(told.len()).any(|window| window == told));
    }

    let remove = json!({ "password": PASSWORD });
    house.post("/api/v1/second-factor/remove", &inside, remove).await.ok();
    assert_eq!(house.get("/api/v1/me", &session).await.code(), "unauthenticated", "others end");
    login(&house, None).await.ok();
    let state = house.get("/api/v1/second-factor", &inside).await.ok().json();
    assert_eq!(state["recovery_codes_left"], 0);
    let told = house.get("/api/v1/audit", &inside).await.ok().json();
    let told: Vec<&str> =
        told.as_array().unwrap().iter().map(|e| e["leaf"]["reason"].as_str().unwrap()).collect();
    for reason in [
        "codes-added",
        "password-and-code",
        "password-and-recovery-code",
        "code-wrong",
        "codes-removed",
    ] {
        assert!(told.contains(&reason), "{reason} in {told:?}");
    }
    house.server.shutdown().await;
}

/// More tries at once than are free: each is counted before the next is answered, and a right code
/// that comes while one has to wait is not taken, nor spent.
#[tokio::test(flavor = "multi_thread")]
async fn guessing_codes_costs_time_however_many_guess_at_once() {
    let house = House::open().await;
    let session = owner(&house).await;
    let (secret, _, _) = with_codes(&house, &session).await;
    let guesses = (0..12).map(|_| login(&house, Some("no code")));
    let told: Vec<String> = futures(guesses).await.iter().map(Answer::code).collect();
    let heard = told.iter().filter(|code| *code == "code-wrong").count();
    assert!((5..=9).contains(&heard), "{told:?}");
    assert_eq!(told.iter().filter(|code| *code == "login-locked").count(), 12 - heard);
    let right = code(&secret, 1);
    let early = login(&house, Some(&right)).await;
    assert_eq!(early.code(), "login-locked");
    let wait = early.json()["retry_after_secs"].as_u64().unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(wait)).await;
    login(&house, Some(&right)).await.ok();
    house.server.shutdown().await;
}

async fn futures(all: impl Iterator<Item = impl Future<Output = Answer>>) -> Vec<Answer> {
    let mut waiting: Vec<_> = all.map(Box::pin).collect();
    let mut told = Vec::new();
    std::future::poll_fn(|context| {
        waiting.retain_mut(|one| match one.as_mut().poll(context) {
            std::task::Poll::Ready(answer) => {
                told.push(answer);
                false
            }
            std::task::Poll::Pending => true,
        });
        if waiting.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    told
}

/// A device: its key, the site it believes to be at, and how often it signed.
struct Device {
    key: Ed25519KeyPair,
    origin: String,
    count: u32,
}

impl Device {
    fn new(house: &House) -> Device {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let key = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
        let origin = format!("https://localhost:{}", house.server.address.port());
        Device { key, origin, count: 0 }
    }

    fn client_data(&self, kind: &str, challenge: &Value) -> String {
        let data = json!({ "type": kind, "challenge": challenge, "origin": self.origin });
        BASE64URL_NOPAD.encode(data.to_string().as_bytes())
    }

    fn data(&mut self, flags: u8, more: &[u8]) -> Vec<u8> {
        self.count += 1;
        let name = sha256(b"localhost").0;
        [&name[..], &[flags], &self.count.to_be_bytes(), more].concat()
    }

    fn made(&mut self, question: &Value) -> Value {
        let data = self.data(0x45, &[&[0; 16][..], &[0, 2], b"id", b"cose"].concat());
        let mut spki = vec![48, 42, 48, 5, 6, 3, 43, 101, 112, 3, 33, 0];
        spki.extend_from_slice(self.key.public_key().as_ref());
        json!({
            "name": "laptop", "id": BASE64URL_NOPAD.encode(b"id"),
            "client_data": self.client_data("webauthn.create", &question["challenge"]),
            "authenticator_data": BASE64URL_NOPAD.encode(&data),
            "public_key": BASE64URL_NOPAD.encode(&spki),
        })
    }

    fn signed(&mut self, question: &Value) -> Value {
        let client_data = self.client_data("webauthn.get", &question["challenge"]);
        let data = self.data(0x05, b"");
        let client = sha256(&BASE64URL_NOPAD.decode(client_data.as_bytes()).unwrap()).0;
        let signature = self.key.sign(&[&data[..], &client].concat());
        json!({
            "id": BASE64URL_NOPAD.encode(b"id"), "client_data": client_data,
            "authenticator_data": BASE64URL_NOPAD.encode(&data),
            "signature": BASE64URL_NOPAD.encode(signature.as_ref()),
        })
    }
}

const ASK: &str = "/api/v1/second-factor/passkeys/options";
const ADD: &str = "/api/v1/second-factor/passkeys";
const SIGN_IN: &str = "/api/v1/login/passkey";

async fn question(house: &House) -> Value {
    house.post("/api/v1/login/passkey/options", &As::Nobody, json!({})).await.ok().json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_opens_the_door_alone() {
    let house = House::open().await;
    let session = owner(&house).await;
    let mut device = Device::new(&house);
    let password = json!({ "password": PASSWORD });
    let asked = house.post(ASK, &session, password.clone()).await.ok().json();
    assert_eq!((&asked["site"], &asked["name"]), (&"localhost".into(), &"owner".into()));
    let made = device.made(&asked);
    let kept = house.post(ADD, &session, made.clone()).await.ok().json();
    assert_eq!(kept["recovery_codes"].as_array().unwrap().len(), 10);
    assert_eq!(house.post(ADD, &session, made).await.status, 409, "the question was answered");

    let asked = question(&house).await;
    let answer = device.signed(&asked);
    let inside = session_of(&house.post(SIGN_IN, &As::Nobody, answer.clone()).await.ok());
    house.get("/api/v1/incidents", &inside).await.ok();
    assert_eq!(
        house.post(SIGN_IN, &As::Nobody, answer).await.code(),
        "passkey-refused",
        "answered once"
    );

    // A copy of the key that counts less, a key for another site, a changed answer.
    let asked = question(&house).await;
    device.count = 0;
    let copied = device.signed(&asked);
    assert_eq!(house.post(SIGN_IN, &As::Nobody, copied).await.code(), "passkey-refused");
    device.count = 9;
    device.origin = "https://evil.example".to_owned();
    let elsewhere = device.signed(&question(&house).await);
    assert_eq!(house.post(SIGN_IN, &As::Nobody, elsewhere).await.code(), "passkey-refused");
    device.origin = Device::new(&house).origin;
    let mut changed = device.signed(&question(&house).await);
    changed["id"] = "b3RoZXI".into();
    assert_eq!(house.post(SIGN_IN, &As::Nobody, changed).await.code(), "passkey-refused");
    let invented = device.signed(&json!({ "challenge": "aW52ZW50ZWQ" }));
    assert_eq!(house.post(SIGN_IN, &As::Nobody, invented).await.code(), "passkey-refused");

    // The password alone is not enough any more; without the key it is again.
    assert_eq!(login(&house, None).await.code(), "passkey-needed");
    let unknown = json!({ "password": PASSWORD, "passkey": "bm9uZQ" });
    let remove = "/api/v1/second-factor/remove";
    assert_eq!(house.post(remove, &inside, unknown).await.status, 404);
    let mine = json!({ "password": PASSWORD, "passkey": BASE64URL_NOPAD.encode(b"id") });
    house.post(remove, &inside, mine).await.ok();
    login(&house, None).await.ok();
    house.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_house_may_insist_and_an_owner_may_reset() {
    let house = House::with(|config| config.sessions.second_factor_required = true).await;
    let session = owner(&house).await;
    assert_eq!(house.get("/api/v1/incidents", &session).await.code(), "second-factor-required");
    let me = house.get("/api/v1/me", &session).await.ok().json();
    assert_eq!(me["must_add_second_factor"], true);
    with_codes(&house, &session).await;
    house.get("/api/v1/incidents", &session).await.ok();

    // Somebody lost the device: an admin of the tenant resets, and every session ends.
    let (lee, lee_session) = house.person("lee", &[("default", Role::Analyst)]);
    let meta = &house.server.app.meta;
    meta.write(|tx| tx.propose_one_time_codes(lee, "sealed", 1)).unwrap();
    meta.write(|tx| tx.confirm_one_time_codes(lee, "sealed", 1, 1)).unwrap();
    house.get("/api/v1/incidents", &lee_session).await.ok();
    let reset = json!({ "reset_second_factor": true });
    let path = format!("/api/v1/users/{lee}");
    assert_eq!(
        house.call("PATCH", &path, &lee_session, Some(reset.clone())).await.code(),
        "forbidden"
    );
    let told = house.call("PATCH", &path, &session, Some(reset)).await.ok().json();
    assert_eq!(told["user"]["second_factor"], false);
    assert_eq!(house.get("/api/v1/me", &lee_session).await.code(), "unauthenticated");

    // A token is not asked for what only a person has.
    let (owner, _) = house.owner();
    let token = house.token("default", owner, &[server::rights::Scope::Query]);
    house.get("/api/v1/incidents", &token).await.ok();
    assert_eq!(house.get("/api/v1/second-factor", &token).await.code(), "session-required");
    house.server.shutdown().await;
}
