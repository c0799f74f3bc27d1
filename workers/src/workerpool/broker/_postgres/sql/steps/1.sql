-- The tables of all queues in this database. Times are Unix seconds by the server's clock.
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
