//! Whether the costliest job stays within half of the host's limits, so that an operator's slower
//! machine and tomorrow's larger form still pass. The runtime does not tell how much a call took,
//! so its memory is halved until it fails.

use std::path::Path;
use std::time::Instant;

use plugin_runtime::{DEFAULT_DEADLINE, DEFAULT_MEMORY_BYTES};
use serde_json::Value;
use training::admit::Policy;

use super::report::Section;
use crate::Outcome;
use crate::candidate::{Candidate, Planned, Setup};

/// Calls whose median is the time of one.
const ROUNDS: usize = 5;

/// Checks memory, time and size of the costliest job that was found.
pub(crate) async fn run(
    file: &Path,
    cache_dir: &Path,
    candidate: &Candidate,
    form: &Value,
    planned: &Planned,
) -> Outcome<Section> {
    let mut section = Section::new("limits");
    let limit = DEFAULT_MEMORY_BYTES;
    let mut enough = None;
    // 1, 2, 4 … up to half of the limit; the first one that suffices.
    for divided_by in [64, 32, 16, 8, 4, 2] {
        let setup =
            Setup { memory_divided_by: divided_by, ..Setup::plain(Some(cache_dir.to_owned())) };
        // A plugin that cannot even be loaded with so little needs more.
        let Ok(tight) = Candidate::load(file, &setup).await? else { continue };
        let fits = tight.validate(&planned.input).await.is_ok()
            && tight.convert_input(&planned.input).await.is_ok();
        if fits {
            enough = Some(limit / divided_by);
            break;
        }
    }
    match enough {
        Some(bytes) => section.pass(format!(
            "memory: {} MiB suffice; the limit is {} MiB",
            bytes >> 20,
            limit >> 20
        )),
        None => section.fail_with(
            "memory",
            format!("more than half of the limit of {} MiB is needed", limit >> 20),
            form.clone(),
        ),
    }
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let started = Instant::now();
        // How it ends was judged before.
        let _ = candidate.validate(&planned.input).await;
        let _ = candidate.convert_input(&planned.input).await;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    let median = times.get(ROUNDS / 2).copied().unwrap_or_default();
    let words = format!(
        "{:.1} ms for `validate` and `convert`; the limit is {} ms each",
        median.as_secs_f64() * 1000.0,
        DEFAULT_DEADLINE.as_millis()
    );
    if median < DEFAULT_DEADLINE / 2 {
        section.pass(format!("time: {words}"));
    } else {
        section.fail_with("time", words, form.clone());
    }
    let (bytes, most) = (planned.size(), Policy::default().max_bundle_bytes);
    let words = format!("{} KiB of manifests; the limit is {} KiB", bytes >> 10, most >> 10);
    if bytes <= most / 2 {
        section.pass(format!("output: {words}"));
    } else {
        section.fail_with("output", words, form.clone());
    }
    Ok(Ok(section))
}
