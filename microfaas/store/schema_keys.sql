-- Access keys: who may call the gateway, and what for. The secrets are not here: they derive from
-- the machine's key, and a bearer's is compared with its hash.
CREATE TABLE access_keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    secret_sha256 BLOB NOT NULL,
    scopes TEXT NOT NULL,           -- as in --allow: "invoke:order,read"
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,             -- NULL: never
    revoked_ms INTEGER,             -- NULL: it has not been
    rate_per_s REAL,                -- NULL: as often as it likes
    used_day INTEGER                -- the last day (since 1970, UTC) it was used; NULL: never
) WITHOUT ROWID;
