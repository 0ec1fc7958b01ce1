//! The patient without vessels and tumour: two breasts, the chest wall and what is behind it, as courses of signal.

use super::shapes::{Ellipsoid, Point, minus, norm, smooth_max};
use super::{Course, mix};
use crate::phantom::noise::{Fractal, gradient3, smoothstep};
use crate::phantom::random::Random;

#[derive(Debug, Clone)]
pub(crate) struct Anatomy {
    /// Right (x < 0), left.
    pub breasts: [Breast; 2],
    thorax: Ellipsoid,
    /// Thickness of the fat between skin and muscle, and of the muscle.
    fat_mm: f32,
    muscle_mm: f32,
    organs: Organs,
    gland: Gland,
    courses: Courses,
    pub blood: Course,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Breast {
    pub shape: Ellipsoid,
    pub nipple: Point,
    gland: Ellipsoid,
}

#[derive(Debug, Clone, Copy)]
struct Organs {
    heart: Ellipsoid,
    aorta: Ellipsoid,
    liver: Ellipsoid,
    spine: Ellipsoid,
}

/// The fibroglandular tissue's look.
#[derive(Debug, Clone, Copy)]
struct Gland {
    /// More is denser.
    bias: f32,
    shape: Fractal,
    texture: Fractal,
    strands: u64,
    /// How unevenly it takes up contrast medium.
    uneven: f32,
}

#[derive(Debug, Clone, Copy)]
struct Courses {
    fat: Course,
    gland: Course,
    muscle: Course,
    lung: Course,
    myocardium: Course,
    liver: Course,
    marrow: Course,
    skin: Course,
    nipple: Course,
}

/// Signal before contrast medium and the factors by which it has risen in the three phases.
fn course(baseline: f32, rise: [f32; 3]) -> Course {
    [baseline, baseline * rise[0], baseline * rise[1], baseline * rise[2]]
}

/// Most of the fibroglandular tissue, and the places where background enhancement is strongest, reach 1.8 times their
/// signal at most; blood trebles at once and falls again.
impl Courses {
    fn new(random: &mut Random) -> Self {
        // Background parenchymal enhancement: slow and persistent, minimal to moderate.
        let bpe = random.uniform(0.08, 0.5);
        let fat = random.uniform(0.13, 0.22);
        Self {
            fat: course(fat, [1.01, 1.02, 1.03]),
            gland: course(random.uniform(0.32, 0.40), [1.0 + 0.35 * bpe, 1.0 + 0.7 * bpe, 1.0 + bpe]),
            muscle: course(random.uniform(0.28, 0.36), [1.14, 1.2, 1.22]),
            lung: course(0.04, [1.1; 3]),
            myocardium: course(0.32, [1.9, 1.8, 1.7]),
            liver: course(0.36, [1.3, 1.55, 1.6]),
            marrow: course(0.22, [1.2, 1.25, 1.25]),
            skin: course(0.36, [1.15, 1.25, 1.3]),
            nipple: course(0.38, [random.uniform(1.3, 1.8), random.uniform(1.6, 2.0), random.uniform(1.7, 2.1)]),
        }
    }
}

impl Anatomy {
    pub fn new(random: &mut Random) -> Self {
        let (half_width, half_depth) = (random.uniform(138.0, 156.0), random.uniform(92.0, 106.0));
        let front = random.uniform(-38.0, -26.0);
        let thorax =
            Ellipsoid { centre: [0.0, front + half_depth, 0.0], radii: [half_width, half_depth, f32::INFINITY] };
        let (fat_mm, muscle_mm) = (random.uniform(6.0, 14.0), random.uniform(9.0, 14.0));
        let size = random.uniform(0.88, 1.12);
        let lateral = random.uniform(70.0, 80.0);
        let breasts = [-1.0, 1.0].map(|side| breast(random, side * lateral, front, size));
        let organs = Organs {
            heart: Ellipsoid {
                centre: [random.uniform(20.0, 34.0), front + random.uniform(68.0, 76.0), random.uniform(-25.0, 0.0)],
                radii: [random.uniform(46.0, 54.0), random.uniform(36.0, 42.0), random.uniform(50.0, 60.0)],
            },
            aorta: Ellipsoid { centre: [22.0, front + 140.0, 0.0], radii: [11.0, 11.0, f32::INFINITY] },
            liver: Ellipsoid {
                centre: [-50.0, front + 90.0, random.uniform(-125.0, -105.0)],
                radii: [85.0, 70.0, random.uniform(60.0, 75.0)],
            },
            spine: Ellipsoid { centre: [0.0, front + 160.0, 0.0], radii: [20.0, 17.0, f32::INFINITY] },
        };
        let gland = Gland {
            bias: random.uniform(-0.55, 0.2),
            shape: Fractal {
                wavelength_mm: random.uniform(26.0, 40.0),
                octaves: 4,
                gain: 0.6,
                seed: random.next_u64(),
            },
            texture: Fractal { wavelength_mm: 11.0, octaves: 2, gain: 0.7, seed: random.next_u64() },
            strands: random.next_u64(),
            uneven: random.uniform(0.1, 0.5),
        };
        let courses = Courses::new(random);
        let blood = course(
            random.uniform(0.26, 0.34),
            [random.uniform(2.8, 3.3), random.uniform(2.4, 2.8), random.uniform(2.1, 2.5)],
        );
        Self { breasts, thorax, fat_mm, muscle_mm, organs, gland, courses, blood }
    }

    /// Distance to the skin, negative outside the body.
    pub fn depth(&self, p: Point) -> f32 {
        let [right, left] = &self.breasts;
        smooth_max(self.thorax.depth(p), right.depth(p).max(left.depth(p)), 12.0)
    }

    /// Distance behind the front of the muscle, negative in the breast.
    pub fn behind_wall(&self, p: Point) -> f32 {
        self.thorax.depth(p) - self.fat_mm
    }

    /// The signal's course at a point, and its distance to the skin.
    pub fn course(&self, p: Point) -> (Course, f32) {
        let depth = self.depth(p);
        if depth <= -0.7 {
            return ([0.0; 4], depth);
        }
        let wall = self.behind_wall(p);
        let mut course = if wall > 1.0 { self.chest(p, wall) } else { self.breast(p, depth, wall) };
        let edge = smoothstep(-0.7, 0.7, depth);
        course.iter_mut().for_each(|c| *c *= edge);
        (course, depth)
    }

    fn breast(&self, p: Point, depth: f32, wall: f32) -> Course {
        let c = &self.courses;
        let texture = self.gland.texture.at3(p);
        let mut course = c.fat.map(|v| v * (1.0 + 0.15 * texture));
        let share = self.glandular(p) * smoothstep(3.0, 12.0, depth);
        if share > 0.0 {
            let uptake = 1.0 + self.gland.uneven * self.gland.shape.at3([p[1], p[2], p[0]]);
            let gland = c.gland.map(|v| (c.gland[0] + (v - c.gland[0]) * uptake.max(0.0)) * (1.0 + 0.1 * texture));
            mix(&mut course, &gland, share);
        }
        mix(&mut course, &c.muscle, smoothstep(-1.0, 1.0, wall));
        mix(&mut course, &c.skin, 0.8 * (-((depth - 1.0) / 1.1).powi(2)).exp());
        let nipple = self.breasts.iter().map(|b| norm(minus(p, b.nipple))).fold(f32::MAX, f32::min);
        mix(&mut course, &c.nipple, smoothstep(6.0, 4.0, nipple));
        course
    }

    /// Behind the front of the muscle.
    fn chest(&self, p: Point, wall: f32) -> Course {
        let (c, o) = (&self.courses, &self.organs);
        let mut course = c.muscle;
        let lung = smoothstep(-1.0, 1.0, wall - self.muscle_mm);
        if lung > 0.0 {
            let mut inner = c.lung;
            mix(&mut inner, &c.liver, smoothstep(-1.0, 1.0, o.liver.depth(p)));
            let heart = o.heart.depth(p);
            mix(&mut inner, &c.myocardium, smoothstep(-1.0, 1.0, heart));
            // The septum divides the blood pool.
            let septum =
                smoothstep(3.0, 5.0, (0.8 * (p[0] - o.heart.centre[0]) + 0.6 * (p[1] - o.heart.centre[1])).abs());
            mix(&mut inner, &self.blood, smoothstep(8.0, 10.0, heart) * septum);
            mix(&mut inner, &self.blood, smoothstep(-1.0, 1.0, o.aorta.depth(p)));
            mix(&mut course, &inner, lung);
        }
        mix(&mut course, &c.marrow, smoothstep(-1.0, 1.0, o.spine.depth(p)));
        course
    }

    /// Share of fibroglandular tissue, 0..=1: a cone behind each nipple with a frayed edge, and Cooper's ligaments.
    pub fn glandular(&self, p: Point) -> f32 {
        let g = &self.gland;
        let level = self.breasts.iter().map(|b| b.gland.level(p)).fold(f32::MAX, f32::min);
        if level > 2.2 {
            return 0.0;
        }
        let body = smoothstep(-0.15, 0.55, 0.45 + g.bias + 0.8 * (1.0 - level) + 0.42 * g.shape.at3(p));
        let ridge = 1.0 - 4.0 * gradient3([p[0] / 14.0, p[1] / 26.0, p[2] / 14.0], g.strands).abs();
        body.max(0.6 * ridge.max(0.0) * smoothstep(2.2, 0.8, level))
    }
}

impl Breast {
    fn depth(&self, p: Point) -> f32 {
        let tip = 5.0 - norm(minus(p, self.nipple));
        self.shape.depth(p).max(tip)
    }
}

fn breast(random: &mut Random, x: f32, front: f32, size: f32) -> Breast {
    let own = size * random.uniform(0.96, 1.04);
    let shape = Ellipsoid {
        centre: [x + random.uniform(-3.0, 3.0), front + 22.0, random.uniform(-8.0, 4.0)],
        radii: [62.0 * own, random.uniform(92.0, 108.0) * own, 68.0 * own],
    };
    let [cx, cy, cz] = shape.centre;
    let nipple = [cx + 0.04 * x, cy - shape.radii[1] - 0.5, cz - 3.0];
    let gland = Ellipsoid {
        centre: [cx + 0.06 * x, cy - 0.5 * shape.radii[1], cz + 4.0],
        radii: [0.62 * shape.radii[0], 0.46 * shape.radii[1], 0.6 * shape.radii[2]],
    };
    Breast { shape, nipple, gland }
}
