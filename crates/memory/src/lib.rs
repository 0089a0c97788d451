#![doc = include_str!("../README.md")]
#![expect(
    unsafe_code,
    reason = "an allocator is an unsafe trait; a fifth of a training step depends on this one"
)]

use std::alloc::{GlobalAlloc, Layout, System};

/// A cache line, and the widest vector.
const LINE: usize = 64;
/// From this size on blocks are aligned to [`LINE`].
const ALIGNED: usize = 64 << 10;
/// From this size on blocks are to lie in large pages; about as large as one.
#[cfg(target_os = "linux")]
const LARGE: usize = 2 << 20;

/// The system's allocator, with large blocks aligned to cache lines and in large pages.
#[derive(Debug, Clone, Copy, Default)]
pub struct TensorMemory;

// SAFETY: all memory is the system allocator's. Which blocks are moved to a line, and how much is asked for them, follows
// from the caller's layout alone, which is the same when the block is given back; advice to the kernel changes no memory.
unsafe impl GlobalAlloc for TensorMemory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(wider) = wider(layout) else {
            // SAFETY: as the caller of this function.
            return unsafe { System.alloc(layout) };
        };
        // SAFETY: `wider` is not empty, and is what `at_a_line` needs.
        advised(unsafe { at_a_line(System.alloc(wider)) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some(wider) = wider(layout) else {
            // SAFETY: as the caller of this function.
            return unsafe { System.alloc_zeroed(layout) };
        };
        // SAFETY: as above; what `at_a_line` writes lies in front of the block.
        advised(unsafe { at_a_line(System.alloc_zeroed(wider)) }, layout.size())
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller knows that the size fits with this alignment.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if wider(layout).is_none() && wider(new).is_none() {
            // SAFETY: both are blocks of the system's with the caller's layouts.
            return unsafe { System.realloc(block, layout, size) };
        }
        // SAFETY: `new` is not empty; both blocks hold what is copied, and are not the same; the old one is given back
        // only if there is a new one.
        unsafe {
            let moved = self.alloc(new);
            if !moved.is_null() {
                std::ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: a block that was moved has the system's in front of it, which was asked for with `wider`.
        unsafe {
            match wider(layout) {
                Some(wider) => System.dealloc(system_block(block).read(), wider),
                None => System.dealloc(block, layout),
            }
        }
    }
}

/// What the system is asked for in place of this layout, so that a line begins in it with a pointer before it; `None`
/// for blocks that stay as they are.
///
/// Not an aligned block of the system's: glibc finds none in the hole that one of the same size has left, and memory
/// grew by a third in training.
fn wider(layout: Layout) -> Option<Layout> {
    if layout.size() < ALIGNED || layout.align() > LINE {
        return None;
    }
    Layout::from_size_align(layout.size().checked_add(2 * LINE)?, align_of::<*mut u8>()).ok()
}

/// The first line in a block of [`wider`] with room for a pointer before it, to the block itself.
///
/// # Safety
/// The block is null, or has two lines more than what is put in it.
unsafe fn at_a_line(block: *mut u8) -> *mut u8 {
    if block.is_null() {
        return block;
    }
    let before = (block.addr() + size_of::<*mut u8>()).next_multiple_of(LINE) - block.addr();
    // SAFETY: `before` is at most a line and a pointer, and the pointer is at a multiple of its size.
    unsafe {
        let line = block.add(before);
        system_block(line).write(block);
        line
    }
}

/// Where the system's block is kept of one that begins at a line.
#[expect(clippy::cast_ptr_alignment, reason = "a line begins at a multiple of a pointer's size")]
fn system_block(line: *mut u8) -> *mut *mut u8 {
    line.cast::<*mut u8>().wrapping_sub(1)
}

/// The block, of so many bytes, with the kernel told that large pages are wanted for it.
fn advised(block: *mut u8, size: usize) -> *mut u8 {
    #[cfg(target_os = "linux")]
    {
        /// A multiple of every processor's small page.
        const PAGE: usize = 64 << 10;
        if size >= LARGE && !block.is_null() {
            let start = block.addr().next_multiple_of(PAGE);
            let len = block.addr() + size - start;
            // SAFETY: the pages hold parts of the block, and stay as they are. A kernel that declines changes nothing.
            unsafe { libc::madvise(block.with_addr(start).cast(), len, libc::MADV_HUGEPAGE) };
        }
    }
    let _ = size;
    block
}

/// Makes glibc keep freed memory for the next tensor, whichever thread asks for it. To be called before the program
/// starts threads.
///
/// By default glibc returns large blocks to the kernel, and zeroing the new pages takes up to a third of a pass through a
/// small model; and each thread frees into an arena of its own. Where the user has set glibc's own variables, they
/// hold. Other systems have other allocators.
pub fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// The largest threshold that glibc takes.
        const BLOCKS_OF_THEIR_OWN: i32 = 32 << 20;
        const LEFT_AT_THE_END: i32 = 256 << 20;
        let tunables = std::env::var("GLIBC_TUNABLES").unwrap_or_default();
        let set = |parameter, name: &str, variable: &str, value| {
            if !tunables.contains(name) && std::env::var_os(variable).is_none() {
                // SAFETY: numbers alone are passed; the caller has no other thread yet.
                unsafe { libc::mallopt(parameter, value) };
            }
        };
        set(
            libc::M_MMAP_THRESHOLD,
            "mmap_threshold",
            "MALLOC_MMAP_THRESHOLD_",
            BLOCKS_OF_THEIR_OWN,
        );
        set(libc::M_TRIM_THRESHOLD, "trim_threshold", "MALLOC_TRIM_THRESHOLD_", LEFT_AT_THE_END);
        set(libc::M_ARENA_MAX, "arena_max", "MALLOC_ARENA_MAX", 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static ALLOCATOR: TensorMemory = TensorMemory;

    #[test]
    fn large_blocks_begin_at_a_cache_line_and_keep_their_values() {
        keep_freed();
        let mut all = Vec::new();
        for size in [1, 1 << 10, ALIGNED / 4 - 1, ALIGNED / 4, 100_003, 1 << 20, 5 << 20] {
            let mut values: Vec<u32> = Vec::with_capacity(size);
            values.extend(0..size as u32);
            if size * 4 >= ALIGNED {
                assert_eq!(values.as_ptr().addr() % LINE, 0, "{size}");
            }
            all.push(values);
        }
        for values in &all {
            assert!(values.iter().enumerate().all(|(at, value)| at as u32 == *value));
        }
    }

    #[test]
    fn blocks_grow_and_shrink_over_the_border() {
        let mut values: Vec<u64> = Vec::new();
        for value in 0..200_000 {
            values.push(value);
        }
        assert_eq!(values.as_ptr().addr() % LINE, 0);
        values.truncate(100);
        values.shrink_to_fit();
        assert_eq!(values, (0..100).collect::<Vec<u64>>());
        values.reserve_exact(1 << 19);
        assert_eq!(values.as_ptr().addr() % LINE, 0);
        assert_eq!(values, (0..100).collect::<Vec<u64>>());
    }

    #[test]
    fn zeroed_blocks_are_zero_after_others_were_freed() {
        for _ in 0..3 {
            let mut values = vec![0_u8; 3 << 20];
            assert!(values.iter().all(|value| *value == 0));
            values.fill(255);
        }
    }
}
