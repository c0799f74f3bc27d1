-- One reading of a queue, of one moment. Reads only: who asks needs no more than SELECT.
CREATE OR REPLACE FUNCTION workerpool.depth(
    name_ text, OUT waiting bigint, OUT in_flight bigint, OUT delayed bigint, OUT age float8, OUT arrivals bigint,
    OUT dead bigint, OUT blocked bigint
) LANGUAGE plpgsql STABLE {planned} AS $$
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
