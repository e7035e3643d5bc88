-- Since when a job waits anew, how often its cluster began its run anew, and what was there before of
-- its name. Only additions: the previous release works on this schema.

-- Microseconds since 1970; null if it waits since its acceptance.
ALTER TABLE jobs ADD COLUMN pending_since BIGINT;
-- When its present run began as its cluster says, in microseconds since 1970.
ALTER TABLE jobs ADD COLUMN run_began BIGINT;
ALTER TABLE jobs ADD COLUMN restarts INTEGER NOT NULL DEFAULT 0 CHECK (restarts >= 0);

-- Partial, so that nobody takes it for the index of names in use.
CREATE INDEX jobs_name ON jobs (namespace, name, created_at, id) WHERE placement IS NOT NULL;
