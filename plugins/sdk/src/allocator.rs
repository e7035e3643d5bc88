//! The guest's allocator: free lists by power of two over memory that only ever grows.
//!
//! An instance lives for one call, so returning memory is worthless, but touching few pages is
//! worth a lot: each first touch of a page costs the host, and so does each `memory.grow`. The
//! standard allocator splits and merges blocks, which doubled the price of a call.
#![expect(unsafe_code, reason = "an allocator hands out raw memory")]
#![expect(clippy::cast_ptr_alignment, reason = "every block is aligned to 16 bytes")]

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32;
use core::cell::UnsafeCell;
use core::ptr;

/// Smallest block. Also the alignment of every block: enough for `u128` and for SIMD values.
const MIN_SHIFT: usize = 4;
/// One list for each power of two from 16 bytes to 2 GiB, the most a layout can ask for.
const CLASSES: usize = 28;
const WASM_PAGE: usize = 65_536;

#[global_allocator]
static ARENA: Arena = Arena(UnsafeCell::new(State { free: [0; CLASSES], next: 0, end: 0 }));

struct Arena(UnsafeCell<State>);

/// Addresses are kept as integers, 0 is "none".
struct State {
    /// First free block of each class; its first word is the address of the following one.
    free: [usize; CLASSES],
    /// First address never handed out.
    next: usize,
    /// End of linear memory.
    end: usize,
}

// SAFETY: the target has no threads, and no method of this allocator calls out while it holds
// the reference to the state.
unsafe impl Sync for Arena {}

unsafe extern "C" {
    /// Placed by the linker after static data; only its address means something.
    static __heap_base: u8;
}

fn class_of(layout: Layout) -> usize {
    let size = layout.size().max(1 << MIN_SHIFT);
    ((usize::BITS - (size - 1).leading_zeros()) as usize).saturating_sub(MIN_SHIFT)
}

impl State {
    /// Takes fresh memory. Returns 0 if the host's limit is reached.
    fn bump(&mut self, size: usize, align: usize) -> usize {
        if self.next == 0 {
            self.next = (&raw const __heap_base).addr();
            self.end = wasm32::memory_size::<0>() * WASM_PAGE;
        }
        let align = align.max(1 << MIN_SHIFT);
        let Some(start) = self.next.checked_next_multiple_of(align) else { return 0 };
        let Some(stop) = start.checked_add(size) else { return 0 };
        if stop > self.end && !self.grow(stop - self.end) {
            return 0;
        }
        self.next = stop;
        start
    }

    fn grow(&mut self, missing: usize) -> bool {
        let pages = missing.div_ceil(WASM_PAGE);
        if wasm32::memory_grow::<0>(pages) == usize::MAX {
            return false;
        }
        self.end += pages * WASM_PAGE;
        true
    }
}

// SAFETY: blocks come from `bump`, which never hands out an address twice, or from a free list,
// into which a block goes only when its owner gave it back. Block sizes are the class's power of
// two, so a block of a class fits every layout of that class.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: see `Sync`; the reference does not outlive this call.
        let state = unsafe { &mut *self.0.get() };
        let class = class_of(layout);
        let aligned = layout.align() <= 1 << MIN_SHIFT;
        if aligned
            && let Some(head) = state.free.get_mut(class)
            && *head != 0
        {
            let block = *head;
            // SAFETY: a block in a list is at least 16 bytes, aligned and ours.
            *head = unsafe { ptr::with_exposed_provenance::<usize>(block).read() };
            return ptr::with_exposed_provenance_mut(block);
        }
        let size = 1_usize << (class + MIN_SHIFT);
        ptr::with_exposed_provenance_mut(state.bump(size, layout.align()))
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: see `Sync`; the reference does not outlive this call.
        let state = unsafe { &mut *self.0.get() };
        if let Some(head) = state.free.get_mut(class_of(layout)) {
            // SAFETY: the caller gave the block back, and every block has room for one word.
            unsafe { block.cast::<usize>().write(*head) };
            *head = block.expose_provenance();
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller guarantees that the new size is valid for this alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        let (old_class, new_class) = (class_of(layout), class_of(wanted));
        if old_class == new_class {
            return block;
        }
        {
            // SAFETY: see `Sync`; the reference ends with this scope, before `alloc` takes its own.
            let state = unsafe { &mut *self.0.get() };
            let start = block.expose_provenance();
            let old_block = 1_usize << (old_class + MIN_SHIFT);
            let new_block = 1_usize << (new_class + MIN_SHIFT);
            // The youngest block grows where it is: no copy, no second set of pages.
            if start + old_block == state.next
                && new_class > old_class
                && state.bump(new_block - old_block, 1) != 0
            {
                return block;
            }
        }
        // SAFETY: two live blocks, both at least as long as what is copied.
        unsafe {
            let moved = self.alloc(wanted);
            if !moved.is_null() {
                ptr::copy_nonoverlapping(block, moved, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}
