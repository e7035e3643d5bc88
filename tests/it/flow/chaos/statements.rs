//! The host is killed at named statements of PostgreSQL. A trigger holds the statement, or the commit of
//! its transaction; so the moment is known from outside. When the host is dead the server goes on: a
//! held statement finds nobody to answer to and comes to nothing, a held commit becomes durable.

use sqlx::{Connection as _, Executor as _, PgConnection};

use super::history::{History, ran_once};
use super::replicas::postgres;
use crate::harness::{App, Database, until};

/// The number of the lock on which statements wait.
const GATE: i64 = 815_001;

/// Which changes of a table are held, in the words of a trigger.
struct Statement {
    name: &'static str,
    event: &'static str,
    table: &'static str,
    when: &'static str,
}

const fn insert(name: &'static str, table: &'static str, when: &'static str) -> Statement {
    Statement { name, event: "INSERT", table, when }
}

const CLAIM: Statement = Statement {
    name: "claim",
    event: "UPDATE",
    table: "intents",
    when: "NEW.leased_by IS NOT NULL AND OLD.leased_by IS NULL",
};

/// What a submission and a run write, in their order.
const OF_A_RUN: [Statement; 9] = [
    insert("key", "idempotency_keys", "true"),
    insert("job", "jobs", "true"),
    insert("bundle", "bundles", "true"),
    insert("accepted", "job_events", "NEW.kind = 'Accepted'"),
    insert("intent", "intents", "true"),
    CLAIM,
    insert("placed", "job_events", "NEW.kind = 'Placed'"),
    insert("applied", "job_events", "NEW.kind = 'Applied'"),
    insert("ended", "job_events", "NEW.to_phase = 'Succeeded'"),
];

/// What a deletion writes.
const OF_A_DELETION: [Statement; 3] = [
    insert("wish", "job_events", "NEW.kind = 'DeleteRequested'"),
    CLAIM,
    insert("gone", "job_events", "NEW.kind = 'Deleted'"),
];

/// Where in its transaction a statement is held.
#[derive(Debug, Clone, Copy)]
enum Held {
    AtTheStatement,
    AtTheCommit,
}

/// A closed gate before a statement.
struct Gate {
    connection: PgConnection,
    table: &'static str,
}

impl Gate {
    async fn close(app: &App, statement: &Statement, held: Held) -> Self {
        let Database::Postgres { url, .. } = &app.database else { panic!("only with PostgreSQL") };
        let mut connection = PgConnection::connect(url).await.expect("the database");
        let Statement { event, table, when, .. } = statement;
        let kind = match held {
            Held::AtTheStatement => format!("CREATE TRIGGER gate BEFORE {event} ON {table}"),
            Held::AtTheCommit => format!(
                "CREATE CONSTRAINT TRIGGER gate AFTER {event} ON {table} \
                 DEFERRABLE INITIALLY DEFERRED"
            ),
        };
        for sql in [
            format!("SELECT pg_advisory_lock({GATE})"),
            format!(
                "CREATE OR REPLACE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$ \
                 BEGIN PERFORM pg_advisory_xact_lock_shared({GATE}); RETURN NEW; END $$"
            ),
            format!("{kind} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION gate()"),
        ] {
            connection.execute(sqlx::AssertSqlSafe(sql)).await.expect("the gate");
        }
        Self { connection, table }
    }

    /// Waits until somebody stands before it.
    async fn reached(&mut self, what: &str) {
        let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                       AND database = (SELECT oid FROM pg_database \
                       WHERE datname = current_database())";
        until(what, async || {
            let count: i64 =
                sqlx::query_scalar(waiting).fetch_one(&mut self.connection).await.expect("a count");
            count > 0
        })
        .await;
    }

    async fn open(mut self) {
        for sql in [
            format!("SELECT pg_advisory_unlock({GATE})"),
            format!("DROP TRIGGER gate ON {}", self.table),
        ] {
            self.connection.execute(sqlx::AssertSqlSafe(sql)).await.expect("the gate opens");
        }
    }
}

/// Lets a client act, kills the host before the statement, and starts it again.
async fn killed_at(
    app: &mut App,
    history: &History,
    (statement, held): (&Statement, Held),
    act: impl Future<Output = ()>,
) {
    let mut gate = Gate::close(app, statement, held).await;
    let killing = async {
        gate.reached(&format!("{} {held:?}", statement.name)).await;
        app.host.kill();
        gate.open().await;
        app.restart().await;
        history.use_hosts([app.host.url.as_str()]);
    };
    tokio::join!(killing, act);
}

async fn runs_through_kills(held: Held) {
    let Some(setup) = postgres().await else { return };
    let mut app = setup.start().await;
    let history = History::of([app.host.url.as_str()]);
    for statement in &OF_A_RUN {
        let name = format!("at-{}", statement.name);
        killed_at(&mut app, &history, (statement, held), async {
            // The client does not know that the host is dead, and repeats until it is promised.
            history.submit(&name, 0).await;
        })
        .await;
    }
    history.check(&app).await;
}

#[tokio::test]
async fn kill_at_any_statement_of_a_run_loses_nothing_and_runs_nothing_twice() {
    runs_through_kills(Held::AtTheStatement).await;
}

#[tokio::test]
async fn kill_at_any_commit_of_a_run_loses_nothing_and_runs_nothing_twice() {
    runs_through_kills(Held::AtTheCommit).await;
}

#[tokio::test]
async fn kill_at_any_statement_of_a_deletion_is_made_good() {
    let Some(mut setup) = postgres().await else { return };
    // The log of a job is archived under a lease of its own, which the dead leave behind.
    setup.env.push(("TRAINYARD__LOGS__ARCHIVE_HOLD_SECONDS", "1".to_owned()));
    let mut app = setup.start().await;
    let history = History::of([app.host.url.as_str()]);
    for statement in &OF_A_DELETION {
        for held in [Held::AtTheStatement, Held::AtTheCommit] {
            let name = format!("{}-{held:?}", statement.name).to_lowercase();
            let id = history.submit(&name, 0).await;
            app.job_in_phase(&id, "Succeeded").await;
            ran_once(&app, &name, &id).await;
            let path = format!("/api/v1/jobs/{id}");
            let request = reqwest::Client::new().delete(format!("{}{path}", app.host.url));
            killed_at(&mut app, &history, (statement, held), async {
                // No answer is no promise.
                drop(request.send().await);
            })
            .await;
            // Whether it was recorded or not, it may be asked for again.
            let again = app.delete(&path).await.status;
            assert!([200, 404].contains(&again), "{again}");
            app.job_gone(&id).await;
            assert_eq!(app.members_with("ray.io/v1", "RayJob", &name), Vec::<&str>::new());
            assert_eq!(app.creations("rayjobs", &name), 1, "{name}");
            history.forget(&name);
        }
    }
}
