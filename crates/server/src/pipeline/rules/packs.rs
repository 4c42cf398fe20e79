//! Rule files as sets: folders that all tenants share, and what a tenant wrote itself.

use super::CORRELATION_LATENESS_MS;
use evidence::{VerifierKey, read_signed_folder};
use schema::{Diagnostic, Stage, Timestamp};
use serde::{Deserialize, Serialize};
use sigma::correlation::Correlator;
use sigma::correlation::rule::Correlation;
use sigma::limits::{FILE_BYTES_MAX, RULES_MAX};
use sigma::{Engine, Level, Meta, Options, RuleSet, Status};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use store::meta::SigmaRule;
use utoipa::ToSchema;

/// The origin of rules a tenant wrote.
pub const SITE: &str = "site";
/// Folders within each other.
const FOLDER_DEPTH_MAX: usize = 16;
/// Faults told one by one in the log; the API lists all.
const FAULTS_TOLD_MAX: usize = 20;

/// `sigma` of `server.yaml`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SigmaConfig {
    /// Rule files and folders of them; the name of each is the name of its pack.
    pub rules: Vec<PathBuf>,
    /// With keys, a folder is loaded only if one of them signed it, and only as it was signed; docs/sigma.md.
    pub keys: Vec<String>,
    /// Which of them are at work where a tenant has not chosen itself: this level and above,
    pub level: Option<Level>,
    /// one of these,
    pub status: Vec<Status>,
    /// one of these tags,
    pub tags: Vec<String>,
    /// and none of these.
    pub without_tags: Vec<String>,
}

/// Which rules of packs are at work.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Choice {
    /// This level and above.
    #[schema(value_type = Option<String>)]
    pub level: Option<Level>,
    /// One of these; without any, all but `deprecated` and `unsupported`.
    #[schema(value_type = Vec<String>)]
    pub status: Vec<Status>,
    /// One of these tags; all where there are none.
    pub tags: Vec<String>,
    /// None of these tags.
    pub without_tags: Vec<String>,
}

impl Choice {
    pub fn takes(&self, meta: &Meta) -> bool {
        let is_ripe = match self.status.as_slice() {
            [] => !matches!(meta.status, Some(Status::Deprecated | Status::Unsupported)),
            wanted => meta.status.is_some_and(|status| wanted.contains(&status)),
        };
        let has = |tags: &[String]| meta.tags.iter().any(|tag| tags.contains(tag));
        is_ripe
            && self.level.is_none_or(|least| meta.level.is_some_and(|level| level >= least))
            && (self.tags.is_empty() || has(&self.tags))
            && !has(&self.without_tags)
    }
}

/// A set with what the server knows of each rule beside it.
pub struct Loaded {
    pub set: Arc<RuleSet>,
    pub engine: Arc<Engine>,
    pub correlator: Correlator,
    /// In the order of the set's rules.
    pub infos: Vec<Info>,
    correlations: HashMap<String, (usize, Info)>,
    /// What is known of each file, in the order of their numbers.
    files: Vec<Info>,
    /// And what was read of them.
    texts: Vec<String>,
    /// Files that could not be read.
    pub faults: Vec<Diagnostic>,
    /// The folders, in their order.
    pub packs: Vec<Pack>,
}

/// A folder of rules, as it was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Pack {
    pub name: String,
    /// What its maker signed it as: name and version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_as: Option<String>,
    /// The key that did: name and id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// Rule files.
    pub files: usize,
}

#[derive(Debug, Clone)]
pub struct Info {
    pub origin: Arc<str>,
    pub version: u32,
    /// Of packs `enforce`: what somebody said of one of their rules is the tenant's.
    pub stage: Stage,
    /// It looks at what was received from here on.
    pub since: Timestamp,
}

impl Default for Loaded {
    fn default() -> Self {
        Loaded::of(RuleSet::default(), &[])
    }
}

impl Loaded {
    /// `infos` in the order of the files, which are called by their numbers.
    fn of(set: RuleSet, infos: &[Info]) -> Loaded {
        let set = Arc::new(set);
        let correlations = set
            .correlations
            .iter()
            .enumerate()
            .map(|(number, one)| {
                (one.meta.key().to_owned(), (number, known(infos, &one.meta.place)))
            })
            .collect();
        Loaded {
            infos: set.rules.iter().map(|rule| known(infos, &rule.meta.place)).collect(),
            files: infos.to_vec(),
            texts: Vec::new(),
            correlator: Correlator::new(&set, CORRELATION_LATENESS_MS),
            correlations,
            engine: Arc::new(Engine::new(Arc::clone(&set))),
            set,
            faults: Vec::new(),
            packs: Vec::new(),
        }
    }

    pub fn correlation(&self, key: &str) -> Option<(&Correlation, &Info)> {
        let (number, info) = self.correlations.get(key)?;
        Some((self.set.correlations.get(*number)?, info))
    }

    /// The text of the file that a place is in, as it was read.
    pub fn text_at(&self, place: &str) -> Option<&str> {
        self.texts.get(file_number(place)?).map(String::as_str)
    }

    /// Of the file that a place is in.
    pub fn info_at(&self, place: &str) -> Info {
        known(&self.files, place)
    }

    /// What a tenant wrote itself, as far as it is switched on.
    pub fn site(rules: &[SigmaRule]) -> Loaded {
        let own: Vec<&SigmaRule> = rules.iter().filter(|rule| !rule.text.is_empty()).collect();
        let infos: Vec<Info> = own
            .iter()
            .map(|rule| Info {
                origin: rule.origin.as_str().into(),
                version: rule.version,
                stage: rule.stage,
                since: rule.since,
            })
            .collect();
        let names: Vec<String> = (0..own.len()).map(|number| format!("{number}.yml")).collect();
        let files = names
            .iter()
            .zip(&own)
            .filter(|(_, rule)| rule.enabled)
            .map(|(name, rule)| (name.as_str(), rule.text.as_str()));
        Loaded::of(RuleSet::load(files, &Options::default()), &infos)
    }
}

/// The number of the file that a place is in: `12./etc/rules/a.yml:3:1`.
pub fn file_number(place: &str) -> Option<usize> {
    place.split(['.', ':']).next()?.parse().ok()
}

fn known(files: &[Info], place: &str) -> Info {
    let info = file_number(place).and_then(|number| files.get(number)).cloned();
    info.unwrap_or_else(|| Info {
        origin: SITE.into(),
        version: 1,
        stage: Stage::Enforce,
        since: 0,
    })
}

/// The folders all tenants share; read anew as a whole, and put in place at once.
pub struct Packs {
    config: SigmaConfig,
    current: RwLock<Arc<Loaded>>,
}

impl Packs {
    /// Loads the folders. What cannot be used is told, and the rest is at work.
    pub fn open(config: &SigmaConfig) -> Arc<Packs> {
        let loaded = Arc::new(load(config));
        Arc::new(Packs { config: config.clone(), current: RwLock::new(loaded) })
    }

    pub fn current(&self) -> Arc<Loaded> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn choice(&self) -> Choice {
        let SigmaConfig { level, status, tags, without_tags, .. } = self.config.clone();
        Choice { level, status, tags, without_tags }
    }

    /// Reads the folders again; who evaluates meanwhile goes on with what was.
    pub fn reload(&self) -> Arc<Loaded> {
        let loaded = Arc::new(load(&self.config));
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&loaded);
        loaded
    }
}

fn load(config: &SigmaConfig) -> Loaded {
    let paths = &config.rules;
    let keys: Vec<VerifierKey> = config.keys.iter().filter_map(|key| key.parse().ok()).collect();
    let (mut files, mut faults, mut packs) = (Vec::new(), Vec::new(), Vec::new());
    for path in paths {
        let name = path.file_name().map_or_else(|| "rules".into(), |name| name.to_string_lossy());
        let name: Arc<str> = name.as_ref().into();
        let before = files.len();
        let mut pack = Pack { name: name.to_string(), signed_as: None, signed_by: None, files: 0 };
        match config.keys.is_empty() {
            true => collect(path, &name, 0, &mut files, &mut faults),
            false => match read_signed_folder(path, &keys) {
                Ok(listed) => {
                    pack.signed_as = Some(listed.subject);
                    pack.signed_by = Some(listed.by.short());
                    for (own, bytes) in listed.files.into_iter().filter(|(own, _)| is_rule(own)) {
                        let shown = path.join(own).display().to_string();
                        take(&name, shown, String::from_utf8(bytes).ok(), &mut files, &mut faults);
                    }
                }
                Err(error) => {
                    let place = path.display().to_string();
                    faults.push(Diagnostic::new("rules-unsigned", place, error.to_string()));
                }
            },
        }
        pack.files = files.len() - before;
        packs.push(pack);
    }
    let infos: Vec<Info> = files
        .iter()
        .map(|(pack, ..)| Info {
            origin: Arc::clone(pack),
            version: 1,
            stage: Stage::Enforce,
            since: 0,
        })
        .collect();
    let names: Vec<String> =
        files.iter().enumerate().map(|(n, (_, name, _))| format!("{n}.{name}")).collect();
    let texts = names.iter().zip(&files).map(|(name, (_, _, text))| (name.as_str(), text.as_str()));
    let mut loaded = Loaded::of(RuleSet::load(texts, &Options::default()), &infos);
    for fault in faults.iter().take(FAULTS_TOLD_MAX) {
        tracing::warn!(place = fault.place, "{}", fault.message);
    }
    for refused in loaded.set.refused.iter().take(FAULTS_TOLD_MAX) {
        let why = refused.problems.first().map(ToString::to_string).unwrap_or_default();
        tracing::warn!(file = refused.file, why, "a rule cannot run");
    }
    if !paths.is_empty() {
        let (rules, refused) = (loaded.set.rules.len(), loaded.set.refused.len());
        tracing::info!(rules, refused, unreadable = faults.len(), "rule folders loaded");
    }
    loaded.texts = files.into_iter().map(|(_, _, text)| text).collect();
    (loaded.faults, loaded.packs) = (faults, packs);
    loaded
}

/// Files of rules, not of the cases beside them.
fn is_rule(name: &str) -> bool {
    let is = |ends: [&str; 2]| ends.iter().any(|end| name.ends_with(end));
    is([".yml", ".yaml"]) && !is([".test.yml", ".test.yaml"])
}

fn take(
    pack: &Arc<str>,
    shown: String,
    text: Option<String>,
    files: &mut Vec<(Arc<str>, String, String)>,
    faults: &mut Vec<Diagnostic>,
) {
    let mut fault = |message: String, hint: &str| {
        faults.push(Diagnostic::new("rules-unreadable", &shown, message).hint(hint));
    };
    match text {
        None => fault(format!("`{shown}` is no text"), "rules are YAML in UTF-8"),
        Some(text) if text.len() > FILE_BYTES_MAX => {
            fault(format!("`{shown}` has more than {FILE_BYTES_MAX} bytes"), "split it");
        }
        Some(_) if files.len() >= RULES_MAX => {
            fault(format!("`{shown}` comes after {RULES_MAX} others"), "load fewer folders");
        }
        Some(text) => files.push((Arc::clone(pack), shown, text)),
    }
}

/// Reads `.yml` and `.yaml` files, in the order of their names.
fn collect(
    path: &Path,
    pack: &Arc<str>,
    depth: usize,
    files: &mut Vec<(Arc<str>, String, String)>,
    faults: &mut Vec<Diagnostic>,
) {
    let shown = path.display().to_string();
    let mut fault = |message: String, hint: &str| {
        faults.push(Diagnostic::new("rules-unreadable", &shown, message).hint(hint));
    };
    if depth > FOLDER_DEPTH_MAX || files.len() >= RULES_MAX {
        let message = format!(
            "`{shown}` is left out: more than {FOLDER_DEPTH_MAX} folders deep, or more than {RULES_MAX} files"
        );
        return fault(message, "load fewer folders");
    }
    let look = "check the path in `sigma.rules` and its permissions";
    match std::fs::metadata(path) {
        Err(cause) => fault(format!("cannot read `{shown}`: {cause}"), look),
        Ok(meta) if meta.is_dir() => match std::fs::read_dir(path) {
            Err(cause) => fault(format!("cannot read `{shown}`: {cause}"), look),
            Ok(entries) => {
                let mut inside: Vec<PathBuf> =
                    entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
                inside.sort();
                for path in inside {
                    let is_rule = path.file_name().is_some_and(|n| is_rule(&n.to_string_lossy()));
                    if is_rule || (path.is_dir() && !path.is_symlink()) {
                        collect(&path, pack, depth + 1, files, faults);
                    }
                }
            }
        },
        Ok(meta) if meta.len() > FILE_BYTES_MAX as u64 => {
            fault(format!("`{shown}` has more than {FILE_BYTES_MAX} bytes"), "split it");
        }
        Ok(_) => match std::fs::read_to_string(path) {
            Ok(text) => files.push((Arc::clone(pack), shown, text)),
            Err(cause) => fault(format!("cannot read `{shown}`: {cause}"), look),
        },
    }
}
