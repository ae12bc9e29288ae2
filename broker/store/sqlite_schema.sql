-- The tables of the embedded store, version 2: those of schema.sql, as SQLite has them. Every
-- broker runs this at its start (in one transaction); what exists stays as it is. The version
-- is the file's user_version. A person reads the log with
--
--   SELECT t.name, l."offset", l.message FROM log l JOIN topic t ON t.id = l.topic_id
--   ORDER BY t.name, l."offset";
--
-- and a time with datetime(created_at_ms / 1000, 'unixepoch').

-- The last id that was given out, whether or not something came of it.
CREATE TABLE IF NOT EXISTS id_counter (
    kind    TEXT PRIMARY KEY, -- 'topic', 'producer', 'consumer', 'segment'
    last_id INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO id_counter VALUES ('topic', 0), ('producer', 0), ('consumer', 0), ('segment', 0)
    ON CONFLICT DO NOTHING;

-- One row. Each broker that starts makes the epoch one larger; written_over counts the failed
-- commits that a transaction had to be written over (a change that changes nothing writes nothing).
CREATE TABLE IF NOT EXISTS ownership (epoch INTEGER NOT NULL, written_over INTEGER NOT NULL);
INSERT INTO ownership SELECT 0, 0 WHERE NOT EXISTS (SELECT 1 FROM ownership);

CREATE TABLE IF NOT EXISTS topic (
    id            INTEGER PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    created_at_ms INTEGER NOT NULL,
    -- How much of its log is kept; NULL: what the broker's options say. 0: no limit.
    retention_bytes  INTEGER,
    retention_age_s  INTEGER,
    retention_unread INTEGER -- 0: keep; 1: remove
);

-- The counter row: next_offset makes offsets dense and visible in order; epoch is the fence.
-- What lies before first_offset has been removed. bytes: of all messages that there ever were,
-- 100 for each row included.
CREATE TABLE IF NOT EXISTS partition (
    topic_id     INTEGER NOT NULL,
    number       INTEGER NOT NULL,
    next_offset  INTEGER NOT NULL DEFAULT 0,
    epoch        INTEGER NOT NULL DEFAULT 1,
    owner        TEXT,
    first_offset INTEGER NOT NULL DEFAULT 0,
    bytes        INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (topic_id, number)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS producer (
    id               INTEGER PRIMARY KEY,
    topic_id         INTEGER NOT NULL,
    registered_at_ms INTEGER NOT NULL
);

-- The last sequence that was accepted, and the offset it got.
CREATE TABLE IF NOT EXISTS producer_sequence (
    producer_id INTEGER NOT NULL,
    partition   INTEGER NOT NULL,
    sequence    INTEGER NOT NULL,
    "offset"    INTEGER NOT NULL,
    PRIMARY KEY (producer_id, partition)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS consumer (
    id               INTEGER PRIMARY KEY,
    topic_id         INTEGER NOT NULL,
    registered_at_ms INTEGER NOT NULL
);

-- The offset of the next message that the consumer wants.
CREATE TABLE IF NOT EXISTS consumer_position (
    consumer_id INTEGER NOT NULL,
    partition   INTEGER NOT NULL,
    "offset"    INTEGER NOT NULL,
    PRIMARY KEY (consumer_id, partition)
) WITHOUT ROWID;

-- Where a partition's log may be cut off. Unlike in schema.sql no table belongs to it: the rows
-- of a partition lie together, and a range of them goes page by page.
CREATE TABLE IF NOT EXISTS segment (
    id           INTEGER PRIMARY KEY,
    topic_id     INTEGER NOT NULL,
    partition    INTEGER NOT NULL,
    first_offset INTEGER, -- NULL: made, and not in use yet
    first_bytes  INTEGER, -- of the messages before it
    opened_at_ms INTEGER
);

-- WITHOUT ROWID: the rows lie in the order in which they are read.
CREATE TABLE IF NOT EXISTS log (
    topic_id      INTEGER NOT NULL,
    partition     INTEGER NOT NULL,
    "offset"      INTEGER NOT NULL,
    producer_id   INTEGER NOT NULL,
    sequence      INTEGER,
    created_at_ms INTEGER NOT NULL,
    message       TEXT NOT NULL,
    PRIMARY KEY (topic_id, partition, "offset")
) WITHOUT ROWID;
