//! What a sandbox is made of. Read once, at the start.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use jiff::Timestamp;

/// Everything [`crate::Sandbox::start`] needs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How time passes.
    pub time: TimeMode,
    /// The member clusters.
    pub clusters: Vec<ClusterConfig>,
    /// Determines every uid and generated name.
    pub seed: u64,
}

/// How time passes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TimeMode {
    /// By itself. Timestamps are real; what a workload does takes `1 / speed` of its usual time.
    Auto {
        /// 1.0: a RayJob runs after about two seconds and has succeeded after about six.
        speed: f64,
    },
    /// Only when told to, through [`crate::Sandbox::step`].
    Stepped {
        /// The time at the start.
        start: Timestamp,
    },
}

/// One member cluster.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// Its name in Karmada.
    pub name: String,
    /// Labels of its `Cluster`.
    pub labels: Vec<(String, String)>,
    /// `spec.provider`.
    pub provider: String,
    /// `spec.region`.
    pub region: String,
    /// `spec.zones`, one.
    pub zone: String,
    /// `status.kubernetesVersion`.
    pub kubernetes_version: String,
    /// How many equal nodes it has.
    pub nodes: u32,
    /// CPUs per node.
    pub cpu_per_node: u32,
    /// Memory per node.
    pub memory_gib_per_node: u32,
    /// `nvidia.com/gpu` per node.
    pub gpus_per_node: u32,
    /// Pods per node.
    pub pods_per_node: u32,
    /// From an outage to `Ready=False` (Karmada: a 10 s poll and a 30 s threshold).
    pub not_ready_after: Duration,
    /// From the end of an outage to `Ready=True`.
    pub ready_after: Duration,
}

impl ClusterConfig {
    /// Two nodes with 64 CPUs, 512 GiB and 8 GPUs each.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            labels: Vec::new(),
            provider: "sandbox".to_owned(),
            region: "local".to_owned(),
            zone: format!("{name}-a"),
            kubernetes_version: "v1.36.0".to_owned(),
            nodes: 2,
            cpu_per_node: 64,
            memory_gib_per_node: 512,
            gpus_per_node: 8,
            pods_per_node: 250,
            not_ready_after: Duration::from_secs(40),
            ready_after: Duration::from_secs(30),
        }
    }

    /// The same cluster with room for tens of thousands of pods, for load tests.
    pub fn roomy(name: &str) -> Self {
        Self {
            cpu_per_node: 1_000_000,
            memory_gib_per_node: 8_000_000,
            gpus_per_node: 1_000_000,
            pods_per_node: 1_000_000,
            ..Self::named(name)
        }
    }
}

impl Config {
    fn with(time: TimeMode, seed: u64) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            time,
            clusters: vec![ClusterConfig::named("member1"), ClusterConfig::named("member2")],
            seed,
        }
    }

    /// Time passes by itself; `member1` and `member2`; any free port. The seed differs from run
    /// to run, so that a client which outlives the sandbox never meets a uid twice.
    pub fn auto() -> Self {
        let now = crate::clock::wall().as_nanosecond();
        let seed = u64::try_from(now).unwrap_or_default();
        Self::with(TimeMode::Auto { speed: 1.0 }, seed)
    }

    /// Time stands at 2026-01-01T00:00:00Z until [`crate::Sandbox::step`]; the same calls give the
    /// same objects.
    pub fn stepped() -> Self {
        let start = Timestamp::from_second(1_767_225_600).unwrap_or(Timestamp::UNIX_EPOCH);
        Self::with(TimeMode::Stepped { start }, 1)
    }
}
