//! Rules as the API shows them.

use crate::pipeline::rules::packs::{Choice, Info, Loaded, file_number};
use schema::{Diagnostic, Stage, Timestamp};
use serde::Serialize;
use sigma::{LogSource, Meta};
use store::meta::SigmaRule;
use utoipa::ToSchema;

/// One rule, correlation, or text that cannot run.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RuleView {
    /// How findings name it.
    pub id: String,
    pub title: String,
    /// `rule` or `correlation`.
    pub kind: &'static str,
    /// `site`, or the pack it came in.
    pub origin: String,
    pub version: u32,
    pub enabled: bool,
    /// How far what it finds may go.
    pub stage: Stage,
    pub level: Option<&'static str>,
    pub status: Option<&'static str>,
    pub author: Option<String>,
    pub license: Option<String>,
    pub tags: Vec<String>,
    /// `product/category/service`.
    pub logsource: Option<String>,
    /// Whether events of any source this server reads can answer to it.
    pub served: bool,
    /// Why it cannot run; empty where it can.
    pub problems: Vec<Diagnostic>,
    /// The id it is stored under, where that is another rule's of the same text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored: Option<String>,
    /// Who changed or switched it last, when and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where it stands in its pack.
    #[serde(skip)]
    pub place: String,
}

/// All rules of a tenant, by id.
pub fn views(packs: &Loaded, stored: &[SigmaRule], choice: &Choice) -> Vec<RuleView> {
    let mut all = of(packs);
    for view in &mut all {
        let switch = stored.iter().find(|rule| rule.text.is_empty() && rule.id == view.id);
        if let Some(rule) = switch {
            view.enabled = rule.enabled && view.problems.is_empty();
            tell(view, rule);
        } else {
            view.enabled = view.enabled && is_chosen(packs, &view.id, choice);
        }
    }
    let own: Vec<SigmaRule> = stored
        .iter()
        .filter(|rule| !rule.text.is_empty())
        .map(|rule| SigmaRule { enabled: true, ..rule.clone() })
        .collect();
    for mut view in of(&Loaded::site(&own)) {
        let rule = file_number(&view.place).and_then(|number| own.get(number));
        if let Some(rule) = rule {
            let is_on = stored.iter().any(|known| known.id == rule.id && known.enabled);
            view.enabled = is_on && view.problems.is_empty();
            view.version = rule.version;
            view.stored = (rule.id != view.id).then(|| rule.id.clone());
            tell(&mut view, rule);
        }
        all.push(view);
    }
    all.sort_by(|one, two| one.id.cmp(&two.id));
    all
}

fn tell(view: &mut RuleView, rule: &SigmaRule) {
    view.stage = rule.stage;
    view.changed = Some(rule.changed);
    view.by = Some(rule.author.clone());
    view.reason = Some(rule.reason.clone());
}

fn is_chosen(packs: &Loaded, id: &str, choice: &Choice) -> bool {
    let rule = packs.set.rules.iter().map(|rule| &rule.meta).find(|meta| meta.key() == id);
    let correlation = || packs.correlation(id).map(|(correlation, _)| &correlation.meta);
    rule.or_else(correlation).is_some_and(|meta| choice.takes(meta))
}

/// Everything of a set, as if it were all switched on.
fn of(loaded: &Loaded) -> Vec<RuleView> {
    let rules = loaded.set.rules.iter().zip(&loaded.infos);
    let rules = rules.map(|(rule, info)| view(&rule.meta, info, "rule", Some(&rule.logsource)));
    let correlations = loaded.set.correlations.iter().filter_map(|correlation| {
        let (_, info) = loaded.correlation(correlation.meta.key())?;
        Some(view(&correlation.meta, info, "correlation", None))
    });
    let refused = loaded.set.refused.iter().map(|refused| RuleView {
        id: refused
            .id
            .clone()
            .or_else(|| refused.title.clone())
            .unwrap_or_else(|| refused.file.clone()),
        title: refused.title.clone().unwrap_or_default(),
        kind: "rule",
        origin: loaded.info_at(&refused.file).origin.to_string(),
        version: 1,
        enabled: false,
        stage: Stage::Enforce,
        level: None,
        status: None,
        author: None,
        license: None,
        tags: Vec::new(),
        logsource: None,
        served: false,
        problems: refused.problems.iter().map(without_number).collect(),
        stored: None,
        changed: None,
        by: None,
        reason: None,
        place: refused.file.clone(),
    });
    rules.chain(correlations).chain(refused).collect()
}

/// Files of packs are numbered for us, not for people.
fn without_number(problem: &Diagnostic) -> Diagnostic {
    let place = match problem.place.split_once('.') {
        Some((number, path)) if path.contains('/') && number.parse::<usize>().is_ok() => path,
        _ => &problem.place,
    };
    Diagnostic { place: place.to_owned(), ..problem.clone() }
}

fn view(meta: &Meta, info: &Info, kind: &'static str, logsource: Option<&LogSource>) -> RuleView {
    RuleView {
        id: meta.key().to_owned(),
        title: meta.title.clone(),
        kind,
        origin: info.origin.to_string(),
        version: info.version,
        enabled: true,
        stage: info.stage,
        level: meta.level.map(sigma::Level::word),
        status: meta.status.map(sigma::Status::word),
        author: meta.author.clone(),
        license: meta.license.clone(),
        tags: meta.tags.clone(),
        logsource: logsource.map(ToString::to_string),
        served: logsource.is_none_or(sigma::ocsf::is_served),
        problems: Vec::new(),
        stored: None,
        changed: None,
        by: None,
        reason: None,
        place: meta.place.clone(),
    }
}
