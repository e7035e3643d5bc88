-- Attempts, limits on waiting, holding back, and clusters that nobody waits for. Only additions: the
-- previous release works on this schema.

ALTER TABLE jobs ADD COLUMN max_pending_seconds BIGINT CHECK (max_pending_seconds >= 0);
ALTER TABLE jobs ADD COLUMN attempt INTEGER NOT NULL DEFAULT 1 CHECK (attempt >= 1);
-- The id of the first attempt; null in its own row.
ALTER TABLE jobs ADD COLUMN first_attempt TEXT COLLATE "C";
ALTER TABLE jobs ADD COLUMN suspend BOOLEAN NOT NULL DEFAULT FALSE;
-- A JSON array of names, or null.
ALTER TABLE jobs ADD COLUMN abandoned TEXT;

CREATE INDEX jobs_attempts ON jobs (first_attempt, attempt) WHERE first_attempt IS NOT NULL;
-- The query repeats this predicate word for word, or the planner passes the index by.
CREATE INDEX jobs_finished ON jobs (finished_at)
    WHERE lifecycle = 'Active' AND finished_at IS NOT NULL;
