//! The C library's allocator, told to keep what tensors free.

/// Makes glibc keep freed memory for the next tensor. By default it returns large blocks to the kernel,
/// and zeroing the new pages takes up to a third of a pass through a small model (`docs/performance.md`).
///
/// Where the user has set glibc's own variables, they hold. Other systems have other allocators.
pub(crate) fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// The largest threshold that glibc takes.
        const BLOCKS_OF_THEIR_OWN: i32 = 32 << 20;
        const LEFT_AT_THE_END: i32 = 256 << 20;
        let own = ["GLIBC_TUNABLES", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"];
        if own.iter().any(|name| std::env::var_os(name).is_some()) {
            return;
        }
        #[expect(
            unsafe_code,
            reason = "no library offers this, and a tenth of a step depends on it"
        )]
        // SAFETY: numbers alone are passed, and no other thread runs yet.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, BLOCKS_OF_THEIR_OWN);
            libc::mallopt(libc::M_TRIM_THRESHOLD, LEFT_AT_THE_END);
        }
    }
}
