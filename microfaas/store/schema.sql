-- What microfaas remembers. Times are milliseconds since 1970 unless the name says otherwise.
-- This file brings an empty database to version 1; later versions get a file of their own.

-- One row per invocation; bounded, the oldest go first. `id` grows, so it is also the order.
CREATE TABLE invocations (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    function TEXT NOT NULL,
    version TEXT NOT NULL,
    request_id TEXT NOT NULL,
    status TEXT NOT NULL,           -- ok, error, timeout, memory, exit, init
    wall_ms REAL NOT NULL,
    billed_ms INTEGER NOT NULL,
    cpu_ms REAL NOT NULL,
    memory_mb INTEGER NOT NULL,     -- what was configured, and so what is billed
    peak_mb INTEGER NOT NULL,
    init_ms REAL                    -- NULL when a running instance took it
);
CREATE INDEX invocations_of_function ON invocations (function, id);

-- Totals per function and day (days since 1970, UTC); kept for good.
CREATE TABLE usage_days (
    function TEXT NOT NULL,
    day INTEGER NOT NULL,
    invocations INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    billed_ms INTEGER NOT NULL,
    mb_ms INTEGER NOT NULL,         -- sum of billed_ms * memory_mb: exact, unlike GB-seconds
    cpu_ms REAL NOT NULL,
    peak_mb INTEGER NOT NULL,
    inits INTEGER NOT NULL,
    PRIMARY KEY (function, day)
) WITHOUT ROWID;

-- The ledger: which state of which file has been handled. A row goes when its file has gone.
CREATE TABLE objects (
    bucket TEXT NOT NULL,           -- the trigger: function and directory
    key TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    sequencer INTEGER NOT NULL,
    state TEXT NOT NULL,            -- handled, dead
    PRIMARY KEY (bucket, key)
) WITHOUT ROWID;

-- Events that were given up on, whole, so that they can be looked at and sent again.
CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    function TEXT NOT NULL,
    request_id TEXT NOT NULL,
    source TEXT NOT NULL,           -- what produced the event, such as a bucket and a key
    event BLOB NOT NULL,
    error BLOB NOT NULL,            -- the payload of the last failure
    attempts INTEGER NOT NULL
);
CREATE INDEX dead_letters_of_function ON dead_letters (function, id);
