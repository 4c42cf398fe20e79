//! A tenant's written rules: taken up from the metadata, and what became of them written down.

use super::{LEARN_MS, MARK_EVERY_MS, Worker};
use crate::app::{Blocking, in_background};
use crate::deeds;
use crate::handle::now;
use crate::pipeline::rules::exceptions::Exception;
use crate::pipeline::rules::packs::{Choice, Loaded};
use crate::pipeline::rules::{DAY_MS, Rules, Switch};
use crate::problem::Problem;
use schema::Timestamp;
use std::sync::Arc;
use store::meta::{SIGMA_EXCEPTIONS_MAX, SigmaException, SigmaRule};
use tracing::warn;

/// Where a tenant's choice among the rules of packs is kept.
pub const CHOICE: &str = "sigma.choice";

impl Worker {
    /// Reads and compiles the tenant's rules, and puts them in place at once.
    pub(super) async fn load_rules(&mut self) -> Result<(), Problem> {
        let tenant = self.tenant.clone();
        let since = now().saturating_sub(LEARN_MS);
        let (stored, exceptions, open, choice) = self
            .shared
            .meta
            .blocking(move |meta| {
                meta.read(|read| {
                    let limit = usize::try_from(SIGMA_EXCEPTIONS_MAX).unwrap_or(usize::MAX);
                    Ok((
                        read.sigma_rules(&tenant)?,
                        read.sigma_exceptions_since(&tenant, since)?,
                        read.sigma_exceptions(&tenant, false, None, limit)?,
                        read.setting(&tenant, CHOICE)?,
                    ))
                })
            })
            .await?;
        let packs = self.shared.tuning.packs.clone();
        let chosen = choice.and_then(|text| serde_json::from_str::<Choice>(&text).ok());
        let choice = chosen.or_else(|| packs.as_ref().map(|packs| packs.choice()));
        let loaded = packs.map(|packs| packs.current()).unwrap_or_default();
        let of = self.tenant.clone();
        let rules = in_background(move || {
            let site = Loaded::site(&stored);
            for refused in &site.set.refused {
                let why = refused.problems.first().map(ToString::to_string).unwrap_or_default();
                warn!(tenant = %of, rule = refused.id, why, "a stored rule cannot run");
            }
            let is_switch = |rule: &&SigmaRule| rule.text.is_empty();
            Rules {
                switched: stored
                    .iter()
                    .filter(is_switch)
                    .map(|rule| {
                        let SigmaRule { enabled, stage, since, .. } = *rule;
                        (rule.id.clone(), Switch { enabled, stage, since })
                    })
                    .collect(),
                site: Arc::new(site),
                packs: loaded,
                choice: choice.unwrap_or_default(),
                exceptions: exceptions
                    .iter()
                    .filter_map(|stored| Exception::compile(stored).ok())
                    .map(Arc::new)
                    .collect(),
            }
        })
        .await?;
        self.engine.watch.set_rules(rules);
        self.exceptions = open;
        Ok(())
    }

    /// Exceptions that ran their time end, and hits are counted.
    pub(super) async fn keep_rules(&mut self, time: Timestamp) -> Result<(), Problem> {
        let is_over = |exception: &&SigmaException| exception.expires <= time;
        let over: Vec<SigmaException> = self.exceptions.iter().filter(is_over).cloned().collect();
        if over.is_empty() && time.saturating_sub(self.counted) < MARK_EVERY_MS {
            return Ok(());
        }
        self.counted = time;
        if let Some(told) = self.engine.watch.take_told() {
            tracing::warn!(
                tenant = %self.tenant,
                late = told.late,
                ahead = told.ahead,
                ungrouped = told.ungrouped,
                evicted = told.evicted,
                overfull = told.overfull,
                early = told.early,
                stale = told.stale,
                rewound = told.rewound,
                "hits that correlations did not count as they came; docs/sigma.md, Correlations, says why"
            );
        }
        let counts = self.engine.watch.take_counts();
        if over.is_empty() && counts.is_none() {
            return Ok(());
        }
        let tenant = self.tenant.clone();
        let wake = !over.is_empty();
        self.shared
            .meta
            .blocking(move |meta| {
                meta.write(|tx| {
                    if let Some(counts) = &counts {
                        tx.count_sigma(&tenant, counts, time.div_euclid(DAY_MS))?;
                    }
                    for mut exception in over {
                        if !tx.end_sigma_exception(&tenant, exception.id, exception.expires)? {
                            continue;
                        }
                        exception.ended = Some(exception.expires);
                        let code = "exception-expired";
                        tx.attest(&[deeds::of_exception(
                            &tenant, &exception, "system", code, time,
                        )])?;
                    }
                    Ok(())
                })
            })
            .await?;
        self.exceptions.retain(|exception| exception.expires > time);
        if wake {
            self.shared.ledgers.wake();
        }
        Ok(())
    }
}
