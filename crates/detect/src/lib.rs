//! Detections without signatures: behaviour against an entity's own baseline, and the grouping of what
//! they find into incidents.
//!
//! [`Detector::observe`] takes one [`schema::Event`] and gives the findings it completes; [`Grouper::fold`]
//! takes a finding and gives the incident it belongs to. Both are pure: no clock, no files, no chance. The
//! same events in the same order give the same findings, byte for byte; events shuffled within the allowed
//! lateness give the same counts (see `docs/detections.md` for what that promises and what not).

mod book;
mod config;
mod detector;
mod distinct;
mod entities;
mod group;
mod hash;
mod history;
mod rules;
mod seen;
mod table;
mod window;

pub use config::{
    CredentialConfig, DetectConfig, EnumerationConfig, FloodConfig, GroupConfig, LeakageConfig,
    LearningConfig, LimitConfig, LoginConfig, PromptConfig, SiteConfig, TakeoverConfig, TimeConfig,
    WebAttackConfig, WebShellConfig,
};
pub use detector::{DetectStats, Detector};
pub use group::{Grouper, Merge};
pub use rules::Rule;
