//! SQLite: a pool that reads, and one task that writes. The task takes whatever writes are
//! waiting, runs each in a savepoint of one transaction, and answers after the common commit:
//! they share one flush to the disk.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection, Sqlite, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use training::ports::StoreError;

use super::{Backend, Outcome, Write};
use crate::dialect::Dialect;
use crate::{Config, ConnectError, error, migrate};

/// Most writes in one transaction: later ones would wait for the sum of all.
const GROUP: usize = 64;

/// Writes that may wait: four groups, about 20 ms of work. More callers wait in
/// [`SqliteBackend::write`], for as long as they would for a connection.
const QUEUE: usize = 4 * GROUP;

/// Another program, such as a backup, may hold the file's lock so long.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) struct SqliteBackend {
    reading: SqlitePool,
    queue: Mutex<Option<mpsc::Sender<Box<dyn Queued>>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    acquire_timeout: Duration,
}

/// Opens the file, which is made if it is missing, migrates, and starts the writer.
pub(crate) async fn open(config: &Config) -> Result<SqliteBackend, ConnectError> {
    let options = SqliteConnectOptions::from_str(&config.url.0)
        .map_err(|_| ConnectError::MalformedUrl)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // NORMAL would lose acknowledged jobs with the power.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT);
    let in_memory = config.url.0.contains(":memory:") || config.url.0.contains("mode=memory");
    let lock = if in_memory { None } else { Some(lock(options.get_filename())?) };

    let pool = |connections: u32| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(config.acquire_timeout)
            // A file in use costs nothing to keep open, and memory would be lost.
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
    };
    let writing = pool(1).connect_with(options.clone()).await.map_err(ConnectError::unreachable)?;
    let mut connection = writing.acquire().await.map_err(ConnectError::unreachable)?;
    migrate::run(&mut *connection).await?;
    if lock.is_some() {
        // The file is ours alone, so whoever held a lease is gone; waiting for its end would only
        // hold up the jobs that a crash interrupted.
        sqlx::query(
            "UPDATE intents SET leased_by = NULL, leased_until = NULL, rearmed = FALSE, \
             attempts = attempts + 1 WHERE leased_by IS NOT NULL",
        )
        .execute(&mut *connection)
        .await
        .map_err(ConnectError::unreachable)?;
        sqlx::query(
            "UPDATE log_archives SET leased_by = NULL, leased_until = NULL \
             WHERE leased_by IS NOT NULL",
        )
        .execute(&mut *connection)
        .await
        .map_err(ConnectError::unreachable)?;
    }
    drop(connection);
    let reading = if in_memory {
        writing.clone()
    } else {
        pool(config.max_connections).connect_lazy_with(options.pragma("query_only", "ON"))
    };

    let (sender, receiver) = mpsc::channel(QUEUE);
    #[expect(
        clippy::disallowed_methods,
        reason = "the task belongs to the store: it ends when the store closes or is dropped"
    )]
    let writer = tokio::spawn(write_groups(writing, receiver, lock));
    Ok(SqliteBackend {
        reading,
        queue: Mutex::new(Some(sender)),
        writer: Mutex::new(Some(writer)),
        acquire_timeout: config.acquire_timeout,
    })
}

/// Makes the folder and takes the lock file beside the database. The lock ends with the file
/// handle, also when the process is killed.
fn lock(database: &Path) -> Result<File, ConnectError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ConnectError::File { path, source }
    };
    if let Some(folder) = database.parent() {
        std::fs::create_dir_all(folder).map_err(failed(folder))?;
    }
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(failed(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ConnectError::InUse { path }),
        Err(TryLockError::Error(source)) => Err(ConnectError::File { path, source }),
    }
}

/// A write whose caller waits.
#[async_trait]
trait Queued: Send {
    /// Runs it without a savepoint and keeps its answer; `false` if it was refused, and whatever
    /// the transaction holds has to go.
    async fn run_bare(&mut self, connection: &mut SqliteConnection) -> bool;

    /// Runs it in a savepoint and keeps its answer. An error here means that the whole
    /// transaction is lost.
    async fn run(&mut self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error>;

    /// Tells the caller, after the group is durable.
    fn committed(self: Box<Self>);

    /// Tells the caller, after the group failed; first looks whether it is durable nevertheless.
    async fn failed(self: Box<Self>, connection: Option<&mut SqliteConnection>, why: &str);
}

struct Waiting<W: Write<Sqlite>> {
    write: W,
    answer: Option<Result<W::Answer, StoreError>>,
    kept: bool,
    caller: oneshot::Sender<Result<W::Answer, StoreError>>,
}

#[async_trait]
impl<W: Write<Sqlite>> Queued for Waiting<W> {
    async fn run_bare(&mut self, connection: &mut SqliteConnection) -> bool {
        let answer = if W::SHORT_WAY {
            self.write.run_at_once(connection).await.ok()
        } else {
            match self.write.run(connection).await {
                Ok(Outcome::Keep(answer)) => Some(answer),
                _ => None,
            }
        };
        self.kept = answer.is_some();
        self.answer = answer.map(Ok);
        self.kept
    }

    async fn run(&mut self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let mut savepoint = Connection::begin(&mut *connection).await?;
        match self.write.run(&mut savepoint).await {
            Ok(Outcome::Keep(answer)) => {
                savepoint.commit().await?;
                self.kept = true;
                self.answer = Some(Ok(answer));
            }
            Ok(Outcome::Undo(answer)) => {
                savepoint.rollback().await?;
                self.kept = false;
                self.answer = Some(Ok(answer));
            }
            Err(failed) => {
                savepoint.rollback().await?;
                self.kept = false;
                self.answer = Some(Err(failed));
            }
        }
        Ok(())
    }

    fn committed(self: Box<Self>) {
        let answer = self.answer.unwrap_or_else(|| Err(error::not_accepting("it was not run")));
        // A caller that has gone away wants no answer.
        let _ = self.caller.send(answer);
    }

    async fn failed(self: Box<Self>, connection: Option<&mut SqliteConnection>, why: &str) {
        let confirmed = match connection {
            Some(connection) if self.kept => self.write.confirm(connection).await,
            _ => None,
        };
        let failed = || Err(StoreError::Unavailable(why.to_owned().into()));
        let _ = self.caller.send(confirmed.map_or_else(failed, Ok));
    }
}

/// The writer task. Ends when every sender is gone; `lock` is held as long.
async fn write_groups(
    pool: SqlitePool,
    mut queue: mpsc::Receiver<Box<dyn Queued>>,
    lock: Option<File>,
) {
    let mut group = Vec::with_capacity(GROUP);
    while queue.recv_many(&mut group, GROUP).await > 0 {
        match write_group(&pool, &mut group).await {
            Ok(()) => group.drain(..).for_each(Queued::committed),
            Err(failed) => {
                tracing::warn!(
                    error = &failed as &dyn std::error::Error,
                    "A group of {} writes failed",
                    group.len()
                );
                let why = failed.to_string();
                let mut connection = pool.acquire().await.ok();
                for each in group.drain(..) {
                    each.failed(connection.as_deref_mut(), &why).await;
                }
            }
        }
    }
    pool.close().await;
    drop(lock);
}

async fn write_group(pool: &SqlitePool, group: &mut [Box<dyn Queued>]) -> Result<(), sqlx::Error> {
    let mut connection = pool.acquire().await?;
    // Refusals are rare, and a savepoint costs as much as a write. So the first attempt has none,
    // and one refusal sends the whole group over the safe way.
    let mut transaction = Connection::begin_with(&mut *connection, Sqlite::BEGIN).await?;
    let mut accepted = true;
    for each in group.iter_mut() {
        accepted = each.run_bare(&mut transaction).await;
        if !accepted {
            break;
        }
    }
    if accepted {
        return transaction.commit().await;
    }
    transaction.rollback().await?;
    let mut transaction = Connection::begin_with(&mut *connection, Sqlite::BEGIN).await?;
    for each in group {
        each.run(&mut transaction).await?;
    }
    transaction.commit().await
}

impl SqliteBackend {
    fn sender(&self) -> Option<mpsc::Sender<Box<dyn Queued>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Backend for SqliteBackend {
    type Db = Sqlite;

    fn reading(&self) -> &SqlitePool {
        &self.reading
    }

    async fn write<W: Write<Sqlite>>(&self, write: W) -> Result<W::Answer, StoreError> {
        let (caller, answer) = oneshot::channel();
        let waiting = Box::new(Waiting { write, answer: None, kept: false, caller });
        let sender = self.sender().ok_or_else(|| error::not_accepting("the store is closed"))?;
        sender
            .send_timeout(waiting, self.acquire_timeout)
            .await
            .map_err(|_| error::not_accepting("too many writes are waiting"))?;
        drop(sender);
        answer.await.unwrap_or_else(|_| Err(error::not_accepting("the writer has ended")))
    }

    async fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // It cannot be cancelled; if it panicked, there is nothing left to end.
            let _ = writer.await;
        }
        self.reading.close().await;
    }
}
