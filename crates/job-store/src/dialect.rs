//! The little that differs between the two databases.

use sqlx::{Database, Postgres, Sqlite};

use crate::jobs::job_values;
use crate::rows::job_columns;

/// A database that the store can work on.
pub(crate) trait Dialect: Database {
    /// Opens a writing transaction. SQLite must take its write lock at once: a transaction that
    /// reads first and then finds the lock taken cannot be retried in place.
    const BEGIN: &'static str;

    /// A whole submission in one trip to the database: [`job_values`], then bundle digest and
    /// body, event kind, actor and evidence, and the idempotency key with its fingerprint or
    /// nulls. Any refusal is an error and leaves nothing behind.
    const INSERT: &'static str;

    /// The time in microseconds since 1970; null if this machine's clock is as good.
    const TIME: &'static str;

    /// Whether any intent is due at `$1`, and the time as in [`Dialect::TIME`].
    const DUE: &'static str;

    /// Active jobs that were applied and are not over, counted by the JSON text of their clusters.
    const COUNT_BY_CLUSTERS: &'static str;
}

/// The predicate of the index `jobs_observed`, word for word.
macro_rules! count_by {
    ($clusters:literal) => {
        concat!(
            "SELECT ",
            $clusters,
            " AS clusters, COUNT(*) FROM jobs \
             WHERE lifecycle = 'Active' \
             AND phase IN ('Submitted', 'Running', 'Suspended', 'Unknown') \
             AND placement IS NOT NULL GROUP BY 1"
        )
    };
}

/// The wall clock of the server, not that of the transaction.
macro_rules! postgres_time {
    () => {
        "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"
    };
}

macro_rules! due {
    ($time:expr) => {
        concat!(
            "SELECT EXISTS ( \
                 SELECT 1 FROM intents \
                 WHERE not_before <= $1 AND (leased_by IS NULL OR leased_until <= $1)), ",
            $time
        )
    };
}

/// One submission; the parts differ only in how they are strung together.
macro_rules! submission {
    ($first:literal, $second:literal, $third:literal, $fourth:literal, $last:literal) => {
        concat!(
            $first,
            "INSERT INTO jobs (",
            job_columns!(),
            ") VALUES (",
            job_values!(),
            ")",
            $second,
            "INSERT INTO bundles (job_id, digest, body) VALUES ($1, $49, $50)",
            $third,
            "INSERT INTO job_events \
             (job_id, seq, at, kind, from_phase, to_phase, actor, reason, message, evidence) \
             VALUES ($1, $22, $36, $51, NULL, $23, $52, $26, $27, $53)",
            $fourth,
            "INSERT INTO intents (job_id, kind, urgency, priority, not_before, created_at) \
             VALUES ($1, 'apply', 2, $5, $36, $36)",
            $last,
            "INSERT INTO idempotency_keys (key, fingerprint, job_id, created_at) \
             SELECT $54, $55, $1, $21 WHERE $54 IS NOT NULL"
        )
    };
}

impl Dialect for Postgres {
    const BEGIN: &'static str = "BEGIN";

    // Every part sees the database as it was before; foreign keys are checked after all of them.
    const INSERT: &'static str =
        submission!("WITH job AS (", "), bundle AS (", "), event AS (", "), intent AS (", ") ");

    const TIME: &'static str = concat!("SELECT ", postgres_time!());

    const DUE: &'static str = due!(postgres_time!());

    const COUNT_BY_CLUSTERS: &'static str = count_by!("(placement::json -> 'clusters')::text");
}

impl Dialect for Sqlite {
    const BEGIN: &'static str = "BEGIN IMMEDIATE";

    const INSERT: &'static str = submission!("", "; ", "; ", "; ", "; ");

    // One process has the file, so there is nobody to agree with.
    const TIME: &'static str = "SELECT CAST(NULL AS BIGINT)";

    const DUE: &'static str = due!("CAST(NULL AS BIGINT)");

    const COUNT_BY_CLUSTERS: &'static str = count_by!("json_extract(placement, '$.clusters')");
}
