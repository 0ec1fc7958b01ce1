//! What each kind of lesion looks like: ranges that its pictures are drawn from. They overlap, as lesions do.

use std::f32::consts::TAU;

use super::lesion::{Dot, Look, Network, Patch, Vessel};
use super::outline::Border;
use super::skin::Skin;
use super::{Colour, Place, SkinLesion, mix};
use crate::phantom::noise::Fractal;
use crate::phantom::random::Random;

const LIGHT_BROWN: Colour = [168.0, 116.0, 82.0];
const BROWN: Colour = [126.0, 80.0, 56.0];
const DARK_BROWN: Colour = [78.0, 48.0, 38.0];
const BLACK: Colour = [34.0, 26.0, 28.0];
const BLUE_WHITE: Colour = [136.0, 150.0, 176.0];
const BLUE_GREY: Colour = [88.0, 92.0, 116.0];
const WHITE: Colour = [232.0, 214.0, 206.0];
const RED: Colour = [186.0, 66.0, 66.0];
const PURPLE: Colour = [118.0, 40.0, 66.0];
const PINK: Colour = [220.0, 150.0, 144.0];
const YELLOW: Colour = [214.0, 182.0, 128.0];
const WAXY: Colour = [158.0, 122.0, 92.0];

const REGULAR: Border = Border { ratio: (0.78, 1.0), waves: (0.005, 0.035), rough: (0.0, 0.05) };
const LOBED: Border = Border { ratio: (0.65, 0.95), waves: (0.02, 0.07), rough: (0.05, 0.15) };
const IRREGULAR: Border = Border { ratio: (0.6, 0.9), waves: (0.09, 0.2), rough: (0.15, 0.4) };

/// The border, the range of radii in mm, and the look.
pub(super) fn look(kind: SkinLesion, random: &mut Random, skin: &Skin) -> (Border, (f32, f32), Look) {
    match kind {
        SkinLesion::Naevus => (REGULAR, (2.2, 5.5), naevus(random)),
        SkinLesion::BenignKeratosis => (LOBED, (2.8, 6.5), keratosis(random)),
        SkinLesion::Dermatofibroma => (REGULAR, (2.2, 4.5), dermatofibroma(random, skin)),
        SkinLesion::Vascular => (LOBED, (1.8, 4.5), vascular(random)),
        SkinLesion::Melanoma => (IRREGULAR, (3.2, 7.0), melanoma(random)),
        SkinLesion::BasalCellCarcinoma => (IRREGULAR, (2.8, 6.0), basal_cell_carcinoma(random, skin)),
        SkinLesion::ActinicKeratosis => (IRREGULAR, (3.5, 6.5), actinic_keratosis(random, skin)),
    }
}

fn plain(random: &mut Random, base: Colour) -> Look {
    let seed = random.next_u64();
    Look {
        base: base.map(|v| v * random.uniform(0.88, 1.12)),
        softness: random.uniform(0.06, 0.2),
        cover: random.uniform(0.85, 1.0),
        middle: 0.0,
        mottle: (random.uniform(0.02, 0.07), Fractal { wavelength_mm: 1.6, octaves: 3, gain: 0.6, seed }),
        patches: Vec::new(),
        network: None,
        dots: Vec::new(),
        vessels: Vec::new(),
        streaks: None,
    }
}

/// A colour between two.
fn between(random: &mut Random, a: Colour, b: Colour) -> Colour {
    let mut colour = a;
    mix(&mut colour, &b, random.uniform(0.0, 1.0));
    colour
}

/// A point at most `reach` from the middle, evenly over the area.
fn within(random: &mut Random, reach: f32) -> Place {
    let (angle, r) = (random.uniform(0.0, TAU), reach * random.uniform(0.0, 1.0).sqrt());
    [r * angle.cos(), r * angle.sin()]
}

fn dots(random: &mut Random, number: (usize, usize), radius: (f32, f32), colour: Colour, amount: f32) -> Vec<Dot> {
    let number = random.integer(number.0, number.1);
    let dot = |_| Dot { at: within(random, 0.85), radius: random.uniform(radius.0, radius.1), colour, amount };
    (0..number).map(dot).collect()
}

fn naevus(random: &mut Random) -> Look {
    let base = between(random, LIGHT_BROWN, DARK_BROWN);
    let mut look = plain(random, base);
    look.middle = random.uniform(0.0, 0.25);
    look.softness = random.uniform(0.1, 0.3);
    if random.chance(0.7) {
        look.network = Some(Network {
            mesh_mm: random.uniform(0.55, 0.8),
            contrast: random.uniform(0.08, 0.22),
            uneven: 0.1,
            seed: random.next_u64(),
        });
    }
    if random.chance(0.3) {
        look.dots = dots(random, (8, 22), (0.03, 0.06), base.map(|v| 0.7 * v), 0.7);
    }
    look
}

fn keratosis(random: &mut Random) -> Look {
    let base = between(random, WAXY, BROWN);
    let mut look = plain(random, base);
    look.softness = random.uniform(0.03, 0.07);
    look.mottle.0 = random.uniform(0.08, 0.16);
    look.dots = dots(random, (8, 24), (0.03, 0.07), WHITE, 0.75);
    look.dots.extend(dots(random, (6, 18), (0.04, 0.09), DARK_BROWN, 0.85));
    look
}

fn dermatofibroma(random: &mut Random, skin: &Skin) -> Look {
    let mut base = skin.base;
    mix(&mut base, &BROWN, random.uniform(0.35, 0.6));
    let mut look = plain(random, base);
    look.softness = random.uniform(0.2, 0.35);
    look.patches.push(Patch {
        at: within(random, 0.12),
        reach: random.uniform(0.4, 0.6),
        colour: WHITE,
        amount: random.uniform(0.55, 0.85),
        seed: random.next_u64(),
    });
    look.network = Some(Network {
        mesh_mm: random.uniform(0.55, 0.8),
        contrast: random.uniform(0.06, 0.15),
        uneven: 0.1,
        seed: random.next_u64(),
    });
    look
}

fn vascular(random: &mut Random) -> Look {
    let base = between(random, RED, PURPLE);
    let mut look = plain(random, base);
    look.softness = random.uniform(0.04, 0.12);
    let lacune = between(random, PURPLE, RED).map(|v| 0.8 * v);
    look.dots = dots(random, (10, 24), (0.1, 0.24), lacune, 0.75);
    look
}

/// Three colours and more, in patches off the middle.
fn melanoma(random: &mut Random) -> Look {
    let base = between(random, BROWN, DARK_BROWN);
    let mut look = plain(random, base);
    look.softness = random.uniform(0.03, 0.14);
    let mut colours = [LIGHT_BROWN, BLACK, BLUE_GREY, RED, WHITE, DARK_BROWN];
    random.shuffle(&mut colours);
    let number = random.integer(2, 4);
    let mut patch = |random: &mut Random, colour: Colour, amount: (f32, f32)| {
        let at = within(random, 0.75);
        let (reach, amount) = (random.uniform(0.3, 0.65), random.uniform(amount.0, amount.1));
        look.patches.push(Patch { at, reach, colour, amount, seed: random.next_u64() });
    };
    for colour in &colours[..number] {
        patch(random, *colour, (0.55, 0.95));
    }
    if random.chance(0.65) {
        patch(random, BLUE_WHITE, (0.5, 0.85));
    }
    look.network = Some(Network {
        mesh_mm: random.uniform(0.6, 1.2),
        contrast: random.uniform(0.15, 0.4),
        uneven: random.uniform(0.6, 1.0),
        seed: random.next_u64(),
    });
    look.dots = dots(random, (0, 16), (0.03, 0.09), BLACK, 0.85);
    if random.chance(0.6) {
        look.streaks = Some((random.integer(18, 34) as f32, random.uniform(0.5, 0.95), random.uniform(0.0, TAU)));
    }
    look
}

fn basal_cell_carcinoma(random: &mut Random, skin: &Skin) -> Look {
    let mut base = skin.base;
    mix(&mut base, &PINK, random.uniform(0.5, 0.9));
    let mut look = plain(random, base);
    look.softness = random.uniform(0.08, 0.2);
    for _ in 0..random.integer(2, 5) {
        look.patches.push(Patch {
            at: within(random, 0.7),
            reach: random.uniform(0.12, 0.3),
            colour: BLUE_GREY,
            amount: random.uniform(0.6, 0.9),
            seed: random.next_u64(),
        });
    }
    for _ in 0..random.integer(2, 4) {
        look.vessels.extend(tree(random));
    }
    look
}

/// A vessel from the border inwards, with branches.
fn tree(random: &mut Random) -> Vec<Vessel> {
    let mut angle = random.uniform(0.0, TAU);
    let mut at: Place = [0.95 * angle.cos(), 0.95 * angle.sin()];
    angle += std::f32::consts::PI + random.uniform(-0.5, 0.5);
    let mut trunk = vec![at];
    let mut all = Vec::new();
    let width = random.uniform(0.02, 0.035);
    for _ in 0..6 {
        angle += random.uniform(-0.4, 0.4);
        at = [at[0] + 0.2 * angle.cos(), at[1] + 0.2 * angle.sin()];
        trunk.push(at);
        if random.chance(0.6) {
            let aside = angle + if random.chance(0.5) { 0.8 } else { -0.8 } * random.uniform(0.7, 1.3);
            let end = [at[0] + 0.3 * aside.cos(), at[1] + 0.3 * aside.sin()];
            all.push(Vessel { points: vec![at, end], half_width: 0.6 * width, colour: RED });
        }
    }
    all.push(Vessel { points: trunk, half_width: width, colour: RED });
    all
}

fn actinic_keratosis(random: &mut Random, skin: &Skin) -> Look {
    let mut base = skin.base;
    mix(&mut base, &RED, random.uniform(0.3, 0.6));
    let mut look = plain(random, base);
    look.softness = random.uniform(0.25, 0.45);
    look.cover = random.uniform(0.75, 0.95);
    look.mottle.0 = random.uniform(0.08, 0.15);
    // Scale, and the white follicles of the strawberry pattern.
    for _ in 0..random.integer(2, 5) {
        look.patches.push(Patch {
            at: within(random, 0.8),
            reach: random.uniform(0.15, 0.3),
            colour: between(random, WHITE, YELLOW),
            amount: random.uniform(0.5, 0.85),
            seed: random.next_u64(),
        });
    }
    look.dots = dots(random, (12, 30), (0.03, 0.06), YELLOW, 0.8);
    look
}
