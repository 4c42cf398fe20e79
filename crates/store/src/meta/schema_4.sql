-- Metadata, version 4: second factors of people.

-- `sealed` opens with a key outside this database. Not in force until `confirmed`.
CREATE TABLE one_time_codes (
  user TEXT PRIMARY KEY REFERENCES users(id) ON DELETE CASCADE,
  sealed TEXT NOT NULL,
  created INTEGER NOT NULL,
  confirmed INTEGER,
  last_step INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Each works once and is gone then.
CREATE TABLE recovery_codes (
  user TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  code_sha256 TEXT NOT NULL,
  PRIMARY KEY (user, code_sha256)
) STRICT, WITHOUT ROWID;

-- `id` and `public_key` (X9.62 point or Ed25519 key) are base64url; `algorithm` is COSE's number.
CREATE TABLE passkeys (
  user TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  site TEXT NOT NULL,
  algorithm INTEGER NOT NULL,
  public_key TEXT NOT NULL,
  signatures INTEGER NOT NULL,
  created INTEGER NOT NULL,
  last_used INTEGER,
  PRIMARY KEY (user, id)
) STRICT, WITHOUT ROWID;

-- What a browser was asked to sign: of a user, what waits for the answer; of nobody, what was answered.
CREATE TABLE challenges (
  challenge TEXT PRIMARY KEY,
  user TEXT REFERENCES users(id) ON DELETE CASCADE,
  expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX challenges_by_end ON challenges(expires);
