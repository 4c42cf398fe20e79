//! Connectors: telling people and other systems, and having identity providers act.
//!
//! A call may take seconds and several tries, so it never holds the loop up: it runs beside it and
//! its result comes back as a command that is written into the action's history.

use respond::connectors::{Connectors, ConnectorsConfig, Delivery, Notice, System};
use schema::{Action, ActionState, Diagnostic, TenantId};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use uuid::Uuid;

/// The connectors of every tenant that has some.
#[derive(Clone, Default)]
pub struct Outside {
    connectors: BTreeMap<TenantId, Arc<Connectors>>,
}

/// What came of asking the connectors about one action.
pub struct Delivered {
    pub action: Uuid,
    pub deliveries: Vec<Delivery>,
}

/// What is to be asked of the connectors because an action changed.
pub struct Errand {
    connectors: Arc<Connectors>,
    tenant: TenantId,
    action: Action,
    notify: Vec<String>,
    deed: Option<Deed>,
}

#[derive(Clone, Copy)]
enum Deed {
    Apply,
    Undo,
}

impl Outside {
    /// Reads each tenant's connectors file; everything that is wrong is told at once.
    pub fn open(files: &BTreeMap<TenantId, PathBuf>) -> Result<Outside, Vec<Diagnostic>> {
        let (mut connectors, mut wrong) = (BTreeMap::new(), Vec::new());
        for (tenant, file) in files {
            let name = file.display().to_string();
            let text = match std::fs::read_to_string(file) {
                Ok(text) => text,
                Err(cause) => {
                    wrong.push(
                        Diagnostic::new(
                            "connectors-unreadable",
                            &name,
                            format!("cannot read `{name}`: {cause}"),
                        )
                        .hint("check the path and its permissions"),
                    );
                    continue;
                }
            };
            let opened = ConnectorsConfig::parse(&name, &text)
                .map_err(|fault| vec![fault])
                .and_then(|config| Connectors::open(&config, Arc::new(System::default())));
            match opened {
                Ok(opened) => {
                    connectors.insert(tenant.clone(), Arc::new(opened));
                }
                Err(faults) => wrong.extend(faults),
            }
        }
        if wrong.is_empty() { Ok(Outside { connectors }) } else { Err(wrong) }
    }

    pub fn of(&self, tenant: &TenantId) -> Option<Arc<Connectors>> {
        self.connectors.get(tenant).cloned()
    }

    /// Whether anybody outside carries this action out.
    pub fn executes(&self, tenant: &TenantId, action: &Action) -> bool {
        self.connectors.get(tenant).is_some_and(|connectors| connectors.executes(action))
    }

    /// What to ask because `action` is now as it is; `notify` names whom its policy wants told.
    pub fn errand(&self, tenant: &TenantId, action: &Action, notify: &[String]) -> Option<Errand> {
        let connectors = self.connectors.get(tenant)?;
        let deed = match action.state {
            ActionState::Pending => Some(Deed::Apply),
            ActionState::Undone | ActionState::Expired => Some(Deed::Undo),
            _ => None,
        };
        let deed = deed.filter(|_| connectors.executes(action));
        // Confirmation by an executor is not news to people; everything else about an action is.
        let is_news = !matches!(action.state, ActionState::Active | ActionState::Simulated);
        let notify = if is_news { notify.to_vec() } else { Vec::new() };
        (deed.is_some() || !notify.is_empty()).then(|| Errand {
            connectors: Arc::clone(connectors),
            tenant: tenant.clone(),
            action: action.clone(),
            notify,
            deed,
        })
    }
}

impl Errand {
    pub async fn run(self) -> Delivered {
        let Errand { connectors, tenant, action, notify, deed } = self;
        let mut deliveries = match deed {
            Some(Deed::Apply) => connectors.apply(&tenant, &action).await,
            Some(Deed::Undo) => connectors.undo(&tenant, &action).await,
            None => Vec::new(),
        };
        let event = format!("action.{}", action.state.as_str());
        let notice = Notice::about(&tenant, &event, &action);
        for name in &notify {
            deliveries.push(connectors.notify(name, &notice).await);
        }
        Delivered { action: action.id, deliveries }
    }
}
