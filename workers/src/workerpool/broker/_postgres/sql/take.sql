-- Jobs that are not to be run leave for the dead letters; the rules are those of `workerpool.broker._shed`.
CREATE OR REPLACE FUNCTION workerpool.bury(queue_ int, serials bigint[], reason_ text, error_ text, me text, t float8)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
BEGIN
    IF serials = '{}' THEN
        RETURN 0;
    END IF;
    WITH gone AS (DELETE FROM workerpool.jobs WHERE serial = ANY (serials) RETURNING *), kept AS (
        INSERT INTO workerpool.dead (queue, id, type, payload, attempts, reason, error, traceback, version, worker, at,
                                     tenant, priority, key, trace)
        SELECT queue_, id, type, payload, attempts, reason_, error_, '', '', me, t, tenant, priority, key, trace
        FROM gone ORDER BY serial RETURNING 1
    )
    SELECT count(*) INTO n FROM kept;
    RETURN n;
END $$;

CREATE OR REPLACE FUNCTION workerpool.sweep(
    queue_ int, me text, held bigint[], classes text[], seconds float8[], t float8, OUT expired int, OUT shed int
) LANGUAGE plpgsql AS $$
DECLARE
    found_ bigint[];
    late bigint[];
BEGIN
    found_ := ARRAY(
        SELECT serial FROM workerpool.jobs
        WHERE jobs.queue = queue_ AND expires <= t AND ((owner IS NULL AND due <= t)
            OR (owner IS NOT NULL AND lease_until <= t AND NOT (owner = me AND serial = ANY (held))))
        ORDER BY expires LIMIT {chunk} FOR UPDATE SKIP LOCKED);
    expired := workerpool.bury(queue_, found_, 'expired', '{expired_text}', me, t);
    shed := 0;
    FOR n IN 1 .. coalesce(cardinality(classes), 0) LOOP
        late := ARRAY(
            SELECT serial FROM workerpool.jobs
            WHERE jobs.queue = queue_ AND owner IS NULL AND tag IS NULL AND due < t - seconds[n]
            AND priority = classes[n] AND NOT begun AND NOT redelivered ORDER BY due LIMIT {chunk} FOR UPDATE SKIP LOCKED);
        shed := shed + workerpool.bury(queue_, late, 'shed', '{shed_text}', me, t);
        late := ARRAY(
            SELECT serial FROM workerpool.jobs
            WHERE jobs.queue = queue_ AND owner IS NULL AND tag IS NOT NULL AND due < t - seconds[n]
            AND priority = classes[n] AND NOT begun AND NOT redelivered ORDER BY due LIMIT {chunk} FOR UPDATE SKIP LOCKED);
        shed := shed + workerpool.bury(queue_, late, 'shed', '{shed_text}', me, t);
    END LOOP;
END $$;

-- Up to `most` jobs, which are `me`'s from now on. Those `held` are worked on by `me`, whatever their lease; with
-- `strays` those that are `me`'s and not held come back at once: the answer that told of them was lost. `what` of a row: 'job'; 'dropped' (`type` says why, `attempts` how
-- many); 'state': whether there is an order (`begun`), and in how many seconds the next one may run (`waited`).
CREATE OR REPLACE FUNCTION workerpool.take(
    queue_ int, name_ text, me text, lease float8, most int, held bigint[], without text[], look boolean,
    strays boolean, classes text[], seconds float8[]
) RETURNS TABLE (
    what text, serial bigint, id text, type text, payload bytea, attempts int, waited float8, redelivered boolean,
    checkpoint bytea, tenant text, priority text, key text, trace text, begun boolean
) LANGUAGE plpgsql {planned} AS $$
#variable_conflict use_column
DECLARE
    t float8;
    in_order boolean;
    dropped record;
    missing int := most;
    mine bigint[] := '{}';
    more bigint[];
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);  -- what is lost in a crash is given out again
    SELECT queues.ordered INTO STRICT in_order FROM workerpool.queues
    WHERE queues.queue = queue_ AND queues.name = name_;
    IF in_order THEN
        PERFORM pg_advisory_xact_lock(hashtext('workerpool.take'), queue_);
    END IF;
    t := extract(epoch FROM clock_timestamp());
    dropped := workerpool.sweep(queue_, me, held, classes, seconds, t);
    IF dropped.expired > 0 THEN
        what := 'dropped'; type := 'expired'; attempts := dropped.expired;
        RETURN NEXT;
    END IF;
    IF dropped.shed > 0 THEN
        what := 'dropped'; type := 'shed'; attempts := dropped.shed;
        RETURN NEXT;
    END IF;
    IF dropped.expired >= {chunk} OR dropped.shed >= {chunk} THEN
        missing := 0;  -- there may be more of them, which nobody must be given
    END IF;
    IF look AND missing > 0 THEN
        mine := ARRAY(
            SELECT jobs.serial FROM workerpool.jobs
            WHERE jobs.queue = queue_ AND jobs.owner IS NOT NULL
            AND (jobs.lease_until <= t OR (strays AND jobs.owner = me))
            AND NOT (jobs.owner = me AND jobs.serial = ANY (held))
            ORDER BY jobs.due, jobs.serial LIMIT missing FOR UPDATE SKIP LOCKED);
        RETURN QUERY SELECT * FROM workerpool.lease_out(mine, me, lease, t);
        missing := missing - cardinality(mine);
    END IF;
    IF missing > 0 AND in_order THEN
        RETURN QUERY SELECT * FROM workerpool.lease_in_order(queue_, me, lease, missing, without, t);
    ELSIF missing > 0 THEN
        more := ARRAY(
            SELECT jobs.serial FROM workerpool.jobs
            WHERE jobs.queue = queue_ AND jobs.owner IS NULL AND jobs.tag IS NULL AND jobs.due <= t
            AND jobs.type <> ALL (without)
            ORDER BY jobs.due, jobs.serial LIMIT missing FOR UPDATE SKIP LOCKED);
        RETURN QUERY SELECT * FROM workerpool.lease_out(more, me, lease, t);
    END IF;
    what := 'state'; begun := in_order;
    waited := (SELECT min(jobs.due) - t FROM workerpool.jobs
               WHERE jobs.queue = queue_ AND jobs.owner IS NULL AND jobs.tag IS NULL AND jobs.due > t);
    IF in_order AND most = missing THEN
        waited := least(waited, (SELECT min(again) FROM workerpool.rooms(queue_, t) WHERE again > 0));
    END IF;
    RETURN NEXT;
END $$;

-- These are `me`'s from now on; in their order.
CREATE OR REPLACE FUNCTION workerpool.lease_out(serials bigint[], me text, lease float8, t float8) RETURNS TABLE (
    what text, serial bigint, id text, type text, payload bytea, attempts int, waited float8, redelivered boolean,
    checkpoint bytea, tenant text, priority text, key text, trace text, begun boolean
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    IF serials = '{}' THEN
        RETURN;
    END IF;
    RETURN QUERY WITH before AS (
        SELECT jobs.serial, jobs.redelivered OR jobs.owner IS NOT NULL AS redelivered, one.n
        FROM unnest(serials) WITH ORDINALITY AS one(serial, n) JOIN workerpool.jobs USING (serial)
    ), leased AS (
        UPDATE workerpool.jobs
        SET attempts = jobs.attempts + 1, redelivered = before.redelivered, owner = me, lease_until = t + lease
        FROM before WHERE jobs.serial = before.serial
        RETURNING before.n, 'job' AS what, jobs.serial, jobs.id, jobs.type, jobs.payload, jobs.attempts,
            greatest(0, t - jobs.due) AS waited, before.redelivered, jobs.checkpoint, jobs.tenant, jobs.priority, jobs.key,
            jobs.trace, jobs.begun
    )
    SELECT l.what, l.serial, l.id, l.type, l.payload, l.attempts, l.waited, l.redelivered, l.checkpoint, l.tenant,
           l.priority, l.key, l.trace, l.begun
    FROM leased AS l ORDER BY l.n;
END $$;
