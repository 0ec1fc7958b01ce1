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
    /// A plane that has no place in the patient, as a grid of one slice: its first pixel at 0, rows along y, columns along x. `spacing_mm`:
    /// of rows and columns.
    pub fn of_plane([rows, columns]: [usize; 2], [row_mm, column_mm]: [f64; 2]) -> Self {
        Self {
            size: [1, rows, columns],
            origin_mm: [0.0; 3],
            steps_mm: [[0.0, 0.0, 1.0], [0.0, row_mm, 0.0], [column_mm, 0.0, 0.0]],
            frame_of_reference_uid: None,
        }
    }

    /// The place of an index; whole numbers are the voxels' centres.
    pub fn to_patient(&self, index: [f64; 3]) -> [f64; 3] {
        std::array::from_fn(|axis| {
            self.origin_mm[axis] + (0..3).map(|i| index[i] * self.steps_mm[i][axis]).sum::<f64>()
        })
    }

    /// The index (slice, row, column) of a place, also outside the grid: the inverse of [`Self::to_patient`]. None where
    /// the steps span no volume.
    pub fn to_index(&self, point_mm: [f64; 3]) -> Option<[f64; 3]> {
        let inverse = self.inverse_steps()?;
        let offset = std::array::from_fn(|axis| point_mm[axis] - self.origin_mm[axis]);
        Some(inverse.map(|row| dot(row, offset)))
    }

    /// Rows that take an offset in mm to (slice, row, column).
    pub(crate) fn inverse_steps(&self) -> Option<[[f64; 3]; 3]> {
        let [s, r, c] = self.steps_mm;
        let volume = dot(s, cross(r, c));
        let spans = volume.is_finite() && volume.abs() > 1e-9 * norm(s) * norm(r) * norm(c);
        spans.then(|| [cross(r, c), cross(c, s), cross(s, r)].map(|row| row.map(|v| v / volume)))
    }

    /// The matrix that takes the column vector (slice, row, column, 1) to (x, y, z, 1) in LPS, mm.
    pub fn affine_lps(&self) -> [[f64; 4]; 4] {
        let [s, r, c] = self.steps_mm;
        let row = |axis: usize| [s[axis], r[axis], c[axis], self.origin_mm[axis]];
        [row(0), row(1), row(2), [0.0, 0.0, 0.0, 1.0]]
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

    /// Unit vector normal to the slices: row direction × column direction.
    pub fn normal(&self) -> [f64; 3] {
        unit(cross(self.steps_mm[2], self.steps_mm[1]))
    }

    /// Angle between the slice step and the normal of the slices, 0 to 90 degrees. More than a fraction of a degree means
    /// that the slices are shifted against one another, as a CT with a tilted gantry does.
    pub fn tilt_degrees(&self) -> f64 {
        let (step, normal) = (self.steps_mm[0], self.normal());
        // atan2 of both components: the cosine alone says little near 0.
        norm(cross(step, normal)).atan2(dot(step, normal).abs()).to_degrees()
    }

    /// Centres of the eight corner voxels.
    pub fn corners_mm(&self) -> [[f64; 3]; 8] {
        let last = self.size.map(|n| n.saturating_sub(1) as f64);
        std::array::from_fn(|corner| {
            self.to_patient(std::array::from_fn(|axis| if corner >> axis & 1 == 1 { last[axis] } else { 0.0 }))
        })
    }

    /// Whether both are the same grid: equal size, the same Frame of Reference, and each corner voxel's centre within
    /// [`GRID_TOLERANCE`] of the smallest spacing (files round PixelSpacing, and 512 pixels add that up).
    ///
    /// # Errors
    /// What differs, and both grids in words.
    pub fn same_grid(&self, other: &Self) -> Result<(), String> {
        let smallest = self.spacing_mm().into_iter().fold(f64::INFINITY, f64::min);
        let tolerance = (GRID_TOLERANCE * smallest).max(0.01);
        let distances = self.corners_mm().into_iter().zip(other.corners_mm()).map(|(a, b)| norm(sub(a, b)));
        let farthest = distances.fold(0.0, f64::max);
        let what = if self.size != other.size {
            "sizes differ".to_string()
        } else if self.frame_of_reference_uid != other.frame_of_reference_uid {
            "FrameOfReferenceUID differs".to_string()
        } else if farthest.is_nan() || farthest > tolerance {
            format!("corners lie {farthest:.3} mm apart (at most {tolerance:.3} mm is rounding)")
        } else {
            return Ok(());
        };
        Err(format!("the grids differ: {what}; found {}, expected {}", other.describe(), self.describe()))
    }

    /// Size, spacing, origin and orientation in words. Nothing in it tells who the patient is: no UID.
    pub fn describe(&self) -> String {
        let list = |values: &[f64], digits: usize| {
            let rounded: Vec<String> = values.iter().map(|v| decimal(*v, digits)).collect();
            rounded.join(", ")
        };
        let [slices, rows, columns] = self.size;
        format!(
            "{slices} slices of {rows} × {columns}, spacing {} mm (slice, row, column), origin ({}) mm, orientation ({})",
            list(&self.spacing_mm(), 4),
            list(&self.origin_mm, 3),
            list(&self.orientation(), 4),
        )
    }
}

/// By which part of the smallest spacing the corners of two grids may differ that count as one.
pub const GRID_TOLERANCE: f64 = 0.05;

/// A number for people: rounded, without "-0".
pub(crate) fn decimal(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".into() } else { text.to_string() }
}

pub(crate) fn sub(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A tilted, anisotropic, oblique grid.
    fn oblique() -> Geometry {
        let (row, column) = (unit([0.9, 0.3, 0.2]), unit(cross([0.1, -0.2, 0.95], [0.9, 0.3, 0.2])));
        let normal = cross(row, column);
        Geometry {
            size: [5, 7, 9],
            origin_mm: [-101.5, 33.25, 740.0],
            steps_mm: [
                std::array::from_fn(|i| 3.0 * normal[i] + 0.7 * column[i]),
                column.map(|v| 0.8 * v),
                row.map(|v| 0.6 * v),
            ],
            frame_of_reference_uid: Some("1.2.3".into()),
        }
    }

    #[test]
    fn indices_and_places_are_inverse() {
        let grid = oblique();
        for index in [[0.0, 0.0, 0.0], [4.0, 6.0, 8.0], [-2.5, 11.25, 0.3]] {
            let there = grid.to_patient(index);
            let back = grid.to_index(there).unwrap();
            assert!((0..3).all(|i| (back[i] - index[i]).abs() < 1e-9), "{index:?}: {back:?}");
            let affine = grid.affine_lps();
            for axis in 0..3 {
                let row = affine[axis];
                let place = row[0] * index[0] + row[1] * index[1] + row[2] * index[2] + row[3];
                assert!((place - there[axis]).abs() < 1e-9);
            }
        }
        assert_eq!(grid.affine_lps()[3], [0.0, 0.0, 0.0, 1.0]);
        let flat = Geometry { steps_mm: [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], ..grid };
        assert_eq!(flat.to_index([0.0; 3]), None);
    }

    #[test]
    fn tilt_is_the_angle_between_step_and_normal() {
        let mut grid = oblique();
        assert!((grid.tilt_degrees() - (0.7f64 / 3.0).atan().to_degrees()).abs() < 1e-9);
        assert!((grid.voxel_mm3() - 3.0 * 0.8 * 0.6).abs() < 1e-9);
        grid.steps_mm[0] = grid.normal().map(|v| -2.0 * v);
        assert!(grid.tilt_degrees().abs() < 1e-9);
    }

    #[test]
    fn grids_that_differ_say_how() {
        let grid = oblique();
        assert_eq!(grid.same_grid(&grid), Ok(()));
        // What rounding to three decimals does.
        let rounded = Geometry { origin_mm: grid.origin_mm.map(|v| v + 0.0005), ..grid.clone() };
        assert_eq!(grid.same_grid(&rounded), Ok(()));
        let mut turned = grid.clone();
        turned.steps_mm[1] = turned.steps_mm[1].map(|v| -v);
        let moved = Geometry { origin_mm: [-101.5, 33.25, 741.0], ..grid.clone() };
        let cases = [
            (Geometry { size: [5, 7, 8], ..grid.clone() }, "sizes differ"),
            (Geometry { frame_of_reference_uid: None, ..grid.clone() }, "FrameOfReferenceUID differs"),
            (moved, "corners lie 1.000 mm apart"),
            (turned, "corners lie"),
        ];
        for (other, words) in cases {
            let error = grid.same_grid(&other).unwrap_err();
            assert!(error.contains(words) && error.contains(&other.describe()), "{error}");
            assert!(!error.contains("1.2.3"), "{error}");
            assert!(error.contains("5 slices of 7 × 9, spacing 3.0806, 0.8, 0.6 mm"), "{error}");
        }
    }

    #[test]
    fn numbers_for_people() {
        let cases = [(1.0, "1"), (-0.00001, "0"), (0.8203, "0.8203"), (110.0, "110"), (-12.5, "-12.5")];
        for (value, text) in cases {
            assert_eq!(decimal(value, 4), text);
        }
        assert_eq!(decimal(100.0, 0), "100");
    }
}
