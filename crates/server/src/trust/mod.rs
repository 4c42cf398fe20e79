//! The faces of the trust engine: what enforcement points ask, what people keep, and what happens
//! when something changes.
//!
//! [`Desks`] has one [`Desk`] per tenant. A question comes in over AuthZEN, forward-auth or Envoy,
//! is judged at the desk by the tenant's policy, site and book, and answered; what is worth keeping
//! is written down by one [`Writer`]. The pipeline feeds the books.

pub mod answer;
pub mod desk;
mod evidence;
pub mod front;
mod load;
mod recent;
pub mod record;
pub mod register;
pub mod void;
pub mod wire;
mod writer;

pub use desk::{Cause, Changed, Desk, Judged, Turned};
pub use evidence::Evidence;
pub use load::{ENTRIES_MAX, PROFILE_DEFAULT, parse_policy, parse_site};
pub use writer::Writer;

use crate::app::{App, Blocking};
use crate::geoip::GeoIp;
use crate::handle::now;
use crate::identity::guard::Principal;
use crate::ledgers::Ledgers;
use crate::problem::Problem;
use crate::ssf::transmit::Transmitter;
use answer::Answer;
use axum::http::StatusCode;
use front::{Front, FrontFault};
use record::Record;
use schema::TenantId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use store::meta::Meta;
use wire::Question;
use writer::Room;

/// The desks of all tenants; clones share them.
#[derive(Clone)]
pub struct Desks {
    inner: Arc<Inner>,
}

struct Inner {
    meta: Meta,
    writer: Writer,
    transmitter: Transmitter,
    geoip: Option<GeoIp>,
    desks: Mutex<HashMap<TenantId, Arc<Desk>>>,
}

impl Desks {
    pub fn new(
        meta: Meta,
        ledgers: Ledgers,
        transmitter: Transmitter,
        geoip: Option<GeoIp>,
    ) -> Desks {
        let writer = Writer::start(meta.clone(), ledgers);
        let inner = Inner { meta, writer, transmitter, geoip, desks: Mutex::default() };
        Desks { inner: Arc::new(inner) }
    }

    pub fn transmitter(&self) -> &Transmitter {
        &self.inner.transmitter
    }

    /// Has a record written down, and told to whoever is to know.
    fn put(&self, room: Room<'_>, tenant: &TenantId, record: Record) {
        self.inner.transmitter.tell(tenant, &record);
        room.put(tenant.clone(), record);
    }

    pub fn writer(&self) -> &Writer {
        &self.inner.writer
    }

    /// The tenant's desk. A policy or site that is stored and cannot be read is an error: judging
    /// by something else instead could give what was not to be given.
    pub async fn desk(&self, tenant: &TenantId) -> Result<Arc<Desk>, Problem> {
        if let Some(desk) = self.known(tenant) {
            return Ok(desk);
        }
        let (of, geoip) = (tenant.clone(), self.inner.geoip.clone());
        let load = move |meta: &Meta| load::desk(meta, &of, geoip);
        let loaded = self.inner.meta.blocking_problem(load).await?;
        let mut desks = self.inner.desks.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(desks.entry(tenant.clone()).or_insert_with(|| Arc::new(loaded))))
    }

    /// The tenant's desk, if it was ever asked for.
    pub fn known(&self, tenant: &TenantId) -> Option<Arc<Desk>> {
        let desks = self.inner.desks.lock().unwrap_or_else(PoisonError::into_inner);
        desks.get(tenant).cloned()
    }

    /// Questions answered so far: permitted, refused; and sessions remembered.
    pub fn figures(&self) -> (u64, u64, u64) {
        use std::sync::atomic::Ordering::Relaxed;
        let desks = self.inner.desks.lock().unwrap_or_else(PoisonError::into_inner);
        desks.values().fold((0, 0, 0), |(permitted, refused, sessions), desk| {
            (
                permitted + desk.permitted.load(Relaxed),
                refused + desk.refused.load(Relaxed),
                sessions + desk.sessions() as u64,
            )
        })
    }

    /// Hands over the records of sessions that turned, also when who changed something is gone.
    pub async fn keep(&self, tenant: &TenantId, turned: Vec<Turned>) -> Result<(), Problem> {
        if turned.is_empty() {
            return Ok(());
        }
        let (desks, tenant) = (self.clone(), tenant.clone());
        let keeping = tokio::spawn(async move {
            for Turned { record, .. } in turned {
                desks.put(desks.writer().room().await?, &tenant, record);
            }
            Ok(())
        });
        keeping.await.unwrap_or_else(|_| Err(writer::ended()))
    }

    /// Judges a question and hands its record over.
    pub async fn judge(&self, tenant: &TenantId, question: Question) -> Result<Answer, Problem> {
        let desk = self.desk(tenant).await?;
        let room = self.writer().room().await?;
        let Judged { answer, record } = desk.judge(question, now())?;
        if let Some(record) = record {
            self.put(room, tenant, record);
        }
        Ok(answer)
    }
}

/// An answer in the words of HTTP, for enforcement points that know nothing else.
#[derive(Debug)]
pub struct Told {
    /// 200, 401 (prove who you are), 403.
    pub status: StatusCode,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// Judges a request that another enforcement point has in hand. `performs` lists the obligations
/// it performs; an access that asks for more is refused.
pub async fn told<'a, H: Fn(&str) -> Option<&'a str>>(
    app: &App,
    caller: &Principal,
    front: &Front<'a, H>,
    performs: Vec<String>,
) -> Result<Told, Problem> {
    let config = &app.config.trust.front;
    let mut question = match front.question(&caller.tenant, config) {
        Ok(question) => question,
        Err(fault) => return Ok(refused(fault)),
    };
    question.context.obligations_supported = Some(performs);
    let path = front.target.to_owned();
    let answer = app.desks.judge(&caller.tenant, question).await?;
    Ok(in_http(&answer, &path, config.step_up_url.as_deref()))
}

fn refused(fault: FrontFault) -> Told {
    Told {
        status: StatusCode::FORBIDDEN,
        headers: vec![("plura-decision".to_owned(), fault.code().to_owned())],
        body: problem_body(StatusCode::FORBIDDEN, fault.code(), "this request cannot be judged"),
    }
}

fn in_http(answer: &Answer, path: &str, step_up_url: Option<&str>) -> Told {
    let Some(context) = answer.judged() else {
        return refused(FrontFault::PathAmbiguous);
    };
    let obligations: Vec<String> = context
        .obligations
        .iter()
        .map(|obligation| {
            let attributes = obligation.attributes.iter();
            attributes
                .fold(obligation.id.clone(), |text, (name, value)| format!("{text};{name}={value}"))
        })
        .collect();
    let mut headers = vec![
        ("plura-decision".to_owned(), context.decisions.join(" ")),
        ("plura-decision-id".to_owned(), context.id.to_string()),
        ("plura-trust-score".to_owned(), context.score.to_string()),
        ("plura-ttl-secs".to_owned(), context.ttl_secs.to_string()),
        ("plura-obligations".to_owned(), obligations.join(", ")),
    ];
    let asks_for_proof = context.obligations.iter().any(|o| o.id == "step_up_mfa");
    let (status, code) = match (answer.decision, asks_for_proof) {
        (true, _) => (StatusCode::OK, ""),
        (false, true) => (StatusCode::UNAUTHORIZED, "step-up-required"),
        (false, false) => (StatusCode::FORBIDDEN, "access-refused"),
    };
    if status == StatusCode::UNAUTHORIZED {
        headers.push(("www-authenticate".to_owned(), "Plura-Step-Up".to_owned()));
        if let Some(url) = step_up_url {
            headers.push(("location".to_owned(), url.replace("{url}", &way_back(path))));
        }
    }
    let body = match status {
        StatusCode::OK => String::new(),
        _ => problem_body(status, code, &context.reason_user.en),
    };
    Told { status, headers, body }
}

/// Letters of the address a person came for, encoded: proxies hold answer headers in some KiB.
const WAY_BACK_MAX: usize = 2_000;

/// The address a person came for; without its query, or the front page, where it is too long.
fn way_back(target: &str) -> String {
    let path = target.split('?').next().unwrap_or_default();
    [target, path]
        .into_iter()
        .map(encoded)
        .find(|text| text.len() <= WAY_BACK_MAX)
        .unwrap_or_else(|| encoded("/"))
}

fn problem_body(status: StatusCode, code: &str, detail: &str) -> String {
    let title = status.canonical_reason().unwrap_or("Error");
    serde_json::json!({
        "type": "about:blank", "title": title, "status": status.as_u16(), "code": code, "detail": detail,
    })
    .to_string()
}

/// Percent-encoded, so that it stays one value of a query.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
