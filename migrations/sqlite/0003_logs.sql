-- Logs that outlive their pods, and which of them are still to be fetched. Only additions: the
-- previous release works on this schema, and archives nothing.

-- One row for each job whose logs were asked for. It is due until it is closed.
CREATE TABLE log_archives (
    job_id TEXT PRIMARY KEY REFERENCES jobs (id),
    requested_at BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    leased_by TEXT,
    leased_until BIGINT,
    error TEXT NOT NULL DEFAULT '',
    closed_at BIGINT,
    CHECK ((leased_by IS NULL) = (leased_until IS NULL))
);

CREATE INDEX log_archives_due ON log_archives (not_before) WHERE closed_at IS NULL;

CREATE TABLE archived_logs (
    job_id TEXT NOT NULL REFERENCES jobs (id),
    cluster TEXT NOT NULL,
    role TEXT NOT NULL,
    -- Empty, as the container, in a row that only says what could not be read.
    pod TEXT NOT NULL,
    container TEXT NOT NULL,
    -- Of the container's run before its last one.
    previous BOOLEAN NOT NULL,
    main BOOLEAN NOT NULL,
    ended BOOLEAN NOT NULL,
    first_at BIGINT,
    last_at BIGINT,
    read_at BIGINT NOT NULL,
    original_bytes BIGINT NOT NULL CHECK (original_bytes >= 0),
    kept_bytes BIGINT NOT NULL CHECK (kept_bytes >= 0),
    -- Of the kept bytes those before what was left out.
    head_bytes BIGINT NOT NULL CHECK (head_bytes BETWEEN 0 AND kept_bytes),
    omitted_lines BIGINT NOT NULL CHECK (omitted_lines >= 0),
    problem TEXT NOT NULL,
    -- gzip. The last column, so that reading the others never touches its pages.
    body BLOB NOT NULL,
    PRIMARY KEY (job_id, cluster, role, pod, container, previous)
);

-- For the removal of what is older than an operator wants to keep.
CREATE INDEX archived_logs_read ON archived_logs (read_at);
