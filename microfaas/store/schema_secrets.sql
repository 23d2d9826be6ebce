-- Secrets that were given to `microfaas secrets set`; never in clear.
CREATE TABLE secrets (
    name TEXT PRIMARY KEY,
    sealed BLOB NOT NULL,           -- encrypted with the machine key, good under this name alone
    at_ms INTEGER NOT NULL          -- when it was set
) WITHOUT ROWID;
