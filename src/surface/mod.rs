//! The surface of a mask as a closed triangle mesh in the patient's coordinates: pure, no server, no network's engine.
//!
//! [`surface`] is four steps: [`nets`] (surface nets, with each vertex split so that the mesh is always a closed 2-manifold), [`smooth`]
//! (Taubin), [`decimate`] (quadric error), [`volume`] (each part gets back the volume of its voxels, which the report states). [`stl`] writes it.

mod corner;
mod decimate;
mod mesh;
mod nets;
mod quadric;
mod smooth;
pub mod stl;
mod volume;

use ndarray::ArrayView3;

use crate::imaging::Geometry;

pub use mesh::Mesh;

/// What a page draws without delay, and a file of 3 MB.
pub const MAX_TRIANGLES: usize = 60_000;

/// Faces between voxels inside and outside: more are noise, or no mask of a body, and would take gigabytes.
const MAX_FACES: usize = 8_000_000;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SurfaceError {
    #[error("the mask has {found:?} slices, rows and columns, expected {expected:?} as the grid")]
    Size { found: [usize; 3], expected: [usize; 3] },
    #[error("the grid's steps span no volume: expected three directions that are not in one plane")]
    Grid,
    #[error("the mask's surface has more than {MAX_FACES} voxel faces: expected a connected body, not noise")]
    TooLarge,
}

/// The surface of what is not 0 in `mask` (slice, row, column) on `geometry`, in mm (LPS), triangles anticlockwise from outside.
/// At most `max_triangles` where the mask's topology allows it: decimation never opens, joins or removes a part. None: an empty mask.
///
/// Each edge belongs to two triangles, which pass it in opposite directions, whatever the mask: at its border, where voxels touch
/// along an edge or at a corner (they count as apart), and where hollows do. Each connected part of the surface encloses the volume of its voxels.
///
/// # Errors
/// [`SurfaceError`]
pub fn surface(mask: ArrayView3<u8>, geometry: &Geometry, max_triangles: usize) -> Result<Option<Mesh>, SurfaceError> {
    let (slices, rows, columns) = mask.dim();
    let found = [slices, rows, columns];
    if found != geometry.size {
        return Err(SurfaceError::Size { found, expected: geometry.size });
    }
    if geometry.inverse_steps().is_none() {
        return Err(SurfaceError::Grid);
    }
    let Some(nets) = nets::extract(mask, geometry)? else { return Ok(None) };
    let mut parts = nets.parts(geometry);
    let mut mesh = nets.mesh;
    smooth::taubin(&mut mesh, geometry.spacing_mm());
    parts.restore(&mut mesh);
    if mesh.triangles.len() > max_triangles {
        let kept = decimate::decimate(&mut mesh, max_triangles);
        parts.keep(&kept);
        parts.restore(&mut mesh);
    }
    Ok(Some(mesh))
}

#[cfg(test)]
use volume::Parts;

#[cfg(test)]
mod tests;
