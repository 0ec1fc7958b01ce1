//! Where the voxels lie, and what the scanner adds: noise of its kernel, shading, the headrest, the field of view.

use super::{HeadCtPhantom, Kernel};
use crate::imaging::Geometry;
use crate::phantom::noise::smoothstep;
use crate::phantom::random::Random;
use crate::phantom::shapes::{Ellipsoid, Point, dot, minus};

/// Outside the round field of view, Hounsfield units: the lowest value that the files store.
pub(super) const PADDING: i16 = -1024;
const HIGHEST: f32 = 3071.0;

pub(super) fn stored(density: f32) -> i16 {
    density.round().clamp(f32::from(PADDING), HIGHEST) as i16
}

pub(super) struct Scanner {
    pub geometry: Geometry,
    /// Rows of the rotation from the patient's frame to the head's.
    rotation: [Point; 3],
    /// The head's origin in the patient's coordinates.
    centre: Point,
    /// Middle of the first slice, the way from slice to slice, and the radius of the field of view.
    view: (Point, Point, f32),
    /// Standard deviation of the soft kernel's noise.
    noise: f32,
    cupping: f32,
    band: f32,
    rest: Ellipsoid,
}

impl Scanner {
    pub fn new(phantom: &HeadCtPhantom, random: &mut Random) -> Self {
        // The patient does not lie in the scanner's centre. Whole tenths: what DICOM's text holds is the number itself.
        let centre = [(-6.0, 6.0), (-25.0, 5.0), (-60.0, 60.0)].map(|(low, high)| {
            let tenths: f32 = random.uniform(10.0 * low, 10.0 * high);
            f64::from(tenths.round()) / 10.0
        });
        let turn = |random: &mut Random, degrees: f32| random.uniform(-degrees, degrees).to_radians();
        let (yaw, roll, pitch) = (turn(random, 10.0), turn(random, 5.0), turn(random, 8.0));
        let geometry = geometry(phantom, centre);
        let size = phantom.size.map(|n| (n - 1) as f64);
        let single = |p: [f64; 3]| p.map(|v| v as f32);
        let middle = single(geometry.to_patient([0.0, 0.5 * size[1], 0.5 * size[2]]));
        let [_, rows, columns] = phantom.size;
        let reach = (rows as f32 * phantom.spacing_mm[1]).min(columns as f32 * phantom.spacing_mm[2]);
        let centre = single(centre);
        Self {
            rotation: rotation(yaw, roll, pitch),
            view: (middle, single(geometry.steps_mm[0]), 0.5 * reach.max(215.0)),
            geometry,
            centre,
            noise: random.uniform(2.2, 4.2),
            cupping: random.uniform(1.0, 5.0),
            band: random.uniform(0.0, 7.0),
            rest: Ellipsoid {
                centre,
                radii: [random.uniform(92.0, 100.0), random.uniform(108.0, 114.0), f32::INFINITY],
            },
        }
    }

    /// The voxel in the patient's and in the head's frame; None outside the field of view.
    pub fn place(&self, index: [usize; 3]) -> Option<(Point, Point)> {
        let p = self.geometry.to_patient(index.map(|i| i as f64)).map(|v| v as f32);
        let (first, step, radius) = self.view;
        let off = minus(p, std::array::from_fn(|axis| first[axis] + index[0] as f32 * step[axis]));
        (dot(off, off) <= radius * radius).then(|| (p, self.body(p)))
    }

    pub fn body(&self, patient: Point) -> Point {
        let d = minus(patient, self.centre);
        self.rotation.map(|row| dot(row, d))
    }

    /// Hounsfield units outside the head: air and the headrest, a shell with foam in it.
    pub fn around(&self, patient: Point) -> f32 {
        let depth = self.rest.depth(patient);
        let below = smoothstep(15.0, 19.0, patient[1] - self.centre[1]);
        let shell = smoothstep(2.0, 1.2, depth.abs()) * below;
        let foam = smoothstep(0.0, 1.0, depth) * smoothstep(9.0, 8.0, depth) * below;
        let air = -1000.0 + 70.0 * foam;
        air + (110.0 - air) * shell
    }

    /// Beam hardening: the brain is brighter next to bone, and a dark band lies between the petrous bones.
    pub fn shading(&self, body: Point, inside: f32) -> f32 {
        if inside <= 0.0 {
            return 0.0;
        }
        let low = smoothstep(-26.0, -36.0, body[2]) * smoothstep(14.0, 4.0, (body[1] - 8.0).abs());
        self.cupping * (-inside / 9.0).exp() - self.band * low
    }

    /// The noise of a slice: its stream is its own, so it does not depend on how many threads draw.
    pub fn noise(&self, seed: u64, slice: usize, kernel: Kernel) -> Noise {
        let columns = self.geometry.size[2];
        let stream = 1000 + 2 * slice as u64 + u64::from(kernel == Kernel::Bone);
        let mut noise = Noise {
            random: Random::new(seed, stream),
            lines: [(); 3].map(|()| vec![0.0; columns + 2]),
            weights: match kernel {
                // A binomial and its complement: grainy and smooth. Unit variance either way.
                Kernel::Soft => [0.25, 0.5, 0.25].map(|w| w * self.noise / 0.375),
                Kernel::Bone => [-0.3, 1.0, -0.3].map(|w| w * 6.0 * self.noise / 1.18),
            },
            side: match kernel {
                Kernel::Soft => [0.25, 0.5, 0.25],
                Kernel::Bone => [-0.3, 1.0, -0.3],
            },
        };
        noise.draw(1);
        noise.draw(2);
        noise
    }
}

/// White noise through a separable kernel of 3 × 3, row by row.
pub(super) struct Noise {
    random: Random,
    /// The rows above, at and below the current one, filtered along the row.
    lines: [Vec<f32>; 3],
    weights: [f32; 3],
    side: [f32; 3],
}

impl Noise {
    fn draw(&mut self, line: usize) {
        let white: Vec<f32> = (0..self.lines[line].len() + 2).map(|_| self.random.normal()).collect();
        let side = self.side;
        for (out, w) in self.lines[line].iter_mut().zip(white.windows(3)) {
            *out = side[0] * w[0] + side[1] * w[1] + side[2] * w[2];
        }
    }

    pub fn next(&self, column: usize) -> f32 {
        (0..3).map(|i| self.weights[i] * self.lines[i][column]).sum()
    }

    pub fn end_row(&mut self) {
        self.lines.rotate_left(1);
        self.draw(2);
    }
}

/// Turns about z, y and x.
fn rotation(yaw: f32, roll: f32, pitch: f32) -> [Point; 3] {
    let ((sz, cz), (sy, cy), (sx, cx)) = (yaw.sin_cos(), roll.sin_cos(), pitch.sin_cos());
    [
        [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
        [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
        [-sy, cy * sx, cy * cx],
    ]
}

/// Axial slices from the skull's base to the crown; a tilted gantry turns the slices, and the table's steps stay along z.
fn geometry(phantom: &HeadCtPhantom, centre: [f64; 3]) -> Geometry {
    let (sin, cos) = f64::from(phantom.gantry_tilt_degrees).to_radians().sin_cos();
    let spacing = phantom.spacing_mm.map(|s| (f64::from(s) * 1e4).round() / 1e4);
    let steps_mm = [[0.0, 0.0, spacing[0]], [0.0, cos * spacing[1], sin * spacing[1]], [spacing[2], 0.0, 0.0]];
    let half = phantom.size.map(|n| 0.5 * (n - 1) as f64);
    // The middle slice lies above the ventricles' middle; the field of view reaches the headrest.
    let middle = [centre[0], centre[1] + 6.0, centre[2] + 14.0];
    let origin_mm = std::array::from_fn(|axis| middle[axis] - (0..3).map(|i| half[i] * steps_mm[i][axis]).sum::<f64>());
    Geometry { size: phantom.size, origin_mm, steps_mm, frame_of_reference_uid: None }
}
