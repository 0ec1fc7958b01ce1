//! The skull's base below the brain: petrous bones, orbits, sinuses.

use crate::phantom::noise::{gradient3, smoothstep};
use crate::phantom::random::Random;
use crate::phantom::shapes::{Ellipsoid, Point, inside_segment};

/// Hounsfield units.
const PETROUS: f32 = 1150.0;
const SPHENOID: f32 = 700.0;
const ORBITAL_FAT: f32 = -80.0;
const VITREOUS: f32 = 12.0;
const AIR: f32 = -950.0;

#[derive(Debug, Clone)]
pub(crate) struct Base {
    /// A ridge on each side, from the ear towards the middle.
    petrous: [[(Point, f32); 2]; 2],
    cells: u64,
    sella: Ellipsoid,
    orbits: [Ellipsoid; 2],
    eyes: [Ellipsoid; 2],
    sinuses: Vec<Ellipsoid>,
}

impl Base {
    pub fn new(random: &mut Random) -> Self {
        let level = random.uniform(-46.0, -40.0);
        let (out, apex) = (random.uniform(46.0, 52.0), random.uniform(11.0, 15.0));
        let petrous = [-1.0, 1.0].map(|side| {
            [([side * out, 18.0, level], random.uniform(8.0, 10.5)), ([side * apex, -4.0, level - 2.0], 4.5)]
        });
        let pair = |x: f32, y: f32, z: f32, radii: Point| {
            [-1.0, 1.0].map(|side| Ellipsoid { centre: [side * x, y, z], radii })
        };
        let frontal = random.uniform(4.0, 12.0);
        let mut sinuses = vec![
            Ellipsoid { centre: [0.0, -58.0, level - 4.0], radii: [9.0, 19.0, 13.0] },
            Ellipsoid { centre: [0.0, -22.0, level - 6.0], radii: [9.0, 9.0, 7.0] },
        ];
        sinuses.extend(pair(9.0, -82.0, level + 10.0, [frontal, 4.0, 1.4 * frontal]));
        Self {
            petrous,
            cells: random.next_u64(),
            sella: Ellipsoid { centre: [0.0, -10.0, level - 3.0], radii: [12.0, 13.0, 8.0] },
            orbits: pair(30.0, -62.0, level - 6.0, [18.0, 24.0, 17.0]),
            eyes: pair(31.0, -70.0, level - 6.0, [12.0, 12.0, 12.0]),
            sinuses,
        }
    }

    /// Changes the density of what lies within the skull. Nothing above the base.
    pub fn apply(&self, density: &mut f32, p: Point) {
        if p[2] > -14.0 {
            return;
        }
        let mut mix = |value: f32, share: f32| *density += (value - *density) * share;
        for [a, b] in &self.petrous {
            let inside = inside_segment(p, *a, *b);
            if inside > -1.0 {
                // Air cells of the mastoid.
                let cells = smoothstep(0.35, 0.55, gradient3(p.map(|v| v / 5.0), self.cells))
                    * smoothstep(30.0, 40.0, p[0].abs());
                mix(PETROUS + (AIR - PETROUS) * 0.7 * cells, smoothstep(-0.6, 0.6, inside));
            }
        }
        mix(SPHENOID, smoothstep(-0.6, 0.6, self.sella.depth(p)));
        for (orbit, eye) in self.orbits.iter().zip(&self.eyes) {
            let depth = orbit.depth(p);
            mix(SPHENOID, smoothstep(-2.0, -1.2, depth));
            mix(ORBITAL_FAT, smoothstep(-0.5, 0.5, depth));
            mix(VITREOUS, smoothstep(-0.5, 0.5, eye.depth(p)));
        }
        for sinus in &self.sinuses {
            let depth = sinus.depth(p);
            mix(SPHENOID, smoothstep(-1.8, -1.0, depth));
            mix(AIR, smoothstep(-0.5, 0.5, depth));
        }
    }
}
