//! What only a real database can do: be opened twice, be damaged, be closed, choose an index.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails by panicking")]

use std::time::Duration;

use job_store::{Config, ConnectError, DatabaseUrl, connect};
use sqlx::{Connection, PgConnection, Row, SqliteConnection};
use training::Clock as _;
use training::clock::{RandomIds, SignedDuration, SystemClock};
use training::ports::{Inserted, ListQuery, NewPluginEvent, StoreError};
use training::testing::samples::{at, job, keyed, new_job};

use crate::databases::{postgres, sqlite};

async fn refusal(url: &str) -> ConnectError {
    connect(&Config::new(DatabaseUrl::new(url)), &RandomIds).await.err().unwrap()
}

#[tokio::test]
async fn a_wrong_url_is_told_apart_from_a_database_that_is_down() {
    let wrong = refusal("mysql://db/jobs").await;
    assert!(matches!(wrong, ConnectError::UnknownScheme { .. }) && !wrong.retryable());
    let wrong = refusal("postgres://a:secret@[").await;
    assert!(matches!(wrong, ConnectError::MalformedUrl) && !wrong.retryable());
    let down = refusal("postgres://ada:secret@127.0.0.1:1/jobs").await;
    assert!(matches!(down, ConnectError::Unreachable(_)) && down.retryable());
    assert!(!format!("{down:?}").contains("secret"));
}

#[tokio::test]
async fn a_second_process_on_one_file_is_refused_until_the_first_has_closed() {
    let file = sqlite();
    let first = file.connect().await;
    let second = refusal(&file.url()).await;
    assert!(matches!(second, ConnectError::InUse { .. }) && second.retryable(), "{second}");
    let store = std::sync::Arc::clone(&first.store);
    first.close().await;
    assert!(store.ping().await.unwrap_err().retryable());
    assert!(store.insert(&new_job(job("late", 1))).await.unwrap_err().retryable());
    file.connect().await.close().await;
}

#[tokio::test]
async fn memory_serves_small_tests() {
    let config = Config::new(DatabaseUrl::new("sqlite::memory:"));
    let connected = connect(&config, &RandomIds).await.unwrap();
    assert_eq!(connected.store.insert(&new_job(job("one", 1))).await.unwrap(), Inserted::New);
    assert_eq!(connected.store.list(&ListQuery::default()).await.unwrap().len(), 1);
    connected.close().await;
}

#[tokio::test]
async fn an_sqlite_file_keeps_jobs_and_origin_over_a_restart() {
    let file = sqlite();
    let connected = file.connect().await;
    let origin = connected.store.origin().await.unwrap();
    let one = job("one", 1);
    connected.store.insert(&new_job(one.clone())).await.unwrap();
    connected.close().await;
    let connected = file.connect().await;
    assert_eq!(connected.store.origin().await.unwrap(), origin);
    assert_eq!(connected.store.find(&one.id).await.unwrap(), Some(one));
    connected.close().await;
}

#[tokio::test]
async fn leases_of_a_process_that_died_are_void_on_its_own_file() {
    let file = sqlite();
    let connected = file.connect().await;
    connected.store.insert(&new_job(job("one", 1))).await.unwrap();
    let lease = Duration::from_hours(1);
    let claim = |store: std::sync::Arc<dyn training::ports::JobStore>, owner: &'static str| async move {
        store.claim(owner, at(100), lease, 10).await.unwrap().len()
    };
    assert_eq!(claim(std::sync::Arc::clone(&connected.store), "first").await, 1);
    assert_eq!(claim(std::sync::Arc::clone(&connected.store), "other").await, 0);
    connected.close().await;
    let connected = file.connect().await;
    assert_eq!(claim(std::sync::Arc::clone(&connected.store), "second").await, 1);
    connected.close().await;
}

#[tokio::test]
async fn a_store_dropped_without_close_releases_its_file() {
    let file = sqlite();
    drop(file.connect().await);
    for _ in 0..500 {
        match connect(&Config::new(DatabaseUrl::new(file.url())), &RandomIds).await {
            Ok(connected) => return connected.close().await,
            Err(ConnectError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(10)).await,
            Err(other) => panic!("{other}"),
        }
    }
    panic!("the writer task outlived its store");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_write_in_a_group_does_not_harm_the_others() {
    let file = sqlite();
    let connected = file.connect().await;
    let store = &connected.store;
    let answers = futures_util::future::join_all((1..=64).map(|number| async move {
        let mut new = keyed(job(&format!("job-{number}"), number), &format!("k{number}"), "b");
        if number % 8 == 0 {
            // No column takes it: the check of the table refuses the row.
            new.job.version = 0;
        }
        store.insert(&new).await
    }))
    .await;
    for (number, answer) in (1..).zip(answers) {
        match answer {
            Ok(Inserted::New) => assert_ne!(number % 8, 0),
            Err(StoreError::Internal(_)) => assert_eq!(number % 8, 0),
            other => panic!("{number}: {other:?}"),
        }
    }
    assert_eq!(store.list(&ListQuery::default()).await.unwrap().len(), 56);
    assert_eq!(store.claim("a", at(99), Duration::from_secs(1), 99).await.unwrap().len(), 56);
    connected.close().await;
}

/// Damages one column of one row, and what reading it must say.
const DAMAGE: [(&str, &str, &str); 6] = [
    ("UPDATE jobs SET request = '{'", "jobs", "request"),
    ("UPDATE jobs SET target_clusters = '[\"Not A Name\"]'", "jobs", "target_clusters"),
    ("UPDATE jobs SET failure = 'bad-luck'", "jobs", "failure"),
    ("UPDATE jobs SET placement = '{}'", "jobs", "placement"),
    (
        "UPDATE jobs SET plan_digest = plugin_name || substr(plugin_digest, 8)",
        "jobs",
        "plan_digest",
    ),
    ("UPDATE bundles SET body = '{\"manifests\":[]}'", "bundles", "body"),
];

fn assert_corrupt<T: std::fmt::Debug>(result: Result<T, StoreError>, expected: (&str, &str)) {
    match result {
        Err(StoreError::Corrupt { table, column, id }) => {
            assert_eq!((table, column, id.as_str()), (expected.0, expected.1, "one-00000001"));
        }
        other => panic!("{expected:?}: {other:?}"),
    }
}

#[tokio::test]
async fn a_damaged_row_is_an_error_that_names_it_on_sqlite() {
    // SQLite keeps any value in any column, so there is one more way to damage it.
    let more = [("UPDATE jobs SET updated_at = 'noon'", "jobs", "updated_at")];
    for (sql, table, column) in DAMAGE.into_iter().chain(more) {
        let file = sqlite();
        let connected = file.connect().await;
        let id = job("one", 1).id;
        connected.store.insert(&new_job(job("one", 1))).await.unwrap();
        let mut raw = SqliteConnection::connect(&file.url()).await.unwrap();
        sqlx::query(sql).execute(&mut raw).await.unwrap();
        if table == "bundles" {
            assert_corrupt(connected.store.bundle(&id).await, (table, column));
        } else {
            assert_corrupt(connected.store.find(&id).await, (table, column));
            let list = connected.store.list(&ListQuery::default()).await;
            assert_corrupt(list, (table, column));
        }
        connected.close().await;
    }
}

#[tokio::test]
async fn a_damaged_row_is_an_error_that_names_it_on_postgres() {
    let Some(database) = postgres().await else { return };
    let connected = database.connect().await;
    let mut raw = PgConnection::connect(&database.url()).await.unwrap();
    let id = job("one", 1).id;
    connected.store.insert(&new_job(job("one", 1))).await.unwrap();
    for (sql, table, column) in DAMAGE {
        // One after the other in the order of reading, each undone by hand.
        let mut undo = raw.begin().await.unwrap();
        sqlx::query(sql).execute(&mut *undo).await.unwrap();
        undo.commit().await.unwrap();
        if table == "bundles" {
            assert_corrupt(connected.store.bundle(&id).await, (table, column));
        } else {
            assert_corrupt(connected.store.find(&id).await, (table, column));
        }
        sqlx::query(
            "UPDATE jobs SET request = '{}', target_clusters = '[]', failure = 'none', \
             placement = NULL, plan_digest = NULL",
        )
        .execute(&mut raw)
        .await
        .unwrap();
    }
    connected.close().await;
    database.drop().await;
}

/// What nobody may do to a history.
const REWRITES: [&str; 4] = [
    "UPDATE job_events SET reason = 'x'",
    "DELETE FROM job_events",
    "UPDATE plugin_events SET actor = 'x'",
    "DELETE FROM plugin_events",
];

fn plugin_event() -> NewPluginEvent {
    NewPluginEvent {
        at: at(1),
        plugin: "trees".to_owned(),
        kind: "Pinned".to_owned(),
        digest: None,
        actor: "ada".to_owned(),
        message: "Pinned.".to_owned(),
        evidence: serde_json::Value::Null,
    }
}

#[tokio::test]
async fn history_is_append_only_in_the_database() {
    let file = sqlite();
    let connected = file.connect().await;
    connected.store.insert(&new_job(job("one", 1))).await.unwrap();
    let mut raw = SqliteConnection::connect(&file.url()).await.unwrap();
    connected.registry.record(&[plugin_event()]).await.unwrap();
    for sql in REWRITES {
        let refused = sqlx::query(sql).execute(&mut raw).await.unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{refused}");
    }
    connected.close().await;
    let Some(database) = postgres().await else { return };
    let connected = database.connect().await;
    connected.store.insert(&new_job(job("one", 1))).await.unwrap();
    let mut raw = PgConnection::connect(&database.url()).await.unwrap();
    connected.registry.record(&[plugin_event()]).await.unwrap();
    for sql in REWRITES {
        let refused = sqlx::query(sql).execute(&mut raw).await.unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{refused}");
    }
    connected.close().await;
    database.drop().await;
}

#[tokio::test]
async fn a_schema_that_needs_a_newer_program_is_refused() {
    let file = sqlite();
    file.connect().await.close().await;
    let mut raw = SqliteConnection::connect(&file.url()).await.unwrap();
    sqlx::query("UPDATE installation SET schema_floor = 999").execute(&mut raw).await.unwrap();
    let refused = refusal(&file.url()).await;
    assert!(matches!(refused, ConnectError::SchemaTooNew { needed: 999, .. }), "{refused}");
    assert!(!refused.retryable());
}

/// The queries of the hot paths, as the store writes them but for the columns; and the index
/// that each must use, or reading costs as much as there are jobs.
const PLANS: [(&str, &str); 8] = [
    (
        "SELECT * FROM jobs WHERE lifecycle <> 'Deleted' \
         ORDER BY created_at DESC, id DESC LIMIT 50",
        "jobs_list",
    ),
    (
        "SELECT * FROM jobs WHERE lifecycle <> 'Deleted' AND (created_at, id) < (1000000, 'x') \
         ORDER BY created_at DESC, id DESC LIMIT 50",
        "jobs_list",
    ),
    (
        "SELECT * FROM jobs WHERE lifecycle <> 'Deleted' AND namespace = 'n7' \
         AND (created_at, id) < (1000000, 'x') ORDER BY created_at DESC, id DESC LIMIT 50",
        "jobs_list_namespace",
    ),
    (
        "SELECT * FROM jobs WHERE lifecycle = 'Active' \
         AND phase IN ('Submitted', 'Running', 'Suspended', 'Unknown') \
         AND (created_at, id) > (1000000, 'x') ORDER BY created_at, id LIMIT 100",
        "jobs_observed",
    ),
    (
        "SELECT * FROM jobs WHERE lifecycle <> 'Deleted' AND lifecycle = 'Active' \
         AND phase IN ('Submitted', 'Running', 'Suspended', 'Unknown') \
         AND (namespace, name) IN (('n7', 'j7'), ('n8', 'j58'))",
        "jobs_live_name",
    ),
    (
        "SELECT id FROM jobs WHERE namespace = 'n7' AND name = 'j7' AND lifecycle <> 'Deleted'",
        "jobs_live_name",
    ),
    (
        "SELECT id FROM jobs WHERE lifecycle = 'Active' AND finished_at IS NOT NULL \
         AND finished_at <= 700 ORDER BY finished_at LIMIT 100",
        "jobs_finished",
    ),
    (
        "SELECT * FROM jobs WHERE namespace = 'n7' AND name = 'j7' AND placement IS NOT NULL \
         AND (created_at, id) < (1000000, 'x') ORDER BY created_at DESC, id DESC LIMIT 8",
        "jobs_name",
    ),
];

/// Rows by the thousand from one row, told apart by `{n}`; all but one in a thousand are over.
fn many(series: &str) -> String {
    let digest = "0".repeat(64);
    format!(
        "INSERT INTO jobs SELECT 'id-' || n, 'n' || (n % 50), 'j' || n, 'a', 5, '{{}}', '[]', \
         'one', NULL, 1, 1, 0, 'v', 'k', 'p', '1', '{digest}', '{digest}', '{digest}', '1', \
         n * 1000, 1, CASE WHEN n % 1000 = 0 THEN 'Running' ELSE 'Succeeded' END, 'Active', \
         'Run', '', '', 'none', NULL, NULL, NULL, NULL, NULL, NULL, FALSE, n, NULL, NULL, \
         CASE WHEN n % 1000 = 0 THEN NULL ELSE n END, NULL, NULL, NULL, NULL, NULL, 1, NULL, FALSE, NULL, \
         NULL, NULL, 0 \
         FROM {series}"
    )
}

#[tokio::test]
async fn reads_use_their_index_on_sqlite() {
    let file = sqlite();
    file.connect().await.close().await;
    let mut raw = SqliteConnection::connect(&file.url()).await.unwrap();
    let series = "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 20000) \
                  SELECT n FROM s) WHERE true";
    sqlx::raw_sql(sqlx::AssertSqlSafe(many(series))).execute(&mut raw).await.unwrap();
    for (sql, index) in PLANS {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let rows = sqlx::query(explain).fetch_all(&mut raw).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
        let plan = plan.join("\n");
        assert!(plan.contains(&format!("INDEX {index} ")) || plan.ends_with(index), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "sorts: {plan}");
    }
}

#[tokio::test]
async fn reads_use_their_index_on_postgres() {
    let Some(database) = postgres().await else { return };
    database.connect().await.close().await;
    let mut raw = PgConnection::connect(&database.url()).await.unwrap();
    let series = "generate_series(1, 20000) AS n";
    sqlx::raw_sql(sqlx::AssertSqlSafe(many(series))).execute(&mut raw).await.unwrap();
    sqlx::raw_sql("ANALYZE jobs").execute(&mut raw).await.unwrap();
    for (sql, index) in PLANS {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN {sql}"));
        let plan: Vec<String> = sqlx::query_scalar(explain).fetch_all(&mut raw).await.unwrap();
        let plan = plan.join("\n");
        assert!(
            plan.contains(&format!("on {index} ")) || plan.contains(&format!("using {index} ")),
            "{plan}"
        );
    }
    drop(raw);
    database.drop().await;
}

/// Drops a write after it was polled so many times.
async fn cut_off(write: impl Future, polls: u32) {
    tokio::select! {
        biased;
        _ = write => {}
        () = async {
            for _ in 0..polls {
                tokio::task::yield_now().await;
            }
        } => {}
    }
}

#[tokio::test]
async fn a_write_that_is_cut_off_anywhere_costs_no_later_one() {
    let Some(database) = postgres().await else { return };
    let mut config = Config::new(DatabaseUrl::new(database.url()));
    // The next write gets the very connection.
    config.max_connections = 1;
    let connected = connect(&config, &RandomIds).await.unwrap();
    let mut other = PgConnection::connect(&database.url()).await.unwrap();
    for number in 0..300 {
        cut_off(connected.store.settle(1, "nobody"), number * 2).await;
        let one = job(&format!("job-{number}"), number + 1);
        assert_eq!(connected.store.insert(&new_job(one.clone())).await.unwrap(), Inserted::New);
        let seen: Option<String> = sqlx::query_scalar("SELECT id FROM jobs WHERE id = $1")
            .bind(one.id.as_str())
            .fetch_optional(&mut other)
            .await
            .unwrap();
        assert_eq!(seen.as_deref(), Some(one.id.as_str()), "accepted, and not committed");
    }
    other.close().await.unwrap();
    connected.close().await;
    database.drop().await;
}

#[tokio::test]
async fn the_clock_of_postgres_dates_leases_whatever_that_of_a_host_shows() {
    let Some(database) = postgres().await else { return };
    // A server an hour ahead of this machine, or, to the server, a host that is an hour behind.
    let mut admin = PgConnection::connect(&database.url()).await.unwrap();
    for sql in [
        "CREATE SCHEMA ahead",
        "CREATE FUNCTION ahead.clock_timestamp() RETURNS timestamptz LANGUAGE sql \
         AS $f$ SELECT pg_catalog.clock_timestamp() + interval '1 hour' $f$",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = \
         ahead, pg_catalog, public', current_database()); END $$",
    ] {
        sqlx::raw_sql(sql).execute(&mut admin).await.unwrap();
    }
    let first = database.connect().await;
    let second = database.connect().await;
    let ahead = first.clock.now().duration_since(SystemClock.now());
    let hour = SignedDuration::from_hours(1);
    assert!((ahead - hour).abs() < SignedDuration::from_mins(1), "{ahead:?}");
    let submit = async |name: &str, number| {
        let now = first.clock.now();
        let mut fresh = job(name, number);
        (fresh.created_at, fresh.updated_at) = (now, now);
        first.store.insert(&new_job(fresh)).await.unwrap();
    };
    submit("one", 1).await;
    let lease = Duration::from_mins(10);
    let owned = first.store.claim("first", first.clock.now(), lease, 10).await.unwrap();
    assert_eq!(owned.len(), 1);
    let stolen = second.store.claim("second", second.clock.now(), lease, 10).await.unwrap();
    assert_eq!(stolen, Vec::new());
    first.store.settle(owned.first().unwrap().id, "first").await.unwrap();
    submit("two", 2).await;
    // A host that was suspended for an hour asks by the time of then. It learns better before it
    // claims, or its lease would be over before it begins.
    let later = "CREATE OR REPLACE FUNCTION ahead.clock_timestamp() RETURNS timestamptz LANGUAGE sql \
                 AS $f$ SELECT pg_catalog.clock_timestamp() + interval '2 hours' $f$";
    sqlx::raw_sql(later).execute(&mut admin).await.unwrap();
    let before = first.clock.now();
    assert_eq!(first.store.claim("first", before, lease, 10).await.unwrap().len(), 1);
    assert!(first.clock.now() > before + Duration::from_mins(59));
    let stored: i64 =
        sqlx::query_scalar("SELECT leased_until FROM ahead.intents WHERE leased_by = 'first'")
            .fetch_one(&mut admin)
            .await
            .unwrap();
    assert!(stored > (before + Duration::from_hours(1)).as_microsecond(), "dated by the database");
    admin.close().await.unwrap();
    first.close().await;
    second.close().await;
    database.drop().await;
}
