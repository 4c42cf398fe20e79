//! What the rule sets did, by site, rule set and stage.

use super::ward::Ward;
use crate::config::Stage;
use crate::metrics::{Counter, head, sample};

/// Of one rule set on one site.
#[derive(Debug, Default)]
pub struct WardMetrics {
    stages: [StageMetrics; Stage::ALL.len()],
}

#[derive(Debug, Default)]
pub struct StageMetrics {
    pub inspected: Counter,
    pub matched: Counter,
    pub would_block: Counter,
    pub blocked: Counter,
    /// A limit ended the inspection.
    pub limited: Counter,
    pub micros: Counter,
}

impl WardMetrics {
    pub fn of(&self, stage: Stage) -> Option<&StageMetrics> {
        self.stages.get(stage as usize)
    }
}

type Read = fn(&StageMetrics) -> f64;

/// Appends the families of all wards, each family together as the format wants.
pub fn write_metrics<'a>(out: &mut String, wards: impl Iterator<Item = (&'a str, &'a Ward)>) {
    let wards: Vec<(&str, &Ward)> = wards.collect();
    if wards.is_empty() {
        return;
    }
    let families: [(&str, &str, Read); 6] = [
        ("waf_inspected_total", "Requests run through a rule set", |m| m.inspected.get() as f64),
        ("waf_matched_total", "Requests that matched a rule", |m| m.matched.get() as f64),
        ("waf_would_block_total", "Requests the rules would have blocked", |m| {
            m.would_block.get() as f64
        }),
        ("waf_blocked_total", "Requests the rules blocked", |m| m.blocked.get() as f64),
        ("waf_limited_total", "Inspections that a limit ended", |m| m.limited.get() as f64),
        ("waf_inspection_seconds_total", "Time spent on inspection", |m| {
            m.micros.get() as f64 / 1e6
        }),
    ];
    for (name, help, read) in families {
        head(out, name, help, "counter");
        for (site, ward) in &wards {
            for stage in Stage::ALL.into_iter().filter(|stage| *stage != Stage::Off) {
                let Some(metrics) = ward.metrics.of(stage) else { continue };
                let rules = &ward.config.rules;
                let labels =
                    format!("site=\"{site}\",rules=\"{rules}\",stage=\"{}\"", stage.as_str());
                sample(out, name, &labels, read(metrics));
            }
        }
    }
}
