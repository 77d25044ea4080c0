//! An allocator for short runs.
#![allow(unsafe_code, reason = "an allocator hands out raw memory")]

use std::alloc::{GlobalAlloc, Layout};

/// A global allocator that makes short runs cheaper, for flows that ask for it. It needs the feature `heap`.
///
/// ```
/// #[global_allocator]
/// static HEAP: faas_flow::Heap = faas_flow::Heap::new();
/// ```
///
/// Rust's own allocator grows a component's memory at its first allocation. The host then changes the protection of
/// pages, which stops all of its threads for a moment, and does so again before the next run gets that memory. With
/// this allocator, the first 128 KiB are part of the memory that the component starts with, so most runs never grow it.
/// They take no space in the module, and no memory in the host until they are used.
///
/// On other targets than WebAssembly it is the system's allocator, so that a flow's tests run as usual.
#[derive(Debug)]
pub struct Heap(());

impl Heap {
    /// The allocator. All values of this type share one heap.
    #[must_use = "an allocator does nothing until it is a `#[global_allocator]`"]
    #[allow(clippy::new_without_default, reason = "a `static` needs a constant")]
    pub const fn new() -> Self {
        Self(())
    }
}

// SAFETY: every call is passed on, unchanged, to one allocator that fulfills the contract.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { allocator::HEAP.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        unsafe { allocator::HEAP.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        unsafe { allocator::HEAP.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        unsafe { allocator::HEAP.realloc(ptr, layout, size) }
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod allocator {
    pub static HEAP: std::alloc::System = std::alloc::System;
}

#[cfg(target_arch = "wasm32")]
mod allocator {
    use core::alloc::{GlobalAlloc, Layout};
    use core::arch::wasm32::memory_grow;
    use core::cell::{Cell, UnsafeCell};
    use core::ptr::null_mut;
    use dlmalloc::{Allocator, Dlmalloc};

    const PAGE: usize = 64 << 10;
    const FIRST: usize = 2 * PAGE;

    #[repr(align(16))]
    struct First(UnsafeCell<[u8; FIRST]>);

    // SAFETY: a component has one thread.
    unsafe impl Sync for First {}

    static FIRST_PAGES: First = First(UnsafeCell::new([0; FIRST]));

    struct Pages {
        first_given: Cell<bool>,
    }

    // SAFETY: each byte is handed out once: the first pages, then what the memory grew by. A component has one thread.
    unsafe impl Allocator for Pages {
        fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
            if size <= FIRST && !self.first_given.replace(true) {
                return (FIRST_PAGES.0.get().cast(), FIRST, 0);
            }
            let pages = size.div_ceil(PAGE);
            match memory_grow::<0>(pages) {
                usize::MAX => (null_mut(), 0, 0),
                before => ((before * PAGE) as *mut u8, pages * PAGE, 0),
            }
        }

        fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
            null_mut()
        }

        fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
            false
        }

        fn free(&self, _: *mut u8, _: usize) -> bool {
            false
        }

        fn can_release_part(&self, _: u32) -> bool {
            false
        }

        fn allocates_zeros(&self) -> bool {
            true
        }

        fn page_size(&self) -> usize {
            PAGE
        }
    }

    pub struct Shared(UnsafeCell<Dlmalloc<Pages>>);

    // SAFETY: a component has one thread.
    unsafe impl Sync for Shared {}

    pub static HEAP: Shared =
        Shared(UnsafeCell::new(Dlmalloc::new_with_allocator(Pages { first_given: Cell::new(false) })));

    // SAFETY: a component has one thread, and Dlmalloc does not call back into this allocator, so the borrows never
    // overlap. Dlmalloc fulfills the rest of the contract.
    unsafe impl GlobalAlloc for Shared {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            unsafe { (*self.0.get()).malloc(layout.size(), layout.align()) }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            unsafe { (*self.0.get()).calloc(layout.size(), layout.align()) }
        }

        unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
            unsafe { (*self.0.get()).free(ptr, layout.size(), layout.align()) }
        }

        unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            unsafe { (*self.0.get()).realloc(ptr, layout.size(), layout.align(), size) }
        }
    }
}
