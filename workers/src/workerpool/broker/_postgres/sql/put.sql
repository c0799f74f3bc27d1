-- Put as many as there is room for, from the first; returns how many. A duplicate counts, and needs no room.
CREATE OR REPLACE FUNCTION workerpool.put(
    queue_ int, name_ text, channel text, most int, deduplicated float8,
    ids text[], types text[], payloads bytea[], delays float8[], tenants text[], priorities text[], keys text[],
    traces text[], lives float8[]
) RETURNS int LANGUAGE plpgsql {planned} AS $$
DECLARE
    t float8;
    room bigint := cardinality(ids);
    accepted int;
    fresh int;
    crowd int;
BEGIN
    PERFORM FROM workerpool.queues WHERE queues.queue = queue_ AND queues.name = name_;
    IF NOT FOUND THEN
        RAISE no_data_found USING MESSAGE = 'the queue was deleted';
    END IF;
    IF most IS NOT NULL THEN  -- who counts must be alone
        PERFORM pg_advisory_xact_lock(hashtext('workerpool.put'), queue_);
    END IF;
    t := extract(epoch FROM clock_timestamp());
    IF most IS NOT NULL THEN
        SELECT greatest(0, most - count(*)) INTO room FROM workerpool.jobs
        WHERE jobs.queue = queue_ AND owner IS NULL AND due <= t;
    END IF;
    SELECT count(*) INTO crowd FROM (
        SELECT FROM workerpool.jobs WHERE jobs.queue = queue_ AND owner IS NULL AND tag IS NULL AND due <= t
        LIMIT {crowd}
    ) AS first_ones;
    WITH given AS (
        SELECT * FROM unnest(ids, types, payloads, delays, tenants, priorities, keys, traces, lives)
        WITH ORDINALITY AS g(id, type, payload, delay, tenant, priority, key, trace, life, n)
    ), marked AS (
        SELECT g.*, g.id <> '' AND (
            EXISTS (SELECT FROM workerpool.seen s WHERE s.queue = queue_ AND s.id = g.id AND s.until > t)
            OR row_number() OVER (PARTITION BY g.id ORDER BY g.n) > 1
        ) AS again FROM given g
    ), ranked AS (
        SELECT m.*, count(*) FILTER (WHERE NOT again) OVER (ORDER BY n) AS place FROM marked m
    ), fitting AS (
        SELECT * FROM ranked WHERE place <= room
    ), noted AS (  -- somebody else may just have put the same; in one order, so that nobody waits in a circle
        INSERT INTO workerpool.seen (queue, id, until)
        SELECT queue_, id, t + deduplicated FROM fitting WHERE NOT again AND id <> '' ORDER BY id
        ON CONFLICT (queue, id) DO UPDATE SET until = excluded.until WHERE seen.until <= t
        RETURNING seen.id
    ), stored AS (
        INSERT INTO workerpool.jobs (queue, id, type, payload, due, tenant, priority, key, trace, expires)
        SELECT queue_, coalesce(nullif(id, ''), replace(gen_random_uuid()::text, '-', '')), type, payload, t + delay,
               tenant, priority, key, trace, t + life
        FROM fitting WHERE NOT again AND (id = '' OR id IN (SELECT noted.id FROM noted)) ORDER BY n
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM fitting), (SELECT count(*) FROM stored) INTO accepted, fresh;
    IF fresh > 0 THEN
        INSERT INTO workerpool.counters (queue, shard, put) VALUES (queue_, pg_backend_pid() % {shards}, fresh)
        ON CONFLICT (queue, shard) DO UPDATE SET put = counters.put + excluded.put;
        IF crowd < {crowd} THEN
            PERFORM pg_notify(channel, CASE WHEN 0 >= ANY (delays) THEN 'job' ELSE 'later' END);
        END IF;
        IF EXISTS (SELECT FROM unnest(tenants, priorities, keys) AS w(tenant, priority, key)
                   WHERE w.tenant <> '' OR w.key <> '' OR w.priority <> 'normal') THEN
            UPDATE workerpool.queues SET ordered = true WHERE queues.queue = queue_ AND NOT ordered;
        END IF;
    END IF;
    RETURN accepted;
END $$;
