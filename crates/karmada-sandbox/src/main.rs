//! The `karmada-sandbox` program: starts a [`Sandbox`], writes its kubeconfig and waits for a
//! signal.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use karmada_sandbox::{ClusterConfig, Config, Sandbox, TimeMode};
use tokio::signal::unix::{SignalKind, signal};

const AFTER_HELP: &str = "\
Steer a workload with annotations:
  sandbox.trainyard.dev/outcome: succeed|fail|fail-once|hang|oom|image-pull|unschedulable
  sandbox.trainyard.dev/duration-seconds: \"4\"

Private API, JSON, under /sandbox/v1/:
  GET  time | audit | counts           DELETE audit
  POST step {\"seconds\": 1.5}           POST settle
  POST faults/fail {\"match\": \"POST */rayjobs*\", \"status\": 503, \"times\": 2}
       (or \"percent\": 10; \"after\": true carries the request out first)
  POST faults/latency {\"match\": \"*\", \"milliseconds\": 200}
  POST faults/hang {\"match\": \"GET */pods*\"}          POST faults/clear
  POST faults/drop-watches | faults/expire-watches
  POST faults/member-down | member-up | operators-down | operators-up {\"cluster\": \"member1\"}
  POST faults/remove-crds | install-crds {\"cluster\": \"member1\", \"group\": \"ray.io\"}
  POST faults/annotate {\"cluster\", \"kind\", \"name\", \"key\", \"value\"}
  POST faults/refuse {\"cluster\": \"member1\", \"resource\": \"pods\", \"why\": \"exceeded quota\"}
  POST faults/webhook | faults/aggregated {\"down\": true}
  POST delete-member-object {\"cluster\", \"apiVersion\", \"kind\", \"namespace\", \"name\"}";

/// An in-memory Karmada control plane with member clusters, for development and tests.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER_HELP)]
struct Args {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:6443")]
    listen: SocketAddr,
    /// Where to write a kubeconfig for the control plane.
    #[arg(long, value_name = "FILE")]
    kubeconfig_out: Option<PathBuf>,
    /// How much faster than usual workloads run.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Whether time passes by itself or through `POST /sandbox/v1/step`.
    #[arg(long, value_enum, default_value_t = Time::Auto)]
    time: Time,
    /// Member clusters by name.
    #[arg(long, value_delimiter = ',', default_value = "member1,member2")]
    clusters: Vec<String>,
    /// Give the members room for tens of thousands of pods.
    #[arg(long)]
    roomy: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Time {
    Auto,
    Stepped,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let mut config = match args.time {
        Time::Auto => Config { time: TimeMode::Auto { speed: args.speed }, ..Config::auto() },
        Time::Stepped => Config::stepped(),
    };
    config.listen = args.listen;
    let cluster = if args.roomy { ClusterConfig::roomy } else { ClusterConfig::named };
    config.clusters = args.clusters.iter().map(|name| cluster(name)).collect();

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let sandbox = Sandbox::start(config).await?;
    match &args.kubeconfig_out {
        Some(file) => {
            tokio::fs::write(file, sandbox.kubeconfig())
                .await
                .with_context(|| format!("cannot write {}", file.display()))?;
            println!(
                "Karmada sandbox at {}; try: kubectl --kubeconfig {} get rayjobs -A",
                sandbox.url(),
                file.display()
            );
        }
        None => println!(
            "Karmada sandbox at {0}; try: kubectl --server {0} get rayjobs -A",
            sandbox.url()
        ),
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    sandbox.stop().await;
    Ok(())
}
