-- Plugins by content, what operators decided about them, their history; and what a job's conversion
-- needs to be repeated and compared. Only additions: the previous release works on this schema.

-- The files of plugins, so that a job can be read and verified after the file is gone, and on every
-- host of the installation. Whatever is ordered or compared has the collation "C".
CREATE TABLE plugin_components (
    digest TEXT COLLATE "C" PRIMARY KEY CHECK (length(digest) = 64),
    name TEXT COLLATE "C" NOT NULL,
    version TEXT NOT NULL,
    size BIGINT NOT NULL,
    first_seen BIGINT NOT NULL,
    -- The last column, so that reading the others never touches its pages.
    bytes BYTEA NOT NULL,
    CHECK (size = length(bytes))
);

CREATE INDEX plugin_components_name ON plugin_components (name, first_seen DESC, digest);

CREATE TABLE plugin_routes (
    plugin TEXT COLLATE "C" PRIMARY KEY,
    pinned TEXT CHECK (length(pinned) = 64),
    canary TEXT CHECK (length(canary) = 64),
    canary_percent INTEGER CHECK (canary_percent BETWEEN 0 AND 100),
    -- A JSON array of names.
    canary_namespaces TEXT,
    previous TEXT CHECK (length(previous) = 64),
    version BIGINT NOT NULL CHECK (version >= 1),
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    CHECK ((canary IS NULL) = (canary_percent IS NULL)),
    CHECK ((canary IS NULL) = (canary_namespaces IS NULL))
);

CREATE TABLE plugin_events (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at BIGINT NOT NULL,
    plugin TEXT COLLATE "C" NOT NULL,
    kind TEXT NOT NULL,
    digest TEXT CHECK (length(digest) = 64),
    actor TEXT NOT NULL,
    message TEXT NOT NULL,
    evidence TEXT NOT NULL
);

CREATE INDEX plugin_events_of ON plugin_events (plugin, id DESC);

CREATE TRIGGER plugin_events_append_only BEFORE UPDATE OR DELETE ON plugin_events
FOR EACH ROW EXECUTE FUNCTION refuse_change('the history of a plugin is append-only');

-- Null in rows of older hosts, which did not record them: such a job cannot be proven in full.
ALTER TABLE jobs ADD COLUMN settings TEXT;
ALTER TABLE jobs ADD COLUMN input_digest TEXT CHECK (length(input_digest) = 64);
ALTER TABLE jobs ADD COLUMN plan_digest TEXT CHECK (length(plan_digest) = 64);
