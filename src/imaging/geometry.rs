//! Where the voxels of a volume lie in the patient (PS3.3 C.7.6.2.1.1).

/// A regular grid in the patient's coordinates: LPS, mm. Index order (slice, row, column).
#[derive(Debug, Clone, PartialEq)]
pub struct Geometry {
    /// (slices, rows, columns)
    pub size: [usize; 3],
    /// Centre of the voxel (0, 0, 0).
    pub origin_mm: [f64; 3],
    /// The way from a voxel to the next along (slice, row, column). The slice step need not be normal to the slices
    /// (gantry tilt).
    pub steps_mm: [[f64; 3]; 3],
    pub frame_of_reference_uid: Option<String>,
}

impl Geometry {
    /// The place of an index; whole numbers are the voxels' centres.
    pub fn to_patient(&self, index: [f64; 3]) -> [f64; 3] {
        std::array::from_fn(|axis| {
            self.origin_mm[axis] + (0..3).map(|i| index[i] * self.steps_mm[i][axis]).sum::<f64>()
        })
    }

    /// Distances between neighbours' centres along (slice, row, column).
    pub fn spacing_mm(&self) -> [f64; 3] {
        self.steps_mm.map(norm)
    }

    /// Volume of one voxel.
    pub fn voxel_mm3(&self) -> f64 {
        let [s, r, c] = self.steps_mm;
        dot(s, cross(r, c)).abs()
    }

    /// ImageOrientationPatient: the direction of increasing columns, then of increasing rows.
    pub fn orientation(&self) -> [f64; 6] {
        let [row, column] = [unit(self.steps_mm[2]), unit(self.steps_mm[1])];
        [row[0], row[1], row[2], column[0], column[1], column[2]]
    }
}

pub(crate) fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(crate) fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

pub(crate) fn norm(a: [f64; 3]) -> f64 {
    dot(a, a).sqrt()
}

pub(crate) fn unit(a: [f64; 3]) -> [f64; 3] {
    let length = norm(a);
    a.map(|v| v / length)
}
