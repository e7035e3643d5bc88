//! Accepted submissions per second over HTTP, against what the same database does when one row is
//! inserted durably per transaction, at the same concurrency, in alternating rounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use sqlx::{ConnectOptions as _, Executor as _};

use crate::process::Ground;
use crate::report::{Report, median};

/// Clients at once.
const CONCURRENCY: usize = 64;
/// Length of one side of a round.
const SLICE: Duration = Duration::from_secs(3);
/// Rounds of both sides.
const ROUNDS: usize = 5;

/// Runs `work` from [`CONCURRENCY`] tasks for [`SLICE`]; returns completions per second.
async fn rate<F, T>(work: F) -> anyhow::Result<f64>
where
    F: Fn(u64) -> T + Send + Sync + 'static,
    T: Future<Output = anyhow::Result<()>> + Send,
{
    let work = Arc::new(work);
    let number = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CONCURRENCY {
        let (work, number, done) = (Arc::clone(&work), Arc::clone(&number), Arc::clone(&done));
        tasks.spawn(async move {
            while started.elapsed() < SLICE {
                work(number.fetch_add(1, Ordering::Relaxed)).await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    while let Some(result) = tasks.join_next().await {
        result??;
    }
    Ok(done.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64())
}

/// Submits the sample form under fresh names.
async fn submissions(url: &str, round: usize) -> anyhow::Result<f64> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/params.json");
    let form: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let client = reqwest::Client::new();
    let url = format!("{url}/api/v1/jobs");
    rate(move |number| {
        let mut form = form.clone();
        form["jobName"] = serde_json::json!(format!("bench-{round}-{number}"));
        let request =
            client.post(&url).header("content-type", "application/json").body(form.to_string());
        async move {
            let answer = request.send().await?;
            let status = answer.status();
            let body = answer.text().await?;
            ensure!(status == 201, "{status}: {body}");
            Ok(())
        }
    })
    .await
}

/// As large as a job row with its bundle.
fn payload() -> String {
    "x".repeat(8 << 10)
}

async fn postgres_baseline(url: &str, round: usize) -> anyhow::Result<f64> {
    let pool = sqlx::postgres::PgPoolOptions::new()
        .max_connections(u32::try_from(CONCURRENCY)?)
        .connect(url)
        .await?;
    pool.execute("CREATE TABLE IF NOT EXISTS baseline (id TEXT PRIMARY KEY, body TEXT NOT NULL)")
        .await?;
    let body = payload();
    let own = pool.clone();
    let rate = rate(move |number| {
        let (pool, body) = (own.clone(), body.clone());
        async move {
            sqlx::query("INSERT INTO baseline (id, body) VALUES ($1, $2)")
                .bind(format!("{round}-{number}"))
                .bind(body)
                .execute(&pool)
                .await?;
            Ok(())
        }
    })
    .await;
    pool.close().await;
    rate
}

/// One connection, one durable transaction per row: SQLite has one writer.
async fn sqlite_baseline(path: &std::path::Path, round: usize) -> anyhow::Result<f64> {
    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut connection = options.connect().await?;
    connection
        .execute("CREATE TABLE IF NOT EXISTS baseline (id TEXT PRIMARY KEY, body TEXT NOT NULL)")
        .await?;
    let body = payload();
    let started = Instant::now();
    let mut done = 0_u64;
    while started.elapsed() < SLICE {
        sqlx::query("INSERT INTO baseline (id, body) VALUES ($1, $2)")
            .bind(format!("{round}-{done}"))
            .bind(&body)
            .execute(&mut connection)
            .await?;
        done += 1;
    }
    Ok(done as f64 / started.elapsed().as_secs_f64())
}

/// How often the device makes a page durable.
fn fsync_rate(path: &std::path::Path) -> anyhow::Result<f64> {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path)?;
    let started = Instant::now();
    let mut done = 0_u64;
    while started.elapsed() < Duration::from_secs(1) {
        file.write_all(&[0_u8; 4096])?;
        file.sync_data()?;
        done += 1;
    }
    Ok(done as f64 / started.elapsed().as_secs_f64())
}

pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    eprintln!("submission:");
    sqlite(report).await?;
    postgres(report).await
}

async fn sqlite(report: &mut Report) -> anyhow::Result<()> {
    let ground = Ground::new().await?;
    let dir = ground.dir.path();
    let host = ground.host(&format!("sqlite://{}", dir.join("jobs.db").display())).await?;
    // With the cluster hanging, only the way to the database is measured; its rest is bounded by
    // the simulator on the same two cores.
    ground.sandbox.faults().hang("*");
    let (mut ours, mut base, mut fsync) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        ours.push(submissions(&host.url, round).await?);
        base.push(sqlite_baseline(&dir.join("baseline.db"), round).await?);
        fsync.push(fsync_rate(&dir.join("fsync"))?);
    }
    let (ours, base, fsync) = (median(&mut ours), median(&mut base), median(&mut fsync));
    report.add(
        "accepted submissions, SQLite, per durable single-row insert",
        ours / base,
        "x",
        "-",
        format!("{ours:.0}/s against {base:.0}/s, {CONCURRENCY} clients"),
    );
    report.add(
        "accepted submissions, SQLite, per fsync of the device",
        ours / fsync,
        "x",
        ">= 10",
        format!("{ours:.0}/s against {fsync:.0}/s"),
    );
    drop(host);
    ground.sandbox.stop().await;
    Ok(())
}

async fn postgres(report: &mut Report) -> anyhow::Result<()> {
    let admin = std::env::var("TRAINYARD_TEST_POSTGRES_URL").context("run `cargo xtask bench`")?;
    let (server, _) = admin.rsplit_once('/').context("a URL with a database")?;
    let pool = sqlx::PgPool::connect(&admin).await?;
    for name in ["bench_jobs", "bench_baseline"] {
        let statement = format!("CREATE DATABASE {name}");
        pool.execute(sqlx::AssertSqlSafe(statement)).await?;
    }
    pool.close().await;
    let ground = Ground::new().await?;
    let host = ground.host(&format!("{server}/bench_jobs")).await?;
    ground.sandbox.faults().hang("*");
    let (mut ours, mut base) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        ours.push(submissions(&host.url, round).await?);
        base.push(postgres_baseline(&format!("{server}/bench_baseline"), round).await?);
    }
    let (ours, base) = (median(&mut ours), median(&mut base));
    report.add(
        "accepted submissions, PostgreSQL, per durable single-row insert",
        ours / base,
        "x",
        ">= 0.6",
        format!("{ours:.0}/s against {base:.0}/s, {CONCURRENCY} clients"),
    );
    drop(host);
    ground.sandbox.stop().await;
    Ok(())
}
