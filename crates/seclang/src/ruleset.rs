//! A loaded rule set: settings and a program for each phase. Never changes; a reload makes another.

use crate::place::Diagnostic;
use crate::rule::{AuditMode, EngineMode, Rule, Step};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Cheap to clone: rules and settings are shared.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    pub settings: Arc<Settings>,
    /// By phase, `phases[0]` is phase 1. Removals and updates are already applied.
    pub phases: [Arc<[Step]>; 5],
    /// `SecComponentSignature`, in order.
    pub signatures: Arc<[String]>,
    /// What was read, understood, and does nothing here.
    pub notices: Arc<[Diagnostic]>,
    /// Phase and step, by id.
    places: Arc<BTreeMap<u64, (usize, usize)>>,
}

impl RuleSet {
    pub(crate) fn new(
        settings: Settings,
        phases: [Vec<Step>; 5],
        signatures: Vec<String>,
        notices: Vec<Diagnostic>,
    ) -> Self {
        let mut places = BTreeMap::new();
        for (phase, steps) in phases.iter().enumerate() {
            for (index, step) in steps.iter().enumerate() {
                if let Step::Rule(rule) = step {
                    places.insert(rule.id, (phase, index));
                }
            }
        }
        Self {
            settings: Arc::new(settings),
            phases: phases.map(Arc::from),
            signatures: Arc::from(signatures),
            notices: Arc::from(notices),
            places: Arc::new(places),
        }
    }

    /// The rule with that id, if it is loaded and not removed.
    pub fn rule(&self, id: u64) -> Option<&Rule> {
        let (phase, index) = self.places.get(&id)?;
        match self.phases.get(*phase)?.get(*index)? {
            Step::Rule(rule) => Some(rule),
            Step::Marker(_) => None,
        }
    }

    /// All rules, phase by phase, each in the order loaded.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.phases.iter().flat_map(|steps| steps.iter()).filter_map(|step| match step {
            Step::Rule(rule) => Some(rule.as_ref()),
            Step::Marker(_) => None,
        })
    }

    /// How many rules there are; a chain is one.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

/// What the configuration directives say.
#[derive(Clone, Debug)]
pub struct Settings {
    pub engine: EngineMode,
    pub request_body_access: bool,
    pub response_body_access: bool,
    /// Bytes.
    pub request_body_limit: u64,
    pub request_body_no_files_limit: u64,
    /// `SecRequestBodyLimitAction Reject`. The engine looks at a body up to the limit in any case; refusing
    /// what is longer is for whoever runs it.
    pub request_body_limit_rejects: bool,
    /// How deep a JSON body may go (`SecRequestBodyJsonDepthLimit`).
    pub request_body_json_depth: u32,
    pub response_body_limit: u64,
    /// As for requests.
    pub response_body_limit_rejects: bool,
    /// In lower case, without parameters.
    pub response_body_mime_types: Vec<String>,
    /// `SecArgumentsLimit`: arguments beyond it are dropped and REQBODY_ERROR says so.
    pub arguments_max: usize,
    pub argument_separator: u8,
    pub cookie_format_v1: bool,
    pub collection_timeout_secs: u64,
    /// `SecAuditEngine`: what [`crate::Verdict::audit`] goes by. `None`: an entry for what rules ask for.
    pub audit: Option<AuditMode>,
    /// `SecAuditLogRelevantStatus`, for `SecAuditEngine RelevantOnly`.
    pub audit_relevant_status: Option<regex::bytes::Regex>,
    pub web_app_id: String,
    pub upload_file_limit: usize,
    /// `SecUnicodeMapFile`'s table for `urlDecodeUni`'s `%uXXXX`; full-width forms are built in.
    pub unicode_map: Option<Arc<BTreeMap<u32, u8>>>,
}

impl Default for Settings {
    /// The manual's defaults; where it names none, `modsecurity.conf-recommended`'s.
    fn default() -> Self {
        Self {
            engine: EngineMode::Off,
            request_body_access: false,
            response_body_access: false,
            request_body_limit: 13_107_200,
            request_body_no_files_limit: 131_072,
            request_body_limit_rejects: true,
            request_body_json_depth: 512,
            response_body_limit: 524_288,
            response_body_limit_rejects: false,
            response_body_mime_types: vec!["text/plain".to_owned(), "text/html".to_owned()],
            arguments_max: 1000,
            argument_separator: b'&',
            cookie_format_v1: false,
            collection_timeout_secs: 3600,
            audit: None,
            audit_relevant_status: None,
            web_app_id: "default".to_owned(),
            upload_file_limit: 100,
            unicode_map: None,
        }
    }
}
