SELECT pg_advisory_xact_lock(hashtext('workerpool.schema'), 0);
DO $make$ BEGIN
    IF to_regclass('workerpool.schema_version') IS NULL THEN
        -- The tables of all queues in this database. Times are Unix seconds by the server's clock.
        CREATE SCHEMA workerpool;

        CREATE TABLE workerpool.schema_version (version int NOT NULL);

        CREATE TABLE workerpool.queues (
            queue int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            name text NOT NULL UNIQUE,
            identity text NOT NULL DEFAULT replace(gen_random_uuid()::text, '-', ''),
            ordered boolean NOT NULL DEFAULT false  -- some job wished for an order, once
        );

        -- Jobs put. In several rows, so that producers do not wait for each other's commits.
        CREATE TABLE workerpool.counters (
            queue int NOT NULL,
            shard int NOT NULL,
            put bigint NOT NULL,
            PRIMARY KEY (queue, shard)
        ) WITH (fillfactor = 50);

        -- What changes while a job runs (lease_until, checkpoint) is in no index: extending a lease leaves them alone (HOT).
        CREATE TABLE workerpool.jobs (
            serial bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            queue int NOT NULL,
            attempts int NOT NULL DEFAULT 0,
            begun boolean NOT NULL DEFAULT false,
            due float8 NOT NULL,
            lease_until float8,
            tag float8,
            expires float8,
            owner text,
            id text NOT NULL,
            type text NOT NULL,
            tenant text NOT NULL DEFAULT '',
            priority text NOT NULL DEFAULT 'normal',
            key text NOT NULL DEFAULT '',
            trace text NOT NULL DEFAULT '',
            payload bytea NOT NULL,
            checkpoint bytea NOT NULL DEFAULT ''
        ) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000,
                autovacuum_vacuum_insert_scale_factor = 0.2, autovacuum_analyze_scale_factor = 0.2);
        CREATE INDEX jobs_waiting ON workerpool.jobs (queue, due, serial) WHERE owner IS NULL AND tag IS NULL;
        CREATE INDEX jobs_ranked ON workerpool.jobs (queue, priority, tag, serial) WHERE owner IS NULL AND tag IS NOT NULL;
        CREATE INDEX jobs_aged ON workerpool.jobs (queue, priority, due) WHERE owner IS NULL AND tag IS NOT NULL;
        CREATE INDEX jobs_running ON workerpool.jobs (queue, serial) WHERE owner IS NOT NULL;
        CREATE INDEX jobs_by_key ON workerpool.jobs (queue, key, serial) WHERE key <> '';
        CREATE INDEX jobs_by_expiry ON workerpool.jobs (queue, expires) WHERE expires IS NOT NULL;

        CREATE TABLE workerpool.dead (
            serial bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            queue int NOT NULL,
            attempts int NOT NULL,
            at float8 NOT NULL,
            id text NOT NULL,
            type text NOT NULL,
            reason text NOT NULL,
            error text NOT NULL,
            traceback text NOT NULL,
            version text NOT NULL,
            worker text NOT NULL,
            tenant text NOT NULL,
            priority text NOT NULL,
            key text NOT NULL,
            trace text NOT NULL,
            payload bytea NOT NULL
        );
        CREATE INDEX dead_by_queue ON workerpool.dead (queue, serial);

        CREATE TABLE workerpool.seen (
            queue int NOT NULL, id text NOT NULL, until float8 NOT NULL, PRIMARY KEY (queue, id)
        );
        CREATE INDEX seen_by_end ON workerpool.seen (queue, until);
        CREATE TABLE workerpool.fair (
            queue int NOT NULL, priority text NOT NULL, tenant text NOT NULL, finish float8 NOT NULL,
            PRIMARY KEY (queue, priority, tenant)
        ) WITH (fillfactor = 50);
        CREATE TABLE workerpool.virtual (
            queue int NOT NULL, priority text NOT NULL, tag float8 NOT NULL, PRIMARY KEY (queue, priority)
        ) WITH (fillfactor = 50);
        CREATE TABLE workerpool.buckets (
            queue int NOT NULL, name text NOT NULL, tokens float8 NOT NULL, at float8 NOT NULL, PRIMARY KEY (queue, name)
        ) WITH (fillfactor = 50);
        CREATE TABLE workerpool.said (
            queue int NOT NULL, limits text NOT NULL, at float8 NOT NULL, PRIMARY KEY (queue, limits)
        ) WITH (fillfactor = 50);
        INSERT INTO workerpool.schema_version VALUES (0);
    END IF;
END $make$;
-- Limits of tenants; the rules are those of `workerpool.broker._tenants`.

CREATE OR REPLACE FUNCTION workerpool.announce(queue_ int, text_ text, t float8) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF text_ <> '' OR EXISTS (SELECT FROM workerpool.said WHERE said.queue = queue_) THEN
        INSERT INTO workerpool.said (queue, limits, at) VALUES (queue_, text_, t)
        ON CONFLICT (queue, limits) DO UPDATE SET at = greatest(said.at, excluded.at);
        DELETE FROM workerpool.said WHERE said.queue = queue_ AND (at < t - 1.6 OR at > t + 1.6);
    END IF;
END $$;

-- What holds for each of these tenants; no row for one without a limit.
CREATE OR REPLACE FUNCTION workerpool.limits_of(queue_ int, tenants text[])
RETURNS TABLE (tenant text, rate float8, most float8) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT one.tenant, min((value ->> 0)::float8), min((value ->> 1)::float8)
    FROM unnest(tenants) AS one(tenant), workerpool.said,
         LATERAL (SELECT coalesce(said.limits::jsonb -> one.tenant, said.limits::jsonb -> '*') AS value) AS found
    WHERE said.queue = queue_ AND said.limits <> '' AND found.value IS NOT NULL AND one.tenant <> ''
    GROUP BY one.tenant;
END $$;

CREATE OR REPLACE FUNCTION workerpool.level(queue_ int, tenant_ text, rate float8, t float8) RETURNS float8
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN coalesce(
        (SELECT least(1.0 + rate * 0.25, tokens + greatest(0, t - at) * rate) FROM workerpool.buckets
         WHERE buckets.queue = queue_ AND name = 'tenant:' || tenant_),
        1.0 + rate * 0.25);
END $$;

-- How many more jobs of each tenant with a limit may begin now (NULL: any number), of those that have jobs waiting; and
-- in how many seconds there is a token, where that is what is missing.
CREATE OR REPLACE FUNCTION workerpool.rooms(queue_ int, t float8)
RETURNS TABLE (tenant text, free float8, again float8)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    IF NOT EXISTS (SELECT FROM workerpool.said WHERE said.queue = queue_ AND said.limits <> '') THEN
        RETURN;
    END IF;
    RETURN QUERY WITH waiting AS (
        SELECT DISTINCT jobs.tenant FROM workerpool.jobs
        WHERE jobs.queue = queue_ AND jobs.owner IS NULL AND jobs.tag IS NULL AND jobs.due <= t AND jobs.tenant <> ''
        UNION
        SELECT DISTINCT jobs.tenant FROM workerpool.jobs
        WHERE jobs.queue = queue_ AND jobs.owner IS NULL AND jobs.tag IS NOT NULL AND jobs.tenant <> ''
    ), running AS (
        SELECT jobs.tenant, count(*) AS n FROM workerpool.jobs
        WHERE jobs.queue = queue_ AND owner IS NOT NULL GROUP BY jobs.tenant
    )
    SELECT l.tenant, least(
        CASE WHEN l.most IS NOT NULL THEN greatest(0, l.most - coalesce(running.n, 0)) END,
        CASE WHEN l.rate IS NOT NULL THEN floor(workerpool.level(queue_, l.tenant, l.rate, t)) END),
        CASE WHEN l.rate IS NOT NULL THEN greatest(0, 1 - workerpool.level(queue_, l.tenant, l.rate, t)) / l.rate END
    FROM workerpool.limits_of(queue_, ARRAY(SELECT waiting.tenant FROM waiting)) AS l
    LEFT JOIN running ON running.tenant = l.tenant;
END $$;

-- Jobs of these tenants were chosen, one for each time that it stands here; -1: those that did not run came back.
CREATE OR REPLACE FUNCTION workerpool.spend(queue_ int, tenants text[], count_ int, t float8) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM workerpool.said WHERE said.queue = queue_ AND limits <> '') THEN
        RETURN;
    END IF;
    INSERT INTO workerpool.buckets (queue, name, tokens, at)
    SELECT queue_, 'tenant:' || l.tenant,
           least(1.0 + l.rate * 0.25, workerpool.level(queue_, l.tenant, l.rate, t) - count_ * one.n), t
    FROM (SELECT name, count(*) AS n FROM unnest(tenants) AS name GROUP BY name) AS one,
         workerpool.limits_of(queue_, ARRAY[one.name]) AS l
    WHERE l.rate IS NOT NULL ORDER BY l.tenant
    ON CONFLICT (queue, name) DO UPDATE SET tokens = excluded.tokens, at = excluded.at;
END $$;

-- A token bucket, as `workerpool.broker._bucket.draw`.
CREATE OR REPLACE FUNCTION workerpool.draw(
    queue_ int, name_ text, count_ bigint, rate float8, burst float8, OUT granted bigint, OUT retry_after float8
) LANGUAGE plpgsql AS $$
DECLARE
    t float8;
    there float8;
    rest float8;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    INSERT INTO workerpool.buckets (queue, name, tokens, at)
    VALUES (queue_, name_, burst, extract(epoch FROM clock_timestamp())) ON CONFLICT DO NOTHING;
    SELECT tokens, at INTO there, t FROM workerpool.buckets WHERE queue = queue_ AND name = name_ FOR UPDATE;
    there := least(burst, there + greatest(0, extract(epoch FROM clock_timestamp())::float8 - t) * rate);
    t := extract(epoch FROM clock_timestamp());
    granted := least(count_, floor(there));
    rest := least(burst, there - granted);
    UPDATE workerpool.buckets SET tokens = rest, at = t WHERE queue = queue_ AND name = name_;
    retry_after := CASE WHEN count_ > granted
        THEN greatest(0, least(count_ - granted, burst) - rest) / rate ELSE 0 END;
END $$;

-- Put as many as there is room for, from the first; returns how many. A duplicate counts, and needs no room.
CREATE OR REPLACE FUNCTION workerpool.put(
    queue_ int, name_ text, channel text, most int, deduplicated float8,
    ids text[], types text[], payloads bytea[], delays float8[], tenants text[], priorities text[], keys text[],
    traces text[], lives float8[]
) RETURNS int LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
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
        LIMIT 100
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
        INSERT INTO workerpool.counters (queue, shard, put) VALUES (queue_, pg_backend_pid() % 16, fresh)
        ON CONFLICT (queue, shard) DO UPDATE SET put = counters.put + excluded.put;
        IF crowd < 100 THEN
            PERFORM pg_notify(channel, CASE WHEN 0 >= ANY (delays) THEN 'job' ELSE 'later' END);
        END IF;
        IF EXISTS (SELECT FROM unnest(tenants, priorities, keys) AS w(tenant, priority, key)
                   WHERE w.tenant <> '' OR w.key <> '' OR w.priority <> 'normal') THEN
            UPDATE workerpool.queues SET ordered = true WHERE queues.queue = queue_ AND NOT ordered;
        END IF;
    END IF;
    RETURN accepted;
END $$;

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
        ORDER BY expires LIMIT 500 FOR UPDATE SKIP LOCKED);
    expired := workerpool.bury(queue_, found_, 'expired', 'its time was over before it could begin', me, t);
    shed := 0;
    FOR n IN 1 .. coalesce(cardinality(classes), 0) LOOP
        late := ARRAY(
            SELECT serial FROM workerpool.jobs
            WHERE jobs.queue = queue_ AND owner IS NULL AND tag IS NULL AND due < t - seconds[n]
            AND priority = classes[n] AND NOT begun ORDER BY due LIMIT 500 FOR UPDATE SKIP LOCKED);
        shed := shed + workerpool.bury(queue_, late, 'shed', 'it waited longer than jobs of its priority may', me, t);
        late := ARRAY(
            SELECT serial FROM workerpool.jobs
            WHERE jobs.queue = queue_ AND owner IS NULL AND tag IS NOT NULL AND due < t - seconds[n]
            AND priority = classes[n] AND NOT begun ORDER BY due LIMIT 500 FOR UPDATE SKIP LOCKED);
        shed := shed + workerpool.bury(queue_, late, 'shed', 'it waited longer than jobs of its priority may', me, t);
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
) LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
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
    IF dropped.expired >= 500 OR dropped.shed >= 500 THEN
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
        SELECT jobs.serial, jobs.owner IS NOT NULL AS redelivered, one.n
        FROM unnest(serials) WITH ORDINALITY AS one(serial, n) JOIN workerpool.jobs USING (serial)
    ), leased AS (
        UPDATE workerpool.jobs SET attempts = jobs.attempts + 1, owner = me, lease_until = t + lease
        FROM before WHERE jobs.serial = before.serial
        RETURNING before.n, 'job' AS what, jobs.serial, jobs.id, jobs.type, jobs.payload, jobs.attempts,
            greatest(0, t - jobs.due) AS waited, before.redelivered, jobs.checkpoint, jobs.tenant, jobs.priority, jobs.key,
            jobs.trace, jobs.begun
    )
    SELECT l.what, l.serial, l.id, l.type, l.payload, l.attempts, l.waited, l.redelivered, l.checkpoint, l.tenant,
           l.priority, l.key, l.trace, l.begun
    FROM leased AS l ORDER BY l.n;
END $$;

-- The fair order; the rules are those of `workerpool.broker._fair`. Whoever takes in order is alone at it in its queue.

-- Whether a waiting job with a key may run: no other one of its key is in flight, and it holds the key or is first to want it.
CREATE OR REPLACE FUNCTION workerpool.key_is_free(queue_ int, key_ text, serial_ bigint, attempts_ int, t float8)
RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN NOT EXISTS (
        SELECT FROM workerpool.jobs AS other
        WHERE other.queue = queue_ AND other.key = key_ AND other.key <> '' AND other.serial <> serial_ AND (
            other.owner IS NOT NULL OR (attempts_ = 0 AND (
                other.attempts > 0 OR (other.due <= t AND other.serial < serial_)))));
END $$;

-- Give start tags to those that may run and have none yet: of a tenant with a limit as many as it has room for.
CREATE OR REPLACE FUNCTION workerpool.rank(queue_ int, without text[], rooms jsonb, t float8) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    WITH able AS (
        SELECT j.serial, j.priority, j.tenant FROM workerpool.jobs AS j
        WHERE j.queue = queue_ AND j.owner IS NULL AND j.tag IS NULL AND j.due <= t AND j.type <> ALL (without)
        AND coalesce((rooms ->> j.tenant)::float8, 1) >= 1
        AND (j.key = '' OR workerpool.key_is_free(queue_, j.key, j.serial, j.attempts, t))
        ORDER BY j.serial LIMIT 5000
    ), numbered AS (
        SELECT able.*, row_number() OVER (PARTITION BY able.tenant ORDER BY able.serial) AS nth FROM able
    ), tagged AS (
        SELECT j.tenant, count(*) AS n FROM workerpool.jobs AS j
        WHERE rooms <> '{}' AND j.queue = queue_ AND j.owner IS NULL AND j.tag IS NOT NULL AND j.due <= t
        AND j.type <> ALL (without) AND rooms ? j.tenant GROUP BY j.tenant
    ), chosen AS (
        SELECT n.serial, n.priority, n.tenant FROM numbered AS n LEFT JOIN tagged USING (tenant)
        WHERE nth <= coalesce((rooms ->> n.tenant)::float8, 'Infinity') - coalesce(tagged.n, 0)
    ), given AS (
        SELECT c.serial, c.priority, c.tenant,
            greatest(coalesce(v.tag, 0), f.finish)
                + row_number() OVER (PARTITION BY c.priority, c.tenant ORDER BY c.serial) - 1 AS tag
        FROM chosen AS c
        LEFT JOIN workerpool.virtual AS v ON v.queue = queue_ AND v.priority = c.priority
        LEFT JOIN workerpool.fair AS f ON f.queue = queue_ AND f.priority = c.priority AND f.tenant = c.tenant
    ), written AS (
        UPDATE workerpool.jobs AS j SET tag = given.tag FROM given WHERE j.serial = given.serial
    )
    INSERT INTO workerpool.fair (queue, priority, tenant, finish)
    SELECT queue_, given.priority, given.tenant, max(given.tag) + 1 FROM given GROUP BY given.priority, given.tenant
    ON CONFLICT (queue, priority, tenant) DO UPDATE SET finish = excluded.finish;
END $$;

CREATE OR REPLACE FUNCTION workerpool.oldest_of(
    queue_ int, class text, without text[], rooms jsonb, t float8
) RETURNS float8 LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT j.due FROM workerpool.jobs AS j
    WHERE j.queue = queue_ AND j.priority = class AND j.owner IS NULL AND j.tag IS NOT NULL AND j.due <= t
    AND j.type <> ALL (without) AND coalesce((rooms ->> j.tenant)::float8, 1) >= 1
    AND (j.key = '' OR workerpool.key_is_free(queue_, j.key, j.serial, j.attempts, t))
    ORDER BY j.due LIMIT 1);
END $$;

-- The jobs that run next, which are `me`'s from now on.
CREATE OR REPLACE FUNCTION workerpool.lease_in_order(
    queue_ int, me text, lease float8, most int, without text[], t float8
) RETURNS TABLE (
    what text, serial bigint, id text, type text, payload bytea, attempts int, waited float8, redelivered boolean,
    checkpoint bytea, tenant text, priority text, key text, trace text, begun boolean
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    classes CONSTANT text[] := ARRAY['high', 'normal', 'low'];
    ageing CONSTANT float8[] := ARRAY[0, 60, 600];
    oldest float8[] := '{}';  -- since when the oldest one waits, by class
    rooms jsonb;
    left_ int := most;
    best int;
    busy int;
    chosen record;
    spent text[] := '{}';
BEGIN
    SELECT coalesce(jsonb_object_agg(r.tenant, r.free) FILTER (WHERE r.free IS NOT NULL), '{}') INTO rooms
    FROM workerpool.rooms(queue_, t) AS r;
    PERFORM workerpool.rank(queue_, without, rooms, t);
    FOR n IN 1 .. cardinality(classes) LOOP
        oldest[n] := workerpool.oldest_of(queue_, classes[n], without, rooms, t);
    END LOOP;
    LOOP
        best := NULL;
        busy := 0;
        FOR n IN 1 .. cardinality(classes) LOOP
            IF oldest[n] IS NOT NULL THEN
                busy := busy + 1;
                IF best IS NULL OR oldest[n] + ageing[n] < oldest[best] + ageing[best] THEN
                    best := n;
                END IF;
            ELSIF without = '{}' THEN  -- nobody waits in this class: tags begin anew
                DELETE FROM workerpool.fair WHERE fair.queue = queue_ AND fair.priority = classes[n];
                DELETE FROM workerpool.virtual WHERE virtual.queue = queue_ AND virtual.priority = classes[n];
            END IF;
        END LOOP;
        EXIT WHEN best IS NULL OR left_ = 0;
        -- What was chosen is in flight at once, so that the next choice sees its key. Where one choice cannot change
        -- the next they are made together.
        SELECT array_agg(c.serial ORDER BY c.tag, c.serial) AS serials, max(c.tag) AS tag, min(c.due) AS due,
               array_agg(c.tenant) FILTER (WHERE c.tenant <> '') AS tenants, count(*) AS n,
               bool_or(c.key <> '') AS keyed
        INTO chosen FROM (
            SELECT j.serial, j.tag, j.due, j.tenant, j.key FROM workerpool.jobs AS j
            WHERE j.queue = queue_ AND j.priority = classes[best] AND j.owner IS NULL AND j.tag IS NOT NULL
            AND j.due <= t AND j.type <> ALL (without) AND coalesce((rooms ->> j.tenant)::float8, 1) >= 1
            AND (j.key = '' OR workerpool.key_is_free(queue_, j.key, j.serial, j.attempts, t))
            ORDER BY j.tag, j.serial LIMIT CASE WHEN busy = 1 AND rooms = '{}' THEN left_ ELSE 1 END FOR UPDATE
        ) AS c;
        EXIT WHEN chosen.n = 0;
        IF chosen.n > 1 AND chosen.keyed THEN
            chosen.serials := chosen.serials[1:1];
            SELECT j.tag, j.due INTO chosen.tag, chosen.due FROM workerpool.jobs AS j
            WHERE j.serial = chosen.serials[1];
            chosen.tenants := NULL;  -- no tenant has a limit
            chosen.n := 1;
        END IF;
        IF rooms <> '{}' AND rooms ? chosen.tenants[1] THEN
            rooms := jsonb_set(rooms, chosen.tenants, to_jsonb((rooms ->> chosen.tenants[1])::float8 - 1));
        END IF;
        spent := spent || coalesce(chosen.tenants, '{}');
        left_ := left_ - chosen.n;
        -- Those that were passed have tags behind it.
        INSERT INTO workerpool.virtual (queue, priority, tag) VALUES (queue_, classes[best], chosen.tag)
        ON CONFLICT (queue, priority) DO UPDATE SET tag = greatest(virtual.tag, excluded.tag);
        DELETE FROM workerpool.fair
        WHERE fair.queue = queue_ AND fair.priority = classes[best] AND fair.finish <= chosen.tag;
        RETURN QUERY SELECT * FROM workerpool.lease_out(chosen.serials, me, lease, t);
        FOR n IN 1 .. cardinality(classes) LOOP
            IF (n = best AND chosen.due <= oldest[n]) OR chosen.keyed OR rooms <> '{}' THEN
                oldest[n] := workerpool.oldest_of(queue_, classes[n], without, rooms, t);
            END IF;
        END LOOP;
    END LOOP;
    PERFORM workerpool.spend(queue_, spent, 1, t);
END $$;

-- Let those that are still `me`'s wait again, as if they had not been taken; returns their serials.
CREATE OR REPLACE FUNCTION workerpool.hand_back(
    queue_ int, channel text, me text, serials bigint[], attempts_ int[], begun_ boolean[]
) RETURNS SETOF bigint LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
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
            ORDER BY d.serial LIMIT 500 FOR UPDATE
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
CREATE OR REPLACE FUNCTION workerpool.maintain(queue_ int, limits_ text) RETURNS void LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
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

-- One reading of a queue, of one moment. Reads only: who asks needs no more than SELECT.
CREATE OR REPLACE FUNCTION workerpool.depth(
    name_ text, OUT waiting bigint, OUT in_flight bigint, OUT delayed bigint, OUT age float8, OUT arrivals bigint,
    OUT dead bigint, OUT blocked bigint
) LANGUAGE plpgsql STABLE SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    q int := (SELECT queue FROM workerpool.queues WHERE name = name_);
    t float8 := extract(epoch FROM clock_timestamp());
    fresh bigint;
    ranked bigint;
    oldest float8;
BEGIN
    SELECT count(*) INTO fresh FROM workerpool.jobs
    WHERE queue = q AND owner IS NULL AND tag IS NULL AND due <= t;
    SELECT count(*) INTO ranked FROM workerpool.jobs WHERE queue = q AND owner IS NULL AND tag IS NOT NULL;
    waiting := fresh + ranked;
    SELECT count(*) INTO in_flight FROM workerpool.jobs WHERE queue = q AND owner IS NOT NULL;
    SELECT count(*), count(*) FILTER (WHERE attempts = 0) INTO delayed, arrivals FROM workerpool.jobs
    WHERE queue = q AND owner IS NULL AND tag IS NULL AND due > t;
    arrivals := coalesce((SELECT sum(put) FROM workerpool.counters WHERE queue = q), 0) - arrivals;
    SELECT least(
        (SELECT min(due) FROM workerpool.jobs WHERE queue = q AND owner IS NULL AND tag IS NULL AND due <= t),
        (SELECT min(due) FROM workerpool.jobs WHERE queue = q AND owner IS NULL AND tag IS NOT NULL)) INTO oldest;
    age := greatest(0, coalesce(t - oldest, 0));
    SELECT count(*) INTO dead FROM workerpool.dead AS d WHERE d.queue = q;
    blocked := workerpool.blocked(q, t);
END $$;

UPDATE workerpool.schema_version SET version = 1 WHERE version < 1;
