-- Every statement the store runs, under its name. ":rows" stands for as many "(?, ?, ...)" as
-- the writer packs into one step; statements without it take named parameters.

-- name: record_invocations
-- One row per invocation, as in UsageRow.
INSERT INTO invocations (
    at_ms, function, version, request_id, status,
    wall_ms, billed_ms, cpu_ms, memory_mb, peak_mb, init_ms
) VALUES :rows;

-- name: add_to_days
-- Adds to the totals of a function's day.
INSERT INTO usage_days (
    function, day, invocations, errors, billed_ms, mb_ms, cpu_ms, peak_mb, inits
) VALUES :rows
ON CONFLICT (function, day) DO UPDATE SET
    invocations = invocations + excluded.invocations,
    errors = errors + excluded.errors,
    billed_ms = billed_ms + excluded.billed_ms,
    mb_ms = mb_ms + excluded.mb_ms,
    cpu_ms = cpu_ms + excluded.cpu_ms,
    peak_mb = max(peak_mb, excluded.peak_mb),
    inits = inits + excluded.inits;

-- name: forget_invocations
-- Drops what is too old or too many, at most a step of the oldest ids at a time.
DELETE FROM invocations
WHERE id < (SELECT min(id) FROM invocations) + :step
  AND (at_ms < :before_ms OR id <= (SELECT max(id) FROM invocations) - :keep);

-- name: usage_totals
-- Totals per function: whole days from :first_day on, and before it single invocations.
SELECT function, sum(invocations), sum(errors), sum(billed_ms), sum(mb_ms), sum(cpu_ms),
       max(peak_mb), sum(inits)
FROM (
    SELECT function, invocations, errors, billed_ms, mb_ms, cpu_ms, peak_mb, inits
    FROM usage_days WHERE day >= :first_day
    UNION ALL
    SELECT function, 1, status <> 'ok', billed_ms, billed_ms * memory_mb, cpu_ms, peak_mb,
           init_ms IS NOT NULL
    FROM invocations WHERE at_ms >= :since_ms AND at_ms < :first_day * 86400000
)
WHERE :function IS NULL OR function = :function
GROUP BY function ORDER BY function;

-- name: recent_invocations
-- The newest invocations of a function, newest first.
SELECT at_ms, function, version, request_id, status,
       wall_ms, billed_ms, cpu_ms, memory_mb, peak_mb, init_ms
FROM invocations WHERE function = :function ORDER BY id DESC LIMIT :limit;

-- name: record_objects
-- What has become of a file's present state.
INSERT INTO objects (bucket, key, size, mtime_ns, inode, sequencer, state) VALUES :rows
ON CONFLICT (bucket, key) DO UPDATE SET
    size = excluded.size, mtime_ns = excluded.mtime_ns, inode = excluded.inode,
    sequencer = excluded.sequencer, state = excluded.state;

-- name: forget_objects
-- The files have gone, and what there was to do about it has been done.
DELETE FROM objects WHERE (bucket, key) IN (VALUES :rows);

-- name: object
-- One file of a bucket.
SELECT key, size, mtime_ns, inode FROM objects WHERE bucket = :bucket AND key = :key;

-- name: objects
-- Those of a JSON list of keys that are known. CROSS JOIN keeps the list the outer loop.
SELECT o.key, o.size, o.mtime_ns, o.inode
FROM json_each(:keys) AS k CROSS JOIN objects AS o
WHERE o.bucket = :bucket AND o.key = k.value;

-- name: keys
-- A page of known keys, in order. Keys of one directory lie between "dir/" and "dir0".
SELECT key FROM objects WHERE bucket = :bucket AND key > :after AND key < :before
ORDER BY key LIMIT :limit;

-- name: last_sequencer
-- The greatest sequencer a bucket has used.
SELECT max(sequencer) FROM objects WHERE bucket = :bucket;

-- name: bury
-- An event that is given up on.
INSERT INTO dead_letters (
    at_ms, function, request_id, source, event, error, attempts, queue, kind, attributes
) VALUES :rows;

-- name: dead_letters
-- The newest dead letters, as DeadLetter, by function, error and age.
SELECT id, at_ms, function, request_id, source, event, error, attempts, queue, kind, attributes
FROM dead_letters
WHERE (:function IS NULL OR function = :function) AND (:kind IS NULL OR kind = :kind)
  AND at_ms <= :before_ms AND id < :before
ORDER BY id DESC LIMIT :limit;

-- name: dead_letter_heads
-- The same, without the events and with no more than the begin of the errors.
SELECT id, at_ms, function, request_id, source, x'', substr(error, 1, 1000), attempts, queue, kind,
       x''
FROM dead_letters
WHERE (:function IS NULL OR function = :function) AND (:kind IS NULL OR kind = :kind)
  AND at_ms <= :before_ms AND id < :before
ORDER BY id DESC LIMIT :limit;

-- name: dead_letter
-- One of them, by its number or by the id of its request.
SELECT id, at_ms, function, request_id, source, event, error, attempts, queue, kind, attributes
FROM dead_letters WHERE id = :id OR request_id = :request_id ORDER BY id DESC LIMIT 1;

-- name: remove_dead_letters
-- They were sent again, or are of no use.
DELETE FROM dead_letters WHERE id IN (VALUES :rows);

-- name: oldest_dead_letter
-- When the oldest of them was given up.
SELECT at_ms FROM dead_letters ORDER BY id LIMIT 1;

-- name: forget_dead_letters
-- The oldest go: what is too old, or a step of them.
DELETE FROM dead_letters WHERE id IN (SELECT id FROM dead_letters ORDER BY id LIMIT :step)
AND (at_ms < :before_ms OR :crowded);

-- name: count_dead_letters
-- How many there are, of one function or of all.
SELECT count(*) FROM dead_letters WHERE :function IS NULL OR function = :function;

-- name: set_secret
-- A secret, in place of the one of that name.
INSERT INTO secrets (name, sealed, at_ms) VALUES :rows
ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, at_ms = excluded.at_ms;

-- name: secret
-- One secret as it is sealed.
SELECT sealed FROM secrets WHERE name = :name;

-- name: secrets
-- What may be told of all of them.
SELECT name, at_ms FROM secrets ORDER BY name;

-- name: remove_secret
-- Forgets one.
DELETE FROM secrets WHERE name = :name;

-- name: add_access_key
-- One row per key, as in KeyRow.
INSERT INTO access_keys (
    id, name, secret_sha256, scopes, created_ms, expires_ms, revoked_ms, rate_per_s, used_day
) VALUES :rows;

-- name: access_keys
-- All there ever were, the oldest first.
SELECT id, name, secret_sha256, scopes, created_ms, expires_ms, revoked_ms, rate_per_s, used_day
FROM access_keys ORDER BY created_ms, id;

-- name: live_access_keys
-- Those that have not been revoked.
SELECT id, name, secret_sha256, scopes, created_ms, expires_ms, revoked_ms, rate_per_s, used_day
FROM access_keys WHERE revoked_ms IS NULL;

-- name: revoke_access_key
-- From now on it opens nothing; the row stays, to tell what it was.
UPDATE access_keys SET revoked_ms = :at_ms WHERE id = :id AND revoked_ms IS NULL;

-- name: note_access_key_used
-- The day of its last use.
UPDATE access_keys SET used_day = :day WHERE id = :id;

-- name: queues
-- Every place where messages wait, and how much does.
SELECT id, name, messages, bytes FROM queues;

-- name: add_queue
-- A new place.
INSERT INTO queues (id, name) VALUES :rows ON CONFLICT DO NOTHING;

-- name: last_message
-- The greatest id that was ever given to a message.
SELECT max(
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'messages'), 0),
    coalesce((SELECT max(id) FROM results), 0)
);

-- name: put_messages
-- New messages, in the order of Message's fields.
INSERT INTO messages (id, queue, due_ms, at_ms, uuid, attempts, group_id, attributes, body)
VALUES :rows;

-- name: remove_messages
-- They have been dealt with.
DELETE FROM messages WHERE id IN (VALUES :rows);

-- name: reschedule_messages
-- They are to be taken again, later.
UPDATE messages SET due_ms = :due_ms, attempts = :attempts, attributes = :attributes
WHERE id = :id;

-- name: lease_messages
-- Nobody else is to take them for a while.
UPDATE messages SET due_ms = :due_ms, attempts = :attempts WHERE id = :id;

-- name: ready_messages
-- What may be taken at once and was not yet seen, the oldest first.
SELECT id, queue, due_ms, at_ms, uuid, attempts, group_id, attributes, body FROM messages
WHERE queue = :queue AND due_ms = 0 AND id > :after ORDER BY id LIMIT :limit;

-- name: due_messages
-- What had to wait and need not any more, whose time came first first; but for a JSON list of ids.
SELECT id, queue, due_ms, at_ms, uuid, attempts, group_id, attributes, body FROM messages
WHERE queue = :queue AND due_ms > 0 AND due_ms <= :now_ms
  AND id NOT IN (SELECT value FROM json_each(:held))
ORDER BY due_ms, id LIMIT :limit;

-- name: next_due
-- When the next of those that wait need not any more.
SELECT min(due_ms) FROM messages WHERE queue = :queue AND due_ms > :now_ms;

-- name: message
-- One message.
SELECT id, queue, due_ms, at_ms, uuid, attempts, group_id, attributes, body FROM messages
WHERE id = :id;

-- name: newest_messages
-- A queue's messages without the body, the newest first; only those before an id.
SELECT id, queue, due_ms, at_ms, uuid, attempts, group_id, attributes, x'' FROM messages
WHERE queue = :queue AND due_ms = 0 AND id < :before ORDER BY id DESC LIMIT :limit;

-- name: waiting_messages
-- Those of a queue that wait for a time, the last of them first; without the body.
SELECT id, queue, due_ms, at_ms, uuid, attempts, group_id, attributes, x'' FROM messages
WHERE queue = :queue AND due_ms > 0 ORDER BY due_ms DESC LIMIT :limit;

-- name: pull_in_messages
-- What would wait for longer than anything may was written while the clock was wrong.
UPDATE messages SET due_ms = 0 WHERE queue = :queue AND due_ms > :latest_ms;

-- name: record_results
-- How events ended; once more after an event was sent again.
INSERT INTO results (
    id, request_id, function, qualifier, source, status,
    accepted_ms, finished_ms, attempts, history, payload
) VALUES :rows
ON CONFLICT (id) DO NOTHING;

-- name: forget_results
-- The oldest go: what is too old, or a step of them.
DELETE FROM results WHERE id IN (SELECT id FROM results ORDER BY id LIMIT :step)
AND (finished_ms < :before_ms OR :crowded);

-- name: oldest_result
-- When the event that was accepted first ended.
SELECT finished_ms FROM results ORDER BY id LIMIT 1;

-- name: result
-- How one event ended.
SELECT id, request_id, function, qualifier, source, status,
       accepted_ms, finished_ms, attempts, history, payload
FROM results WHERE id = :id;

-- name: recent_results
-- How events ended, the newest first, of one function or of all; without the payload. Only the
-- newest :seen are looked at, however few of them are of the status.
SELECT id, request_id, function, qualifier, source, status,
       accepted_ms, finished_ms, attempts, history, x''
FROM results WHERE id IN (
    SELECT id FROM (
        SELECT id, status FROM results WHERE :function IS NULL OR function = :function
        ORDER BY id DESC LIMIT :seen
    )
    WHERE :status IS NULL OR status = :status ORDER BY id DESC LIMIT :limit
) ORDER BY id DESC;

-- name: set_resource
-- What was made through the API, or changed.
INSERT INTO resources (kind, name, at_ms, settings) VALUES :rows
ON CONFLICT (kind, name) DO UPDATE SET settings = excluded.settings;

-- name: remove_resource
-- It is no more.
DELETE FROM resources WHERE (kind, name) IN (VALUES :rows);

-- name: resources
-- All of a kind.
SELECT name, at_ms, settings FROM resources WHERE kind = :kind ORDER BY name;

-- name: schedules
-- How far all schedules have come.
SELECT key, identity, anchor_ms, last_ms, message, waiting FROM schedules;

-- name: set_schedule
-- A schedule has begun, or come further.
INSERT INTO schedules (key, identity, anchor_ms, last_ms, message, waiting) VALUES :rows
ON CONFLICT (key) DO UPDATE SET identity = excluded.identity, anchor_ms = excluded.anchor_ms,
    last_ms = excluded.last_ms, message = excluded.message, waiting = excluded.waiting;

-- name: remove_schedules
-- They are no more.
DELETE FROM schedules WHERE key IN (VALUES :rows);

-- name: ready_ids
-- Which messages may be taken at once, the oldest first.
SELECT id FROM messages
WHERE queue = :queue AND due_ms = 0 AND id > :after ORDER BY id LIMIT :limit;

-- name: due_ids
-- Which had to wait and need not any more, whose time came first first.
SELECT id FROM messages
WHERE queue = :queue AND due_ms > 0 AND due_ms <= :now_ms ORDER BY due_ms, id LIMIT :limit;

-- name: old_ids
-- Which were accepted before a time, among those that have waited longest.
SELECT id FROM (
    SELECT id, at_ms FROM (
        SELECT id, at_ms FROM messages
        WHERE queue = :queue AND due_ms = 0 ORDER BY id LIMIT :limit)
    UNION ALL
    SELECT id, at_ms FROM (
        SELECT id, at_ms FROM messages
        WHERE queue = :queue AND due_ms > 0 AND due_ms <= :now_ms
        ORDER BY due_ms, id LIMIT :limit)
)
WHERE at_ms < :before_ms;

-- name: ready_groups
-- Of which groups messages may be taken at once, the oldest first.
SELECT group_id FROM message_groups
WHERE queue = :queue AND due_ms = 0 ORDER BY head LIMIT :limit;

-- name: due_groups
-- Of which groups something was leased or delayed and is not any more.
SELECT group_id FROM message_groups
WHERE queue = :queue AND due_ms > 0 AND due_ms <= :now_ms ORDER BY due_ms, head LIMIT :limit;

-- name: next_due_group
-- When messages of the next group may be taken.
SELECT min(due_ms) FROM message_groups WHERE queue = :queue AND due_ms > :now_ms;

-- name: group_messages
-- The oldest of a group.
SELECT id, queue, due_ms, at_ms, uuid, attempts, group_id, attributes, body FROM messages
WHERE queue = :queue AND group_id = :group_id ORDER BY id LIMIT :limit;

-- name: any_messages
-- Those of a queue up to an id, leased, delayed or not, as they may be received.
SELECT id, queue, due_ms, at_ms, uuid, attempts, group_id, attributes, body FROM messages
WHERE queue = :queue AND id <= :last ORDER BY due_ms, id LIMIT :limit;

-- name: count_unavailable
-- How many nobody may take yet, and how many of these have been received.
SELECT count(*), coalesce(sum(attempts > 0), 0) FROM (
    SELECT attempts FROM messages WHERE queue = :queue AND due_ms > :now_ms LIMIT :limit
);

-- name: deduplicated
-- The message that was sent under the same deduplication id a short while ago.
SELECT uuid FROM deduplications
WHERE queue = :queue AND deduplication_id = :deduplication_id AND until_ms > :now_ms;

-- name: add_deduplications
-- Nothing else is to be taken under these ids for a while.
INSERT OR REPLACE INTO deduplications (queue, deduplication_id, until_ms, uuid) VALUES :rows;

-- name: old_deduplication
-- One whose time is over.
SELECT 1 FROM deduplications WHERE until_ms <= :now_ms LIMIT 1;

-- name: forget_deduplications
-- A step of those whose time is over.
DELETE FROM deduplications WHERE (queue, deduplication_id) IN (
    SELECT queue, deduplication_id FROM deduplications WHERE until_ms <= :now_ms LIMIT :step
);

-- name: stream_shards
-- All shards of all streams.
SELECT id, stream, shard, records, bytes, last, last_ms, trimmed FROM stream_shards
ORDER BY stream, shard;

-- name: add_stream_shards
-- A stream is made.
INSERT INTO stream_shards (stream, shard) VALUES :rows;

-- name: remove_stream_shards
-- A stream is no more; its records have gone before.
DELETE FROM stream_shards WHERE (id) IN (VALUES :rows);

-- name: remove_stream_checkpoints
-- Nor does anybody read on in it.
DELETE FROM stream_checkpoints WHERE (shard) IN (VALUES :rows);

-- name: put_stream_records
-- Records at the ends of their shards.
INSERT INTO stream_records (shard, sequence, at_ms, partition_key, data) VALUES :rows;

-- name: stream_records
-- The records of a shard behind a sequence number, in order.
SELECT shard, sequence, at_ms, partition_key, data FROM stream_records
WHERE shard = :shard AND sequence > :after ORDER BY sequence LIMIT :limit;

-- name: stream_moment
-- When the first record behind a sequence number came.
SELECT sequence, at_ms FROM stream_records
WHERE shard = :shard AND sequence > :after ORDER BY sequence LIMIT 1;

-- name: stream_step
-- A step of a shard's oldest records: where it ends, how many they are, what they take.
SELECT coalesce(max(sequence), 0), count(*), coalesce(sum(size), 0) FROM (
    SELECT sequence, 64 + length(data) + length(CAST(partition_key AS BLOB)) AS size
    FROM stream_records WHERE shard = :shard AND sequence > :after AND sequence <= :last
    ORDER BY sequence LIMIT :step
);

-- name: trim_stream_records
-- What is in a shard up to a sequence number: one step.
DELETE FROM stream_records WHERE shard = :shard AND sequence <= :last;

-- name: stream_checkpoints
-- How far a trigger has come in all shards.
SELECT shard, lane, lanes, sequence, state FROM stream_checkpoints WHERE consumer = :consumer;

-- name: all_stream_checkpoints
-- How far all triggers have come in a shard.
SELECT consumer, min(sequence) FROM stream_checkpoints WHERE shard = :shard
GROUP BY consumer ORDER BY consumer;

-- name: set_stream_checkpoints
-- Triggers have come further.
INSERT INTO stream_checkpoints (consumer, shard, lane, lanes, sequence, state) VALUES :rows
ON CONFLICT (consumer, shard, lane) DO UPDATE SET
    lanes = excluded.lanes, sequence = excluded.sequence, state = excluded.state;

-- name: drop_stream_lanes
-- Lanes that are no more.
DELETE FROM stream_checkpoints
WHERE consumer = :consumer AND shard = :shard AND lane >= :lanes;

-- name: stream_tail
-- How far a stream's log file has been read.
SELECT position FROM stream_tails WHERE stream = :stream;

-- name: set_stream_tail
-- More of it has been.
INSERT INTO stream_tails (stream, position) VALUES :rows
ON CONFLICT (stream) DO UPDATE SET position = excluded.position;

-- name: put_log_events
-- What a client has put into a stream of a log group.
INSERT INTO log_events (log_group, stream, at_ms, came_ms, message) VALUES :rows;

-- name: log_events
-- Of a group, the oldest first.
SELECT id, stream, at_ms, came_ms, message FROM log_events
WHERE log_group = :log_group AND at_ms < :end_ms AND (at_ms, id) >= (:start_ms, :start_id)
ORDER BY at_ms, id;

-- name: log_events_backward
-- Of a group, the newest first.
SELECT id, stream, at_ms, came_ms, message FROM log_events
WHERE log_group = :log_group AND at_ms >= :start_ms AND (at_ms, id) < (:end_ms, :end_id)
ORDER BY at_ms DESC, id DESC;

-- name: log_events_of_stream
-- Of a stream, the oldest first.
SELECT id, stream, at_ms, came_ms, message FROM log_events
WHERE log_group = :log_group AND stream = :stream
  AND at_ms < :end_ms AND (at_ms, id) >= (:start_ms, :start_id)
ORDER BY at_ms, id;

-- name: log_events_of_stream_backward
-- Of a stream, the newest first.
SELECT id, stream, at_ms, came_ms, message FROM log_events
WHERE log_group = :log_group AND stream = :stream
  AND at_ms >= :start_ms AND (at_ms, id) < (:end_ms, :end_id)
ORDER BY at_ms DESC, id DESC;

-- name: log_totals
-- What there is in each stream of a group, and from when to when.
SELECT stream, events, bytes, came_ms,
    (SELECT min(at_ms) FROM log_events e
     WHERE e.log_group = t.log_group AND e.stream = t.stream),
    (SELECT max(at_ms) FROM log_events e
     WHERE e.log_group = t.log_group AND e.stream = t.stream)
FROM log_totals t WHERE log_group = :log_group;

-- name: log_group_total
-- What there is in a group.
SELECT coalesce(sum(events), 0), coalesce(sum(bytes), 0) FROM log_totals
WHERE log_group = :log_group;

-- name: remove_log_group_events
-- A group is no more.
DELETE FROM log_events WHERE log_group IN (VALUES :rows);

-- name: remove_log_stream_events
-- A stream is no more.
DELETE FROM log_events WHERE (log_group, stream) IN (VALUES :rows);

-- name: expire_log_events
-- Those of a group that are too old.
DELETE FROM log_events WHERE log_group = :log_group AND at_ms < :before_ms;

-- name: forget_log_events
-- The oldest of a group that has too many.
DELETE FROM log_events WHERE id IN (
    SELECT id FROM log_events WHERE log_group = :log_group ORDER BY at_ms, id LIMIT :count
);
