-- The broker's tables, version 2. Every broker runs this at its start (in one transaction,
-- one broker at a time); what exists stays as it is. A person reads the log with
--
--   SELECT t.name, l."offset", l.message FROM myqueue.log l JOIN myqueue.topic t ON t.id = l.topic_id
--   ORDER BY t.name, l."offset";

CREATE SCHEMA IF NOT EXISTS myqueue;
SET LOCAL search_path = myqueue;

CREATE TABLE IF NOT EXISTS schema_version (version int NOT NULL);
INSERT INTO schema_version SELECT 2 WHERE NOT EXISTS (SELECT FROM schema_version);

-- Version 1 had one table for all messages: it becomes segment 0, as it is. Counting the
-- bytes reads it once.
DO $$
BEGIN
    IF (SELECT version FROM schema_version) = 1 THEN
        ALTER TABLE log RENAME TO log_0;
        ALTER INDEX log_pkey RENAME TO log_0_pkey;
        ALTER TABLE log_0 ADD COLUMN segment int NOT NULL DEFAULT 0;
        ALTER TABLE topic ADD COLUMN retention_bytes bigint, ADD COLUMN retention_age_s bigint,
            ADD COLUMN retention_unread text;
        ALTER TABLE partition ADD COLUMN first_offset bigint NOT NULL DEFAULT 0,
            ADD COLUMN bytes bigint NOT NULL DEFAULT 0;
        UPDATE partition AS p SET bytes = l.bytes FROM (
            SELECT topic_id, partition, sum(octet_length(message) + 100) AS bytes
            FROM log_0 GROUP BY topic_id, partition) AS l
            WHERE l.topic_id = p.topic_id AND l.partition = p.number;
        DROP FUNCTION commit_batch;
        UPDATE schema_version SET version = 2;
    END IF;
END
$$;

-- Sequences, not max(id) + 1: an id that has ever been given out is never given out again,
-- not even by a broker that does not know yet that it has been replaced.
CREATE SEQUENCE IF NOT EXISTS topic_id;
CREATE SEQUENCE IF NOT EXISTS producer_id;
CREATE SEQUENCE IF NOT EXISTS consumer_id;

-- Whose turn it is: one row. Each broker that starts makes the epoch one larger, and the one
-- before can register nothing more.
CREATE TABLE IF NOT EXISTS ownership (epoch bigint NOT NULL);
INSERT INTO ownership SELECT 0 WHERE NOT EXISTS (SELECT FROM ownership);

CREATE TABLE IF NOT EXISTS topic (
    id         bigint PRIMARY KEY,
    name       text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    -- How much of its log is kept; NULL: what the broker's options say. 0: no limit.
    retention_bytes  bigint,
    retention_age_s  bigint,
    retention_unread text CHECK (retention_unread IN ('keep', 'remove'))
);

-- The counter row: next_offset makes offsets dense and visible in order; epoch is the fence.
-- What lies before first_offset has been removed. bytes: of all messages that there ever
-- were, 100 for each row included.
CREATE TABLE IF NOT EXISTS partition (
    topic_id     bigint NOT NULL REFERENCES topic,
    number       int NOT NULL,
    next_offset  bigint NOT NULL DEFAULT 0,
    epoch        bigint NOT NULL DEFAULT 1,
    owner        text,
    first_offset bigint NOT NULL DEFAULT 0,
    bytes        bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (topic_id, number)
) WITH (fillfactor = 50);

CREATE TABLE IF NOT EXISTS producer (
    id            bigint PRIMARY KEY,
    topic_id      bigint NOT NULL REFERENCES topic,
    registered_at timestamptz NOT NULL DEFAULT now()
);

-- The last sequence that was accepted, and the offset it got.
CREATE TABLE IF NOT EXISTS producer_sequence (
    producer_id bigint NOT NULL REFERENCES producer,
    partition   int NOT NULL,
    sequence    bigint NOT NULL,
    "offset"    bigint NOT NULL,
    PRIMARY KEY (producer_id, partition)
) WITH (fillfactor = 50);

CREATE TABLE IF NOT EXISTS consumer (
    id            bigint PRIMARY KEY,
    topic_id      bigint NOT NULL REFERENCES topic,
    registered_at timestamptz NOT NULL DEFAULT now()
);

-- The offset of the next message that the consumer wants.
CREATE TABLE IF NOT EXISTS consumer_position (
    consumer_id bigint NOT NULL REFERENCES consumer,
    partition   int NOT NULL,
    "offset"    bigint NOT NULL,
    PRIMARY KEY (consumer_id, partition)
) WITH (fillfactor = 50);

-- The log is in segments: a table log_<segment> each. Segment 0 has the messages of all topics
-- whose log is not limited. A partition whose log is limited gets segments of its own, one
-- after the other, so that its old end can be removed by dropping a table.
-- No foreign keys here: the broker checks them, and each would cost a look-up per message.
CREATE TABLE IF NOT EXISTS log (
    topic_id    bigint NOT NULL,
    partition   int NOT NULL,
    segment     int NOT NULL DEFAULT 0,
    "offset"    bigint NOT NULL,
    producer_id bigint NOT NULL,
    sequence    bigint,
    message     text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
) PARTITION BY LIST (segment);

CREATE TABLE IF NOT EXISTS log_0 (
    LIKE log INCLUDING DEFAULTS,
    PRIMARY KEY (topic_id, partition, "offset")
);
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = 'log_0'::regclass) THEN
        ALTER TABLE log ATTACH PARTITION log_0 FOR VALUES IN (0);
    END IF;
END
$$;

-- Every segment but 0: a row is made and removed in the transaction that makes or trims it, so
-- a table log_<id> without one is nobody's.
CREATE SEQUENCE IF NOT EXISTS segment_id AS int;
CREATE TABLE IF NOT EXISTS segment (
    id           int PRIMARY KEY,
    topic_id     bigint NOT NULL REFERENCES topic,
    partition    int NOT NULL,
    first_offset bigint, -- NULL: made, and not in use yet
    first_bytes  bigint, -- of the messages before it
    opened_at    timestamptz
);

-- A batch of the committer is one transaction: a pipeline of the functions
-- below, each for one kind of rows and called only when there are such rows. All arguments are
-- arrays, an element a row. Each raises MQ001 (fenced) when another broker has become the
-- owner. Names are found by the session's search_path: a SET clause would cost each call.

-- May be repeated.
CREATE OR REPLACE FUNCTION commit_clients(
    owner_epoch bigint,
    topic_ids bigint[], topic_names text[],
    producer_ids bigint[], producer_topics bigint[],
    consumer_ids bigint[], consumer_topics bigint[], consumer_offsets bigint[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    found_count bigint;
BEGIN
    -- FOR SHARE, here and below: a new owner waits for this transaction, or this one sees
    -- its epoch.
    PERFORM FROM ownership WHERE epoch = owner_epoch FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'another broker owns the log' USING ERRCODE = 'MQ001';
    END IF;
    INSERT INTO topic (id, name)
        SELECT * FROM unnest(topic_ids, topic_names) ON CONFLICT DO NOTHING;
    SELECT count(*) INTO found_count
        FROM topic JOIN unnest(topic_ids, topic_names) AS wanted (id, name) USING (id, name);
    IF found_count <> cardinality(topic_ids) THEN
        RAISE EXCEPTION 'another broker has created the topic' USING ERRCODE = 'MQ001';
    END IF;
    INSERT INTO partition (topic_id, number)
        SELECT id, 0 FROM unnest(topic_ids) AS id ON CONFLICT DO NOTHING;
    INSERT INTO producer (id, topic_id)
        SELECT * FROM unnest(producer_ids, producer_topics) ON CONFLICT DO NOTHING;
    INSERT INTO consumer (id, topic_id)
        SELECT * FROM unnest(consumer_ids, consumer_topics) ON CONFLICT DO NOTHING;
    INSERT INTO consumer_position (consumer_id, partition, "offset")
        SELECT id, 0, first_offset FROM unnest(consumer_ids, consumer_offsets)
            AS c (id, first_offset) ON CONFLICT DO NOTHING;
END
$$;

-- The messages, and where their partitions stand. A large batch has no messages here: they come
-- by COPY, behind it in the same transaction. unnest() in the select list and not in FROM,
-- which would write each array to a tuplestore first. Statements of their own for a single row
-- of each: without unnest() they start faster, which a lone producer waits for.
CREATE OR REPLACE FUNCTION commit_messages(
    advance_topics bigint[], advance_partitions int[], advance_epochs bigint[],
    advance_bases bigint[], advance_counts bigint[], advance_bytes bigint[],
    log_topics bigint[], log_partitions int[], log_offsets bigint[],
    log_producers bigint[], log_sequences bigint[], log_messages text[],
    log_segments int[] -- empty: all are in segment 0
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    found_count bigint;
BEGIN
    IF cardinality(advance_topics) = 1 THEN
        UPDATE partition AS p SET next_offset = p.next_offset + advance_counts[1],
                                  bytes = p.bytes + advance_bytes[1]
            WHERE p.topic_id = advance_topics[1] AND p.number = advance_partitions[1]
                AND p.epoch = advance_epochs[1] AND p.next_offset = advance_bases[1];
    ELSE
        UPDATE partition AS p SET next_offset = p.next_offset + a.count, bytes = p.bytes + a.bytes
            FROM unnest(advance_topics, advance_partitions, advance_epochs, advance_bases,
                        advance_counts, advance_bytes)
                AS a (topic_id, number, epoch, base, count, bytes)
            WHERE p.topic_id = a.topic_id AND p.number = a.number
                AND p.epoch = a.epoch AND p.next_offset = a.base;
    END IF;
    GET DIAGNOSTICS found_count = ROW_COUNT;
    IF found_count <> cardinality(advance_topics) THEN
        RAISE EXCEPTION 'another broker owns the partition' USING ERRCODE = 'MQ001';
    END IF;
    IF cardinality(log_segments) = 0 AND cardinality(log_topics) = 1 THEN
        INSERT INTO log_0 (topic_id, partition, "offset", producer_id, sequence, message)
            VALUES (log_topics[1], log_partitions[1], log_offsets[1], log_producers[1],
                    log_sequences[1], log_messages[1]);
    ELSIF cardinality(log_segments) = 0 THEN
        INSERT INTO log_0 (topic_id, partition, "offset", producer_id, sequence, message)
            SELECT unnest(log_topics), unnest(log_partitions), unnest(log_offsets),
                   unnest(log_producers), unnest(log_sequences), unnest(log_messages);
    ELSE
        INSERT INTO log (topic_id, partition, "offset", producer_id, sequence, message, segment)
            SELECT unnest(log_topics), unnest(log_partitions), unnest(log_offsets),
                   unnest(log_producers), unnest(log_sequences), unnest(log_messages),
                   unnest(log_segments);
    END IF;
END
$$;

-- The last sequences of producers; after commit_messages, which has checked the epochs.
CREATE OR REPLACE FUNCTION commit_sequences(
    producers bigint[], partitions int[], sequences bigint[], offsets bigint[]
) RETURNS void LANGUAGE sql AS $$
    INSERT INTO producer_sequence (producer_id, partition, sequence, "offset")
        SELECT * FROM unnest(producers, partitions, sequences, offsets)
        ON CONFLICT (producer_id, partition)
        DO UPDATE SET sequence = excluded.sequence, "offset" = excluded."offset";
$$;

-- May be repeated.
CREATE OR REPLACE FUNCTION commit_positions(
    consumers bigint[], topics bigint[], partitions int[], epochs bigint[], offsets bigint[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    found_count bigint;
BEGIN
    SELECT count(*) INTO found_count FROM (
        SELECT FROM unnest(topics, partitions, epochs) AS w (topic_id, number, epoch)
        JOIN partition AS p USING (topic_id, number, epoch) FOR SHARE OF p) AS owned;
    IF found_count <> cardinality(consumers) THEN
        RAISE EXCEPTION 'another broker owns the partition' USING ERRCODE = 'MQ001';
    END IF;
    UPDATE consumer_position AS c SET "offset" = p."offset"
        FROM unnest(consumers, partitions, offsets) AS p (consumer_id, partition, "offset")
        WHERE c.consumer_id = p.consumer_id AND c.partition = p.partition;
END
$$;

-- How much of the log is kept: after commit_clients, which makes the topics. NULLs in limits:
-- the broker's default.
CREATE OR REPLACE FUNCTION commit_retention(
    topic_ids bigint[], topic_bytes bigint[], topic_ages bigint[], topic_unread int[],
    roll_segments int[], roll_topics bigint[], roll_partitions int[], roll_epochs bigint[],
    roll_offsets bigint[], roll_bytes bigint[], roll_opened_ms bigint[],
    trim_topics bigint[], trim_partitions int[], trim_epochs bigint[], trim_offsets bigint[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    found_count bigint;
BEGIN
    UPDATE topic SET retention_bytes = nullif(w.bytes, -1), retention_age_s = nullif(w.age, -1),
                     retention_unread = CASE w.unread WHEN 0 THEN 'keep' WHEN 1 THEN 'remove' END
        FROM unnest(topic_ids, topic_bytes, topic_ages, topic_unread) AS w (id, bytes, age, unread)
        WHERE topic.id = w.id;
    -- FOR SHARE: see commit_clients.
    SELECT count(*) INTO found_count FROM (
        SELECT FROM unnest(roll_topics || trim_topics, roll_partitions || trim_partitions,
                           roll_epochs || trim_epochs) AS w (topic_id, number, epoch)
        JOIN partition AS p USING (topic_id, number, epoch) FOR SHARE OF p) AS owned;
    IF found_count <> cardinality(roll_topics) + cardinality(trim_topics) THEN
        RAISE EXCEPTION 'another broker owns the partition' USING ERRCODE = 'MQ001';
    END IF;
    UPDATE segment AS s SET first_offset = r.first_offset, first_bytes = r.first_bytes,
                            opened_at = to_timestamp(r.opened_ms / 1000.0)
        FROM unnest(roll_segments, roll_offsets, roll_bytes, roll_opened_ms)
            AS r (id, first_offset, first_bytes, opened_ms)
        WHERE s.id = r.id;
    GET DIAGNOSTICS found_count = ROW_COUNT;
    IF found_count <> cardinality(roll_segments) THEN
        RAISE EXCEPTION 'another broker has forgotten the segment' USING ERRCODE = 'MQ001';
    END IF;
    UPDATE partition AS p SET first_offset = t.first_offset
        FROM unnest(trim_topics, trim_partitions, trim_offsets)
            AS t (topic_id, number, first_offset)
        WHERE p.topic_id = t.topic_id AND p.number = t.number;
    DELETE FROM segment AS s
        USING unnest(trim_topics, trim_partitions, trim_offsets)
            AS t (topic_id, number, first_offset)
        WHERE s.topic_id = t.topic_id AND s.partition = t.number
            AND s.first_offset < t.first_offset;
END
$$;

-- A table for a partition's next segment. LIKE and ATTACH, since PARTITION OF would lock out
-- everybody who uses the log. The row comes with the table: see sweep.
CREATE OR REPLACE FUNCTION create_segment(for_topic bigint, for_partition int)
RETURNS bigint LANGUAGE plpgsql SET search_path = myqueue SET lock_timeout = '2s' AS $$
DECLARE
    new_id int := nextval('segment_id');
BEGIN
    EXECUTE format('CREATE TABLE log_%s (LIKE log INCLUDING DEFAULTS, '
                   'PRIMARY KEY (topic_id, partition, "offset"))', new_id);
    EXECUTE format('ALTER TABLE log ATTACH PARTITION log_%1$s FOR VALUES IN (%1$s)', new_id);
    INSERT INTO segment (id, topic_id, partition) VALUES (new_id, for_topic, for_partition);
    RETURN new_id;
END
$$;

-- Remove one table that is nobody's, or else some rows of segment 0 that lie before their
-- partition's first offset. Returns how much was done; 0: nothing was left. DROP TABLE has to
-- have the whole log for itself for a moment, and while it waits for that (somebody's long
-- SELECT), produces to other segments wait behind it: so it waits for lock_timeout only.
CREATE OR REPLACE FUNCTION sweep(rows_max int)
RETURNS bigint LANGUAGE plpgsql SET search_path = myqueue SET lock_timeout = '20ms' AS $$
DECLARE
    nobodys text;
    low record;
    done bigint;
BEGIN
    SELECT c.relname INTO nobodys
        FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'log'::regclass AND c.relname ~ '^log_[1-9][0-9]*$'
            AND NOT EXISTS (SELECT FROM segment WHERE id = substr(c.relname, 5)::int)
        LIMIT 1;
    IF FOUND THEN
        EXECUTE format('DROP TABLE %I', nobodys);
        RETURN 1;
    END IF;
    SELECT p.topic_id, p.number, p.first_offset INTO low FROM partition AS p
        WHERE p.first_offset > 0 AND EXISTS (
            SELECT FROM log_0 AS l WHERE l.topic_id = p.topic_id AND l.partition = p.number
                AND l."offset" < p.first_offset)
        LIMIT 1;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    DELETE FROM log_0 WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM log_0 WHERE topic_id = low.topic_id AND partition = low.number
            AND "offset" < low.first_offset ORDER BY "offset" LIMIT rows_max));
    GET DIAGNOSTICS done = ROW_COUNT;
    RETURN done;
END
$$;
