//! A server in this process, and a client that trusts its certificate.
#![allow(dead_code)]

pub mod mmdb;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use server::config::{SyslogListener, SyslogProtocol};
use server::identity::secrets;
use server::rights::Scope;
use server::{Config, RunningServer, start_unjudged};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store::meta::{Mode, RetentionDays, Role, Session, Tenant, Token, User};
use uuid::Uuid;

pub struct House {
    pub folder: tempfile::TempDir,
    pub server: RunningServer,
    pub agent: ureq::Agent,
}

/// An answer: status, headers we look at, body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub bytes: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| {
            panic!("{error}: {} {}", self.status, String::from_utf8_lossy(&self.bytes))
        })
    }

    pub fn code(&self) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], json!(self.status));
        problem["code"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.status < 300, "{} {}", self.status, String::from_utf8_lossy(&self.bytes));
        self
    }
}

/// How a request is authenticated.
#[derive(Debug, Clone)]
pub enum As {
    Nobody,
    Token(String),
    Session { cookie: String, csrf: String, tenant: Option<String> },
}

pub fn config(folder: &Path) -> Config {
    Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        data: folder.join("data"),
        ..Config::default()
    }
}

impl House {
    pub async fn open() -> House {
        House::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> House {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        change(&mut config);
        House::start(folder, config).await
    }

    pub async fn start(folder: tempfile::TempDir, config: Config) -> House {
        let data = config.data.clone();
        let server = start_unjudged(config).await.unwrap();
        House { agent: agent(&data), folder, server }
    }

    pub async fn call(&self, method: &str, path: &str, who: &As, body: Option<Value>) -> Answer {
        let body = body.map(|body| serde_json::to_vec(&body).unwrap());
        let media = body.is_some().then_some(("content-type", "application/json"));
        self.send(
            method,
            path,
            who,
            &media.into_iter().collect::<Vec<_>>(),
            body.unwrap_or_default(),
        )
        .await
    }

    pub async fn get(&self, path: &str, who: &As) -> Answer {
        self.call("GET", path, who, None).await
    }

    pub async fn post(&self, path: &str, who: &As, body: Value) -> Answer {
        self.call("POST", path, who, Some(body)).await
    }

    pub async fn send(
        &self,
        method: &str,
        path: &str,
        who: &As,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Answer {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("https://localhost:{}{path}", self.server.address.port()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        match who {
            As::Nobody => {}
            As::Token(token) => {
                request = request.header("authorization", format!("Bearer {token}"))
            }
            As::Session { cookie, csrf, tenant } => {
                request = request.header("cookie", cookie).header("plura-csrf", csrf);
                if let Some(tenant) = tenant {
                    request = request.header("plura-tenant", tenant);
                }
            }
        }
        let request = request.body(body).unwrap();
        let agent = self.agent.clone();
        let answer = tokio::task::spawn_blocking(move || agent.run(request)).await.unwrap();
        let mut answer = answer.unwrap();
        let headers = answer
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let status = answer.status().as_u16();
        let bytes = answer.body_mut().with_config().limit(64 << 20).read_to_vec().unwrap();
        Answer { status, headers, bytes }
    }

    pub fn tenant(&self, id: &str) -> schema::TenantId {
        let tenant: schema::TenantId = id.parse().unwrap();
        let made = Tenant {
            id: tenant.clone(),
            name: id.to_owned(),
            mode: Mode::Enforce,
            retention: RetentionDays::default(),
            created: 1,
        };
        self.server.app.meta.write(|tx| tx.create_tenant(&made)).unwrap();
        tenant
    }

    /// A person with a session, made without typing a password.
    pub fn person(&self, name: &str, roles: &[(&str, Role)]) -> (Uuid, As) {
        let time = server::handle::now();
        let user = User {
            id: secrets::new_id(time).unwrap(),
            name: name.to_owned(),
            display: name.to_owned(),
            password_hash: None,
            must_change_password: false,
            disabled: false,
            created: time,
            roles: roles.iter().map(|(t, role)| (t.parse().unwrap(), *role)).collect(),
        };
        self.server.app.meta.write(|tx| tx.create_user(&user)).unwrap();
        (user.id, self.session(user.id, time, i64::MAX))
    }

    pub fn session(&self, user: Uuid, last_seen: i64, expires: i64) -> As {
        let id = secrets::session_id().unwrap();
        let session = Session {
            id_sha256: schema::sha256(id.reveal().as_bytes()),
            user,
            created: last_seen,
            last_seen,
            expires,
            address: "127.0.0.1".parse().unwrap(),
        };
        self.server.app.meta.write(|tx| tx.create_session(&session)).unwrap();
        As::Session {
            cookie: format!("__Host-plura={}", id.reveal()),
            csrf: secrets::csrf_of(id.reveal()),
            tenant: None,
        }
    }

    pub fn token(&self, tenant: &str, maker: Uuid, scopes: &[Scope]) -> As {
        let (secret, prefix, secret_sha256) = secrets::api_token().unwrap();
        let token = Token {
            id: secrets::new_id(1).unwrap(),
            tenant: tenant.parse().unwrap(),
            prefix,
            secret_sha256,
            name: "test".to_owned(),
            scopes: scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
            created_by: maker,
            created: 1,
            expires: None,
            last_used: None,
            revoked: None,
        };
        self.server.app.meta.write(|tx| tx.create_token(&token)).unwrap();
        As::Token(secret.reveal().to_owned())
    }

    /// The owner, past the first password.
    pub fn owner(&self) -> (Uuid, As) {
        self.person("kim", &[("default", Role::Owner)])
    }
}

pub fn agent(data: &Path) -> ureq::Agent {
    let pem = CertificateDer::from_pem_file(data.join("tls/server.pem")).unwrap();
    let root = ureq::tls::Certificate::from_der(pem.as_ref()).to_owned();
    let tls = ureq::tls::TlsConfig::builder()
        .root_certs(ureq::tls::RootCerts::Specific(Arc::new(vec![root])))
        .build();
    ureq::Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .timeout_global(Some(Duration::from_secs(20)))
        .build()
        .into()
}

pub fn listener(name: &str, protocol: SyslogProtocol) -> SyslogListener {
    SyslogListener {
        name: name.to_owned(),
        protocol,
        listen: "127.0.0.1:0".parse().unwrap(),
        tenant: "default".parse().unwrap(),
        format: normalize::Format::Syslog,
        site: None,
        utc_offset_secs: 0,
    }
}

/// An OCSF event of a source, as a gateway sends it.
pub fn event(source: &str, sequence: u64, account: &str) -> Value {
    json!({
        "class_uid": 4002, "activity_id": 3, "severity_id": 1, "time": 1_763_786_000_000_i64 + i64::try_from(sequence).unwrap(),
        "metadata": { "log_source": source, "sequence": sequence },
        "src_endpoint": { "ip": "192.0.2.7" },
        "actor": { "user": { "name": account } },
        "http_request": { "http_method": "GET", "url": { "hostname": "shop.example", "path": "/" } },
        "http_response": { "code": 200 },
    })
}

pub fn ndjson(events: &[Value]) -> Vec<u8> {
    events.iter().flat_map(|event| format!("{event}\n").into_bytes()).collect()
}
