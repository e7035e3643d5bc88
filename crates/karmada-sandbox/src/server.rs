//! The HTTP face: takes a request, applies faults, finds the API server it is for and answers.
//! Holds no object rules (`objects`) and no Karmada behaviour (`karmada`).

mod control;
mod discovery;
mod logs;
mod render;
mod request;
mod verbs;
mod watch;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Context as _;
use axum::{Router, body::Body, extract::State, response::Response};
use http::{Method, Request};
use tokio::{
    net::TcpListener,
    sync::{Notify, broadcast},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::request::Call;
use self::request::Place;
use crate::{
    TimeMode,
    audit::Audit,
    clock,
    faults::{Action, Faults},
    sim::World,
    status::ApiError,
};

/// No Kubernetes object is larger than etcd's 1.5 MiB; the rest is room for JSON over protobuf.
const BODY_LIMIT: usize = 8 << 20;

/// What every request and the driver share.
pub(crate) struct Shared {
    pub(crate) mode: TimeMode,
    world: Mutex<World>,
    pub(crate) wake: Notify,
    pub(crate) faults: Arc<Faults>,
    pub(crate) audit: Mutex<Audit>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// Sent when all watches and followed logs must end.
    pub(crate) hang_up: broadcast::Sender<()>,
    /// One stepper at a time.
    pub(crate) stepping: tokio::sync::Mutex<()>,
}

impl Shared {
    pub(crate) fn new(mode: TimeMode, world: World) -> Arc<Self> {
        Arc::new_cyclic(|weak| Self {
            mode,
            world: Mutex::new(world),
            wake: Notify::new(),
            faults: Arc::new(Faults::new(weak.clone())),
            audit: Mutex::new(Audit::default()),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            hang_up: broadcast::Sender::new(1),
            stepping: tokio::sync::Mutex::new(()),
        })
    }

    /// The world, with its clock set. Never held across an await.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(self.mode, TimeMode::Auto { .. }) {
            world.set_now(clock::wall());
        }
        world
    }

    pub(crate) fn audit(&self) -> MutexGuard<'_, Audit> {
        self.audit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the controllers until nothing is left to do at the present time. The world is
    /// released every few reconciles, so that requests are answered in between.
    pub(crate) async fn settle(&self) {
        while self.world().run(128) {
            tokio::task::yield_now().await;
        }
    }

    /// Starts the one task that is not a request: the driver of an automatic sandbox.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that spawns; every task is on the tracker and ends with `stop`"
    )]
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(tokio::spawn(self.tasks.track_future(task)));
    }
}

/// Binds and serves until `stop` is cancelled.
pub(crate) async fn serve(shared: Arc<Shared>, listen: SocketAddr) -> anyhow::Result<SocketAddr> {
    let listener =
        TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr()?;
    let app = Router::new().fallback(answer).with_state(Arc::clone(&shared));
    let stop = shared.stop.clone();
    let server = axum::serve(listener, app).with_graceful_shutdown(stop.clone().cancelled_owned());
    shared.spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "The sandbox's server ended");
        }
    });
    Ok(address)
}

/// Answers one request; this is the whole router.
async fn answer(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    if request.uri().path().starts_with("/sandbox/v1/") {
        return control::answer(&shared, request).await;
    }
    let (parts, body) = request.into_parts();
    let body = match axum::body::to_bytes(body, BODY_LIMIT).await {
        Ok(bytes) => bytes,
        Err(error) => {
            return render::error(&ApiError::new(
                413,
                "RequestEntityTooLarge",
                format!("request body is too large: {error}"),
            ));
        }
    };
    let call = Call::new(parts, body);
    shared.audit().count(&call.verb_name());
    let actions = shared.faults.actions(&call.method, &call.path);
    let mut swallow = None;
    let mut hanging = None;
    for action in actions {
        match action {
            Action::Latency(by) => tokio::time::sleep(by).await,
            Action::Hang(release) => {
                hanging = Some(shared.faults.count_hanging());
                tokio::select! {
                    () = release.cancelled() => {}
                    () = shared.stop.cancelled() => {}
                }
            }
            Action::Fail(error) => {
                record(&shared, &call, error.code, "");
                return render::error(&error);
            }
            Action::FailAfter(error) => swallow = Some(error),
            Action::Late(error, release) => {
                let late = Arc::clone(&shared);
                shared.spawn(async move {
                    tokio::select! {
                        () = release.cancelled() => drop(route(&late, &call)),
                        () = late.stop.cancelled() => {}
                    }
                    late.wake.notify_one();
                });
                return render::error(&error);
            }
        }
    }
    let response = route(&shared, &call);
    shared.wake.notify_one();
    drop(hanging);
    swallow.map_or(response, |error| render::error(&error))
}

fn record(shared: &Shared, call: &Call, status: u16, uid: &str) {
    if call.method != Method::GET && call.method != Method::HEAD {
        let at = shared.world().now;
        shared.audit().record(call, status, uid, at);
    }
}

fn route(shared: &Arc<Shared>, call: &Call) -> Response {
    let place = Place::of(&call.path);
    // The check that the member answers comes before anything the member would say.
    let refused = {
        let world = shared.world();
        let group_down = world.aggregated_down && call.path.starts_with("/apis/cluster.karmada.io");
        match &place.cluster {
            _ if group_down => Some(ApiError::new(
                503,
                "ServiceUnavailable",
                "the server is currently unable to handle the request",
            )),
            Some(name) => match world.members.get(name) {
                None => Some(ApiError::not_found(&crate::objects::resources::CLUSTER, name)),
                Some(member) if !member.reachable => {
                    Some(ApiError::member_unreachable(&member.address()))
                }
                Some(_) => None,
            },
            None => None,
        }
    };
    if let Some(error) = refused {
        record(shared, call, error.code, "");
        return render::error(&error);
    }
    if let Some(response) = discovery::answer(shared, call, &place) {
        return response;
    }
    let target = {
        let world = shared.world();
        match world.api(place.cluster.as_deref()) {
            Some(api) => place.target(api),
            None => Err(ApiError::no_such_path()),
        }
    };
    let target = match target {
        Ok(target) => target,
        Err(error) => {
            record(shared, call, error.code, "");
            return render::error(&error);
        }
    };
    if target.subresource == "log" && call.method == Method::GET {
        return logs::answer(shared, call, &target);
    }
    if call.method == Method::GET && call.flag("watch") {
        return watch::answer(shared, call, &target);
    }
    let (response, status, uid) = verbs::answer(shared, call, &target);
    record(shared, call, status, &uid);
    response
}

/// Numbers of requests by verb, as `"list pods"`.
pub(crate) type Counts = BTreeMap<String, u64>;
