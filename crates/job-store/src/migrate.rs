//! The schema, compiled in, and the question whether this program may work on it.
//!
//! Migrations are additive, so the previous release works on the next one's schema and a rollout
//! can be undone. A migration that takes something away raises `installation.schema_floor`.

use sqlx::migrate::{Migrate, Migrator};

use crate::error::ConnectError;

static POSTGRES: Migrator = sqlx::migrate!("../../migrations/postgres");
static SQLITE: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// Which folder belongs to a connection.
pub(crate) trait Migrations: Migrate {
    fn migrations() -> &'static Migrator;
}

impl Migrations for sqlx::PgConnection {
    fn migrations() -> &'static Migrator {
        &POSTGRES
    }
}

impl Migrations for sqlx::SqliteConnection {
    fn migrations() -> &'static Migrator {
        &SQLITE
    }
}

/// The newest migration of this program.
pub(crate) fn newest<C: Migrations>() -> i64 {
    C::migrations().iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// Applies what is missing. Safe to run from several processes at once.
pub(crate) async fn run<C: Migrations>(connection: &mut C) -> Result<(), ConnectError> {
    let mut migrator = Migrator::with_migrations(C::migrations().iter().cloned().collect());
    migrator.set_ignore_missing(true);
    migrator.run_direct(None, connection, false).await.map_err(ConnectError::Migration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_databases_have_the_same_migrations() {
        let names = |migrator: &Migrator| -> Vec<_> {
            migrator.iter().map(|each| (each.version, each.description.clone())).collect()
        };
        assert_eq!(names(&POSTGRES), names(&SQLITE));
    }
}
