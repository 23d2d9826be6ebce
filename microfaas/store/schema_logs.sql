-- Events that clients put into log groups. What functions print is in files.

CREATE TABLE log_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    log_group TEXT NOT NULL,
    stream TEXT NOT NULL,
    at_ms INTEGER NOT NULL,         -- as the client says
    came_ms INTEGER NOT NULL,
    message BLOB NOT NULL           -- UTF-8
);
CREATE INDEX log_events_by_time ON log_events (log_group, at_ms, id);
CREATE INDEX log_events_by_stream ON log_events (log_group, stream, at_ms, id);

-- Kept by triggers, so that nothing has to be counted.
CREATE TABLE log_totals (
    log_group TEXT NOT NULL,
    stream TEXT NOT NULL,
    events INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    came_ms INTEGER NOT NULL,       -- the latest
    PRIMARY KEY (log_group, stream)
) WITHOUT ROWID;
CREATE TRIGGER log_event_put AFTER INSERT ON log_events BEGIN
    INSERT INTO log_totals (log_group, stream, events, bytes, came_ms)
    VALUES (NEW.log_group, NEW.stream, 1, length(NEW.message), NEW.came_ms)
    ON CONFLICT (log_group, stream) DO UPDATE SET events = events + 1,
        bytes = bytes + excluded.bytes, came_ms = max(came_ms, excluded.came_ms);
END;
CREATE TRIGGER log_event_removed AFTER DELETE ON log_events BEGIN
    UPDATE log_totals SET events = events - 1, bytes = bytes - length(OLD.message)
    WHERE log_group = OLD.log_group AND stream = OLD.stream;
    DELETE FROM log_totals
    WHERE log_group = OLD.log_group AND stream = OLD.stream AND events = 0;
END;
