//! The skull in a CT slice: a closed bright ring around soft tissue.

use ndarray::{Array2, ArrayView2, s};

use super::enclosure::largest_enclosure;

/// How wide a gap of the skull (sutures, canals, the thin plates of its base) may be to count as closed, to both sides.
const BRIDGE_MM: f64 = 2.0;
/// HU of brain, blood and cerebrospinal fluid.
const SOFT_TISSUE: std::ops::Range<f32> = -20.0..100.0;

/// What the skull encloses in one slice.
#[derive(Debug, Clone, PartialEq)]
pub struct SkullRing {
    /// 1 inside; on a grid of every `stride`-th row and column of the slice.
    pub inside: Array2<u8>,
    pub stride: usize,
    pub area_mm2: f64,
    /// Share of the enclosed area with the HU of soft tissue, 0 to 1.
    pub soft_tissue_share: f64,
    /// Share of the ring that is bone and no bridged gap, 0 to 1.
    pub wall_share: f64,
}

/// The largest region of a slice (HU; rows, columns) that bone (`bone_hu` and above) encloses. At most `max_side` rows and columns are looked
/// at, at even distances. None where nothing is enclosed or the spacing (mm between rows, columns) is none.
pub fn skull_ring(hu: ArrayView2<f32>, spacing_mm: [f64; 2], bone_hu: f32, max_side: usize) -> Option<SkullRing> {
    let (rows, columns) = hu.dim();
    if !spacing_mm.iter().all(|v| v.is_finite() && *v > 0.0) {
        return None;
    }
    let stride = rows.max(columns).div_ceil(max_side.max(1)).max(1);
    let hu = hu.slice_move(s![..;stride, ..;stride]);
    let spacing = spacing_mm.map(|v| v * stride as f64);
    let bone = hu.mapv(|v| u8::from(v >= bone_hu));
    // At least one pixel: bone that touches at corners only is closed.
    let found = largest_enclosure(bone.view(), spacing.map(|mm| (BRIDGE_MM / mm).max(1.0)))?;
    let soft = hu.iter().zip(&found.inside).filter(|(v, inside)| **inside != 0 && SOFT_TISSUE.contains(*v)).count();
    Some(SkullRing {
        stride,
        area_mm2: found.pixels as f64 * spacing[0] * spacing[1],
        soft_tissue_share: soft as f64 / found.pixels.max(1) as f64,
        wall_share: found.wall_share,
        inside: found.inside,
    })
}
