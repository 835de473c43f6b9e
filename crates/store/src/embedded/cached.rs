//! The operating system's cache of files.

use std::fs::File;

/// Tells the operating system that what it has cached of a file will not be needed soon. Bytes that are not synced stay.
///
/// A load that writes more than the memory holds would otherwise push everybody else's files out, and pay for fresh
/// pages instead of using its own again.
#[cfg(target_os = "linux")]
pub fn forget_cached(file: &File) {
    if let Err(error) = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed) {
        tracing::debug!(%error, "the system keeps a file cached");
    }
}

/// Other systems are left to themselves.
#[cfg(not(target_os = "linux"))]
pub fn forget_cached(_file: &File) {}
