//! Memory that the core has allocated.

use std::fmt;
use std::ops::Deref;
use std::slice;

use super::error::HostError;
use super::host::{Host, c_size};
use super::sys::{self, Service};

/// A memory buffer of the core, freed with `OrthancPluginFreeMemoryBuffer` when dropped. Dereferences to its bytes.
pub struct Buffer {
    raw: sys::MemoryBuffer,
    free: sys::Free,
}

// SAFETY: the memory is a plain heap block that we own; `Free` is the C library's `free`, which any thread may call.
unsafe impl Send for Buffer {}
// SAFETY: a shared buffer is only read.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// An empty target for a service that allocates its answer.
    pub(super) fn empty(host: &Host) -> Self {
        Self { raw: sys::MemoryBuffer::default(), free: host.free() }
    }

    /// Where such a service writes.
    pub(super) fn as_mut_ptr(&mut self) -> *mut sys::MemoryBuffer {
        &raw mut self.raw
    }

    /// The bytes as text.
    ///
    /// # Errors
    /// [`HostError::Unexpected`] if they are not UTF-8.
    pub fn to_str(&self) -> Result<&str, HostError> {
        std::str::from_utf8(self).map_err(|error| HostError::Unexpected {
            what: "an answer of Orthanc".into(),
            problem: format!("expected UTF-8 text: {error}"),
        })
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        if self.raw.data.is_null() {
            return &[];
        }
        // SAFETY: "the content of the buffer" and "the number of bytes in the buffer", as the core filled them in; ours until freed.
        unsafe { slice::from_raw_parts(self.raw.data.cast::<u8>(), self.raw.size as usize) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if !self.raw.data.is_null() {
            // SAFETY: OrthancPluginFreeMemoryBuffer is `context->Free(buffer->data)`; freed once, here.
            unsafe { (self.free)(self.raw.data) };
        }
    }
}

impl fmt::Debug for Buffer {
    /// The size only: the content may be a patient's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes)", self.len())
    }
}

/// Hands `content` to the core in memory of the core's own, as callbacks that fill a `target` must.
///
/// # Errors
/// The core has no memory; `content` is larger than 4 GB.
///
/// # Safety
/// `target` points to a buffer that the core gave us to fill in.
pub(super) unsafe fn fill(host: &Host, target: *mut sys::MemoryBuffer, content: &[u8]) -> Result<(), HostError> {
    const CALL: &str = "CreateMemoryBuffer";
    let size = c_size("a memory buffer", content.len())?;
    let mut created = sys::MemoryBuffer::default();
    let params = sys::_OrthancPluginCreateMemoryBuffer { target: &raw mut created, size };
    // SAFETY: OrthancPluginCreateMemoryBuffer passes this structure; `created` outlives the call.
    unsafe { host.invoke(CALL, Service::CreateMemoryBuffer, &raw const params) }?;
    if created.data.is_null() && size > 0 {
        return Err(HostError::NullPointer { call: CALL, what: "the buffer" });
    }
    if size > 0 {
        // SAFETY: the core allocated `size` bytes at `data`; `content` has as many and is not of the core's heap.
        unsafe { std::ptr::copy_nonoverlapping(content.as_ptr(), created.data.cast::<u8>(), content.len()) };
    }
    // SAFETY: `target` may be written, by this function's contract; the core "will free" what it then holds.
    unsafe { target.write(created) };
    Ok(())
}
