-- Let those that are still `me`'s wait again, as if they had not been taken; returns their serials.
CREATE OR REPLACE FUNCTION workerpool.hand_back(
    queue_ int, channel text, me text, serials bigint[], attempts_ int[], begun_ boolean[]
) RETURNS SETOF bigint LANGUAGE plpgsql {planned} AS $$
DECLARE
    given record;
BEGIN
    WITH back AS (
        UPDATE workerpool.jobs AS j
        SET attempts = j.attempts - 1, begun = mine.begun, owner = NULL, lease_until = NULL
        FROM unnest(serials, attempts_, begun_) AS mine (serial, attempt, begun)
        WHERE j.serial = mine.serial AND j.attempts = mine.attempt AND j.owner = me
        RETURNING j.serial, j.tenant
    )
    SELECT array_agg(back.serial) AS serials, array_agg(back.tenant) FILTER (WHERE back.tenant <> '') AS tenants
    INTO given FROM back;
    IF given.tenants IS NOT NULL THEN
        PERFORM workerpool.spend(queue_, given.tenants, -1, extract(epoch FROM clock_timestamp())::float8);
    END IF;
    IF given.serials IS NOT NULL THEN
        PERFORM pg_notify(channel, 'job');
    END IF;
    RETURN QUERY SELECT unnest(given.serials);
END $$;

-- Move those that are still `me`'s to the dead letters; returns their serials.
CREATE OR REPLACE FUNCTION workerpool.dead_letter(
    queue_ int, me text, serials bigint[], attempts_ int[], reasons text[], errors text[], tracebacks text[],
    versions text[], workers text[]
) RETURNS SETOF bigint LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY WITH mine AS (
        SELECT * FROM unnest(serials, attempts_, reasons, errors, tracebacks, versions, workers)
        WITH ORDINALITY AS m (serial, attempt, reason, error, traceback, version, worker, n)
    ), gone AS (
        DELETE FROM workerpool.jobs AS j USING mine
        WHERE j.serial = mine.serial AND j.attempts = mine.attempt AND j.owner = me
        RETURNING j.*, mine.reason, mine.error, mine.traceback, mine.version, mine.worker, mine.n
    ), kept AS (
        INSERT INTO workerpool.dead (queue, id, type, payload, attempts, reason, error, traceback, version, worker, at,
                                     tenant, priority, key, trace)
        SELECT queue_, id, type, payload, attempts, reason, error, traceback, version, worker,
               extract(epoch FROM clock_timestamp()), tenant, priority, key, trace
        FROM gone ORDER BY n
    )
    SELECT gone.serial FROM gone;
END $$;

-- Redrive or purge the first of the dead letters that match, up to the one numbered `last`; returns how many.
CREATE OR REPLACE FUNCTION workerpool.remove_dead(
    queue_ int, channel text, reason_ text, id_ text, last bigint, redrive boolean
) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    removed int;
BEGIN
    WITH gone AS (
        DELETE FROM workerpool.dead WHERE serial IN (
            SELECT d.serial FROM workerpool.dead AS d
            WHERE d.queue = queue_ AND d.serial <= last
            AND (reason_ = '' OR d.reason = reason_) AND (id_ = '' OR d.id = id_)
            ORDER BY d.serial LIMIT {chunk} FOR UPDATE
        ) RETURNING *
    ), put AS (
        INSERT INTO workerpool.jobs (queue, id, type, payload, due, tenant, priority, key, trace)
        SELECT queue_, id, type, payload, extract(epoch FROM clock_timestamp()), tenant, priority, key, trace
        FROM gone WHERE redrive ORDER BY serial
    )
    SELECT count(*) INTO removed FROM gone;
    IF redrive AND removed > 0 THEN
        PERFORM pg_notify(channel, 'job');
    END IF;
    RETURN removed;
END $$;

-- What the queue needs now and then: forget old ids of jobs, announce the limits of tenants.
CREATE OR REPLACE FUNCTION workerpool.maintain(queue_ int, limits_ text) RETURNS void LANGUAGE plpgsql {planned} AS $$
DECLARE
    t float8 := extract(epoch FROM clock_timestamp());
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    DELETE FROM workerpool.seen WHERE (queue, id) IN (
        SELECT s.queue, s.id FROM workerpool.seen AS s
        WHERE s.queue = queue_ AND s.until <= t ORDER BY s.until LIMIT 10000 FOR UPDATE SKIP LOCKED);
    PERFORM workerpool.announce(queue_, limits_, t);
END $$;

-- How many of those that are due no free consumer could take.
CREATE OR REPLACE FUNCTION workerpool.blocked(queue_ int, t float8) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    result bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM workerpool.queues WHERE queue = queue_ AND ordered) THEN
        RETURN 0;
    END IF;
    WITH due_ AS (
        SELECT j.tenant, j.key = '' OR workerpool.key_is_free(queue_, j.key, j.serial, j.attempts, t) AS able
        FROM workerpool.jobs AS j WHERE j.queue = queue_ AND j.owner IS NULL AND j.due <= t
    )
    SELECT count(*) FILTER (WHERE NOT able) + (
        SELECT coalesce(sum(greatest(0, a.n - r.free)), 0)
        FROM workerpool.rooms(queue_, t) AS r
        JOIN (SELECT tenant, count(*) AS n FROM due_ WHERE able GROUP BY tenant) AS a ON a.tenant = r.tenant
        WHERE r.free IS NOT NULL
    ) INTO result FROM due_;
    RETURN result;
END $$;
