//! Drawing on an RGB picture: heat, outlines, bars, text.

use ndarray::{Array3, ArrayView2, ArrayView3};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

use super::jet::jet;

type Rgb = [u8; 3];

pub const WHITE: Rgb = [255; 3];
pub const BLACK: Rgb = [0; 3];

/// An RGB picture, (row, column, channel).
pub struct Canvas {
    pixels: Array3<u8>,
}

/// A letter size: a raster of the font, magnified by a whole number.
#[derive(Debug, Clone, Copy)]
pub struct Letters {
    raster: RasterHeight,
    times: usize,
}

impl Letters {
    /// Letters that can be read on a picture of so many rows and columns when it fills a screen: about a twentieth of the shorter side, 16
    /// pixels at least.
    pub fn for_picture(rows: usize, columns: usize) -> Self {
        let wanted = rows.min(columns) / 20;
        match wanted {
            0..20 => Self { raster: RasterHeight::Size16, times: 1 },
            20..28 => Self { raster: RasterHeight::Size24, times: 1 },
            _ => Self { raster: RasterHeight::Size32, times: ((wanted + 16) / 32).max(1) },
        }
    }

    pub fn height(self) -> usize {
        self.raster.val() * self.times
    }

    /// Of one letter; all are equally wide.
    pub fn width(self) -> usize {
        get_raster_width(FontWeight::Regular, self.raster) * self.times
    }
}

impl Canvas {
    /// A copy of an RGB picture.
    pub fn of(picture: ArrayView3<u8>) -> Self {
        Self { pixels: picture.as_standard_layout().into_owned() }
    }

    pub fn size(&self) -> [usize; 2] {
        let (rows, columns, _) = self.pixels.dim();
        [rows, columns]
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.pixels.into_raw_vec_and_offset().0
    }

    /// Lays the colours of heat (rows × columns of the picture, 0 to 1) over it: at one half of the greatest heat and above with all of `opacity`,
    /// below with less, so that what is cold stays as it is.
    pub fn lay_heat(&mut self, heat: ArrayView2<f32>, opacity: f32) {
        for ((row, column), &value) in heat.indexed_iter() {
            let value = if value.is_finite() { value.clamp(0.0, 1.0) } else { 0.0 };
            self.blend(row, column, jet((value * 255.0).round() as u8), opacity * (2.0 * value).min(1.0));
        }
    }

    fn blend(&mut self, row: usize, column: usize, colour: Rgb, share: f32) {
        for (channel, new) in colour.into_iter().enumerate() {
            if let Some(old) = self.pixels.get_mut([row, column, channel]) {
                *old = (f32::from(*old) * (1.0 - share) + f32::from(new) * share).round() as u8;
            }
        }
    }

    /// Fills rows and columns from the first to before the second; what lies outside the picture is left out.
    pub fn fill(&mut self, rows: [usize; 2], columns: [usize; 2], colour: Rgb, opacity: f32) {
        let [height, width] = self.size();
        for row in rows[0]..rows[1].min(height) {
            for column in columns[0]..columns[1].min(width) {
                self.blend(row, column, colour, opacity);
            }
        }
    }

    /// Draws a polygon along pixels' edges, (column, row) with the first pixel's corner at 0.
    pub fn outline(&mut self, points: &[[f32; 2]], thickness: usize, colour: Rgb) {
        for pair in points.windows(2) {
            let range = |axis: usize| {
                let (from, to) = (pair[0][axis].min(pair[1][axis]), pair[0][axis].max(pair[1][axis]));
                let first = (from.max(0.0) as usize).saturating_sub(thickness / 2);
                [first, (to.max(0.0) as usize).saturating_sub(thickness / 2) + thickness]
            };
            self.fill(range(1), range(0), colour, 1.0);
        }
    }

    /// Writes a line with its upper left corner there, white on a dark ground. Letters that the font lacks become "?", and what does not fit
    /// before `end` (a column) is cut off.
    pub fn write(&mut self, text: &str, [row, column]: [usize; 2], end: usize, letters: Letters) {
        let room = end.min(self.size()[1]).saturating_sub(column) / letters.width();
        let length = text.chars().count().min(room);
        self.fill([row, row + letters.height()], [column, column + length * letters.width()], BLACK, 0.6);
        for (n, letter) in text.chars().take(length).enumerate() {
            let glyph = |c| get_raster(c, FontWeight::Regular, letters.raster);
            let Some(glyph) = glyph(letter).or_else(|| glyph('?')) else { continue };
            for y in 0..glyph.height() * letters.times {
                for x in 0..glyph.width() * letters.times {
                    let ink = glyph.pixel(x / letters.times, y / letters.times).unwrap_or(0);
                    self.blend(row + y, column + n * letters.width() + x, WHITE, f32::from(ink) / 255.0);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    fn grey(rows: usize, columns: usize, level: u8) -> Canvas {
        Canvas::of(Array3::from_elem((rows, columns, 3), level).view())
    }

    #[test]
    fn heat_colours_what_is_hot_and_leaves_what_is_cold() {
        let mut canvas = grey(1, 4, 100);
        canvas.lay_heat(array![[0.0f32, 0.25, 1.0, f32::NAN]].view(), 0.5);
        let pixel = |n: usize| [0, 1, 2].map(|c| canvas.pixels[[0, n, c]]);
        assert_eq!(pixel(0), [100; 3]);
        let mixed =
            |level: u8, share: f32| jet(level).map(|v| (100.0 * (1.0 - share) + f32::from(v) * share).round() as u8);
        assert_eq!(pixel(1), mixed(64, 0.25));
        assert_eq!(pixel(2), mixed(255, 0.5));
        assert_eq!(pixel(3), [100; 3]);
    }

    #[test]
    fn text_is_written_at_every_size_and_cut_at_the_end() {
        for (side, height) in [(224, 16), (512, 24), (1024, 64), (4096, 192)] {
            let letters = Letters::for_picture(side, side);
            assert_eq!(letters.height(), height, "{side}");
            let mut canvas = grey(side, side, 0);
            canvas.write("AI, research only", [4, 4], side, letters);
            // "AI, research only" has to fit, and has strokes in the row band of its letters.
            assert!(17 * letters.width() < side);
            let band = canvas.pixels.slice(ndarray::s![4..4 + height, 4..4 + 17 * letters.width(), 0]);
            let bright = band.iter().filter(|v| **v > 200).count() as f64 / band.len() as f64;
            assert!((0.03..0.4).contains(&bright), "{side}: {bright}");
            assert!(canvas.pixels.slice(ndarray::s![4 + height.., .., ..]).iter().all(|v| *v == 0));
        }
        let mut canvas = grey(40, 60, 0);
        canvas.write("MMMMMMMMMMMM\u{c885}", [0, 30], 50, Letters::for_picture(40, 60));
        assert!(canvas.pixels.slice(ndarray::s![.., 50.., ..]).iter().all(|v| *v == 0));
        assert!(canvas.pixels.iter().any(|v| *v > 200));
    }

    #[test]
    fn drawing_beyond_the_borders_is_left_out() {
        let mut canvas = grey(8, 8, 0);
        canvas.outline(&[[0.0, 0.0], [8.0, 0.0], [8.0, 8.0], [0.0, 8.0], [0.0, 0.0]], 3, WHITE);
        canvas.fill([5, 900], [5, 900], WHITE, 1.0);
        canvas.write("AI", [7, 7], 900, Letters::for_picture(8, 8));
        canvas.lay_heat(Array2::ones((20, 20)).view(), 1.0);
        assert_eq!(canvas.into_bytes().len(), 8 * 8 * 3);
    }
}
