-- What a host needs to trust and to find the components of earlier hosts. Only additions: the previous
-- release works on this schema.

-- Which component each plugin file held when it was last good, so that a host that starts over a bad
-- file serves what it served before.
CREATE TABLE plugin_files (
    file TEXT COLLATE "C" PRIMARY KEY,
    digest TEXT NOT NULL CHECK (length(digest) = 64),
    noted_at BIGINT NOT NULL
);

-- Signatures of kept components, so that one whose file is gone is trusted by the rule of now. One
-- component may bear those of several keys.
CREATE TABLE plugin_signatures (
    digest TEXT COLLATE "C" NOT NULL CHECK (length(digest) = 64),
    -- sha-256 of the text.
    text_digest TEXT COLLATE "C" NOT NULL CHECK (length(text_digest) = 64),
    first_seen BIGINT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (digest, text_digest)
);
