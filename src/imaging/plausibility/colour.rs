//! Colours and greys of a picture.
//!
//! Skin is told from what it is not. Photographs of skin lesions are white-balanced all ways: the background of dermoscopic images goes from
//! orange over pale grey to a bluish white, and pigment from pink to nearly black. What none of them is: green, purple (stained tissue),
//! strongly red without any blue (fundus), flat and grey (charts, text, screens).

use ndarray::{Array2, ArrayView3, s};

use super::super::enclosure::largest_enclosure;
use super::SAMPLED_SIDE;

/// A level, 0 to 255, at and above which a pixel of a head CT's picture may be bone.
const BRIGHT: u8 = 200;
/// Levels by which the channels of a grey picture differ at most: rounding in JPEG does that. Pale skin differs by little more.
const GREY_TOLERANCE: u8 = 3;

/// What a picture looks like. All shares are of the pixels looked at, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColourFigures {
    /// Rows and columns of the whole picture.
    pub size: [usize; 2],
    /// Colours that skin and its lesions have under any light.
    pub skin_like: f64,
    /// Pixels that equal their right-hand neighbour in every channel: drawings and text, hardly ever a photograph.
    pub flat: f64,
    /// Pixels without colour.
    pub grey: f64,
    /// Mean level of the four corners, a tenth of each side, 0 to 255.
    pub corner_level: f64,
    /// What a bright ring encloses: its share of the picture, and the share of it that is neither black nor bright. None: no ring.
    pub ring: Option<RingFigures>,
}

/// See [`ColourFigures::ring`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RingFigures {
    pub area_share: f64,
    pub mid_grey_share: f64,
}

/// Figures of an RGB picture (row, column, channel); at most 256 × 256 pixels are looked at, at even distances. None of a picture without
/// pixels or with other than three channels.
pub fn colour_figures(rgb: ArrayView3<u8>) -> Option<ColourFigures> {
    let (rows, columns, channels) = rgb.dim();
    if rows == 0 || columns == 0 || channels != 3 {
        return None;
    }
    let stride = rows.max(columns).div_ceil(SAMPLED_SIDE).max(1);
    let sampled = rgb.slice_move(s![..;stride, ..;stride, ..]);
    let (height, width, _) = sampled.dim();
    let pixel = |row: usize, column: usize| [0, 1, 2].map(|channel| sampled[[row, column, channel]]);
    let (mut skin, mut flat, mut grey) = (0usize, 0usize, 0usize);
    for row in 0..height {
        for column in 0..width {
            let here = pixel(row, column);
            skin += usize::from(is_skin_like(here));
            grey += usize::from(spread(here) <= GREY_TOLERANCE);
            flat += usize::from(column + 1 < width && pixel(row, column + 1) == here);
        }
    }
    let share = |count: usize, of: usize| count as f64 / of.max(1) as f64;
    let levels = Array2::from_shape_fn((height, width), |(row, column)| {
        let [r, g, b] = pixel(row, column).map(u32::from);
        ((r + g + b) / 3) as u8
    });
    Some(ColourFigures {
        size: [rows, columns],
        skin_like: share(skin, height * width),
        flat: share(flat, height * width.saturating_sub(1)),
        grey: share(grey, height * width),
        corner_level: corner_level(&levels),
        ring: ring(&levels),
    })
}

fn spread(rgb: [u8; 3]) -> u8 {
    let [r, g, b] = rgb;
    r.max(g).max(b) - r.min(g).min(b)
}

/// See the module. Levels as shares of 255.
fn is_skin_like(rgb: [u8; 3]) -> bool {
    let [r, g, b] = rgb.map(|v| f64::from(v) / 255.0);
    let (max, min) = (r.max(g).max(b), r.min(g).min(b));
    let black = max < 0.12;
    let white = min > 0.93;
    let green = g > r.max(b) + 0.04;
    let purple = r.min(b) - g > 0.06;
    let without_blue = b < 0.12 * max;
    let blue = b - r > 0.4 || (b > r && max - min > 0.55 * max);
    !(black || white || green || purple || without_blue || blue)
}

fn corner_level(levels: &Array2<u8>) -> f64 {
    let (height, width) = levels.dim();
    let (h, w) = ((height / 10).max(1), (width / 10).max(1));
    let corners = [s![..h, ..w], s![..h, width - w..], s![height - h.., ..w], s![height - h.., width - w..]];
    let sum = |corner| levels.slice(corner).iter().map(|v| f64::from(*v)).sum::<f64>();
    corners.into_iter().map(sum).sum::<f64>() / (4 * h * w) as f64
}

fn ring(levels: &Array2<u8>) -> Option<RingFigures> {
    let bright = levels.mapv(|v| u8::from(v >= BRIGHT));
    let bridge = (0.01 * levels.nrows().max(levels.ncols()) as f64).max(1.0);
    let found = largest_enclosure(bright.view(), [bridge, bridge])?;
    let inside = levels.iter().zip(&found.inside).filter(|(_, inside)| **inside != 0);
    let mid_grey = inside.filter(|(level, _)| (16..BRIGHT).contains(*level)).count();
    Some(RingFigures {
        area_share: found.pixels as f64 / levels.len().max(1) as f64,
        mid_grey_share: mid_grey as f64 / found.pixels.max(1) as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array3;

    fn painted(size: usize, colour: impl Fn(usize, usize) -> [u8; 3]) -> ColourFigures {
        let picture = Array3::from_shape_fn((size, size, 3), |(r, c, channel)| colour(r, c)[channel]);
        colour_figures(picture.view()).unwrap()
    }

    /// Skin of many people and lights, and what is no skin.
    #[test]
    fn skin_of_every_tone_and_light_counts_and_stains_do_not() {
        for skin in [
            [235, 200, 180],
            [198, 134, 66],
            [141, 85, 36],
            [62, 36, 22],
            [165, 164, 166],
            [140, 150, 190],
            [60, 45, 40],
            [220, 120, 110],
        ] {
            assert!(is_skin_like(skin), "{skin:?}");
        }
        for other in [
            [255, 255, 255],
            [0, 0, 0],
            [0, 200, 0],
            [150, 110, 190],
            [180, 70, 2],
            [0, 0, 255],
            [255, 255, 0],
            [20, 60, 200],
        ] {
            assert!(!is_skin_like(other), "{other:?}");
        }
    }

    #[test]
    fn text_and_charts_are_flat_and_grey() {
        let text = painted(300, |r, c| if r % 40 < 6 && c % 9 < 3 { [0; 3] } else { [255; 3] });
        assert!(text.flat > 0.6 && text.grey == 1.0 && text.skin_like == 0.0, "{text:?}");
        assert_eq!(text.size, [300, 300]);
        let photograph = painted(200, |r, c| [180 + (r * 7 + c * 13) as u8 % 11, 140 + (r * 5 + c * 3) as u8 % 9, 120]);
        assert!(photograph.flat < 0.2 && photograph.skin_like == 1.0 && photograph.grey == 0.0, "{photograph:?}");
    }

    #[test]
    fn a_head_has_dark_corners_and_a_bright_ring_around_grey() {
        for size in [120, 900] {
            let head = painted(size, |r, c| {
                let half = size as f64 / 2.0;
                let d = ((r as f64 - half) / (0.42 * size as f64)).hypot((c as f64 - half) / (0.35 * size as f64));
                if d > 1.0 {
                    [0; 3]
                } else if d > 0.88 {
                    [255; 3]
                } else {
                    [110 + ((r + c) % 5) as u8; 3]
                }
            });
            let ring = head.ring.unwrap();
            assert!(head.corner_level == 0.0 && head.grey == 1.0, "{head:?}");
            assert!((0.3..0.42).contains(&ring.area_share) && ring.mid_grey_share > 0.95, "{ring:?}");
        }
        assert_eq!(painted(64, |_, _| [90; 3]).ring, None);
    }

    #[test]
    fn no_pixels_and_other_channels_have_no_figures() {
        assert_eq!(colour_figures(Array3::zeros((0, 5, 3)).view()), None);
        assert_eq!(colour_figures(Array3::zeros((5, 5, 1)).view()), None);
        assert!(colour_figures(Array3::zeros((1, 1, 3)).view()).is_some());
    }
}
