//! What is kept about plugins: components by content, routes, and their history.

use async_trait::async_trait;
use conditional_trait_gen::trait_gen;
use sqlx::{Database, FromRow, Postgres, Sqlite};
use std::collections::{BTreeMap, HashSet};
use training::clock::Clock as _;
use training::id::{Namespace, PluginDigest, Sha256Digest};
use training::ports::{
    Canary, ComponentArchive, FileNotes, KeptComponent, KeptVersion, Moved, NewPluginEvent,
    PluginEvent, PluginRegistry, Route, StoreError,
};

use crate::backend::postgres::PostgresBackend;
use crate::backend::sqlite::SqliteBackend;
use crate::backend::{Backend, Outcome, Write};
use crate::error;
use crate::rows::{self, Origin, Stored, free_text, row};
use crate::store::SqlStore;

row!(
    /// What is known of a component without its bytes.
    ComponentRow of "plugin_components" {
        digest: String,
        version: String,
        size: i64,
        first_seen: i64,
    }
);

row!(
    /// What a file held when it was last good.
    FileRow of "plugin_files" {
        file: String,
        digest: String,
    }
);

row!(
    /// A route as it is stored.
    RouteRow of "plugin_routes" {
        plugin: String,
        pinned: Option<String>,
        canary: Option<String>,
        canary_percent: Option<i32>,
        canary_namespaces: Option<String>,
        previous: Option<String>,
        version: i64,
        updated_at: i64,
        updated_by: String,
    }
);

row!(
    /// A line of a plugin's history as it is stored. The name comes first, because an error names
    /// the first column.
    PluginEventRow of "plugin_events" {
        plugin: String,
        id: i64,
        at: i64,
        kind: String,
        digest: Option<String>,
        actor: String,
        message: String,
        evidence: String,
    }
);

impl ComponentRow {
    fn into_kept(self) -> Result<KeptVersion, StoreError> {
        let row = Origin { table: Self::TABLE, id: &self.digest };
        Ok(KeptVersion {
            digest: row.get("digest", PluginDigest::parse(&self.digest).ok())?,
            version: self.version,
            size: row.get("size", u64::try_from(self.size).ok())?,
            first_seen: row.time("first_seen", self.first_seen)?,
        })
    }
}

/// A digest that may be missing.
fn digest(
    row: &Origin<'_>,
    column: &'static str,
    text: Option<&str>,
) -> Result<Option<PluginDigest>, StoreError> {
    text.map(|text| row.get(column, PluginDigest::parse(text).ok())).transpose()
}

impl RouteRow {
    fn new(route: &Route) -> Self {
        let canary = route.canary.as_ref();
        let names = |canary: &Canary| {
            let names = canary.namespaces.iter().map(|name| name.as_str().to_owned());
            names.collect::<serde_json::Value>().to_string()
        };
        Self {
            plugin: route.plugin.clone(),
            pinned: route.pinned.map(|digest| digest.to_string()),
            canary: canary.map(|canary| canary.digest.to_string()),
            canary_percent: canary.map(|canary| i32::from(canary.percent)),
            canary_namespaces: canary.map(names),
            previous: route.previous.map(|digest| digest.to_string()),
            version: route.version,
            updated_at: route.updated_at.as_microsecond(),
            updated_by: route.updated_by.clone(),
        }
    }

    fn into_route(self) -> Result<Route, StoreError> {
        let row = Origin { table: Self::TABLE, id: &self.plugin };
        let canary = match digest(&row, "canary", self.canary.as_deref())? {
            None => None,
            Some(digest) => {
                let percent = self.canary_percent.and_then(|percent| u8::try_from(percent).ok());
                let names: Vec<String> =
                    row.json("canary_namespaces", &self.canary_namespaces.unwrap_or_default())?;
                let names: Option<Vec<_>> =
                    names.into_iter().map(|name| Namespace::parse(name).ok()).collect();
                Some(Canary {
                    digest,
                    percent: row.get("canary_percent", percent.filter(|share| *share <= 100))?,
                    namespaces: row.get("canary_namespaces", names)?,
                })
            }
        };
        Ok(Route {
            pinned: digest(&row, "pinned", self.pinned.as_deref())?,
            canary,
            previous: digest(&row, "previous", self.previous.as_deref())?,
            version: self.version,
            updated_at: row.time("updated_at", self.updated_at)?,
            updated_by: self.updated_by,
            plugin: self.plugin.clone(),
        })
    }
}

impl PluginEventRow {
    /// Without its number, which the database gives.
    fn new(event: &NewPluginEvent) -> Self {
        Self {
            plugin: free_text(&event.plugin),
            id: 0,
            at: event.at.as_microsecond(),
            kind: event.kind.clone(),
            digest: event.digest.map(|digest| digest.to_string()),
            actor: free_text(&event.actor),
            message: free_text(&event.message),
            evidence: event.evidence.to_string(),
        }
    }

    fn into_event(self) -> Result<PluginEvent, StoreError> {
        let row = Origin { table: Self::TABLE, id: &self.plugin };
        let event = NewPluginEvent {
            at: row.time("at", self.at)?,
            digest: digest(&row, "digest", self.digest.as_deref())?,
            evidence: row.json("evidence", &self.evidence)?,
            kind: self.kind,
            actor: self.actor,
            message: self.message,
            plugin: self.plugin.clone(),
        };
        Ok(PluginEvent { id: self.id, event })
    }
}

/// [`ComponentArchive::keep`].
struct Keep {
    component: KeptComponent,
    size: i64,
    first_seen: i64,
}

#[trait_gen(Db -> Postgres, Sqlite)]
#[async_trait]
impl Write<Db> for Keep {
    type Answer = ();

    async fn run(
        &self,
        connection: &mut <Db as Database>::Connection,
    ) -> Result<Outcome<()>, StoreError> {
        sqlx::query(
            "INSERT INTO plugin_components (digest, name, version, size, first_seen, bytes) \
             VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT (digest) DO NOTHING",
        )
        .bind(self.component.digest.to_string())
        .bind(&self.component.name)
        .bind(&self.component.version)
        .bind(self.size)
        .bind(self.first_seen)
        .bind(&self.component.bytes)
        .execute(connection)
        .await
        .map_err(error::store)?;
        Ok(Outcome::Keep(()))
    }
}

/// [`ComponentArchive::keep_signature`].
struct KeepSignature {
    digest: PluginDigest,
    text: String,
    first_seen: i64,
}

#[trait_gen(Db -> Postgres, Sqlite)]
#[async_trait]
impl Write<Db> for KeepSignature {
    type Answer = ();

    async fn run(
        &self,
        connection: &mut <Db as Database>::Connection,
    ) -> Result<Outcome<()>, StoreError> {
        sqlx::query(
            "INSERT INTO plugin_signatures (digest, text_digest, first_seen, text) \
             VALUES ($1, $2, $3, $4) \
             ON CONFLICT (digest, text_digest) DO NOTHING",
        )
        .bind(self.digest.to_string())
        .bind(Sha256Digest::of(&self.text).to_string())
        .bind(self.first_seen)
        .bind(&self.text)
        .execute(connection)
        .await
        .map_err(error::store)?;
        Ok(Outcome::Keep(()))
    }
}

/// [`ComponentArchive::note_files`].
struct NoteFiles {
    notes: FileNotes,
    noted_at: i64,
}

#[trait_gen(Db -> Postgres, Sqlite)]
#[async_trait]
impl Write<Db> for NoteFiles {
    type Answer = ();

    async fn run(
        &self,
        connection: &mut <Db as Database>::Connection,
    ) -> Result<Outcome<()>, StoreError> {
        for (file, digest) in &self.notes.gone {
            sqlx::query("DELETE FROM plugin_files WHERE file = $1 AND digest = $2")
                .bind(free_text(file))
                .bind(digest.to_string())
                .execute(&mut *connection)
                .await
                .map_err(error::store)?;
        }
        for (file, digest) in &self.notes.held {
            sqlx::query(
                "INSERT INTO plugin_files (file, digest, noted_at) \
                 VALUES ($1, $2, $3) \
                 ON CONFLICT (file) DO UPDATE SET \
                 digest = excluded.digest, noted_at = excluded.noted_at",
            )
            .bind(free_text(file))
            .bind(digest.to_string())
            .bind(self.noted_at)
            .execute(&mut *connection)
            .await
            .map_err(error::store)?;
        }
        Ok(Outcome::Keep(()))
    }
}

/// [`PluginRegistry::record`].
struct Record {
    events: Vec<PluginEventRow>,
}

/// The statements on `plugin_events` for one database.
struct History<DB>(std::marker::PhantomData<DB>);

#[trait_gen(Db -> Postgres, Sqlite)]
impl History<Db> {
    async fn append(
        connection: &mut <Db as Database>::Connection,
        row: &PluginEventRow,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO plugin_events (at, plugin, kind, digest, actor, message, evidence) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(row.at)
        .bind(&row.plugin)
        .bind(&row.kind)
        .bind(&row.digest)
        .bind(&row.actor)
        .bind(&row.message)
        .bind(&row.evidence)
        .execute(connection)
        .await
        .map(drop)
        .map_err(error::store)
    }
}

#[trait_gen(Db -> Postgres, Sqlite)]
#[async_trait]
impl Write<Db> for Record {
    type Answer = ();

    async fn run(
        &self,
        connection: &mut <Db as Database>::Connection,
    ) -> Result<Outcome<()>, StoreError> {
        for row in &self.events {
            History::<Db>::append(&mut *connection, row).await?;
        }
        Ok(Outcome::Keep(()))
    }
}

/// [`PluginRegistry::change_route`].
struct ChangeRoute {
    row: RouteRow,
    event: PluginEventRow,
}

#[trait_gen(Db -> Postgres, Sqlite)]
#[async_trait]
impl Write<Db> for ChangeRoute {
    type Answer = Moved;

    async fn run(
        &self,
        connection: &mut <Db as Database>::Connection,
    ) -> Result<Outcome<Moved>, StoreError> {
        let row = &self.row;
        // The guard is in the statement: the first change meets no row, a later one only the version
        // that it was made from.
        let query = if row.version == 0 {
            "INSERT INTO plugin_routes \
             (plugin, pinned, canary, canary_percent, canary_namespaces, previous, version, \
             updated_at, updated_by) \
             VALUES ($1, $2, $3, $4, $5, $6, $7 + 1, $8, $9) \
             ON CONFLICT (plugin) DO NOTHING"
        } else {
            "UPDATE plugin_routes SET \
             pinned = $2, canary = $3, canary_percent = $4, canary_namespaces = $5, \
             previous = $6, version = version + 1, updated_at = $8, updated_by = $9 \
             WHERE plugin = $1 AND version = $7"
        };
        let changed = sqlx::query(query)
            .bind(&row.plugin)
            .bind(&row.pinned)
            .bind(&row.canary)
            .bind(row.canary_percent)
            .bind(&row.canary_namespaces)
            .bind(&row.previous)
            .bind(row.version)
            .bind(row.updated_at)
            .bind(&row.updated_by)
            .execute(&mut *connection)
            .await
            .map_err(error::store)?;
        if changed.rows_affected() == 0 {
            return Ok(Outcome::Undo(Moved::Stale));
        }
        History::<Db>::append(&mut *connection, &self.event).await?;
        Ok(Outcome::Keep(Moved::Done))
    }
}

#[trait_gen(B -> PostgresBackend, SqliteBackend)]
#[async_trait]
impl ComponentArchive for SqlStore<B> {
    async fn keep(&self, component: &KeptComponent) -> Result<(), StoreError> {
        // Almost always it is there already, and then its bytes need not travel.
        let there: Option<i64> =
            sqlx::query_scalar("SELECT size FROM plugin_components WHERE digest = $1")
                .bind(component.digest.to_string())
                .fetch_optional(self.backend.reading())
                .await
                .map_err(error::store)?;
        if there.is_some() {
            return Ok(());
        }
        let size = i64::try_from(component.bytes.len())
            .map_err(|_| error::unstorable("a component is larger than 2^63 bytes"))?;
        let first_seen = self.clock.now().as_microsecond();
        self.backend.write(Keep { component: component.clone(), size, first_seen }).await
    }

    async fn kept(&self) -> Result<HashSet<PluginDigest>, StoreError> {
        let digests: Vec<String> = sqlx::query_scalar("SELECT digest FROM plugin_components")
            .fetch_all(self.backend.reading())
            .await
            .map_err(error::store)?;
        let parsed = digests.into_iter().map(|digest| {
            let row = Origin { table: ComponentRow::TABLE, id: &digest };
            row.get("digest", PluginDigest::parse(&digest).ok())
        });
        parsed.collect()
    }

    async fn fetch(&self, digest: &PluginDigest) -> Result<Option<Vec<u8>>, StoreError> {
        sqlx::query_scalar("SELECT bytes FROM plugin_components WHERE digest = $1")
            .bind(digest.to_string())
            .fetch_optional(self.backend.reading())
            .await
            .map_err(error::store)
    }

    async fn keep_signature(&self, digest: &PluginDigest, text: &str) -> Result<(), StoreError> {
        let first_seen = self.clock.now().as_microsecond();
        let write = KeepSignature { digest: *digest, text: free_text(text), first_seen };
        self.backend.write(write).await
    }

    async fn signatures(&self, digest: &PluginDigest) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar(
            "SELECT text \
             FROM plugin_signatures \
             WHERE digest = $1 \
             ORDER BY first_seen DESC, text_digest \
             LIMIT 16",
        )
        .bind(digest.to_string())
        .fetch_all(self.backend.reading())
        .await
        .map_err(error::store)
    }

    async fn last_good(&self) -> Result<BTreeMap<String, PluginDigest>, StoreError> {
        let rows = sqlx::query("SELECT file, digest FROM plugin_files")
            .fetch_all(self.backend.reading())
            .await
            .map_err(error::store)?;
        let read = rows.iter().map(|row| {
            let FileRow { file, digest } = rows::read::<FileRow, _>(row)?;
            let row = Origin { table: FileRow::TABLE, id: &file };
            let digest = row.get("digest", PluginDigest::parse(&digest).ok())?;
            Ok((file, digest))
        });
        read.collect()
    }

    async fn note_files(&self, notes: &FileNotes) -> Result<(), StoreError> {
        if notes.held.is_empty() && notes.gone.is_empty() {
            return Ok(());
        }
        // In one order everywhere, so that two hosts never wait for each other.
        let mut notes = notes.clone();
        notes.held.sort();
        notes.gone.sort();
        let noted_at = self.clock.now().as_microsecond();
        self.backend.write(NoteFiles { notes, noted_at }).await
    }
}

#[trait_gen(B -> PostgresBackend, SqliteBackend)]
#[async_trait]
impl PluginRegistry for SqlStore<B> {
    async fn kept_versions(&self, plugin: &str) -> Result<Vec<KeptVersion>, StoreError> {
        let rows = sqlx::query(
            "SELECT digest, version, size, first_seen \
             FROM plugin_components \
             WHERE name = $1 \
             ORDER BY first_seen DESC, digest",
        )
        .bind(plugin)
        .fetch_all(self.backend.reading())
        .await
        .map_err(error::store)?;
        rows.iter().map(|row| rows::read::<ComponentRow, _>(row)?.into_kept()).collect()
    }

    async fn routes(&self) -> Result<Vec<Route>, StoreError> {
        let rows = sqlx::query(
            "SELECT plugin, pinned, canary, canary_percent, canary_namespaces, previous, version, \
             updated_at, updated_by \
             FROM plugin_routes \
             ORDER BY plugin",
        )
        .fetch_all(self.backend.reading())
        .await
        .map_err(error::store)?;
        rows.iter().map(|row| rows::read::<RouteRow, _>(row)?.into_route()).collect()
    }

    async fn change_route(
        &self,
        route: &Route,
        event: &NewPluginEvent,
    ) -> Result<Moved, StoreError> {
        let change = ChangeRoute { row: RouteRow::new(route), event: PluginEventRow::new(event) };
        self.backend.write(change).await
    }

    async fn record(&self, events: &[NewPluginEvent]) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let events = events.iter().map(PluginEventRow::new).collect();
        self.backend.write(Record { events }).await
    }

    async fn plugin_events(
        &self,
        plugin: Option<&str>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<PluginEvent>, StoreError> {
        let before = before.unwrap_or(i64::MAX);
        let limit = i64::from(limit);
        let rows = match plugin {
            Some(plugin) => {
                sqlx::query(
                    "SELECT plugin, id, at, kind, digest, actor, message, evidence \
                     FROM plugin_events \
                     WHERE plugin = $1 AND id < $2 \
                     ORDER BY id DESC \
                     LIMIT $3",
                )
                .bind(plugin)
                .bind(before)
                .bind(limit)
                .fetch_all(self.backend.reading())
                .await
            }
            None => {
                sqlx::query(
                    "SELECT plugin, id, at, kind, digest, actor, message, evidence \
                     FROM plugin_events \
                     WHERE id < $1 \
                     ORDER BY id DESC \
                     LIMIT $2",
                )
                .bind(before)
                .bind(limit)
                .fetch_all(self.backend.reading())
                .await
            }
        };
        let rows = rows.map_err(error::store)?;
        rows.iter().map(|row| rows::read::<PluginEventRow, _>(row)?.into_event()).collect()
    }
}
