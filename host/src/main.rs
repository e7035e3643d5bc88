//! `trainyard-host`, the program: arguments, configuration, and one call into the library.

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use host::args::{Args, Command, ConfigAction};
use host::config::{self, Config};
use host::{Signals, telemetry};

fn main() -> ExitCode {
    // Before anything else: this program started again is a compiler or runner of plugins.
    if let Some(code) = plugin_runtime::worker::run_if_asked() {
        return code;
    }
    return_large_buffers();
    match act(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Gives large buffers (components, logs, lists of clusters) back to the system as soon as they are
/// freed. By itself glibc keeps ever larger ones for later: with a hundred plugins 70 MiB.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the only other way is the environment of whoever starts the host")]
fn return_large_buffers() {
    const LARGE_BYTES: libc::c_int = 256 << 10;
    // SAFETY: it takes two numbers, touches no memory of ours, and no other thread runs yet.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES) };
}

/// Other C libraries do so by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn return_large_buffers() {}

fn act(args: &Args) -> anyhow::Result<()> {
    let command = args.command.unwrap_or(Command::Serve);
    if matches!(command, Command::Openapi) {
        return print(&format!("{}\n", host::openapi()?));
    }
    let environment = std::env::vars_os();
    let environment = environment
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let loaded = config::load(&args.flags(), &environment.collect())?;
    if let Command::Config { action } = command {
        match action {
            ConfigAction::Check => {}
            ConfigAction::Dump => print(&loaded.config.dump())?,
            ConfigAction::Policy => print(&format!("{}\n", loaded.config.policy()))?,
        }
        loaded.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
        return Ok(());
    }
    telemetry::init(&loaded.config.log)?;
    loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Migrate => host::migrate(&loaded.config).await,
            _ => serve(loaded.config).await,
        }
    })
}

/// Writes data to standard output. A reader that went away, as `head` does, is no mistake.
fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("standard output")
        }
        _ => Ok(()),
    }
}

/// Serves until the first signal; the second one ends the process at once.
async fn serve(config: Config) -> anyhow::Result<()> {
    let mut signals = Signals::listen().context("signals cannot be listened for")?;
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let insist = async {
        signals.next().await;
        let _ = stop.send(());
        signals.next().await;
    };
    tokio::select! {
        result = host::run(config, async { drop(stopped.await) }) => result,
        () = insist => anyhow::bail!("stopped at once by a second signal"),
    }
}
