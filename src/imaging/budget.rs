//! How much may be read before anything is decoded.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::ImagingError;

/// How many voxels the files of one input may have together. Shared by the threads that read them: a header's claim is tested
/// before its pixels take memory.
#[derive(Debug)]
pub struct VoxelBudget {
    limit: usize,
    left: AtomicUsize,
}

impl VoxelBudget {
    /// Room for `limit` voxels, each of which will take four bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, left: AtomicUsize::new(limit) }
    }

    /// Takes room for the pixels of one more file.
    ///
    /// # Errors
    /// [`ImagingError::TooManyVoxels`]; then nothing is taken.
    pub fn take(&self, voxels: usize) -> Result<(), ImagingError> {
        let rest = |left: usize| left.checked_sub(voxels);
        match self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest) {
            Ok(_) => Ok(()),
            Err(left) => Err(ImagingError::TooManyVoxels { before: self.limit - left, voxels, limit: self.limit }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_and_takes_no_room() {
        let budget = VoxelBudget::new(10);
        assert_eq!(budget.take(7), Ok(()));
        let error = budget.take(4).unwrap_err().to_string();
        assert!(error.contains("4 pixels after 7 of other files, expected at most 10 in all"), "{error}");
        assert_eq!(budget.take(3), Ok(()));
        assert!(budget.take(usize::MAX).is_err());
    }
}
