//! From a kubeconfig to a running client. Nothing here waits for the API server: a host starts,
//! and answers its users, while the control plane is away.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use kube::client::{Body, ClientBuilder};
use kube::config::{KubeConfigOptions, Kubeconfig};
use secrecy::ExposeSecret as _;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{BoxError, Layer, Service};
use training::clock::Clock;

use crate::bindings::Lookups;
use crate::call::Caller;
use crate::clusters::GpuResources;
use crate::error::ConnectError;
use crate::members::Reader;
use crate::pulse::Pulse;
use crate::resolve::Plurals;
use crate::watch::{Mirror, WATCH_SECONDS, follow};
use crate::works::Works;
use crate::{Config, KarmadaClient};

/// Longest time for TCP and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes the client and starts its two watches on `tasks`. They end with `stop`; await `tasks`
/// after that. Calls that are under way go on and keep their deadlines. By `clock`, which is to be the
/// machine's, the client notices that the machine was suspended.
pub async fn connect(
    config: Config,
    clock: Arc<dyn Clock>,
    tasks: &TaskTracker,
    stop: CancellationToken,
) -> Result<Arc<KarmadaClient>, ConnectError> {
    // An error means that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let base = kube_config(&config).await?;
    let unusable = |source| ConnectError::Client { path: config.kubeconfig.clone(), source };

    let mut calls = base.clone();
    // Deadlines are per call; this one only clears away connections that died unnoticed.
    calls.read_timeout = Some(config.call_timeout.saturating_mul(3));
    let calls = ClientBuilder::try_from(calls).map_err(unusable)?.build();
    // The base has no limit between two reads: a log may be silent for hours.
    let logs = ClientBuilder::try_from(base.clone()).map_err(unusable)?.build();

    let hint = Arc::new(Notify::new());
    let pulse = Arc::new(Pulse::new(clock));
    let bindings =
        Arc::new(Mirror::new((), config.poll_interval, Arc::clone(&pulse), Arc::clone(&hint)));
    let gpus = GpuResources(config.gpu_resources);
    let members = Arc::new(Mirror::new(gpus, config.poll_interval, pulse, Arc::clone(&hint)));
    let watching = |sign: Arc<dyn Fn() + Send + Sync>| {
        let mut base = base.clone();
        // A list that stalls; a watch is renewed before that.
        base.read_timeout = Some(Duration::from_secs(u64::from(WATCH_SECONDS) + 10));
        let layer = SignsOfLife { sign, deadline: config.call_timeout };
        Ok(ClientBuilder::try_from(base).map_err(unusable)?.with_layer(&layer).build())
    };
    let of_bindings = {
        let mirror = Arc::clone(&bindings);
        watching(Arc::new(move || mirror.sign_of_life()))?
    };
    let of_members = {
        let mirror = Arc::clone(&members);
        watching(Arc::new(move || mirror.sign_of_life()))?
    };
    tasks.spawn(follow(Arc::clone(&bindings), of_bindings, stop.clone()));
    tasks.spawn(follow(Arc::clone(&members), of_members, stop));

    Ok(Arc::new(KarmadaClient {
        caller: Caller::new(calls, config.call_timeout),
        plurals: Plurals::default(),
        bindings,
        members,
        lookups: Lookups::default(),
        works: Works::default(),
        reader: Reader::new(logs),
        hint,
        poll_interval: config.poll_interval,
        field_manager: config.field_manager,
        origin: config.origin,
    }))
}

/// What a kubeconfig keeps secret: tokens, passwords and keys of all its users, so that others can
/// take care not to show them.
pub fn secrets(kubeconfig: &Path) -> Result<Vec<String>, ConnectError> {
    let unusable = |source| ConnectError::Kubeconfig { path: kubeconfig.to_owned(), source };
    let read = Kubeconfig::read_from(kubeconfig).map_err(unusable)?;
    let mut secrets = Vec::new();
    for user in read.auth_infos.into_iter().filter_map(|user| user.auth_info) {
        let own = [user.token, user.password, user.client_key_data];
        secrets.extend(own.iter().flatten().map(|secret| secret.expose_secret().to_owned()));
        // A file that cannot be read now is the client's trouble, which says so.
        let file = user.token_file.and_then(|path| std::fs::read_to_string(path).ok());
        secrets.extend(file.map(|token| token.trim().to_owned()));
    }
    Ok(secrets)
}

async fn kube_config(config: &Config) -> Result<kube::Config, ConnectError> {
    let unusable = |source| ConnectError::Kubeconfig { path: config.kubeconfig.clone(), source };
    let kubeconfig = Kubeconfig::read_from(&config.kubeconfig).map_err(unusable)?;
    let options = KubeConfigOptions { context: config.context.clone(), ..Default::default() };
    let mut base =
        kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(unusable)?;
    // Retries are decided by the caller, who knows what was asked before and by whom.
    base.default_retry = false;
    base.connect_timeout = Some(CONNECT_TIMEOUT.min(config.call_timeout));
    base.write_timeout = Some(config.call_timeout);
    Ok(base)
}

/// Rings when the server accepts a watch. The watcher itself tells only of failures and of
/// objects, so a quiet watch that came back could not be told from a broken one.
#[derive(Clone)]
struct SignsOfLife {
    sign: Arc<dyn Fn() + Send + Sync>,
    /// Longest time until an answer begins.
    deadline: Duration,
}

impl<S> Layer<S> for SignsOfLife {
    type Service = Watched<S>;

    fn layer(&self, inner: S) -> Watched<S> {
        Watched { inner, signs: self.clone() }
    }
}

struct Watched<S> {
    inner: S,
    signs: SignsOfLife,
}

impl<S, B> Service<Request<Body>> for Watched<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        let answer = self.inner.call(request);
        let SignsOfLife { sign, deadline } = self.signs.clone();
        Box::pin(async move {
            let answer = tokio::time::timeout(deadline, answer).await;
            let response = answer
                .map_err(|_| BoxError::from(format!("no answer within {deadline:?}")))?
                .map_err(Into::into)?;
            if is_watch && response.status().is_success() {
                sign();
            }
            Ok(response)
        })
    }
}
