//! The composition root: the only file that names concrete adapters.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use job_store::{Connected, DatabaseUrl};
use plugin_runtime::PluginRuntime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use training::IdSource as _;
use training::clock::{RandomIds, SystemClock};
use training::plugins::{Follower, PluginPorts};
use training::ports::{ControlPlane, JobStore, Plugins};
use training::reconcile::{Reconcilers, Stop};
use training::submit::SubmitPorts;

use crate::config::Config;
use crate::http::{self, App, Draining, UPKEEP, causes};
use crate::lifecycle::Lifecycle;

/// Pauses between two tries to reach the database at the start: short at first, because it often
/// starts together with us.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often the plugin directory is looked at. A look reads names, sizes and times only.
const PLUGIN_INTERVAL: Duration = Duration::from_secs(1);
/// Time for the store's last writes.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What must be closed at the end.
pub(crate) struct Wired {
    store: Connected,
}

impl Wired {
    /// Closes the store. Every task must have ended before.
    pub(crate) async fn close(self) {
        if tokio::time::timeout(CLOSE_TIMEOUT, self.store.close()).await.is_err() {
            tracing::warn!("The store did not close in time; every accepted job is durable");
        }
    }
}

/// Brings the database's schema up to date.
///
/// # Errors
/// The database does not answer, or refuses.
pub async fn migrate(config: &Config) -> anyhow::Result<()> {
    let store = job_store::connect(&store_config(config), &RandomIds).await?;
    store.close().await;
    tracing::info!("The schema of {} is up to date", config.database.url);
    Ok(())
}

/// Connects everything and starts the loops. Waits for the database; not for Karmada.
pub(crate) async fn wire(
    config: &Config,
    lifecycle: &Lifecycle,
    draining: Draining,
) -> anyhow::Result<(App, Wired)> {
    let kubeconfig = config.karmada.kubeconfig.clone().context(
        "no kubeconfig of a Karmada API server is set: use --karmada-kubeconfig or \
         KARMADA_KUBECONFIG",
    )?;
    let (connected, runtime) =
        tokio::join!(connect_store(config, lifecycle), PluginRuntime::start(plugin_config(config)));
    let connected = connected?;
    match wire_rest(config, lifecycle, draining, kubeconfig, &connected, runtime).await {
        Ok(app) => Ok((app, Wired { store: connected })),
        Err(error) => {
            connected.close().await;
            Err(error)
        }
    }
}

async fn wire_rest(
    config: &Config,
    lifecycle: &Lifecycle,
    draining: Draining,
    kubeconfig: PathBuf,
    connected: &Connected,
    runtime: Result<Arc<PluginRuntime>, plugin_runtime::StartError>,
) -> anyhow::Result<App> {
    let runtime = runtime.context("plugins cannot be used")?;
    let store: Arc<dyn JobStore> = Arc::clone(&connected.store);
    let origin = store.origin().await.context("the identity of this installation")?;
    let control = karmada_client::Config {
        kubeconfig,
        context: config.karmada.context.clone(),
        call_timeout: Duration::from_secs(config.karmada.call_timeout_seconds),
        poll_interval: Duration::from_secs(config.reconcile.interval_seconds),
        field_manager: "trainyard".to_owned(),
        origin: origin.clone(),
        gpu_resources: config.karmada.gpu_resources.clone(),
    };
    let control: Arc<dyn ControlPlane> =
        karmada_client::connect(control, lifecycle.tasks(), lifecycle.soft().clone()).await?;
    let plugins: Arc<dyn Plugins> = Arc::clone(&runtime) as Arc<dyn Plugins>;
    if plugins.list().is_empty() {
        tracing::warn!(
            "No plugin is loaded from {}: the host is not ready until there is one",
            config.plugins.dir.display()
        );
    }
    let decisions = PluginPorts {
        registry: Arc::clone(&connected.registry),
        plugins: Arc::clone(&plugins),
        clock: Arc::new(SystemClock),
    };
    let owner = format!("host-{}-{:08x}", std::process::id(), RandomIds.next());
    let mut follower = Follower::new(decisions.clone(), owner.as_str());
    // Before the host takes jobs: none of them may meet a version that was not meant for it.
    follower.round().await.context("what operators decided about plugins")?;
    let stop = stop_of(lifecycle);
    lifecycle.spawn_essential("plugin-record", follower.follow(stop));
    lifecycle.spawn(keep_metrics(lifecycle.soft().clone()));
    lifecycle.spawn_essential("plugins", follow_plugins(runtime, config, lifecycle));
    if config.reconcile.enabled {
        let reconcilers = Reconcilers::new(
            Arc::clone(&store),
            Arc::clone(&plugins),
            Arc::clone(&control),
            Arc::new(SystemClock),
            Arc::new(RandomIds),
            config.reconcile.config(owner),
        );
        start_loops(reconcilers, lifecycle);
    }
    let ports = SubmitPorts {
        store,
        plugins,
        clock: Arc::new(SystemClock),
        ids: Arc::new(RandomIds),
        policy: Arc::new(config.admission.policy()),
        origin,
        host_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    Ok(App { ports: Arc::new(ports), decisions, control, draining })
}

/// The soft stop as the loops of the domain know it.
fn stop_of(lifecycle: &Lifecycle) -> Stop {
    let (stop, stopped) = watch::channel(false);
    let soft = lifecycle.soft().clone();
    lifecycle.spawn(async move {
        soft.cancelled().await;
        // Nobody listens if the loops have ended already.
        let _ = stop.send(true);
    });
    stopped
}

/// Sorts measured durations into their buckets although nobody may ask for them.
async fn keep_metrics(soft: CancellationToken) {
    while soft.run_until_cancelled(tokio::time::sleep(UPKEEP)).await.is_some() {
        http::upkeep();
    }
}

fn start_loops(reconcilers: Reconcilers, lifecycle: &Lifecycle) {
    let stopped = stop_of(lifecycle);
    let (dispatch, observe) = (reconcilers.clone(), reconcilers);
    let stopped_too = stopped.clone();
    lifecycle.spawn_essential("dispatch", async move { dispatch.dispatch(stopped).await });
    lifecycle.spawn_essential("observe", async move { observe.observe(stopped_too).await });
}

fn store_config(config: &Config) -> job_store::Config {
    job_store::Config::new(DatabaseUrl::new(config.database.url.expose()))
}

/// Tries until the database answers: a host that gives up is only started again, with less to see
/// in its log.
async fn connect_store(config: &Config, lifecycle: &Lifecycle) -> anyhow::Result<Connected> {
    let settings = store_config(config);
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match job_store::connect(&settings, &RandomIds).await {
            Ok(store) => return Ok(store),
            Err(error) => error,
        };
        if !error.retryable() {
            let url = config.database.url.redacted();
            return Err(error).with_context(|| format!("the database {url} cannot be used"));
        }
        tracing::warn!(
            "The database {} does not answer: {}; trying again in {pause:?}",
            config.database.url,
            causes(&error)
        );
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = lifecycle.soft().cancelled() => anyhow::bail!("the database never answered"),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn plugin_config(config: &Config) -> plugin_runtime::Config {
    let plugins = &config.plugins;
    let mut settings =
        plugin_runtime::Config::new(Some(plugins.dir.clone()), plugins.cache_dir.clone());
    let by_name: BTreeMap<_, _> = plugins.settings.clone().into_iter().collect();
    settings.settings = by_name;
    settings
}

/// Loads plugins again when their directory has changed.
fn follow_plugins(
    runtime: Arc<PluginRuntime>,
    config: &Config,
    lifecycle: &Lifecycle,
) -> impl Future<Output = ()> + Send + 'static {
    let (dir, soft) = (config.plugins.dir.clone(), lifecycle.soft().clone());
    async move {
        let mut known = look(&dir).await;
        loop {
            tokio::select! {
                () = tokio::time::sleep(PLUGIN_INTERVAL) => {}
                () = soft.cancelled() => return,
            }
            let seen = look(&dir).await;
            if seen == known {
                continue;
            }
            match runtime.reload().await {
                Ok(()) => known = seen,
                Err(error) => tracing::warn!("Plugins keep as they are: {}", causes(&error)),
            }
        }
    }
}

/// What would differ after a change: name, size and time of every file.
async fn look(dir: &Path) -> Vec<(std::ffi::OsString, u64, Option<SystemTime>)> {
    let dir = dir.to_owned();
    let looked = tokio::task::spawn_blocking(move || {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        let mut seen: Vec<_> = entries
            .filter_map(|entry| {
                let about = std::fs::metadata(entry.path()).ok()?;
                Some((entry.file_name(), about.len(), about.modified().ok()))
            })
            .collect();
        seen.sort();
        seen
    });
    looked.await.unwrap_or_default()
}
