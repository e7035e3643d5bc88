-- The first schema. The folders of both databases hold files of the same names; a migration is
-- additive, and is never edited once released.
--
-- Times are microseconds since 1970 in UTC, written by the program: the database is never asked
-- what time it is. JSON is text, so that its bytes stay as they were hashed.
-- Whatever is ordered or compared has the collation "C", so that both databases agree on order.

CREATE TABLE installation (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    origin TEXT NOT NULL,
    -- The newest migration that a program must know to work on this schema. Additive migrations
    -- leave it; one that takes something away raises it.
    schema_floor BIGINT NOT NULL DEFAULT 1
);

CREATE TABLE jobs (
    id TEXT COLLATE "C" PRIMARY KEY,
    namespace TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL CHECK (length(name) BETWEEN 1 AND 63),
    algorithm TEXT NOT NULL,
    priority INTEGER NOT NULL,
    request TEXT NOT NULL,
    target_clusters TEXT NOT NULL,
    spread TEXT NOT NULL CHECK (spread IN ('one', 'all')),
    max_runtime_seconds BIGINT CHECK (max_runtime_seconds >= 0),
    demand_cpu_millis BIGINT NOT NULL CHECK (demand_cpu_millis >= 0),
    demand_memory_bytes BIGINT NOT NULL CHECK (demand_memory_bytes >= 0),
    demand_gpus BIGINT NOT NULL CHECK (demand_gpus >= 0),
    workload_api_version TEXT NOT NULL,
    workload_kind TEXT NOT NULL,
    plugin_name TEXT NOT NULL,
    plugin_version TEXT NOT NULL,
    plugin_digest TEXT NOT NULL CHECK (length(plugin_digest) = 64),
    schema_digest TEXT NOT NULL CHECK (length(schema_digest) = 64),
    bundle_digest TEXT NOT NULL CHECK (length(bundle_digest) = 64),
    host_version TEXT NOT NULL,
    created_at BIGINT NOT NULL,

    -- From here on the row changes, always as a whole and together with one event.
    version BIGINT NOT NULL CHECK (version >= 1),
    phase TEXT NOT NULL CHECK (phase IN (
        'Queued', 'Submitted', 'Running', 'Suspended', 'Unknown',
        'Succeeded', 'Failed', 'Cancelled', 'TimedOut', 'Lost')),
    lifecycle TEXT NOT NULL CHECK (lifecycle IN ('Active', 'Deleting', 'Deleted')),
    desired TEXT NOT NULL CHECK (desired IN ('Run', 'Cancel', 'Delete')),
    reason TEXT NOT NULL,
    message TEXT NOT NULL,
    failure TEXT NOT NULL,
    progress REAL,
    last_known TEXT,
    stale_since BIGINT,
    placement TEXT,
    workload_uid TEXT,
    missing_since BIGINT,
    delete_volumes BOOLEAN NOT NULL,
    updated_at BIGINT NOT NULL,
    submitted_at BIGINT,
    started_at BIGINT,
    finished_at BIGINT,
    deleted_at BIGINT,
    CHECK ((finished_at IS NOT NULL)
        = (phase IN ('Succeeded', 'Failed', 'Cancelled', 'TimedOut', 'Lost'))),
    CHECK ((deleted_at IS NOT NULL) = (lifecycle = 'Deleted'))
);

-- Two workloads of one name would be one object on the cluster; a name is free again only when
-- its holder is proven gone.
CREATE UNIQUE INDEX jobs_live_name ON jobs (namespace, name) WHERE lifecycle <> 'Deleted';
-- The queries repeat these predicates word for word, or the planner passes the indexes by.
CREATE INDEX jobs_list ON jobs (created_at DESC, id DESC) WHERE lifecycle <> 'Deleted';
CREATE INDEX jobs_list_namespace ON jobs (namespace, created_at DESC, id DESC)
    WHERE lifecycle <> 'Deleted';
CREATE INDEX jobs_observed ON jobs (created_at, id)
    WHERE lifecycle = 'Active' AND phase IN ('Submitted', 'Running', 'Suspended', 'Unknown');

-- Apart from the job, because every read of a job would drag its manifests along.
CREATE TABLE bundles (
    job_id TEXT COLLATE "C" PRIMARY KEY REFERENCES jobs (id),
    digest TEXT NOT NULL CHECK (length(digest) = 64),
    body TEXT NOT NULL
);

CREATE TABLE job_events (
    job_id TEXT COLLATE "C" NOT NULL REFERENCES jobs (id),
    -- The job's version after the change: gap-free by construction.
    seq BIGINT NOT NULL CHECK (seq >= 1),
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    from_phase TEXT,
    to_phase TEXT NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    message TEXT NOT NULL,
    evidence TEXT NOT NULL,
    PRIMARY KEY (job_id, seq)
);

CREATE TABLE intents (
    -- Never used twice, so that a late settlement cannot hit a younger intent.
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_id TEXT COLLATE "C" NOT NULL REFERENCES jobs (id),
    kind TEXT NOT NULL CHECK (kind IN ('apply', 'stop', 'delete')),
    -- 0 before 1 before 2: what frees a cluster goes before what fills it.
    urgency INTEGER NOT NULL,
    -- That of the job, which never changes.
    priority INTEGER NOT NULL,
    not_before BIGINT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    leased_by TEXT,
    leased_until BIGINT,
    -- Enqueued again while it was leased: its holder may have looked before the change, so it
    -- has to be carried out once more after the lease.
    rearmed BOOLEAN NOT NULL DEFAULT FALSE,
    error TEXT NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL,
    UNIQUE (job_id, kind),
    CHECK ((leased_by IS NULL) = (leased_until IS NULL))
);

CREATE INDEX intents_due ON intents (not_before);
CREATE INDEX intents_leased ON intents (leased_until) WHERE leased_by IS NOT NULL;
-- Two claimers that see the same moment differently may choose different intents of one job; only
-- one of them gets through.
CREATE UNIQUE INDEX intents_one_lease_per_job ON intents (job_id) WHERE leased_by IS NOT NULL;

CREATE TABLE idempotency_keys (
    key TEXT COLLATE "C" PRIMARY KEY CHECK (length(key) BETWEEN 1 AND 255),
    fingerprint TEXT NOT NULL CHECK (length(fingerprint) = 64),
    -- Checked at the commit: the key is taken before the job is written, because it decides
    -- whether the job is written at all.
    job_id TEXT COLLATE "C" NOT NULL REFERENCES jobs (id) DEFERRABLE INITIALLY DEFERRED,
    created_at BIGINT NOT NULL
);

-- The database's own guard against a program that would rewrite history or revive a job.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0];
END
$$;

CREATE TRIGGER job_events_append_only BEFORE UPDATE OR DELETE ON job_events
FOR EACH ROW EXECUTE FUNCTION refuse_change('the history of a job is append-only');

CREATE TRIGGER jobs_transition BEFORE UPDATE OF version, phase, lifecycle, desired ON jobs
FOR EACH ROW WHEN (NEW.version <> OLD.version + 1
    OR (OLD.phase <> NEW.phase AND (NEW.phase = 'Queued'
        OR OLD.phase IN ('Succeeded', 'Failed', 'Cancelled', 'TimedOut', 'Lost')))
    OR (OLD.lifecycle <> NEW.lifecycle
        AND (NEW.lifecycle = 'Active' OR OLD.lifecycle = 'Deleted'))
    OR (OLD.desired <> NEW.desired AND (NEW.desired = 'Run' OR OLD.desired = 'Delete')))
EXECUTE FUNCTION refuse_change('this change of a job is not legal');
