-- Metadata, version 3: detection rules in Sigma's form, what is excepted from them, and how often they fired.

-- Version by version; the newest holds. A rule of a pack is here once somebody switched it: then `text` is empty.
CREATE TABLE sigma_rules (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  version INTEGER NOT NULL,
  text TEXT NOT NULL,
  enabled INTEGER NOT NULL,
  origin TEXT NOT NULL,
  author TEXT NOT NULL,
  reason TEXT NOT NULL,
  changed INTEGER NOT NULL,
  removed INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE sigma_exceptions (
  tenant TEXT NOT NULL,
  id TEXT NOT NULL,
  rule TEXT,
  selection TEXT,
  entity TEXT,
  author TEXT NOT NULL,
  reason TEXT NOT NULL,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  ended INTEGER,
  suppressed INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX sigma_exceptions_by_time ON sigma_exceptions(tenant, created, id);
CREATE INDEX sigma_exceptions_live ON sigma_exceptions(tenant, expires) WHERE ended IS NULL;

-- `day` counts from 1970-01-01, UTC, in event time.
CREATE TABLE sigma_hits (
  tenant TEXT NOT NULL,
  rule TEXT NOT NULL,
  day INTEGER NOT NULL,
  hits INTEGER NOT NULL,
  suppressed INTEGER NOT NULL,
  PRIMARY KEY (tenant, rule, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX sigma_hits_by_day ON sigma_hits(tenant, day);
