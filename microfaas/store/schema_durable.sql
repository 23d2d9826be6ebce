-- Messages that wait for whoever takes them, and what became of events.

-- Every place where messages wait, by name: function:NAME, queue:NAME, subscription:ID, outbox:….
-- The first two count what lies in other tables. Triggers keep the counts, so that nothing has to
-- be counted at start.
CREATE TABLE queues (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    messages INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0
);
INSERT INTO queues (id, name) VALUES (1, 'results'), (2, 'dead letters');

-- AUTOINCREMENT: an id is never given again, not even after the last row has gone.
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,        -- 0: now; else nobody takes it before: delayed, or leased
    at_ms INTEGER NOT NULL,         -- when it was accepted
    uuid TEXT NOT NULL,             -- request or message id; its last 12 digits are `id`
    attempts INTEGER NOT NULL,      -- runs that failed, or receives
    group_id TEXT,                  -- of a FIFO queue
    attributes BLOB NOT NULL,       -- what its kind of queue keeps beside the body
    body BLOB NOT NULL
);
CREATE INDEX messages_by_due ON messages (queue, due_ms, id);

CREATE TRIGGER message_put AFTER INSERT ON messages BEGIN
    UPDATE queues SET messages = messages + 1,
        bytes = bytes + length(NEW.body) + length(NEW.attributes) WHERE id = NEW.queue;
END;
CREATE TRIGGER message_removed AFTER DELETE ON messages BEGIN
    UPDATE queues SET messages = messages - 1,
        bytes = bytes - length(OLD.body) - length(OLD.attributes) WHERE id = OLD.queue;
END;
CREATE TRIGGER message_changed AFTER UPDATE OF attributes ON messages BEGIN
    UPDATE queues SET bytes = bytes - length(OLD.attributes) + length(NEW.attributes)
    WHERE id = NEW.queue;
END;

-- How events ended: of each its last outcome. Bounded, the oldest go first.
CREATE TABLE results (
    id INTEGER PRIMARY KEY,         -- the message's
    request_id TEXT NOT NULL,
    function TEXT NOT NULL,
    qualifier TEXT NOT NULL,
    source TEXT NOT NULL,           -- what produced the event; empty for a call
    status TEXT NOT NULL,           -- as in invocations; or expired, cancelled
    accepted_ms INTEGER NOT NULL,
    finished_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    history BLOB NOT NULL,          -- the attempts before the last
    payload BLOB NOT NULL
);
CREATE INDEX results_of_function ON results (function, id);
CREATE TRIGGER result_put AFTER INSERT ON results BEGIN
    UPDATE queues SET messages = messages + 1,
        bytes = bytes + length(NEW.payload) + length(NEW.history) WHERE id = 1;
END;
CREATE TRIGGER result_removed AFTER DELETE ON results BEGIN
    UPDATE queues SET messages = messages - 1,
        bytes = bytes - length(OLD.payload) - length(OLD.history) WHERE id = 1;
END;

-- Made anew: where a dead letter goes when it is sent again, and what it failed of. AUTOINCREMENT,
-- since people name letters by their numbers.
ALTER TABLE dead_letters RENAME TO old_dead_letters;
CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    function TEXT NOT NULL,
    request_id TEXT NOT NULL,
    source TEXT NOT NULL,
    event BLOB NOT NULL,
    error BLOB NOT NULL,
    attempts INTEGER NOT NULL,
    queue TEXT NOT NULL,
    kind TEXT NOT NULL,
    attributes BLOB NOT NULL
);
INSERT INTO dead_letters SELECT id, at_ms, function, request_id, source, event, error, attempts,
    'function:' || function, '', x'' FROM old_dead_letters;
DROP TABLE old_dead_letters;
CREATE INDEX dead_letters_of_function ON dead_letters (function, id);
UPDATE queues SET messages = (SELECT count(*) FROM dead_letters),
    bytes = (SELECT coalesce(sum(length(event) + length(error)), 0) FROM dead_letters)
WHERE id = 2;
CREATE TRIGGER dead_letter_put AFTER INSERT ON dead_letters BEGIN
    UPDATE queues SET messages = messages + 1,
        bytes = bytes + length(NEW.event) + length(NEW.error) WHERE id = 2;
END;
CREATE TRIGGER dead_letter_removed AFTER DELETE ON dead_letters BEGIN
    UPDATE queues SET messages = messages - 1,
        bytes = bytes - length(OLD.event) - length(OLD.error) WHERE id = 2;
END;

-- Queues, topics, subscriptions, streams and schedules that were made through the API; those of
-- the configuration's file are not here.
CREATE TABLE resources (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    at_ms INTEGER NOT NULL,         -- when it was made
    settings BLOB NOT NULL,         -- JSON, in the form of its kind
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;

-- How far schedules have come: of the configuration's file, of rules, and of EventBridge Scheduler.
CREATE TABLE schedules (
    key TEXT PRIMARY KEY,
    identity TEXT NOT NULL,         -- expression and zone; with another one it starts anew
    anchor_ms INTEGER NOT NULL,     -- what rates keep step with
    last_ms INTEGER NOT NULL,       -- the latest tick that was dealt with
    message TEXT NOT NULL,          -- the id of what the last tick gave rise to
    waiting TEXT NOT NULL           -- JSON list of the ticks that wait for its end
) WITHOUT ROWID;

-- Queues that keep order within groups of messages. The first message of a group, and when more
-- of the group may be taken: once nothing of it is leased, and its first message is not delayed.
-- Triggers keep this, so that neither a long group nor many groups are ever read through.
CREATE INDEX messages_by_group ON messages (queue, group_id, id) WHERE group_id IS NOT NULL;
CREATE INDEX messages_leased ON messages (queue, group_id, due_ms)
    WHERE group_id IS NOT NULL AND attempts > 0;
CREATE TABLE message_groups (
    queue INTEGER NOT NULL,
    group_id TEXT NOT NULL,
    head INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,        -- 0: now
    PRIMARY KEY (queue, group_id)
) WITHOUT ROWID;
CREATE INDEX message_groups_by_due ON message_groups (queue, due_ms, head);
CREATE TRIGGER group_put AFTER INSERT ON messages WHEN NEW.group_id IS NOT NULL BEGIN
    INSERT INTO message_groups (queue, group_id, head, due_ms)
    VALUES (NEW.queue, NEW.group_id, NEW.id, NEW.due_ms) ON CONFLICT DO NOTHING;
END;
CREATE TRIGGER group_removed AFTER DELETE ON messages WHEN OLD.group_id IS NOT NULL BEGIN
    DELETE FROM message_groups WHERE queue = OLD.queue AND group_id = OLD.group_id
    AND NOT EXISTS (SELECT 1 FROM messages WHERE queue = OLD.queue AND group_id = OLD.group_id);
    UPDATE message_groups SET
        head = (SELECT min(id) FROM messages
                WHERE queue = OLD.queue AND group_id = OLD.group_id),
        due_ms = max(
            (SELECT coalesce(max(due_ms), 0) FROM messages
             WHERE queue = OLD.queue AND group_id = OLD.group_id AND attempts > 0),
            (SELECT due_ms FROM messages
             WHERE queue = OLD.queue AND group_id = OLD.group_id ORDER BY id LIMIT 1))
    WHERE queue = OLD.queue AND group_id = OLD.group_id;
END;
CREATE TRIGGER group_leased AFTER UPDATE OF due_ms, attempts ON messages
WHEN NEW.group_id IS NOT NULL BEGIN
    UPDATE message_groups SET due_ms = max(
        (SELECT coalesce(max(due_ms), 0) FROM messages
         WHERE queue = NEW.queue AND group_id = NEW.group_id AND attempts > 0),
        (SELECT due_ms FROM messages
         WHERE queue = NEW.queue AND group_id = NEW.group_id ORDER BY id LIMIT 1))
    WHERE queue = NEW.queue AND group_id = NEW.group_id;
END;

-- What was sent to such queues lately, so that it is not taken twice.
CREATE TABLE deduplications (
    queue INTEGER NOT NULL,
    deduplication_id TEXT NOT NULL,
    until_ms INTEGER NOT NULL,
    uuid TEXT NOT NULL,             -- of the message that was taken
    PRIMARY KEY (queue, deduplication_id)
) WITHOUT ROWID;
CREATE INDEX deduplications_by_age ON deduplications (until_ms);

-- Streams: their shards, and the records in them. A shard's number is never given again, so what
-- refers to a stream that was deleted fits none that is made under its name later.
CREATE TABLE stream_shards (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream TEXT NOT NULL,
    shard INTEGER NOT NULL,
    records INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    last INTEGER NOT NULL DEFAULT 0,        -- the greatest sequence number that was given
    last_ms INTEGER NOT NULL DEFAULT 0,     -- when that record came
    trimmed INTEGER NOT NULL DEFAULT 0,     -- up to here records were removed
    UNIQUE (stream, shard)
);
CREATE TABLE stream_records (
    shard INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,                 -- never less than the record's before
    partition_key TEXT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (shard, sequence)
) WITHOUT ROWID;
CREATE TRIGGER stream_record_put AFTER INSERT ON stream_records BEGIN
    UPDATE stream_shards SET records = records + 1, last = NEW.sequence, last_ms = NEW.at_ms,
        bytes = bytes + 64 + length(NEW.data) + length(CAST(NEW.partition_key AS BLOB))
    WHERE id = NEW.shard;
END;
CREATE TRIGGER stream_record_removed AFTER DELETE ON stream_records BEGIN
    UPDATE stream_shards SET records = records - 1, trimmed = max(trimmed, OLD.sequence),
        bytes = bytes - 64 - length(OLD.data) - length(CAST(OLD.partition_key AS BLOB))
    WHERE id = OLD.shard;
END;

-- How far triggers have come, in each shard; with several lanes each has a part of the keys.
CREATE TABLE stream_checkpoints (
    consumer TEXT NOT NULL,
    shard INTEGER NOT NULL,
    lane INTEGER NOT NULL,
    lanes INTEGER NOT NULL,
    sequence INTEGER NOT NULL,              -- all up to it has been dealt with
    state BLOB NOT NULL,                    -- the attempt it is at, and the window it is in
    PRIMARY KEY (consumer, shard, lane)
) WITHOUT ROWID;

-- How far log files that are followed into streams have been read.
CREATE TABLE stream_tails (
    stream TEXT PRIMARY KEY,
    position BLOB NOT NULL
) WITHOUT ROWID;
