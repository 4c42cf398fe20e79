-- Metadata, version 5: the stage of a rule (`shadow`, `canary`, `enforce`), and of what it found; since when
-- a rule looks at what is received, where that is not its last change.

ALTER TABLE sigma_rules ADD COLUMN stage TEXT NOT NULL DEFAULT 'enforce';
ALTER TABLE sigma_rules ADD COLUMN since INTEGER;
ALTER TABLE findings ADD COLUMN stage TEXT NOT NULL DEFAULT 'enforce';
