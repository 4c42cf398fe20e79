-- Metadata, version 1. Times are milliseconds since 1970, UTC; ids are UUID text; `doc` is the record's JSON,
-- and the columns beside it are what lists filter and sort by.

CREATE TABLE tenants (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  mode TEXT NOT NULL,
  retention TEXT NOT NULL,
  restriction_version INTEGER NOT NULL DEFAULT 0,
  created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  display TEXT NOT NULL,
  password_hash TEXT,
  must_change_password INTEGER NOT NULL,
  disabled INTEGER NOT NULL DEFAULT 0,
  created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE roles (
  tenant TEXT NOT NULL REFERENCES tenants(id),
  user TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  role TEXT NOT NULL,
  PRIMARY KEY (tenant, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX roles_by_user ON roles(user);

CREATE TABLE sessions (
  id_sha256 TEXT PRIMARY KEY,
  user TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  created INTEGER NOT NULL,
  last_seen INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  address TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions(user);
CREATE INDEX sessions_by_expiry ON sessions(expires);

CREATE TABLE tokens (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL REFERENCES tenants(id),
  prefix TEXT NOT NULL UNIQUE,
  secret_sha256 TEXT NOT NULL,
  name TEXT NOT NULL,
  scopes TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER,
  last_used INTEGER,
  revoked INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_by_tenant ON tokens(tenant, created);

-- Failed logins, per account and per address.
CREATE TABLE attempts (
  subject TEXT PRIMARY KEY,
  failures INTEGER NOT NULL,
  last INTEGER NOT NULL,
  locked_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_by_age ON attempts(last);

CREATE TABLE findings (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  time INTEGER NOT NULL,
  rule TEXT NOT NULL,
  severity INTEGER NOT NULL,
  doc TEXT NOT NULL,
  PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX findings_by_time ON findings(tenant, time, id);

CREATE TABLE incidents (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  opened INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  severity INTEGER NOT NULL,
  status INTEGER NOT NULL,
  assignee TEXT,
  title TEXT NOT NULL,
  doc TEXT NOT NULL,
  PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX incidents_by_time ON incidents(tenant, opened, id);
CREATE INDEX incidents_by_status ON incidents(tenant, status, opened, id);

-- Which entities a finding (`f`) or incident (`i`) names.
CREATE TABLE named (
  tenant TEXT NOT NULL,
  entity TEXT NOT NULL,
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  PRIMARY KEY (tenant, entity, kind, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE actions (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  incident TEXT NOT NULL,
  target TEXT NOT NULL,
  state TEXT NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  doc TEXT NOT NULL,
  PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX actions_by_time ON actions(tenant, created, id);
CREATE INDEX actions_by_state ON actions(tenant, state, created, id);
CREATE INDEX actions_by_incident ON actions(tenant, incident);
CREATE INDEX actions_by_target ON actions(tenant, target);

CREATE TABLE policies (
  tenant TEXT NOT NULL,
  version INTEGER NOT NULL,
  text TEXT NOT NULL,
  author TEXT NOT NULL,
  reason TEXT NOT NULL,
  created INTEGER NOT NULL,
  PRIMARY KEY (tenant, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE gateways (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  applied_version INTEGER NOT NULL,
  applied INTEGER,
  last_seen INTEGER NOT NULL,
  dropped INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;

-- Events a gateway or listener had to drop. Told twice, counted once.
CREATE TABLE losses (
  tenant TEXT NOT NULL,
  source TEXT NOT NULL,
  since INTEGER NOT NULL,
  until INTEGER NOT NULL,
  reason TEXT NOT NULL,
  dropped INTEGER NOT NULL,
  received INTEGER NOT NULL,
  PRIMARY KEY (tenant, source, since, until, reason)
) STRICT, WITHOUT ROWID;

-- The next sequence number of a source whose records are numbered by us.
CREATE TABLE sources (
  tenant TEXT NOT NULL,
  source TEXT NOT NULL,
  next_sequence INTEGER NOT NULL,
  PRIMARY KEY (tenant, source)
) STRICT, WITHOUT ROWID;

CREATE TABLE settings (
  tenant TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;

-- Requests that carried an Idempotency-Key, so that a repeat does nothing.
CREATE TABLE seen_keys (
  tenant TEXT NOT NULL,
  actor TEXT NOT NULL,
  key TEXT NOT NULL,
  time INTEGER NOT NULL,
  PRIMARY KEY (tenant, actor, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_keys_by_time ON seen_keys(time);

-- Ledger leaves, written with the record they attest and appended to the ledger afterwards, in id order.
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL,
  subject TEXT NOT NULL,
  leaf TEXT NOT NULL,
  ledger_index INTEGER
) STRICT;
CREATE INDEX outbox_pending ON outbox(tenant, id) WHERE ledger_index IS NULL;
CREATE UNIQUE INDEX outbox_appended ON outbox(tenant, ledger_index) WHERE ledger_index IS NOT NULL;
CREATE INDEX outbox_by_subject ON outbox(tenant, subject);
