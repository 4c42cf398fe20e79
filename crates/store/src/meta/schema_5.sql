-- Metadata, version 5: the stage of a rule (`shadow`, `canary`, `enforce`), and of what it found.

ALTER TABLE sigma_rules ADD COLUMN stage TEXT NOT NULL DEFAULT 'enforce';
ALTER TABLE findings ADD COLUMN stage TEXT NOT NULL DEFAULT 'enforce';
