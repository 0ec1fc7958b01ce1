//! Scalp and skull: layers below the head's surface.

use crate::phantom::noise::{gradient3, smoothstep};
use crate::phantom::random::Random;
use crate::phantom::shapes::{Ellipsoid, Point};

/// Hounsfield units.
const SKIN: f32 = 40.0;
const FAT: f32 = -75.0;
const CALVARIA: f32 = 1350.0;
const SUTURE: f32 = 180.0;

#[derive(Debug, Clone)]
pub(crate) struct Skull {
    /// Above and below the equator: the head narrows towards the crown and hardly towards the neck.
    upper: Ellipsoid,
    lower: Ellipsoid,
    /// Of the shape: no head is an ellipsoid.
    asymmetry: (f32, u64),
    scalp_mm: f32,
    thickness_mm: f32,
    /// Share by which the thickness varies, and where.
    uneven: (f32, u64),
    diploe: f32,
    sutures: Sutures,
}

#[derive(Debug, Clone, Copy)]
struct Sutures {
    /// Where the coronal and the lambdoid suture cross the midline, y.
    coronal: f32,
    lambdoid: f32,
    /// Half the gap.
    half_mm: f32,
    seed: u64,
}

impl Skull {
    pub fn new(random: &mut Random) -> Self {
        let (width, length) = (random.uniform(71.0, 80.0), random.uniform(88.0, 98.0));
        Self {
            upper: Ellipsoid { centre: [0.0; 3], radii: [width, length, random.uniform(82.0, 92.0)] },
            lower: Ellipsoid { centre: [0.0; 3], radii: [width, length, 190.0] },
            asymmetry: (random.uniform(1.0, 3.5), random.next_u64()),
            scalp_mm: random.uniform(3.5, 7.0),
            thickness_mm: random.uniform(4.8, 8.0),
            uneven: (random.uniform(0.15, 0.35), random.next_u64()),
            diploe: random.uniform(450.0, 800.0),
            sutures: Sutures {
                coronal: random.uniform(-42.0, -28.0),
                lambdoid: random.uniform(52.0, 64.0),
                half_mm: random.uniform(0.3, 0.8),
                seed: random.next_u64(),
            },
        }
    }

    /// Distance below the skin, negative outside the head.
    pub fn depth(&self, p: Point) -> f32 {
        let shape = if p[2] > 0.0 { &self.upper } else { &self.lower };
        let (amount, seed) = self.asymmetry;
        shape.depth(p) + amount * gradient3(p.map(|v| v / 75.0 + 0.5), seed)
    }

    /// Thickness of the bone near a point: more at the forehead and the back of the head.
    fn thickness(&self, p: Point) -> f32 {
        let (amount, seed) = self.uneven;
        let ends = (p[1] / 90.0).powi(2).min(1.0);
        self.thickness_mm * (0.85 + 0.35 * ends) * (1.0 + amount * gradient3(p.map(|v| v / 38.0 + 0.25), seed))
    }

    /// Distance inside the inner table, negative in the bone and outside, for a point `depth` below the skin.
    pub fn inside(&self, p: Point, depth: f32) -> f32 {
        depth - self.scalp_mm - self.thickness(p)
    }

    /// Hounsfield units outside the inner table.
    pub fn density(&self, p: Point, depth: f32, inside: f32) -> f32 {
        let fat = smoothstep(1.4, 2.2, depth) * smoothstep(self.scalp_mm - 0.4, self.scalp_mm - 1.4, depth);
        let scalp = SKIN + (FAT - SKIN) * fat;
        let below_outer = depth - self.scalp_mm;
        // 0 in the middle of the bone, 1 at its tables.
        let level = ((below_outer + inside) / (below_outer - inside).max(1.0)).abs();
        let bone = self.diploe + (CALVARIA - self.diploe) * smoothstep(0.35, 0.75, level);
        let bone = bone + (SUTURE - bone) * self.suture(p);
        scalp + (bone - scalp) * smoothstep(-0.5, 0.5, below_outer)
    }

    /// 1 in a suture, which wanders by a few millimetres.
    fn suture(&self, p: Point) -> f32 {
        let s = &self.sutures;
        if p[2] < 0.0 {
            return 0.0;
        }
        let wander = 3.0 * gradient3(p.map(|v| v / 9.0), s.seed);
        let coronal = (p[1] - s.coronal - 0.25 * p[0].abs() + wander).abs();
        let lambdoid = (p[1] - s.lambdoid + 0.45 * p[0].abs() + wander).abs();
        let sagittal = if p[1] > s.coronal && p[1] < s.lambdoid { (p[0] + 0.5 * wander).abs() } else { f32::MAX };
        let nearest = coronal.min(lambdoid).min(sagittal);
        smoothstep(s.half_mm + 0.5, s.half_mm, nearest)
    }
}
