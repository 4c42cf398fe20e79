//! Findings, incidents and actions, and the one commit that ties them to their ledger leaves.

use super::{MetaError, Read, Result, Tx, count, document, to_json};
use rusqlite::types::Value;
use schema::{
    Action, ActionState, Entity, Finding, Incident, IncidentStatus, Leaf, Severity, Stage,
    TenantId, Timestamp,
};
use uuid::Uuid;

/// What the engines made of a batch: written together, with its leaves, or not at all.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub findings: Vec<Finding>,
    /// As they now stand, people's part included: whoever writes them is the one who holds them.
    pub incidents: Vec<Incident>,
    pub actions: Vec<Action>,
    pub leaves: Vec<Leaf>,
    /// Whether gateways have to learn of this: takes the next restriction version.
    pub restrictions_changed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recorded {
    /// The tenant's restriction version after the commit.
    pub restriction_version: u64,
}

/// Where a page ended: the next one starts after this record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub time: Timestamp,
    pub id: Uuid,
}

/// Newest first.
#[derive(Debug, Clone, Default)]
pub struct FindingFilter {
    pub rule: Option<String>,
    pub stage: Option<Stage>,
    pub severity_min: Option<Severity>,
    pub entity: Option<Entity>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub after: Option<Cursor>,
    pub limit: usize,
}

/// Newest first, by the time they were opened.
#[derive(Debug, Clone, Default)]
pub struct IncidentFilter {
    /// Any of these; empty means all.
    pub statuses: Vec<IncidentStatus>,
    pub severity_min: Option<Severity>,
    pub assignee: Option<String>,
    pub title: Option<String>,
    pub entity: Option<Entity>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub after: Option<Cursor>,
    pub limit: usize,
}

/// Newest first.
#[derive(Debug, Clone, Default)]
pub struct ActionFilter {
    /// Any of these; empty means all.
    pub states: Vec<ActionState>,
    pub incident: Option<Uuid>,
    pub target: Option<Entity>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub after: Option<Cursor>,
    pub limit: usize,
}

impl super::Meta {
    /// Commits what the engines made of a batch.
    pub fn record(&self, tenant: &TenantId, change: &Change) -> Result<Recorded> {
        self.write(|tx| tx.record(tenant, change))
    }
}

impl Read<'_> {
    pub fn finding(&self, tenant: &TenantId, id: Uuid) -> Result<Option<Finding>> {
        self.record_by_id("findings", tenant, id)
    }

    pub fn incident(&self, tenant: &TenantId, id: Uuid) -> Result<Option<Incident>> {
        self.record_by_id("incidents", tenant, id)
    }

    pub fn action(&self, tenant: &TenantId, id: Uuid) -> Result<Option<Action>> {
        self.record_by_id("actions", tenant, id)
    }

    /// The findings with these ids that exist, in the order asked.
    pub fn findings_by_id(&self, tenant: &TenantId, ids: &[Uuid]) -> Result<Vec<Finding>> {
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.extend(self.finding(tenant, *id)?);
        }
        Ok(found)
    }

    pub fn findings(&self, tenant: &TenantId, filter: &FindingFilter) -> Result<Vec<Finding>> {
        let mut search = Search::new("findings", "time", tenant);
        search.equals("rule", filter.rule.as_deref());
        search.equals("stage", filter.stage.map(Stage::as_str));
        search.at_least("severity", filter.severity_min);
        search.names("f", filter.entity.as_ref());
        search.between(filter.since, filter.until, filter.after);
        search.list(self, filter.limit)
    }

    pub fn incidents(&self, tenant: &TenantId, filter: &IncidentFilter) -> Result<Vec<Incident>> {
        let mut search = Search::new("incidents", "opened", tenant);
        search.any_of("status", filter.statuses.iter().map(|s| Value::Integer(s.id())));
        search.at_least("severity", filter.severity_min);
        search.equals("assignee", filter.assignee.as_deref());
        search.equals("title", filter.title.as_deref());
        search.names("i", filter.entity.as_ref());
        search.between(filter.since, filter.until, filter.after);
        search.list(self, filter.limit)
    }

    pub fn actions(&self, tenant: &TenantId, filter: &ActionFilter) -> Result<Vec<Action>> {
        let mut search = Search::new("actions", "created", tenant);
        search.any_of("state", filter.states.iter().map(|s| Value::Text(s.as_str().to_owned())));
        search.equals("incident", filter.incident.map(|id| id.to_string()).as_deref());
        search.equals("target", filter.target.as_ref().map(Entity::to_string).as_deref());
        search.between(filter.since, filter.until, filter.after);
        search.list(self, filter.limit)
    }

    /// Every action that is in force or waits for a human: what expiry and enforcement look at.
    pub fn live_actions(&self, tenant: &TenantId) -> Result<Vec<Action>> {
        self.all(
            "SELECT doc FROM actions WHERE tenant = ?1 AND state IN ('pending', 'active', 'awaiting-approval')
             ORDER BY created, id",
            (tenant.as_str(),),
            |row| document(row, 0),
        )
    }

    pub fn restriction_version(&self, tenant: &TenantId) -> Result<u64> {
        let version = self.maybe(
            "SELECT restriction_version FROM tenants WHERE id = ?1",
            (tenant.as_str(),),
            |row| count(row, 0),
        )?;
        Ok(version.unwrap_or(0))
    }

    fn record_by_id<T: serde::de::DeserializeOwned>(
        &self,
        table: &str,
        tenant: &TenantId,
        id: Uuid,
    ) -> Result<Option<T>> {
        self.maybe(
            &format!("SELECT doc FROM {table} WHERE tenant = ?1 AND id = ?2"),
            (tenant.as_str(), id.to_string()),
            |row| document(row, 0),
        )
    }
}

impl Tx<'_> {
    /// See [`super::Meta::record`]; here it can share the commit with more.
    pub fn record(&self, tenant: &TenantId, change: &Change) -> Result<Recorded> {
        for finding in &change.findings {
            self.put_finding(tenant, finding)?;
        }
        for incident in &change.incidents {
            self.put_incident(tenant, incident)?;
        }
        for action in &change.actions {
            self.put_action(tenant, action)?;
        }
        self.attest(&change.leaves)?;
        if change.restrictions_changed {
            self.run(
                "UPDATE tenants SET restriction_version = restriction_version + 1 WHERE id = ?1",
                (tenant.as_str(),),
            )?;
        }
        Ok(Recorded { restriction_version: self.restriction_version(tenant)? })
    }

    /// Changes an incident as a person does, against what is stored now.
    pub fn amend_incident<T>(
        &self,
        tenant: &TenantId,
        id: Uuid,
        amend: impl FnOnce(&mut Incident) -> T,
    ) -> Result<(Incident, T)> {
        let mut incident =
            self.incident(tenant, id)?.ok_or_else(|| MetaError::Missing(id.to_string()))?;
        let answer = amend(&mut incident);
        self.put_incident(tenant, &incident)?;
        Ok((incident, answer))
    }

    fn put_finding(&self, tenant: &TenantId, finding: &Finding) -> Result<()> {
        self.run(
            "INSERT INTO findings (tenant, id, time, rule, severity, stage, doc) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT DO UPDATE SET time = excluded.time, rule = excluded.rule, severity = excluded.severity,
               stage = excluded.stage, doc = excluded.doc",
            (
                tenant.as_str(),
                finding.id.to_string(),
                finding.time,
                &finding.rule,
                finding.severity.id(),
                finding.stage().as_str(),
                to_json("finding", finding)?,
            ),
        )?;
        self.put_named(tenant, "f", finding.id, &finding.entities)
    }

    fn put_incident(&self, tenant: &TenantId, incident: &Incident) -> Result<()> {
        self.run(
            "INSERT INTO incidents (tenant, id, opened, updated, severity, status, assignee, title, doc)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT DO UPDATE SET opened = excluded.opened, updated = excluded.updated,
               severity = excluded.severity, status = excluded.status, assignee = excluded.assignee,
               title = excluded.title, doc = excluded.doc",
            (
                tenant.as_str(),
                incident.id.to_string(),
                incident.opened,
                incident.updated,
                incident.severity.id(),
                incident.status.id(),
                &incident.assignee,
                &incident.title,
                to_json("incident", incident)?,
            ),
        )?;
        self.put_named(tenant, "i", incident.id, &incident.entities)
    }

    fn put_action(&self, tenant: &TenantId, action: &Action) -> Result<()> {
        self.run(
            "INSERT INTO actions (tenant, id, incident, target, state, created, expires, doc)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT DO UPDATE SET incident = excluded.incident, target = excluded.target,
               state = excluded.state, created = excluded.created, expires = excluded.expires, doc = excluded.doc",
            (
                tenant.as_str(),
                action.id.to_string(),
                action.incident.to_string(),
                action.target.to_string(),
                action.state.as_str(),
                action.created,
                action.expires,
                to_json("action", action)?,
            ),
        )?;
        Ok(())
    }

    /// Names are only ever added: a record that once named an entity is found by it.
    fn put_named(
        &self,
        tenant: &TenantId,
        kind: &str,
        id: Uuid,
        entities: &[Entity],
    ) -> Result<()> {
        for entity in entities {
            self.run(
                "INSERT INTO named (tenant, entity, kind, id) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                (tenant.as_str(), entity.to_string(), kind, id.to_string()),
            )?;
        }
        Ok(())
    }
}

/// A list query under construction. Table and column names are ours; every value is a parameter.
struct Search {
    table: &'static str,
    order: &'static str,
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl Search {
    fn new(table: &'static str, order: &'static str, tenant: &TenantId) -> Self {
        Search {
            table,
            order,
            conditions: vec!["tenant = ?1".to_owned()],
            values: vec![Value::Text(tenant.as_str().to_owned())],
        }
    }

    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    fn equals(&mut self, column: &str, text: Option<&str>) {
        if let Some(text) = text {
            let slot = self.bind(text.to_owned());
            self.conditions.push(format!("{column} = {slot}"));
        }
    }

    fn at_least(&mut self, column: &str, severity: Option<Severity>) {
        if let Some(severity) = severity {
            let slot = self.bind(severity.id());
            self.conditions.push(format!("{column} >= {slot}"));
        }
    }

    fn any_of(&mut self, column: &str, values: impl Iterator<Item = Value>) {
        let slots: Vec<String> = values.map(|value| self.bind(value)).collect();
        if !slots.is_empty() {
            self.conditions.push(format!("{column} IN ({})", slots.join(", ")));
        }
    }

    fn names(&mut self, kind: &str, entity: Option<&Entity>) {
        if let Some(entity) = entity {
            let entity = self.bind(entity.to_string());
            let kind = self.bind(kind.to_owned());
            self.conditions.push(format!(
                "id IN (SELECT id FROM named WHERE tenant = ?1 AND entity = {entity} AND kind = {kind})"
            ));
        }
    }

    fn between(
        &mut self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
        after: Option<Cursor>,
    ) {
        let order = self.order;
        if let Some(since) = since {
            let slot = self.bind(since);
            self.conditions.push(format!("{order} >= {slot}"));
        }
        if let Some(until) = until {
            let slot = self.bind(until);
            self.conditions.push(format!("{order} < {slot}"));
        }
        if let Some(Cursor { time, id }) = after {
            let (time, id) = (self.bind(time), self.bind(id.to_string()));
            self.conditions.push(format!("({order}, id) < ({time}, {id})"));
        }
    }

    fn list<T: serde::de::DeserializeOwned>(
        mut self,
        read: &Read<'_>,
        limit: usize,
    ) -> Result<Vec<T>> {
        let limit = self.bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let sql = format!(
            "SELECT doc FROM {} WHERE {} ORDER BY {} DESC, id DESC LIMIT {limit}",
            self.table,
            self.conditions.join(" AND "),
            self.order,
        );
        read.all(&sql, rusqlite::params_from_iter(self.values), |row| document(row, 0))
    }
}
