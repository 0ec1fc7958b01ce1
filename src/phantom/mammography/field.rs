//! A scalar field over millimetres, sampled on a grid and read between its points.

use ndarray::Array2;

/// Values at the nodes `(row * spacing, column * spacing)` of a grid, in mm from the image's corner.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    spacing_mm: f32,
    /// (row, column)
    pub values: Array2<f32>,
}

impl Field {
    /// Samples `value(x, y)` so that the grid covers `width_mm` × `height_mm`.
    pub fn from_fn(spacing_mm: f32, width_mm: f32, height_mm: f32, value: impl Fn(f32, f32) -> f32) -> Self {
        let nodes = |length: f32| (length / spacing_mm).ceil() as usize + 2;
        let values = Array2::from_shape_fn((nodes(height_mm), nodes(width_mm)), |(row, column)| {
            value(column as f32 * spacing_mm, row as f32 * spacing_mm)
        });
        Self { spacing_mm, values }
    }

    /// Bilinear; points outside take the nearest edge's value.
    pub fn at(&self, x: f32, y: f32) -> f32 {
        let (rows, columns) = self.values.dim();
        let split = |position: f32, count: usize| {
            let p = (position / self.spacing_mm).clamp(0.0, (count - 1) as f32);
            let i = (p as usize).min(count - 2);
            (i, p - i as f32)
        };
        let ((r, v), (c, u)) = (split(y, rows), split(x, columns));
        let top = self.values[[r, c]] * (1.0 - u) + self.values[[r, c + 1]] * u;
        let bottom = self.values[[r + 1, c]] * (1.0 - u) + self.values[[r + 1, c + 1]] * u;
        top * (1.0 - v) + bottom * v
    }

    /// The grid row blend at height `y`: reading a line of pixels is then one linear interpolation each.
    pub fn line(&self, y: f32) -> Vec<f32> {
        let rows = self.values.nrows();
        let p = (y / self.spacing_mm).clamp(0.0, (rows - 1) as f32);
        let r = (p as usize).min(rows - 2);
        let v = p - r as f32;
        self.values.row(r).iter().zip(self.values.row(r + 1)).map(|(a, b)| a * (1.0 - v) + b * v).collect()
    }

    pub fn spacing_mm(&self) -> f32 {
        self.spacing_mm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bilinear_reading_is_exact_on_a_plane() {
        let field = Field::from_fn(0.5, 10.0, 8.0, |x, y| 2.0 * x - 3.0 * y + 1.0);
        for (x, y) in [(0.0, 0.0), (3.3, 7.9), (10.0, 8.0), (0.24, 0.26)] {
            assert!((field.at(x, y) - (2.0 * x - 3.0 * y + 1.0)).abs() < 1e-4, "({x}, {y})");
            let line = field.line(y);
            let (i, t) = ((x / 0.5) as usize, (x / 0.5).fract());
            assert!((line[i] * (1.0 - t) + line[i + 1] * t - field.at(x, y)).abs() < 1e-4);
        }
    }
}
