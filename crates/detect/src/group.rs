//! Findings become incidents.
//!
//! Two findings are one story when, close in event time, they share an entity that is not common to
//! strangers: an account, credential, session or device; an address unless it is shared (listed, or naming
//! many different accounts, credentials and sessions); never an endpoint. A web finding and a host finding
//! also meet where a site is served by that device. Finding by finding the stories grow; a finding that
//! belongs to two joins them, and the **older** incident (on a tie the smaller id) keeps its id.

use crate::config::GroupConfig;
use schema::{
    Entity, EntityKind, Finding, Incident, IncidentStatus, OutcomeResult, Severity, StepKind,
    StoryStep, Timestamp, id_from_seed,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use uuid::Uuid;

/// Entities an incident names.
const ENTITIES_MAX: usize = 64;
/// Findings an incident names; a longer story repeats itself.
const FINDINGS_MAX: usize = 512;
/// Entities whose links are remembered.
const LINKS_MAX: usize = 262_144;

/// Two incidents became one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// No longer exists by itself.
    pub absorbed: Uuid,
    pub into: Uuid,
}

/// What is remembered of a finding for the weighing of its incident.
#[derive(Debug, Clone)]
struct Weight {
    rule: String,
    severity: Severity,
    succeeded: bool,
    tactics: BTreeSet<u8>,
    entities: Vec<Entity>,
}

struct Story {
    incident: Incident,
    weights: BTreeMap<Uuid, Weight>,
    /// What it weighed when it was restored, whose findings' weights are not known any more.
    floor: Severity,
    latest: Timestamp,
}

#[derive(Default)]
struct Link {
    incident: Option<Uuid>,
    pending: Vec<Uuid>,
    last: Timestamp,
    /// For addresses: the accounts, credentials and sessions named with it.
    companions: BTreeSet<Entity>,
}

/// Folds findings into incidents. Same findings in the same order, same incidents.
pub struct Grouper {
    config: GroupConfig,
    common: Vec<(IpAddr, u8)>,
    stories: BTreeMap<Uuid, Story>,
    of_finding: BTreeMap<Uuid, Uuid>,
    links: BTreeMap<Entity, Link>,
    pending: BTreeMap<Uuid, Finding>,
    pending_order: VecDeque<Uuid>,
    merges: Vec<Merge>,
}

impl Grouper {
    pub fn new(config: GroupConfig) -> Self {
        let common = config.common_addresses.iter().filter_map(|text| network(text)).collect();
        Grouper {
            config,
            common,
            stories: BTreeMap::new(),
            of_finding: BTreeMap::new(),
            links: BTreeMap::new(),
            pending: BTreeMap::new(),
            pending_order: VecDeque::new(),
            merges: Vec::new(),
        }
    }

    /// Continues after a restart with the incidents that are still open. Closed ones are left out.
    pub fn restore(config: GroupConfig, incidents: Vec<Incident>) -> Self {
        let mut grouper = Grouper::new(config);
        for incident in incidents {
            grouper.put(incident);
        }
        grouper
    }

    /// Takes over what people changed: status, assignee, classification, comments, ticket, who
    /// was told. A closed incident grows no more.
    pub fn update(&mut self, incident: &Incident) {
        if !incident.status.is_open() {
            self.forget(incident.id);
        } else if let Some(story) = self.stories.get_mut(&incident.id) {
            story.incident.status = incident.status;
            story.incident.assignee.clone_from(&incident.assignee);
            story.incident.classification = incident.classification;
            story.incident.comments.clone_from(&incident.comments);
            story.incident.ticket.clone_from(&incident.ticket);
            story.incident.told.clone_from(&incident.told);
            // Steps that are not findings are added outside and stay.
            let added = incident.story.iter().filter(|step| step.kind != StepKind::Finding);
            story.incident.story.retain(|step| step.kind == StepKind::Finding);
            story.incident.story.extend(added.cloned());
            sort_story(&mut story.incident.story);
        } else {
            self.put(incident.clone());
        }
    }

    /// The incidents that became part of another since this was last asked, in order.
    pub fn take_merges(&mut self) -> Vec<Merge> {
        std::mem::take(&mut self.merges)
    }

    /// The open incidents, oldest id first.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.stories.values().map(|story| &story.incident)
    }

    /// Adds a finding (or its newer form); gives the incident as it now stands, or `None` while it is ordinary noise.
    ///
    /// A finding in shadow is no part of any story, and links none.
    pub fn fold(&mut self, finding: &Finding) -> Option<Incident> {
        if finding.is_shadow() {
            return None;
        }
        if let Some(id) = self.of_finding.get(&finding.id).copied() {
            self.companions(finding);
            return self.join(id, finding);
        }
        self.expire(finding.last_seen);
        self.companions(finding);
        let linking = self.linking(finding);
        let (mut incidents, mut companions) = (BTreeSet::new(), BTreeSet::new());
        for entity in &linking {
            let Some(link) = self.links.get(entity) else { continue };
            if let Some(id) =
                link.incident.filter(|id| self.is_near(*id, finding, self.config.link_secs))
            {
                incidents.insert(id);
            }
            companions.extend(link.pending.iter().copied());
        }
        incidents.extend(self.by_site(finding));
        companions.remove(&finding.id);
        let companions: Vec<Finding> = companions
            .iter()
            .filter_map(|id| self.pending.get(id))
            .filter(|other| {
                other.last_seen.abs_diff(finding.first_seen)
                    <= u64::from(self.config.link_secs) * 1000
            })
            .cloned()
            .collect();

        let winner = incidents
            .iter()
            .copied()
            .min_by_key(|id| (self.stories.get(id).map(|story| story.incident.opened), *id));
        // Two low findings of different rules about the same one are worth a look; a single one is not.
        let related = companions.iter().any(|other| other.rule != finding.rule);
        if winner.is_none() && finding.severity < Severity::Medium && !related {
            self.wait(finding, &linking);
            return None;
        }
        let id = match winner {
            Some(id) => id,
            None => self.open(finding, &companions),
        };
        for loser in incidents.into_iter().filter(|other| *other != id) {
            self.absorb(loser, id);
        }
        for other in &companions {
            self.unwait(other.id);
            self.join(id, other);
        }
        self.unwait(finding.id);
        self.join(id, finding)
    }

    fn open(&mut self, finding: &Finding, companions: &[Finding]) -> Uuid {
        let first = companions
            .iter()
            .chain([finding])
            .min_by_key(|f| (f.first_seen, f.id))
            .unwrap_or(finding);
        let id = id_from_seed(first.first_seen, format!("incident\0{}", first.id).as_bytes());
        if self.stories.len() >= self.config.incidents_max.max(1)
            && let Some(quiet) = self
                .stories
                .iter()
                .min_by_key(|(id, story)| (story.latest, **id))
                .map(|(id, _)| *id)
        {
            self.forget(quiet);
        }
        let incident = Incident {
            id,
            title: finding.rule.clone(),
            opened: first.first_seen,
            updated: finding.last_seen,
            severity: finding.severity,
            status: IncidentStatus::New,
            findings: Vec::new(),
            entities: Vec::new(),
            sites: Vec::new(),
            story: Vec::new(),
            assignee: None,
            classification: None,
            comments: Vec::new(),
            ticket: None,
            told: Vec::new(),
        };
        self.stories.insert(
            id,
            Story {
                incident,
                weights: BTreeMap::new(),
                floor: Severity::Informational,
                latest: finding.last_seen,
            },
        );
        id
    }

    /// Adds or renews a finding of an incident.
    fn join(&mut self, id: Uuid, finding: &Finding) -> Option<Incident> {
        for entity in self.linking(finding) {
            self.link(entity, finding.last_seen).incident = Some(id);
        }
        let story = self.stories.get_mut(&id)?;
        self.of_finding.insert(finding.id, id);
        story.latest = story.latest.max(finding.last_seen);
        story.weights.insert(finding.id, Weight::of(finding));
        let incident = &mut story.incident;
        if !incident.findings.contains(&finding.id) && incident.findings.len() < FINDINGS_MAX {
            incident.findings.push(finding.id);
        }
        incident.opened = incident.opened.min(finding.first_seen);
        incident.updated = incident.updated.max(finding.last_seen);
        if let Some(site) = &finding.site
            && let Err(place) = incident.sites.binary_search(site)
        {
            incident.sites.insert(place, site.clone());
        }
        incident.story.retain(|step| step.kind != StepKind::Finding || step.subject != finding.id);
        incident.story.push(StoryStep {
            time: finding.time,
            kind: StepKind::Finding,
            subject: finding.id,
            code: finding.rule.clone(),
            attack: finding.attack.first().cloned(),
            entities: finding.entities.clone(),
        });
        sort_story(&mut incident.story);
        story.weigh();
        Some(story.incident.clone())
    }

    fn absorb(&mut self, loser: Uuid, winner: Uuid) {
        let Some(lost) = self.stories.remove(&loser) else { return };
        let Some(story) = self.stories.get_mut(&winner) else { return };
        let (from, to) = (lost.incident, &mut story.incident);
        to.opened = to.opened.min(from.opened);
        to.updated = to.updated.max(from.updated);
        to.findings.extend(
            from.findings.iter().copied().take(FINDINGS_MAX.saturating_sub(to.findings.len())),
        );
        to.sites.extend(from.sites);
        to.sites.sort_unstable();
        to.sites.dedup();
        to.story.extend(from.story);
        sort_story(&mut to.story);
        to.comments.extend(from.comments);
        to.comments.sort_by_key(|comment| comment.time);
        to.assignee = to.assignee.take().or(from.assignee);
        to.ticket = to.ticket.take().or(from.ticket);
        to.told.extend(from.told);
        to.told.sort_by_key(|told| told.time);
        story.floor = story.floor.max(lost.floor);
        story.latest = story.latest.max(lost.latest);
        for (finding, weight) in lost.weights {
            self.of_finding.insert(finding, winner);
            story.weights.insert(finding, weight);
        }
        for finding in from.findings {
            self.of_finding.insert(finding, winner);
        }
        for link in self.links.values_mut().filter(|link| link.incident == Some(loser)) {
            link.incident = Some(winner);
        }
        self.merges.push(Merge { absorbed: loser, into: winner });
    }

    /// Puts back an incident whose findings are known only by their steps.
    fn put(&mut self, incident: Incident) {
        if !incident.status.is_open() {
            return;
        }
        for finding in &incident.findings {
            self.of_finding.insert(*finding, incident.id);
        }
        let mut weights = BTreeMap::new();
        for step in incident.story.iter().filter(|step| step.kind == StepKind::Finding) {
            let linking: Vec<Entity> =
                step.entities.iter().filter(|entity| self.may_link(entity)).cloned().collect();
            for entity in linking {
                self.link(entity, step.time).incident = Some(incident.id);
            }
            let weight = Weight {
                rule: step.code.clone(),
                severity: Severity::Informational,
                succeeded: false,
                tactics: step.attack.iter().map(|attack| stage(&attack.tactic)).collect(),
                entities: step.entities.clone(),
            };
            weights.insert(step.subject, weight);
        }
        let (floor, latest) = (incident.severity, incident.updated);
        self.stories.insert(incident.id, Story { incident, weights, floor, latest });
    }

    fn forget(&mut self, id: Uuid) {
        if let Some(story) = self.stories.remove(&id) {
            for finding in story.incident.findings.iter().chain(story.weights.keys()) {
                self.of_finding.remove(finding);
            }
            self.links.retain(|_, link| link.incident != Some(id) || !link.pending.is_empty());
            self.links
                .values_mut()
                .filter(|link| link.incident == Some(id))
                .for_each(|link| link.incident = None);
        }
    }

    fn wait(&mut self, finding: &Finding, linking: &[Entity]) {
        if self.pending.insert(finding.id, finding.clone()).is_none() {
            self.pending_order.push_back(finding.id);
        }
        for entity in linking {
            let link = self.link(entity.clone(), finding.last_seen);
            if !link.pending.contains(&finding.id) {
                link.pending.push(finding.id);
            }
        }
        while self.pending.len() > self.config.pending_max.max(1)
            && let Some(oldest) = self.pending_order.pop_front()
        {
            self.unwait(oldest);
        }
    }

    fn unwait(&mut self, id: Uuid) {
        let Some(finding) = self.pending.remove(&id) else { return };
        self.pending_order.retain(|other| *other != id);
        for entity in finding.entities {
            if let Some(link) = self.links.get_mut(&entity) {
                link.pending.retain(|other| *other != id);
            }
        }
    }

    fn link(&mut self, entity: Entity, time: Timestamp) -> &mut Link {
        let link = self.links.entry(entity).or_default();
        link.last = link.last.max(time);
        link
    }

    /// Forgets what is too old to link, now and then.
    fn expire(&mut self, now: Timestamp) {
        if self.links.len() <= LINKS_MAX / 2
            && self.pending.len() <= self.config.pending_max / 2
            && self.stories.len() <= self.config.incidents_max / 2
        {
            return;
        }
        let horizon = now - i64::from(self.config.link_secs) * 1000;
        let old: Vec<Uuid> = self
            .stories
            .iter()
            .filter(|(_, story)| story.latest < horizon)
            .map(|(id, _)| *id)
            .collect();
        old.into_iter().for_each(|id| self.forget(id));
        let old: Vec<Uuid> = self
            .pending
            .iter()
            .filter(|(_, finding)| finding.last_seen < horizon)
            .map(|(id, _)| *id)
            .collect();
        old.into_iter().for_each(|id| self.unwait(id));
        self.links.retain(|_, link| link.last >= horizon);
        while self.links.len() > LINKS_MAX
            && let Some(oldest) = self
                .links
                .iter()
                .min_by_key(|(entity, link)| (link.last, *entity))
                .map(|(entity, _)| entity.clone())
        {
            self.links.remove(&oldest);
        }
    }

    /// Remembers who is named together with an address.
    fn companions(&mut self, finding: &Finding) {
        // A campaign names many accounts of one address: that is the attack, not a shared address.
        if matches!(
            finding.rule.as_str(),
            "credential-stuffing"
                | "password-spraying"
                | "account-bruteforce"
                | "l7-flood"
                | "web-attack"
        ) {
            return;
        }
        let who: Vec<&Entity> = finding
            .entities
            .iter()
            .filter(|e| matches!(e.kind, EntityKind::Account | EntityKind::Credential))
            .take(1)
            .collect();
        let max = self.config.shared_address_max as usize + 1;
        for address in finding.entities.iter().filter(|entity| entity.kind == EntityKind::Address) {
            let link = self.links.entry(address.clone()).or_default();
            link.last = link.last.max(finding.last_seen);
            for entity in &who {
                if link.companions.len() < max {
                    link.companions.insert((*entity).clone());
                }
            }
        }
    }

    fn linking(&self, finding: &Finding) -> Vec<Entity> {
        finding.entities.iter().filter(|entity| self.may_link(entity)).cloned().collect()
    }

    fn may_link(&self, entity: &Entity) -> bool {
        match entity.kind {
            EntityKind::Endpoint => false,
            EntityKind::Address => {
                let crowded = self.links.get(entity).is_some_and(|link| {
                    link.companions.len() > self.config.shared_address_max as usize
                });
                !crowded
                    && entity.value.parse().map_or(true, |address: IpAddr| {
                        !address.is_loopback()
                            && !self.common.iter().any(|net| holds(*net, address))
                    })
            }
            _ => true,
        }
    }

    fn is_near(&self, id: Uuid, finding: &Finding, secs: u32) -> bool {
        let reach = i64::from(secs) * 1000;
        self.stories.get(&id).is_some_and(|story| {
            finding.first_seen <= story.latest + reach
                && finding.last_seen >= story.incident.opened - reach
        })
    }

    /// The incident of the other side (web or host) of a served site.
    fn by_site(&self, finding: &Finding) -> Option<Uuid> {
        let web_shell = |rule: &str| {
            matches!(rule, "web-shell" | "web-shell-upload" | "web-shell-access" | "reverse-shell")
        };
        if !web_shell(&finding.rule) {
            return None;
        }
        let devices: Vec<&str> = finding
            .entities
            .iter()
            .filter(|e| e.kind == EntityKind::Device)
            .map(|e| e.value.as_str())
            .collect();
        let serves = |site: &str| {
            self.config.sites.get(site).is_some_and(|known| {
                known.devices.iter().any(|device| devices.contains(&device.as_str()))
            })
        };
        let served: &[String] = finding
            .site
            .as_ref()
            .and_then(|site| self.config.sites.get(site))
            .map_or(&[], |site| &site.devices);
        self.stories
            .iter()
            .filter(|(id, story)| {
                story.weights.values().any(|weight| web_shell(&weight.rule))
                    && self.is_near(**id, finding, self.config.host_link_secs)
                    && (story.incident.sites.iter().any(|site| serves(site))
                        || story
                            .incident
                            .entities
                            .iter()
                            .any(|e| e.kind == EntityKind::Device && served.contains(&e.value)))
            })
            .min_by_key(|(id, story)| (story.incident.opened, **id))
            .map(|(id, _)| *id)
    }
}

impl Weight {
    fn of(finding: &Finding) -> Weight {
        Weight {
            rule: finding.rule.clone(),
            severity: finding.severity,
            succeeded: finding.outcome == OutcomeResult::Success,
            tactics: finding.attack.iter().map(|attack| stage(&attack.tactic)).collect(),
            entities: finding.entities.clone(),
        }
    }
}

impl Story {
    /// Severity, title and entities from all findings.
    fn weigh(&mut self) {
        let heaviest = self.weights.iter().max_by_key(|(id, weight)| {
            (weight.severity, weight.tactics.last().copied(), std::cmp::Reverse(**id))
        });
        let mut severity = heaviest.map_or(Severity::Low, |(_, weight)| weight.severity);
        if let Some((_, weight)) = heaviest
            && weight.severity > Severity::Informational
        {
            self.incident.title.clone_from(&weight.rule);
        }
        // A chain whose stages come about is worse than its worst part: one step up for two different
        // findings that succeeded at different stages, or three that were only tried.
        let stages = |succeeded: bool| {
            self.weights
                .values()
                .filter(|w| !succeeded || w.succeeded)
                .filter_map(|w| w.tactics.first())
                .collect::<BTreeSet<_>>()
                .len()
        };
        let rules: BTreeSet<&str> =
            self.weights.values().map(|weight| weight.rule.as_str()).collect();
        if rules.len() >= 2 && (stages(true) >= 2 || stages(false) >= 3) {
            severity = match severity {
                Severity::Informational | Severity::Low => Severity::Medium,
                Severity::Medium => Severity::High,
                Severity::High | Severity::Critical => Severity::Critical,
            };
        } else if rules.len() >= 2 {
            severity = severity.max(Severity::Medium);
        }
        self.incident.severity = severity.max(self.floor);

        let mut named: BTreeMap<&Entity, (usize, usize)> = BTreeMap::new();
        for weight in self.weights.values() {
            for (place, entity) in weight.entities.iter().enumerate() {
                let count = named.entry(entity).or_insert((0, place));
                count.0 += 1;
                count.1 = count.1.min(place);
            }
        }
        let mut entities: Vec<(&Entity, (usize, usize))> = named.into_iter().collect();
        // Most often named, then nearest to the front, then by kind and value.
        entities.sort_by_key(|(entity, (count, place))| {
            (std::cmp::Reverse(*count), *place, (*entity).clone())
        });
        self.incident.entities =
            entities.into_iter().take(ENTITIES_MAX).map(|(entity, _)| entity.clone()).collect();
    }
}

fn sort_story(story: &mut [StoryStep]) {
    story.sort_by(|a, b| {
        let order = |step: &StoryStep| {
            (step.time, step.attack.as_ref().map_or(u8::MAX, |attack| stage(&attack.tactic)))
        };
        order(a).cmp(&order(b)).then(a.subject.cmp(&b.subject))
    });
}

/// Where a tactic stands in the order of an attack (the columns of the ATT&CK matrix).
fn stage(tactic: &str) -> u8 {
    const ORDER: [&str; 14] = [
        "TA0043", "TA0042", "TA0001", "TA0002", "TA0003", "TA0004", "TA0005", "TA0006", "TA0007",
        "TA0008", "TA0009", "TA0011", "TA0010", "TA0040",
    ];
    // ATLAS's execution stands where ATT&CK's does.
    let tactic = if tactic == "AML.TA0005" { "TA0002" } else { tactic };
    ORDER.iter().position(|known| *known == tactic).map_or(u8::MAX, |place| place as u8)
}

/// `10.0.0.0/8` or a single address.
fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) =
        text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.trim().parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits =
        bits.map_or(Some(most), |bits| bits.trim().parse().ok().filter(|bits| *bits <= most))?;
    Some((address, bits))
}

fn holds((network, bits): (IpAddr, u8), address: IpAddr) -> bool {
    match (network, address.to_canonical()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            u32::from(a).checked_shr(32 - u32::from(bits)).unwrap_or(0)
                == u32::from(b).checked_shr(32 - u32::from(bits)).unwrap_or(0)
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            u128::from(a).checked_shr(128 - u32::from(bits)).unwrap_or(0)
                == u128::from(b).checked_shr(128 - u32::from(bits)).unwrap_or(0)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
