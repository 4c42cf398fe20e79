//! Telling people and other systems, and having identity providers act: the only part with IO.
//!
//! Nothing is sent to a host an administrator has not opened, secrets come from files and are never
//! logged, and every try ends in a [`Delivery`] that says what came of it.

mod call;
mod config;
mod delivery;
mod egress;
mod email;
mod facts;
mod rim;
mod sign;
mod template;

pub use config::{
    CallConfig, ConnectorConfig, ConnectorsConfig, EgressHost, EmailConfig, Expect, HttpWebhook,
    IdentityConfig, Language, On, Personal, RetryConfig, TicketConfig, TlsMode,
};
pub use delivery::{Delivery, Done, Failure, Operation};
pub use egress::Egress;
pub use facts::Notice;
pub use rim::{Rim, System};
pub use sign::{Signature, SigningSecret, sign};

use call::{Call, Client};
use email::Mailer;
use facts::Facts;
use schema::{Action, Diagnostic, TenantId};
use std::sync::Arc;
use uuid::Uuid;

/// The connectors of one tenant, ready to use.
pub struct Connectors {
    connectors: Vec<Connector>,
    client: Client,
    rim: Arc<dyn Rim>,
}

struct Connector {
    name: String,
    retry: RetryConfig,
    personal: Personal,
    kind: Kind,
}

/// A connector as people may know it: no address, no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed<'a> {
    pub name: &'a str,
    /// `webhook`, `ticket`, `email` or `identity`.
    pub kind: &'static str,
    /// Those that carry out actions take none.
    pub takes_notices: bool,
    pub personal: Personal,
}

enum Kind {
    Webhook(Box<Call>),
    Ticket(Box<Call>),
    Email(Box<Mailer>),
    Identity(Box<Identity>),
}

impl Kind {
    fn as_str(&self) -> &'static str {
        match self {
            Kind::Webhook(_) => "webhook",
            Kind::Ticket(_) => "ticket",
            Kind::Email(_) => "email",
            Kind::Identity(_) => "identity",
        }
    }
}

struct Identity {
    on: Vec<On>,
    apply: Call,
    verify: Option<Call>,
    undo: Option<Call>,
    verify_undo: Option<Call>,
}

impl Connectors {
    /// Reads secrets and checks every address, template and rule; all that is wrong is told at once.
    pub fn open(config: &ConnectorsConfig, rim: Arc<dyn Rim>) -> Result<Self, Vec<Diagnostic>> {
        config::open(config, rim)
    }

    pub fn list(&self) -> impl Iterator<Item = Listed<'_>> {
        self.connectors.iter().map(|connector| Listed {
            name: &connector.name,
            kind: connector.kind.as_str(),
            takes_notices: !matches!(connector.kind, Kind::Identity(_)),
            personal: connector.personal,
        })
    }

    /// Tells one connector. An unknown name is a failed delivery, not silence.
    pub async fn notify(&self, name: &str, notice: &Notice<'_>) -> Delivery {
        let id = notice.id();
        let started = self.rim.now();
        let Some(connector) = self.connectors.iter().find(|connector| connector.name == name)
        else {
            return self.failed(name, Operation::Notify, id, started, Failure::unknown(name));
        };
        let facts = Facts::of(notice, connector.personal);
        match &connector.kind {
            Kind::Webhook(call) | Kind::Ticket(call) => {
                self.run(connector, Operation::Notify, id, &id.to_string(), call, None, &facts)
                    .await
            }
            Kind::Email(mailer) => {
                let mut tries = delivery::Tries::new(&connector.retry, self.rim.as_ref());
                let result = loop {
                    match mailer.send(self.client.egress(), &facts, notice, id).await {
                        Ok(done) => break Ok(done),
                        Err(failure) => {
                            if let Some(failure) = tries.again(failure).await {
                                break Err(failure);
                            }
                        }
                    }
                };
                tries.delivery(&connector.name, Operation::Notify, id, result)
            }
            Kind::Identity(_) => self.failed(
                name,
                Operation::Notify,
                id,
                started,
                Failure::new(
                    "not-a-notice",
                    format!("connector `{name}` executes actions and takes no notices"),
                    "name a webhook, email or ticket connector under `notify`",
                ),
            ),
        }
    }

    /// Whether some identity connector executes this action; otherwise gateways alone do.
    pub fn executes(&self, action: &Action) -> bool {
        self.identities(action).next().is_some()
    }

    /// Has every connector that fits execute the action, and verifies each where it can be.
    pub async fn apply(&self, tenant: &TenantId, action: &Action) -> Vec<Delivery> {
        let notice = Notice::about(tenant, "action.apply", action);
        let mut deliveries = Vec::new();
        for (connector, identity) in self.identities(action) {
            let facts = Facts::of(&notice, Personal::Plain);
            let key = format!("{}-apply", action.id);
            deliveries.push(
                self.run(
                    connector,
                    Operation::Apply,
                    action.id,
                    &key,
                    &identity.apply,
                    identity.verify.as_ref(),
                    &facts,
                )
                .await,
            );
        }
        deliveries
    }

    /// Has every connector that fits take the action back. One without an `undo` request says so.
    ///
    /// To be called when a human undoes an action, and when its time limit passes.
    pub async fn undo(&self, tenant: &TenantId, action: &Action) -> Vec<Delivery> {
        let notice = Notice::about(tenant, "action.undo", action);
        let mut deliveries = Vec::new();
        for (connector, identity) in self.identities(action) {
            let facts = Facts::of(&notice, Personal::Plain);
            let key = format!("{}-undo", action.id);
            let delivery = match &identity.undo {
                Some(undo) => {
                    let verify = identity.verify_undo.as_ref();
                    self.run(connector, Operation::Undo, action.id, &key, undo, verify, &facts).await
                }
                None => self.failed(
                    &connector.name,
                    Operation::Undo,
                    action.id,
                    self.rim.now(),
                    Failure::new(
                        "no-undo",
                        format!("connector `{}` has no `undo` request", connector.name),
                        "take it back at the identity provider by hand, and add `undo` to the connector",
                    ),
                ),
            };
            deliveries.push(delivery);
        }
        deliveries
    }

    fn identities<'a>(
        &'a self,
        action: &'a Action,
    ) -> impl Iterator<Item = (&'a Connector, &'a Identity)> {
        self.connectors.iter().filter_map(move |connector| match &connector.kind {
            Kind::Identity(identity)
                if identity
                    .on
                    .iter()
                    .any(|on| on.rung == action.rung && on.target == action.target.kind) =>
            {
                Some((connector, identity.as_ref()))
            }
            _ => None,
        })
    }

    #[expect(clippy::too_many_arguments, reason = "private, and each is a thing of its own")]
    async fn run(
        &self,
        connector: &Connector,
        operation: Operation,
        subject: Uuid,
        key: &str,
        call: &Call,
        verify: Option<&Call>,
        facts: &Facts,
    ) -> Delivery {
        let mut tries = delivery::Tries::new(&connector.retry, self.rim.as_ref());
        let result = loop {
            // The key makes a repeated call harmless, so a mismatch found by `verify` calls again too.
            let mut result = self.client.send(call, facts, key, subject, self.rim.now()).await;
            if let (Ok(_), Some(verify)) = (&result, verify) {
                let verify_key = format!("{key}-verify");
                result = self
                    .client
                    .send(verify, facts, &verify_key, subject, self.rim.now())
                    .await
                    .map_err(Failure::not_verified);
            }
            match result {
                Ok(done) => break Ok(done),
                Err(failure) => {
                    if let Some(failure) = tries.again(failure).await {
                        break Err(failure);
                    }
                }
            }
        };
        tries.delivery(&connector.name, operation, subject, result)
    }

    fn failed(
        &self,
        connector: &str,
        operation: Operation,
        subject: Uuid,
        started: schema::Timestamp,
        failure: Failure,
    ) -> Delivery {
        let delivery = Delivery {
            connector: connector.to_owned(),
            operation,
            subject,
            attempts: 0,
            started,
            finished: started,
            result: Err(failure),
        };
        delivery.log();
        delivery
    }
}
