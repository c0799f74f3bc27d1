-- Limits of tenants; the rules are those of `workerpool.broker._tenants`.

CREATE OR REPLACE FUNCTION workerpool.announce(queue_ int, text_ text, t float8) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF text_ <> '' OR EXISTS (SELECT FROM workerpool.said WHERE said.queue = queue_) THEN
        INSERT INTO workerpool.said (queue, limits, at) VALUES (queue_, text_, t)
        ON CONFLICT (queue, limits) DO UPDATE SET at = greatest(said.at, excluded.at);
        DELETE FROM workerpool.said WHERE said.queue = queue_ AND (at < t - {say} OR at > t + {say});
    END IF;
END $$;

-- What holds for each of these tenants; no row for one without a limit.
CREATE OR REPLACE FUNCTION workerpool.limits_of(queue_ int, tenants text[])
RETURNS TABLE (tenant text, rate float8, most float8) LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY SELECT one.tenant, min((value ->> 0)::float8), min((value ->> 1)::float8)
    FROM unnest(tenants) AS one(tenant), workerpool.said,
         LATERAL (SELECT coalesce(said.limits::jsonb -> one.tenant, said.limits::jsonb -> '{each}') AS value) AS found
    WHERE said.queue = queue_ AND said.limits <> '' AND found.value IS NOT NULL AND one.tenant <> ''
    GROUP BY one.tenant;
END $$;

CREATE OR REPLACE FUNCTION workerpool.level(queue_ int, tenant_ text, rate float8, t float8) RETURNS float8
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN coalesce(
        (SELECT least(1.0 + rate * {burst}, tokens + greatest(0, t - at) * rate) FROM workerpool.buckets
         WHERE buckets.queue = queue_ AND name = 'tenant:' || tenant_),
        1.0 + rate * {burst});
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
           least(1.0 + l.rate * {burst}, workerpool.level(queue_, l.tenant, l.rate, t) - count_ * one.n), t
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
