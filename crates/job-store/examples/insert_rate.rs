//! How many submissions a second a store makes durable, beside what the device or server can do:
//! flushes a second for SQLite, one-row transactions for PostgreSQL. Rounds alternate, medians
//! count. Usage: `insert_rate <database url> [callers] [seconds per round]`.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use job_store::{Config, DatabaseUrl, connect};
use training::clock::{IdSource as _, RandomIds};
use training::ports::{Inserted, JobStore};
use training::testing::samples;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const ROUNDS: usize = 5;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("name a database URL")?;
    let callers: u32 = arguments.next().unwrap_or_else(|| "64".to_owned()).parse()?;
    let seconds: f64 = arguments.next().unwrap_or_else(|| "2".to_owned()).parse()?;
    let round = Duration::from_secs_f64(seconds);

    let connected = connect(&Config::new(DatabaseUrl::new(url.as_str())), &RandomIds).await?;
    let next = Arc::new(AtomicU32::new(RandomIds.next()));
    let (mut bare, mut inserts) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.push(match url.strip_prefix("sqlite://") {
            Some(path) => flushes(Path::new(path), round)?,
            None => rows(&url, callers, round).await?,
        });
        inserts.push(submissions(&connected.store, &next, callers, round).await?);
    }
    connected.close().await;
    let (bare, inserts) = (median(bare), median(inserts));
    println!("bare {bare:.0}/s  submissions {inserts:.0}/s  ratio {:.2}", inserts / bare);
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}

/// Appends of one page, each flushed, to a file beside the database.
fn flushes(database: &Path, round: Duration) -> Result<f64, Failure> {
    let path = database.with_extension("flushes");
    let mut file = std::fs::File::create(&path)?;
    let (start, mut count) = (Instant::now(), 0.0);
    while start.elapsed() < round {
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        count += 1.0;
    }
    let rate = count / start.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(rate)
}

/// Runs `call` from so many tasks until the round is over.
async fn rate<F, Fut>(callers: u32, round: Duration, call: F) -> Result<f64, Failure>
where
    F: Fn() -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<(), Failure>> + Send,
{
    let (start, mut tasks) = (Instant::now(), tokio::task::JoinSet::new());
    for _ in 0..callers {
        let call = call.clone();
        tasks.spawn(async move {
            let mut count = 0.0;
            while start.elapsed() < round {
                call().await?;
                count += 1.0;
            }
            Ok::<f64, Failure>(count)
        });
    }
    let mut total = 0.0;
    while let Some(count) = tasks.join_next().await {
        total += count??;
    }
    Ok(total / start.elapsed().as_secs_f64())
}

/// Durable inserts of one row of a kilobyte, on as many connections as the store has.
async fn rows(url: &str, callers: u32, round: Duration) -> Result<f64, Failure> {
    let pool = sqlx::postgres::PgPoolOptions::new()
        .max_connections(10)
        .acquire_timeout(Duration::from_secs(30))
        .connect(url)
        .await?;
    sqlx::query("CREATE TABLE IF NOT EXISTS insert_rate (id BIGSERIAL PRIMARY KEY, body TEXT)")
        .execute(&pool)
        .await?;
    let body: Arc<str> = "x".repeat(1024).into();
    let call = {
        let pool = pool.clone();
        move || {
            let (pool, body) = (pool.clone(), Arc::clone(&body));
            async move {
                sqlx::query("INSERT INTO insert_rate (body) VALUES ($1)")
                    .bind(&*body)
                    .execute(&pool)
                    .await?;
                Ok(())
            }
        }
    };
    let rate = rate(callers, round, call).await?;
    pool.close().await;
    Ok(rate)
}

async fn submissions(
    store: &Arc<dyn JobStore>,
    next: &Arc<AtomicU32>,
    callers: u32,
    round: Duration,
) -> Result<f64, Failure> {
    let (store, next) = (Arc::clone(store), Arc::clone(next));
    rate(callers, round, move || {
        let (store, next) = (Arc::clone(&store), Arc::clone(&next));
        async move {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let name = format!("job-{number}");
            let job = samples::job(&name, number);
            match store.insert(&samples::keyed(job, &name, "body")).await? {
                Inserted::New => Ok(()),
                other => Err(format!("{other:?}").into()),
            }
        }
    })
    .await
}
