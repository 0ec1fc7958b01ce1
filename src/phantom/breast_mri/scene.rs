//! A patient in the scanner: everything that a seed says, ready to be sampled voxel by voxel.

use super::anatomy::Anatomy;
use super::grid::Grid;
use super::scanner::Scanner;
use super::shapes::Tube;
use super::tumour::{Tumour, TumourKind};
use super::vessels::vessels;
use super::{BreastMriPhantom, PHASES, TumourPlace, mix};
use crate::phantom::noise::smoothstep;
use crate::phantom::random::Random;

pub(super) struct Scene {
    pub grid: Grid,
    pub tubes: Vec<Tube>,
    pub tumour: Option<Tumour>,
    anatomy: Anatomy,
    scanner: Scanner,
}

impl Scene {
    /// `kind`: of the tumour, where the phantom has one and it is to be one of these.
    pub fn new(phantom: &BreastMriPhantom, kind: Option<TumourKind>) -> Self {
        // One stream a subject, so that a change to one leaves the others as they were.
        let stream = |n: u64| Random::new(phantom.seed, n);
        let grid = Grid::new(phantom, &mut stream(1));
        let anatomy = Anatomy::new(&mut stream(2));
        let tubes = vessels(&mut stream(3), &anatomy);
        let tumour = phantom.lesion.then(|| match kind {
            None => Tumour::new(&mut stream(4), &anatomy, &grid),
            Some(kind) => Tumour::of(kind, &mut stream(4), &anatomy, &grid),
        });
        Self { scanner: Scanner::new(&mut stream(5)), grid, tubes, tumour, anatomy }
    }

    /// Stored values of a voxel in all phases, and whether it lies in the tumour. `vessel`: how much of it lies in one, 0 to 255.
    pub fn sample(&self, index: [usize; 3], vessel: u8, noise: &mut Random) -> ([u16; PHASES], bool) {
        let p = self.grid.body(index);
        let (mut course, depth) = self.anatomy.course(p);
        if depth > 0.0 && vessel > 0 {
            mix(&mut course, &self.anatomy.blood, f32::from(vessel) / 255.0);
        }
        let mut in_tumour = false;
        if let Some((inside, own)) = self.tumour.as_ref().and_then(|t| t.course(p)) {
            mix(&mut course, &own, smoothstep(-0.8, 0.8, inside));
            in_tumour = inside >= 0.0;
        }
        (self.scanner.stored(&course, p, noise), in_tumour)
    }

    /// The tumour's place in the patient's coordinates.
    pub fn lesion(&self) -> Option<TumourPlace> {
        self.tumour
            .as_ref()
            .map(|t| TumourPlace { centre_mm: self.grid.patient(t.centre), diameter_mm: 2.0 * f64::from(t.radius_mm) })
    }
}
