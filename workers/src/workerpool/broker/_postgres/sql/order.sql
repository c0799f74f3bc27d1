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
        ORDER BY j.serial LIMIT {ranked}
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
    classes CONSTANT text[] := ARRAY[{classes}];
    ageing CONSTANT float8[] := ARRAY[{ageing}];
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
