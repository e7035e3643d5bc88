//! The composition root: the only file that names concrete adapters.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use job_store::{Connected, DatabaseUrl};
use plugin_runtime::PluginRuntime;
use plugin_runtime::signature::TrustedKey;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use training::IdSource as _;
use training::clock::{Clock, RandomIds, SystemClock};
use training::logs::{Archiver, LogPorts, Redactor};
use training::plugins::{Follower, PluginPorts};
use training::ports::{ComponentArchive, ControlPlane, JobStore, Members, Plugins};
use training::reconcile::{Reconcilers, Stop};
use training::submit::SubmitPorts;

use crate::config::{Config, Isolation};
use crate::http::{self, App, Draining, Streams, UPKEEP, causes};
use crate::lifecycle::Lifecycle;

/// Pauses between two tries to reach the database at the start: short at first, because it often
/// starts together with us.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// This very program, also after its file was replaced by a newer one.
const THIS_PROGRAM: &str = "/proc/self/exe";
/// What the host and its runners take of a container's memory, in bytes.
const OWN_MEMORY: u64 = 384 << 20;
/// With less no plugin can be compiled at all.
const LEAST_COMPILE_MEMORY: u64 = 128 << 20;
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
    let plugins = plugin_config(config, lifecycle)?;
    // A wrong directory of plugins is said at once, not when the database has answered.
    let runtime = async { PluginRuntime::start(plugins).await.context("plugins cannot be used") };
    let (connected, runtime) = tokio::try_join!(connect_store(config, lifecycle), runtime)?;
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
    runtime: Arc<PluginRuntime>,
) -> anyhow::Result<App> {
    let store: Arc<dyn JobStore> = Arc::clone(&connected.store);
    let clock: Arc<dyn Clock> = Arc::clone(&connected.clock);
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
    let redactor = Arc::new(redactor(config, &control.kubeconfig)?);
    // Not the database's clock, which is counted on by one that stands still while the machine does.
    let (machine, soft) = (Arc::new(SystemClock), lifecycle.soft().clone());
    let client = karmada_client::connect(control, machine, lifecycle.tasks(), soft).await?;
    let control: Arc<dyn ControlPlane> = Arc::clone(&client) as Arc<dyn ControlPlane>;
    let members: Arc<dyn Members> = client;
    let plugins: Arc<dyn Plugins> = Arc::clone(&runtime) as Arc<dyn Plugins>;
    if plugins.list().is_empty() {
        tracing::warn!(
            "No plugin is loaded from {}: the host is not ready until there is one",
            config.plugins.dir.display()
        );
    }
    // What was loaded is kept before anybody can make a job with it.
    runtime.set_archive(Arc::clone(&connected.registry) as Arc<dyn ComponentArchive>).await;
    let decisions = PluginPorts {
        registry: Arc::clone(&connected.registry),
        plugins: Arc::clone(&plugins),
        clock: Arc::clone(&clock),
    };
    let owner = format!("host-{}-{:08x}", std::process::id(), RandomIds.next());
    let mut follower = Follower::new(decisions.clone(), owner.as_str());
    // Before the host takes jobs: none of them may meet a version that was not meant for it.
    follower.round().await.context("what operators decided about plugins")?;
    let stop = stop_of(lifecycle);
    lifecycle.spawn_essential("plugin-record", follower.follow(stop));
    lifecycle.spawn(keep_metrics(lifecycle.soft().clone()));
    let soft = lifecycle.soft().clone();
    lifecycle.spawn_essential("plugins", async move { runtime.follow(soft).await });
    if config.reconcile.enabled {
        let reconcilers = Reconcilers::new(
            Arc::clone(&store),
            Arc::clone(&plugins),
            Arc::clone(&control),
            Arc::clone(&clock),
            Arc::new(RandomIds),
            training::reconcile::Config {
                allowed_clusters: config.placement.allowed(),
                dependents: config.placement.dependents(),
                ..config.reconcile.config(owner.clone())
            },
        )
        .looking_into(Arc::clone(&members));
        let archiver = config.logs.archive.then(|| {
            let ports = LogPorts {
                store: Arc::clone(&store),
                plugins: Arc::clone(&plugins),
                control: Arc::clone(&control),
                members: Arc::clone(&members),
                archive: Arc::clone(&connected.archive),
                clock: Arc::clone(&clock),
                redactor: Arc::clone(&redactor),
            };
            Arc::new(Archiver::new(ports, config.logs.limits(), owner))
        });
        start_loops(reconcilers, archiver, lifecycle);
    }
    let ports = SubmitPorts {
        store,
        plugins,
        clock,
        ids: Arc::new(RandomIds),
        policy: Arc::new(config.admission.policy().clone()),
        origin,
        host_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let inspection = Arc::new(config.karmada.inspection(config.placement.allowed())?);
    Ok(App {
        ports: Arc::new(ports),
        decisions,
        control,
        members,
        inspection,
        archive: Arc::clone(&connected.archive),
        redactor,
        streams: Streams::new(config.logs.max_streams),
        deployment_algorithm: config.http.deployment_algorithm.as_str().into(),
        draining,
    })
}

/// What this host knows to be secret, and what its operator says.
fn redactor(config: &Config, kubeconfig: &Path) -> anyhow::Result<Redactor> {
    let mut secrets = config.database.url.passwords();
    secrets.extend(karmada_client::secrets(kubeconfig)?);
    Redactor::new(secrets, &config.logs.redact)
        .map_err(|(index, why)| anyhow::anyhow!("logs.redact[{index}]: {why}"))
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

fn start_loops(reconcilers: Reconcilers, archiver: Option<Arc<Archiver>>, lifecycle: &Lifecycle) {
    let stopped = stop_of(lifecycle);
    let reconcilers = match archiver {
        None => reconcilers,
        Some(archiver) => {
            let (stopped, archive) = (stopped.clone(), Arc::clone(&archiver));
            lifecycle.spawn_essential("log-archive", async move { archive.run(stopped).await });
            reconcilers.archiving(archiver)
        }
    };
    if reconcilers.collects_orphans() {
        let (orphans, stopped) = (reconcilers.clone(), stopped.clone());
        lifecycle.spawn_essential("orphans", async move { orphans.collect(stopped).await });
        let (counted, soft) = (reconcilers.clone(), lifecycle.soft().clone());
        lifecycle.spawn(async move {
            while soft.run_until_cancelled(tokio::time::sleep(UPKEEP)).await.is_some() {
                http::show_orphans(counted.orphan_counts());
            }
        });
    }
    let (dispatch, observe, reap) = (reconcilers.clone(), reconcilers.clone(), reconcilers);
    let (to_observe, to_reap) = (stopped.clone(), stopped.clone());
    lifecycle.spawn_essential("dispatch", async move { dispatch.dispatch(stopped).await });
    lifecycle.spawn_essential("observe", async move { observe.observe(to_observe).await });
    if reap.keeps_some_time() {
        lifecycle.spawn_essential("reap", async move { reap.reap(to_reap).await });
    }
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

fn plugin_config(config: &Config, lifecycle: &Lifecycle) -> anyhow::Result<plugin_runtime::Config> {
    let plugins = &config.plugins;
    let keys = plugins.trusted_keys.iter().enumerate().map(|(index, key)| {
        TrustedKey::parse(key).with_context(|| format!("plugins.trusted_keys[{index}]"))
    });
    let trusted_keys = keys.collect::<anyhow::Result<_>>()?;
    let dirs = plugin_runtime::Config::new(Some(plugins.dir.clone()), plugins.cache_dir.clone());
    let placed = match plugins.isolation {
        Isolation::Processes => dirs.isolated(THIS_PROGRAM, plugins.runners),
        Isolation::InProcess => {
            plugin_runtime::Config { compiler: Some(THIS_PROGRAM.into()), ..dirs }
        }
    };
    Ok(plugin_runtime::Config {
        deadline: Duration::from_millis(plugins.deadline_milliseconds),
        request: Duration::from_millis(plugins.request_milliseconds),
        memory_bytes: plugins.memory_mib << 20,
        compile_costs: plugin_runtime::CompileCosts {
            cpu_seconds: plugins.compile_cpu_seconds,
            memory_bytes: compile_memory(plugins.compile_memory_mib << 20),
            patience: Duration::from_secs(plugins.compile_seconds),
        },
        settings: plugins.settings.clone().into_iter().collect::<BTreeMap<_, _>>(),
        trusted_keys,
        require_signature: plugins.require_signature,
        tasks: lifecycle.tasks().clone(),
        ..placed
    })
}

/// Address space of a compilation: what is configured, but no more than two of them find beside the
/// host in its container. Beyond that the system would end the host together with them.
fn compile_memory(configured: u64) -> u64 {
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max");
    let Some(limit) = limit.ok().and_then(|text| text.trim().parse::<u64>().ok()) else {
        return configured;
    };
    let most = limit.saturating_sub(OWN_MEMORY) / 2;
    if most < configured {
        tracing::warn!(
            "Plugins are compiled with {} MiB instead of {} MiB, because this container has {} MiB",
            most >> 20,
            configured >> 20,
            limit >> 20
        );
    }
    configured.min(most.max(LEAST_COMPILE_MEMORY))
}
