-- Metadata, version 2: what trust is judged by and what was judged.

-- A tenant's trust policy (`policy`) and the description of what it protects (`site`), version by version.
-- An empty text of a policy means the shipped one.
CREATE TABLE trust_texts (
  tenant TEXT NOT NULL,
  what TEXT NOT NULL,
  version INTEGER NOT NULL,
  text TEXT NOT NULL,
  profile TEXT NOT NULL,
  author TEXT NOT NULL,
  reason TEXT NOT NULL,
  created INTEGER NOT NULL,
  PRIMARY KEY (tenant, what, version)
) STRICT, WITHOUT ROWID;

-- Registers people and other systems keep: devices, trips, invitations, and what they told of a subject.
CREATE TABLE trust_entries (
  tenant TEXT NOT NULL,
  register TEXT NOT NULL,
  id TEXT NOT NULL,
  doc TEXT NOT NULL,
  author TEXT NOT NULL,
  changed INTEGER NOT NULL,
  PRIMARY KEY (tenant, register, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE trust_decisions (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  time INTEGER NOT NULL,
  session TEXT NOT NULL,
  permit INTEGER NOT NULL,
  doc TEXT NOT NULL,
  PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX trust_decisions_by_time ON trust_decisions(tenant, time, id);
CREATE INDEX trust_decisions_by_session ON trust_decisions(tenant, session, time, id);

-- Security event tokens that were taken, so that one sent again does nothing.
CREATE TABLE ssf_seen (
  tenant TEXT NOT NULL,
  issuer TEXT NOT NULL,
  jti TEXT NOT NULL,
  time INTEGER NOT NULL,
  PRIMARY KEY (tenant, issuer, jti)
) STRICT, WITHOUT ROWID;
CREATE INDEX ssf_seen_by_time ON ssf_seen(time);
