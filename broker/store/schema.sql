-- The broker's tables, version 1. Every broker runs this at its start (in one transaction,
-- one broker at a time); what exists stays as it is. A person reads the log with
--
--   SELECT t.name, l."offset", l.message FROM myqueue.log l JOIN myqueue.topic t ON t.id = l.topic_id
--   ORDER BY t.name, l."offset";

CREATE SCHEMA IF NOT EXISTS myqueue;
SET LOCAL search_path = myqueue;

CREATE TABLE IF NOT EXISTS schema_version (version int NOT NULL);
INSERT INTO schema_version SELECT 1 WHERE NOT EXISTS (SELECT FROM schema_version);

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
    created_at timestamptz NOT NULL DEFAULT now()
);

-- The counter row: next_offset makes offsets dense and visible in order; epoch is the fence.
CREATE TABLE IF NOT EXISTS partition (
    topic_id    bigint NOT NULL REFERENCES topic,
    number      int NOT NULL,
    next_offset bigint NOT NULL DEFAULT 0,
    epoch       bigint NOT NULL DEFAULT 1,
    owner       text,
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

-- No foreign keys here: the broker checks them, and each would cost a look-up per message.
CREATE TABLE IF NOT EXISTS log (
    topic_id    bigint NOT NULL,
    partition   int NOT NULL,
    "offset"    bigint NOT NULL,
    producer_id bigint NOT NULL,
    sequence    bigint,
    message     text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic_id, partition, "offset")
);

-- One batch of the committer, in one round trip: all arguments are arrays, one set of
-- arrays per kind of row. Raises MQ001 (fenced) when another broker has become the owner, or
-- a partition does not stand where its owner believes. Without messages it may be repeated.
CREATE OR REPLACE FUNCTION commit_batch(
    owner_epoch bigint,
    topic_ids bigint[], topic_names text[],
    producer_ids bigint[], producer_topics bigint[],
    consumer_ids bigint[], consumer_topics bigint[], consumer_offsets bigint[],
    advance_topics bigint[], advance_partitions int[], advance_epochs bigint[],
    advance_bases bigint[], advance_counts bigint[],
    log_topics bigint[], log_partitions int[], log_offsets bigint[],
    log_producers bigint[], log_sequences bigint[], log_messages text[],
    sequence_producers bigint[], sequence_partitions int[], sequence_values bigint[],
    sequence_offsets bigint[],
    position_consumers bigint[], position_topics bigint[], position_partitions int[],
    position_epochs bigint[], position_offsets bigint[]
) RETURNS void LANGUAGE plpgsql SET search_path = myqueue AS $$
DECLARE
    found_count bigint;
BEGIN
    IF cardinality(topic_ids) + cardinality(producer_ids) + cardinality(consumer_ids) > 0 THEN
        -- FOR SHARE, here and below: a new owner waits for this transaction, or this one sees
        -- its epoch.
        PERFORM FROM ownership WHERE epoch = owner_epoch FOR SHARE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'another broker owns the log' USING ERRCODE = 'MQ001';
        END IF;
    END IF;
    IF cardinality(topic_ids) > 0 THEN
        INSERT INTO topic (id, name)
            SELECT * FROM unnest(topic_ids, topic_names) ON CONFLICT DO NOTHING;
        SELECT count(*) INTO found_count
            FROM topic JOIN unnest(topic_ids, topic_names) AS wanted (id, name) USING (id, name);
        IF found_count <> cardinality(topic_ids) THEN
            RAISE EXCEPTION 'another broker has created the topic' USING ERRCODE = 'MQ001';
        END IF;
        INSERT INTO partition (topic_id, number)
            SELECT id, 0 FROM unnest(topic_ids) AS id ON CONFLICT DO NOTHING;
    END IF;
    IF cardinality(producer_ids) > 0 THEN
        INSERT INTO producer (id, topic_id)
            SELECT * FROM unnest(producer_ids, producer_topics) ON CONFLICT DO NOTHING;
    END IF;
    IF cardinality(consumer_ids) > 0 THEN
        INSERT INTO consumer (id, topic_id)
            SELECT * FROM unnest(consumer_ids, consumer_topics) ON CONFLICT DO NOTHING;
        INSERT INTO consumer_position (consumer_id, partition, "offset")
            SELECT id, 0, first_offset FROM unnest(consumer_ids, consumer_offsets)
                AS c (id, first_offset) ON CONFLICT DO NOTHING;
    END IF;
    IF cardinality(advance_topics) > 0 THEN
        UPDATE partition AS p SET next_offset = p.next_offset + a.count
            FROM unnest(advance_topics, advance_partitions, advance_epochs, advance_bases,
                        advance_counts) AS a (topic_id, number, epoch, base, count)
            WHERE p.topic_id = a.topic_id AND p.number = a.number
                AND p.epoch = a.epoch AND p.next_offset = a.base;
        GET DIAGNOSTICS found_count = ROW_COUNT;
        IF found_count <> cardinality(advance_topics) THEN
            RAISE EXCEPTION 'another broker owns the partition' USING ERRCODE = 'MQ001';
        END IF;
        INSERT INTO log (topic_id, partition, "offset", producer_id, sequence, message)
            SELECT l.topic_id, l.partition, l."offset", l.producer_id, nullif(l.sequence, -1),
                   l.message
            FROM unnest(log_topics, log_partitions, log_offsets, log_producers, log_sequences,
                        log_messages)
                AS l (topic_id, partition, "offset", producer_id, sequence, message);
    END IF;
    IF cardinality(sequence_producers) > 0 THEN
        INSERT INTO producer_sequence (producer_id, partition, sequence, "offset")
            SELECT * FROM unnest(sequence_producers, sequence_partitions, sequence_values,
                                 sequence_offsets)
            ON CONFLICT (producer_id, partition)
            DO UPDATE SET sequence = excluded.sequence, "offset" = excluded."offset";
    END IF;
    IF cardinality(position_consumers) > 0 THEN
        SELECT count(*) INTO found_count FROM (
            SELECT FROM unnest(position_topics, position_partitions, position_epochs)
                AS w (topic_id, number, epoch)
            JOIN partition AS p USING (topic_id, number, epoch) FOR SHARE OF p) AS owned;
        IF found_count <> cardinality(position_consumers) THEN
            RAISE EXCEPTION 'another broker owns the partition' USING ERRCODE = 'MQ001';
        END IF;
        UPDATE consumer_position AS c SET "offset" = p."offset"
            FROM unnest(position_consumers, position_partitions, position_offsets)
                AS p (consumer_id, partition, "offset")
            WHERE c.consumer_id = p.consumer_id AND c.partition = p.partition;
    END IF;
END
$$;
