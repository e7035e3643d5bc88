//! What one call may use. Every bound on a guest has its number here and its reason beside it.

use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::engine::{
    INSTANCES_PER_COMPONENT, MEMORIES_PER_COMPONENT, TABLE_ELEMENTS, TABLES_PER_COMPONENT,
};

/// Bytes that the host allocates on behalf of a guest for one answer. Copying an answer cannot be
/// interrupted, therefore this bound also bounds its time: 24 ms for the worst shape.
pub(crate) const RESULT_BYTES: usize = 1 << 20;
/// Handles of one component. The contract has no resources.
pub(crate) const HANDLES: usize = 64;
/// Log text of one call.
pub(crate) const LOG_BYTES: usize = 64 << 10;
/// Texts for people: messages, reasons, warnings.
pub(crate) const TEXT_BYTES: usize = 4 << 10;
/// Pointers into a form.
pub(crate) const POINTER_CHARS: usize = 512;
/// Manifests of one bundle.
pub(crate) const MANIFESTS: usize = 16;
/// Bytes of one manifest.
pub(crate) const MANIFEST_BYTES: usize = 256 << 10;
/// Nesting of a manifest, a schema or an example.
pub(crate) const JSON_DEPTH: usize = 64;
/// Findings, warnings and log targets of one answer.
pub(crate) const LIST_ITEMS: usize = 128;
/// Bytes of a component file. An interpreter of Python with its library has 18 MB.
pub(crate) const COMPONENT_BYTES: u64 = 32 << 20;
/// Bytes of one JSON Schema.
pub(crate) const SCHEMA_BYTES: usize = 256 << 10;
/// Components of one runner. It never unloads any, and is replaced when it has so many.
pub(crate) const COMPONENTS: usize = 256;
/// How long a call waits for a free sandbox before it is refused.
pub(crate) const SLOT_WAIT: Duration = Duration::from_millis(500);

/// Bounds that the operator sets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallLimits {
    /// Longest call.
    pub(crate) deadline: Duration,
    /// Memory of one call, summed over all linear memories.
    pub(crate) memory_bytes: usize,
    /// A guest that ran for fewer ticks than this is not stopped: the machine, not the guest, was
    /// slow.
    pub(crate) fewest_ticks: u32,
}

/// The memory budget of one call. It counts the sum over all memories of the guest; wasmtime's own
/// limits count each memory alone.
#[derive(Debug)]
pub(crate) struct Budget {
    memory_bytes: usize,
    memory_left: usize,
}

impl Budget {
    pub(crate) fn new(memory_bytes: usize) -> Self {
        Self { memory_bytes, memory_left: memory_bytes }
    }

    /// What was granted, in bytes.
    pub(crate) fn used(&self) -> u64 {
        self.memory_bytes.saturating_sub(self.memory_left) as u64
    }
}

impl ResourceLimiter for Budget {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // A growth beyond the maximum fails after it was granted; nothing must be charged for it.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let more = desired.saturating_sub(current);
        let granted = more <= self.memory_left;
        if granted {
            self.memory_left -= more;
        }
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS)
    }

    fn instances(&self) -> usize {
        INSTANCES_PER_COMPONENT as usize
    }

    fn tables(&self) -> usize {
        TABLES_PER_COMPONENT as usize
    }

    fn memories(&self) -> usize {
        MEMORIES_PER_COMPONENT as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_over_all_memories() {
        let mut budget = Budget::new(10);
        assert!(budget.memory_growing(0, 6, None).unwrap());
        assert!(!budget.memory_growing(0, 6, None).unwrap());
        assert!(budget.memory_growing(0, 4, None).unwrap());
        assert!(!budget.memory_growing(4, 5, None).unwrap());
    }

    #[test]
    fn growth_beyond_the_maximum_is_not_charged() {
        let mut budget = Budget::new(10);
        assert!(!budget.memory_growing(0, 8, Some(4)).unwrap());
        assert!(budget.memory_growing(0, 10, None).unwrap());
    }
}
