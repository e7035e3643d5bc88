//! Hears when the directory of plugins changes. A hint, and a faster one than looking: what really
//! changed is found by looking, which happens anyway, because network file systems and some mounts
//! never say anything.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// The link that a mounted Kubernetes volume swaps to change all its files at once.
const SWAPPED: &str = "..data";

/// What was heard since the last look.
#[derive(Debug, Default)]
struct Heard {
    finished: Mutex<Finished>,
    hint: Notify,
}

/// Files whose writers have finished.
#[derive(Debug, Default, Clone)]
pub(crate) struct Finished {
    names: HashSet<String>,
    all: bool,
}

impl Finished {
    /// Every file, whoever writes it.
    pub(crate) fn everything() -> Self {
        Self { all: true, names: HashSet::new() }
    }

    fn any(&self) -> bool {
        self.all || !self.names.is_empty()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.all || self.names.contains(name)
    }
}

/// What tells a directory from another that took its place; a number alone is given out again.
type Identity = (u64, u64, Option<SystemTime>);

/// How long writers get to go on after they were heard and have not finished.
const WRITING: Duration = Duration::from_millis(20);

/// Listens to one directory.
pub(crate) struct Watch {
    dir: PathBuf,
    heard: Arc<Heard>,
    /// Its absence means that only looking helps.
    watcher: Option<(RecommendedWatcher, Identity)>,
}

impl Watch {
    pub(crate) fn new(dir: &Path) -> Self {
        let mut this = Self { dir: dir.to_owned(), heard: Arc::default(), watcher: None };
        this.arm();
        this
    }

    /// Waits until something is heard: if no writer has finished yet, a little longer for one.
    pub(crate) async fn changed(&self) {
        self.heard.hint.notified().await;
        let finished = async {
            while !self.heard.finished.lock().unwrap_or_else(PoisonError::into_inner).any() {
                self.heard.hint.notified().await;
            }
        };
        // What was heard is looked at in any case.
        drop(tokio::time::timeout(WRITING, finished).await);
    }

    /// The files that were finished since the last call.
    pub(crate) fn take_finished(&self) -> Finished {
        std::mem::take(&mut self.heard.finished.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Starts to listen, also again if another directory has taken the place of the old one.
    pub(crate) fn arm(&mut self) {
        let identity = std::fs::metadata(&self.dir)
            .map(|metadata| (metadata.dev(), metadata.ino(), metadata.created().ok()))
            .ok();
        if self.watcher.as_ref().map(|(_, known)| *known) == identity {
            return;
        }
        self.watcher = None;
        let Some(identity) = identity else { return };
        let heard = Arc::clone(&self.heard);
        let listen = move |event: notify::Result<Event>| match event {
            Ok(event) => hear(&heard, &event),
            // Among them the loss of events: look at everything.
            Err(_) => heard.hint.notify_one(),
        };
        let watcher = notify::recommended_watcher(listen).and_then(|mut watcher| {
            watcher.watch(&self.dir, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        match watcher {
            Ok(watcher) => self.watcher = Some((watcher, identity)),
            Err(error) => tracing::warn!(
                "Changes in {} are found by looking only: {error}",
                self.dir.display()
            ),
        }
    }
}

fn hear(heard: &Heard, event: &Event) {
    let finished = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)) => true,
        // Our own reading among them.
        EventKind::Access(_) => return,
        _ => false,
    };
    if finished {
        let mut done = heard.finished.lock().unwrap_or_else(PoisonError::into_inner);
        for path in &event.paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            done.all |= name == SWAPPED;
            done.names.insert(name);
        }
    }
    heard.hint.notify_one();
}
