//! Between rows and values. What is stored as JSON has a mirror type here, because a stored field
//! is a promise to next year's program and a type of the domain is not.
//!
//! A row that cannot be read is an error with table, column and key; it is never left out.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};
use training::id::{ClusterName, JobId, JobName, Namespace, Sha256Digest};
use training::job::{Attempt, Demand, Event, FailureClass, Job, Placement, Provenance, Spread};
use training::phase::{Desired, Lifecycle, Phase};
use training::ports::StoreError;
use training::{Timestamp, intent::IntentKind};

use crate::error::unstorable;

/// A row of one table. Its first column is the key that errors name.
pub(crate) trait Stored {
    /// The table.
    const TABLE: &'static str;
    /// Every column that is read, in the order of the query.
    const COLUMNS: &'static [&'static str];
}

/// Reads the columns of a row into `T`.
pub(crate) fn read<'r, T, R>(row: &'r R) -> Result<T, StoreError>
where
    R: Row,
    T: Stored + FromRow<'r, R>,
    usize: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
{
    T::from_row(row).map_err(|error| {
        let id = row.try_get::<String, usize>(0).unwrap_or_default();
        let text = match &error {
            // Whether the name comes in quotes depends on the database.
            sqlx::Error::ColumnDecode { index, .. } => index.trim_matches('"'),
            sqlx::Error::ColumnNotFound(name) => name,
            _ => "",
        };
        let column = T::COLUMNS.iter().find(|name| **name == text).copied().unwrap_or("?");
        StoreError::Corrupt { table: T::TABLE, column, id }
    })
}

/// Where a value came from, for the error if it is unreadable.
pub(crate) struct Origin<'a> {
    pub(crate) table: &'static str,
    pub(crate) id: &'a str,
}

impl Origin<'_> {
    fn corrupt(&self, column: &'static str) -> StoreError {
        StoreError::Corrupt { table: self.table, column, id: self.id.to_owned() }
    }

    pub(crate) fn get<T>(&self, column: &'static str, value: Option<T>) -> Result<T, StoreError> {
        value.ok_or_else(|| self.corrupt(column))
    }

    pub(crate) fn json<T: for<'de> Deserialize<'de>>(
        &self,
        column: &'static str,
        text: &str,
    ) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|_| self.corrupt(column))
    }

    pub(crate) fn time(&self, column: &'static str, micros: i64) -> Result<Timestamp, StoreError> {
        Timestamp::from_microsecond(micros).map_err(|_| self.corrupt(column))
    }

    fn maybe_time(
        &self,
        column: &'static str,
        micros: Option<i64>,
    ) -> Result<Option<Timestamp>, StoreError> {
        micros.map(|micros| self.time(column, micros)).transpose()
    }

    fn phase(&self, column: &'static str, text: &str) -> Result<Phase, StoreError> {
        self.get(column, Phase::parse(text))
    }
}

/// The columns of `jobs`, as text to be pasted into a constant query.
macro_rules! job_columns {
    () => {
        "id, namespace, name, algorithm, priority, request, target_clusters, spread, \
         max_runtime_seconds, demand_cpu_millis, demand_memory_bytes, demand_gpus, \
         workload_api_version, workload_kind, plugin_name, plugin_version, plugin_digest, \
         schema_digest, bundle_digest, host_version, created_at, version, phase, lifecycle, \
         desired, reason, message, failure, progress, last_known, stale_since, placement, \
         workload_uid, missing_since, delete_volumes, updated_at, submitted_at, started_at, \
         finished_at, deleted_at, settings, input_digest, plan_digest, max_pending_seconds, \
         attempt, first_attempt, suspend, abandoned, pending_since, run_began, restarts"
    };
}
pub(crate) use job_columns;

macro_rules! row {
    (
        $(#[$doc:meta])* $name:ident of $table:literal {
            $($(#[$attribute:meta])* $column:ident: $type:ty),+ $(,)?
        }
    ) => {
        $(#[$doc])*
        #[derive(FromRow)]
        pub(crate) struct $name { $($(#[$attribute])* pub(crate) $column: $type),+ }

        impl Stored for $name {
            const TABLE: &'static str = $table;
            const COLUMNS: &'static [&'static str] = &[$(stringify!($column)),+];
        }
    };
}
pub(crate) use row;

row!(
    /// A job as it is stored.
    JobRow of "jobs" {
        id: String,
        namespace: String,
        name: String,
        algorithm: String,
        priority: i32,
        request: String,
        target_clusters: String,
        spread: String,
        max_runtime_seconds: Option<i64>,
        demand_cpu_millis: i64,
        demand_memory_bytes: i64,
        demand_gpus: i64,
        workload_api_version: String,
        workload_kind: String,
        plugin_name: String,
        plugin_version: String,
        plugin_digest: String,
        schema_digest: String,
        bundle_digest: String,
        host_version: String,
        created_at: i64,
        version: i64,
        phase: String,
        lifecycle: String,
        desired: String,
        reason: String,
        message: String,
        failure: String,
        progress: Option<f32>,
        last_known: Option<String>,
        stale_since: Option<i64>,
        placement: Option<String>,
        workload_uid: Option<String>,
        missing_since: Option<i64>,
        delete_volumes: bool,
        updated_at: i64,
        submitted_at: Option<i64>,
        started_at: Option<i64>,
        finished_at: Option<i64>,
        deleted_at: Option<i64>,
        // Missing from schemas of older hosts, which only `History` reads.
        #[sqlx(default)]
        settings: Option<String>,
        #[sqlx(default)]
        input_digest: Option<String>,
        #[sqlx(default)]
        plan_digest: Option<String>,
        #[sqlx(default)]
        max_pending_seconds: Option<i64>,
        #[sqlx(default)]
        attempt: i32,
        #[sqlx(default)]
        first_attempt: Option<String>,
        #[sqlx(default)]
        suspend: bool,
        #[sqlx(default)]
        abandoned: Option<String>,
        #[sqlx(default)]
        pending_since: Option<i64>,
        #[sqlx(default)]
        run_began: Option<i64>,
        #[sqlx(default)]
        restarts: i32,
    }
);

/// `jobs.placement`.
#[derive(Serialize, Deserialize)]
struct PlacementJson {
    clusters: Vec<String>,
    reason: String,
}

fn clusters(names: Vec<String>) -> Option<Vec<ClusterName>> {
    names.into_iter().map(|name| ClusterName::parse(name).ok()).collect()
}

impl JobRow {
    /// Takes the job apart.
    pub(crate) fn from_job(job: &Job) -> Result<Self, StoreError> {
        let bounded =
            |amount: u64| i64::try_from(amount).map_err(|_| unstorable("a demand is above 2^63"));
        let names = |list: &[ClusterName]| -> Vec<String> {
            list.iter().map(|name| name.as_str().to_owned()).collect()
        };
        Ok(Self {
            id: job.id.as_str().to_owned(),
            namespace: job.namespace.as_str().to_owned(),
            name: job.name.as_str().to_owned(),
            algorithm: job.algorithm.clone(),
            priority: job.priority,
            request: job.request.to_string(),
            target_clusters: Value::from(names(&job.target_clusters)).to_string(),
            spread: job.spread.as_str().to_owned(),
            max_runtime_seconds: job.max_runtime_seconds.map(i64::from),
            demand_cpu_millis: bounded(job.demand.cpu_millis)?,
            demand_memory_bytes: bounded(job.demand.memory_bytes)?,
            demand_gpus: bounded(job.demand.gpus)?,
            workload_api_version: job.workload_api_version.clone(),
            workload_kind: job.workload_kind.clone(),
            plugin_name: job.provenance.plugin_name.clone(),
            plugin_version: job.provenance.plugin_version.clone(),
            plugin_digest: job.provenance.plugin_digest.to_string(),
            schema_digest: job.provenance.schema_digest.to_string(),
            bundle_digest: job.provenance.bundle_digest.to_string(),
            host_version: job.provenance.host_version.clone(),
            created_at: job.created_at.as_microsecond(),
            version: job.version,
            phase: job.phase.as_str().to_owned(),
            lifecycle: job.lifecycle.as_str().to_owned(),
            desired: job.desired.as_str().to_owned(),
            reason: free_text(&job.reason),
            message: free_text(&job.message),
            failure: job.failure.as_str().to_owned(),
            progress: job.progress,
            last_known: job.last_known.map(|phase| phase.as_str().to_owned()),
            stale_since: job.stale_since.map(Timestamp::as_microsecond),
            placement: job.placement.as_ref().map(|placement| {
                let clusters = names(&placement.clusters);
                serde_json::json!({"clusters": clusters, "reason": placement.reason}).to_string()
            }),
            workload_uid: job.workload_uid.as_deref().map(free_text),
            missing_since: job.missing_since.map(Timestamp::as_microsecond),
            delete_volumes: job.delete_volumes,
            updated_at: job.updated_at.as_microsecond(),
            submitted_at: job.submitted_at.map(Timestamp::as_microsecond),
            started_at: job.started_at.map(Timestamp::as_microsecond),
            finished_at: job.finished_at.map(Timestamp::as_microsecond),
            deleted_at: job.deleted_at.map(Timestamp::as_microsecond),
            settings: job.provenance.settings.clone(),
            input_digest: job.provenance.input_digest.map(|digest| digest.to_string()),
            plan_digest: job.provenance.plan_digest.map(|digest| digest.to_string()),
            max_pending_seconds: job.max_pending_seconds.map(i64::from),
            attempt: i32::try_from(job.attempt.number)
                .map_err(|_| unstorable("an attempt is above 2^31"))?,
            first_attempt: job.attempt.first.as_ref().map(|id| id.as_str().to_owned()),
            suspend: job.suspend,
            abandoned: (!job.abandoned.is_empty())
                .then(|| Value::from(names(&job.abandoned)).to_string()),
            pending_since: job.pending_since.map(Timestamp::as_microsecond),
            run_began: job.run_began.map(Timestamp::as_microsecond),
            restarts: i32::try_from(job.restarts).unwrap_or(i32::MAX),
        })
    }

    /// Puts the job together again.
    pub(crate) fn into_job(self) -> Result<Job, StoreError> {
        let key = self.id.clone();
        let row = Origin { table: Self::TABLE, id: &key };
        let digest = |column, text: &str| row.get(column, Sha256Digest::parse(text).ok());
        let maybe_digest =
            |column, text: Option<String>| text.map(|text| digest(column, &text)).transpose();
        let amount = |column, number: i64| row.get(column, u64::try_from(number).ok());
        let seconds = |column, number: Option<i64>| {
            number.map(|number| row.get(column, u32::try_from(number).ok())).transpose()
        };
        let abandoned = self.abandoned.as_deref().map(|text| row.json("abandoned", text));
        let abandoned = clusters(abandoned.transpose()?.unwrap_or_default());
        let placement = self
            .placement
            .map(|text| {
                let json: PlacementJson = row.json("placement", &text)?;
                let clusters = row.get("placement", clusters(json.clusters))?;
                Ok::<_, StoreError>(Placement { clusters, reason: json.reason })
            })
            .transpose()?;
        Ok(Job {
            id: row.get("id", JobId::parse(self.id).ok())?,
            name: row.get("name", JobName::parse(self.name).ok())?,
            namespace: row.get("namespace", Namespace::parse(self.namespace).ok())?,
            algorithm: self.algorithm,
            priority: self.priority,
            request: row.json("request", &self.request)?,
            target_clusters: row.get(
                "target_clusters",
                clusters(row.json("target_clusters", &self.target_clusters)?),
            )?,
            spread: row.get("spread", Spread::parse(&self.spread))?,
            max_runtime_seconds: seconds("max_runtime_seconds", self.max_runtime_seconds)?,
            max_pending_seconds: seconds("max_pending_seconds", self.max_pending_seconds)?,
            attempt: Attempt {
                // 0 in rows of a schema without the column.
                number: row.get("attempt", u32::try_from(self.attempt.max(1)).ok())?,
                first: self
                    .first_attempt
                    .map(|id| row.get("first_attempt", JobId::parse(id).ok()))
                    .transpose()?,
            },
            demand: Demand {
                cpu_millis: amount("demand_cpu_millis", self.demand_cpu_millis)?,
                memory_bytes: amount("demand_memory_bytes", self.demand_memory_bytes)?,
                gpus: amount("demand_gpus", self.demand_gpus)?,
            },
            workload_api_version: self.workload_api_version,
            workload_kind: self.workload_kind,
            provenance: Provenance {
                plugin_name: self.plugin_name,
                plugin_version: self.plugin_version,
                plugin_digest: digest("plugin_digest", &self.plugin_digest)?,
                schema_digest: digest("schema_digest", &self.schema_digest)?,
                bundle_digest: digest("bundle_digest", &self.bundle_digest)?,
                host_version: self.host_version,
                settings: self.settings,
                input_digest: maybe_digest("input_digest", self.input_digest)?,
                plan_digest: maybe_digest("plan_digest", self.plan_digest)?,
            },
            created_at: row.time("created_at", self.created_at)?,
            version: self.version,
            phase: row.phase("phase", &self.phase)?,
            lifecycle: row.get("lifecycle", Lifecycle::parse(&self.lifecycle))?,
            desired: row.get("desired", Desired::parse(&self.desired))?,
            suspend: self.suspend,
            reason: self.reason,
            message: self.message,
            failure: row.get("failure", FailureClass::parse(&self.failure))?,
            progress: self.progress,
            last_known: self.last_known.map(|text| row.phase("last_known", &text)).transpose()?,
            stale_since: row.maybe_time("stale_since", self.stale_since)?,
            placement,
            workload_uid: self.workload_uid,
            missing_since: row.maybe_time("missing_since", self.missing_since)?,
            pending_since: row.maybe_time("pending_since", self.pending_since)?,
            run_began: row.maybe_time("run_began", self.run_began)?,
            restarts: row.get("restarts", u32::try_from(self.restarts).ok())?,
            delete_volumes: self.delete_volumes,
            abandoned: row.get("abandoned", abandoned)?,
            updated_at: row.time("updated_at", self.updated_at)?,
            submitted_at: row.maybe_time("submitted_at", self.submitted_at)?,
            started_at: row.maybe_time("started_at", self.started_at)?,
            finished_at: row.maybe_time("finished_at", self.finished_at)?,
            deleted_at: row.maybe_time("deleted_at", self.deleted_at)?,
        })
    }
}

row!(
    /// A line of a job's history as it is stored.
    EventRow of "job_events" {
        job_id: String,
        seq: i64,
        at: i64,
        kind: String,
        from_phase: Option<String>,
        to_phase: String,
        actor: String,
        reason: String,
        message: String,
        evidence: String,
    }
);

impl EventRow {
    /// Puts the event together again.
    pub(crate) fn into_event(self) -> Result<Event, StoreError> {
        let row = Origin { table: Self::TABLE, id: &self.job_id };
        Ok(Event {
            seq: self.seq,
            at: row.time("at", self.at)?,
            kind: self.kind,
            from: self.from_phase.map(|text| row.phase("from_phase", &text)).transpose()?,
            to: row.phase("to_phase", &self.to_phase)?,
            actor: self.actor,
            reason: self.reason,
            message: self.message,
            evidence: row.json("evidence", &self.evidence)?,
        })
    }
}

row!(
    /// What a claim reads of an intent.
    IntentRow of "intents" {
        job_id: String,
        id: i64,
        kind: String,
        urgency: i32,
        priority: i32,
        not_before: i64,
        attempts: i64,
        created_at: i64,
    }
);

impl IntentRow {
    /// The claimed intent.
    pub(crate) fn into_claimed(self) -> Result<training::intent::Claimed, StoreError> {
        let row = Origin { table: Self::TABLE, id: &self.job_id };
        Ok(training::intent::Claimed {
            id: self.id,
            kind: row.get("kind", IntentKind::parse(&self.kind))?,
            attempts: row.get("attempts", u32::try_from(self.attempts).ok())?,
            created_at: row.time("created_at", self.created_at)?,
            job_id: row.get("job_id", JobId::parse(self.job_id.clone()).ok())?,
        })
    }
}

row!(
    /// A frozen bundle as it is stored.
    BundleRow of "bundles" {
        job_id: String,
        digest: String,
        body: String,
    }
);

impl BundleRow {
    /// The bundle, if it is still the one that was hashed.
    pub(crate) fn into_bundle(self) -> Result<training::manifest::Bundle, StoreError> {
        let row = Origin { table: Self::TABLE, id: &self.job_id };
        if Sha256Digest::of(&self.body).to_string() != self.digest {
            return Err(row.corrupt("body"));
        }
        row.get("body", training::manifest::Bundle::parse(&self.body).ok())
    }
}

row!(
    /// An idempotency key in use.
    KeyRow of "idempotency_keys" {
        key: String,
        fingerprint: String,
        job_id: String,
    }
);

impl KeyRow {
    /// The job that the key made.
    pub(crate) fn job_id(&self) -> Result<JobId, StoreError> {
        let row = Origin { table: Self::TABLE, id: &self.key };
        row.get("job_id", JobId::parse(self.job_id.clone()).ok())
    }
}

/// Text that a plugin or a cluster wrote: PostgreSQL cannot store a zero byte, and no such byte
/// may keep a job from moving.
pub(crate) fn free_text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
