//! Detection rules in Sigma's form: their life, exceptions from them, and what they cost and cover.

pub mod exceptions;
pub mod replay;
pub mod reports;
pub mod rules;
mod views;

use crate::app::{App, Blocking, in_background};
use crate::pipeline::rules::packs::{Choice, Loaded};
use crate::pipeline::worker::rules::CHOICE;
use crate::problem::Problem;
use schema::TenantId;
use std::sync::Arc;
use store::meta::SigmaRule;
use views::{RuleView, views};

/// What a tenant has of rules, as its routes look at it.
struct Shelf {
    packs: Arc<Loaded>,
    stored: Vec<SigmaRule>,
    choice: Choice,
}

impl Shelf {
    async fn of(app: &App, tenant: &TenantId) -> Result<Shelf, Problem> {
        let tenant = tenant.clone();
        let (stored, chosen) = app
            .meta
            .blocking(move |meta| {
                meta.read(|read| Ok((read.sigma_rules(&tenant)?, read.setting(&tenant, CHOICE)?)))
            })
            .await?;
        let packs = app.pipeline.packs();
        let chosen = chosen.and_then(|text| serde_json::from_str(&text).ok());
        let choice = chosen.or_else(|| packs.map(|packs| packs.choice())).unwrap_or_default();
        Ok(Shelf { packs: packs.map(|packs| packs.current()).unwrap_or_default(), stored, choice })
    }

    /// All rules as they are shown, by id.
    async fn views(self) -> Result<Vec<RuleView>, Problem> {
        in_background(move || views(&self.packs, &self.stored, &self.choice)).await
    }
}
