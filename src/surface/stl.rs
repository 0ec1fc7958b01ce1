//! Binary STL (3D Systems, Stereolithography Interface Specification, 1989): 80 bytes of text, the number of triangles, and of each its normal
//! and corners as little-endian f32 with two bytes of attributes. Lengths have no unit in it; ours are mm, axes LPS as in DICOM.

use super::Mesh;
use super::mesh::doubled_normal;
use crate::imaging::geometry::norm;

/// What the text says: nothing of the patient. It must not begin with "solid", which is how readers tell the text form.
pub const HEADER: &str = "AI-generated surface, for research use only. Not for diagnosis. Units: mm, LPS";

/// The mesh as a file.
pub fn write(mesh: &Mesh) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(84 + 50 * mesh.triangles.len());
    bytes.extend(HEADER.bytes().chain(std::iter::repeat(b' ')).take(80));
    bytes.extend((mesh.triangles.len() as u32).to_le_bytes());
    for &triangle in &mesh.triangles {
        let corners = mesh.corners(triangle);
        let doubled = doubled_normal(corners);
        let length = norm(doubled);
        let normal = doubled.map(|v| if length > 0.0 { v / length } else { 0.0 });
        for value in [normal].iter().chain(&corners).flatten() {
            bytes.extend((*value as f32).to_le_bytes());
        }
        bytes.extend([0, 0]);
    }
    bytes
}
