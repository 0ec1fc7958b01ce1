//! From the files of a series to its volumes.

use super::frames::{MAX_VOXELS, read_frames_within};
use super::series_error::SeriesError;
use super::stack::stack;
use super::{FrameDecoder, Volume, VoxelBudget};

/// Reads the files of one series, in any order, and stacks their frames into volumes, one a time point. One file after
/// the other: a caller with threads to spare calls [`super::read_frames`] on them and [`stack`] once.
///
/// # Errors
/// The first file that is no image of a volume, or what keeps the frames from being volumes.
pub fn read_series<B: AsRef<[u8]>>(
    files: impl IntoIterator<Item = B>,
    fallback: Option<&dyn FrameDecoder>,
    time_points: &[&str],
) -> Result<Vec<Volume>, SeriesError> {
    let (mut frames, budget) = (Vec::new(), VoxelBudget::new(MAX_VOXELS));
    for (file, number) in files.into_iter().zip(1..) {
        let read = read_frames_within(file.as_ref(), fallback, &budget);
        frames.extend(read.map_err(|error| SeriesError::Instance { number, error })?);
    }
    stack(frames, time_points)
}
