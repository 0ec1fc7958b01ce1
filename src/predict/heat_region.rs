//! Regions of a heat map: where a classifier saw most of its evidence.

use ndarray::{Array2, ArrayView2, Axis};

use crate::imaging::components::label;
use crate::manifest::RegionsSpec;

use super::{Outline, outline};

/// One region of a heat map on the source image. Coordinates are (row, column), the first pixel's centre at 0.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatRegion {
    /// The map's greatest value in the region, 0 to 1, and the first pixel that has it.
    pub peak: f32,
    pub peak_at: [usize; 2],
    /// Mean place, weighted with the map's values.
    pub center: [f64; 2],
    pub pixels: usize,
    /// First and last row, first and last column.
    pub rows: [usize; 2],
    pub columns: [usize; 2],
    /// With the spacing of the source's pixels alone.
    pub area_mm2: Option<f64>,
    /// Height and width of the box around the region.
    pub extent_mm: Option<[f64; 2]>,
    pub outline: Outline,
}

impl HeatRegion {
    /// The longer side of the box around it.
    pub fn size_mm(&self) -> Option<f64> {
        self.extent_mm.map(|[height, width]| height.max(width))
    }
}

/// The connected regions (over edges) where `heat` (rows × columns of the source image, 0 to 1) reaches the threshold, the highest peak first,
/// then the larger one, then in raster order. `spacing_mm`: between rows and columns.
pub fn heat_regions(heat: ArrayView2<f32>, spec: &RegionsSpec, spacing_mm: Option<[f64; 2]>) -> Vec<HeatRegion> {
    let hot = heat.mapv(|v| u8::from(v >= spec.threshold));
    let labels = label(hot.view().insert_axis(Axis(0)));
    let labels = labels.index_axis(Axis(0), 0);
    let count = labels.iter().copied().max().unwrap_or(0) as usize;
    let mut gathered: Vec<Gathered> = vec![Gathered::default(); count];
    for ((at, &component), &value) in labels.indexed_iter().zip(heat.iter()) {
        if let Some(region) = (component as usize).checked_sub(1).and_then(|n| gathered.get_mut(n)) {
            region.add(at, value);
        }
    }
    let least = (spec.min_area_percent / 100.0 * heat.len() as f64).max(1.0);
    let mut kept: Vec<(u32, Gathered)> = (1..).zip(gathered).filter(|(_, g)| g.pixels as f64 >= least).collect();
    kept.sort_by(|(_, a), (_, b)| b.peak.total_cmp(&a.peak).then(b.pixels.cmp(&a.pixels)));
    kept.truncate(spec.max_regions);
    kept.into_iter().filter_map(|(component, g)| g.finish(labels, component, spacing_mm)).collect()
}

#[derive(Debug, Clone, Default)]
struct Gathered {
    pixels: usize,
    peak: f32,
    peak_at: [usize; 2],
    sum: f64,
    weighted: [f64; 2],
    rows: [usize; 2],
    columns: [usize; 2],
}

impl Gathered {
    fn add(&mut self, (row, column): (usize, usize), value: f32) {
        if self.pixels == 0 {
            (self.rows, self.columns) = ([row, row], [column, column]);
        }
        if self.pixels == 0 || value > self.peak {
            (self.peak, self.peak_at) = (value, [row, column]);
        }
        self.pixels += 1;
        self.rows = [self.rows[0].min(row), self.rows[1].max(row)];
        self.columns = [self.columns[0].min(column), self.columns[1].max(column)];
        self.sum += f64::from(value);
        self.weighted[0] += f64::from(value) * row as f64;
        self.weighted[1] += f64::from(value) * column as f64;
    }

    fn finish(self, labels: ArrayView2<u32>, component: u32, spacing_mm: Option<[f64; 2]>) -> Option<HeatRegion> {
        let mask: Array2<u8> = labels.mapv(|label| u8::from(label == component));
        let [height, width] = [self.rows, self.columns].map(|[first, last]| (last - first + 1) as f64);
        Some(HeatRegion {
            peak: self.peak,
            peak_at: self.peak_at,
            center: self.weighted.map(|sum| sum / self.sum),
            pixels: self.pixels,
            rows: self.rows,
            columns: self.columns,
            area_mm2: spacing_mm.map(|[row, column]| self.pixels as f64 * row * column),
            extent_mm: spacing_mm.map(|[row, column]| [height * row, width * column]),
            outline: outline(mask.view(), 0)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(threshold: f32, min_area_percent: f64, max_regions: usize) -> RegionsSpec {
        RegionsSpec { threshold, min_area_percent, max_regions }
    }

    /// Two hills and a speck: (row, column, height, radius).
    fn map() -> Array2<f32> {
        let hills = [(20.0, 30.0, 0.8f64, 12.0), (70.0, 60.0, 1.0, 9.0), (90.0, 5.0, 0.9, 1.2)];
        Array2::from_shape_fn((100, 80), |(r, c)| {
            let value = |&(y, x, height, radius): &(f64, f64, f64, f64)| {
                height * (-((r as f64 - y).powi(2) + (c as f64 - x).powi(2)) / (radius * radius)).exp()
            };
            hills.iter().map(value).fold(0.0, f64::max) as f32
        })
    }

    #[test]
    fn regions_come_by_peak_and_specks_are_left_out() {
        let found = heat_regions(map().view(), &spec(0.5, 0.1, 5), Some([0.5, 2.0]));
        assert_eq!(found.len(), 2, "{found:?}");
        let [first, second] = &found[..] else { panic!() };
        assert_eq!((first.peak, first.peak_at), (1.0, [70, 60]));
        assert!((second.peak - 0.8).abs() < 1e-6 && second.peak_at == [20, 30]);
        for (region, center) in [(first, [70.0, 60.0]), (second, [20.0, 30.0])] {
            assert!((0..2).all(|i| (region.center[i] - center[i]).abs() < 1e-6), "{:?}", region.center);
            assert_eq!(region.area_mm2, Some(region.pixels as f64));
            let [height, width] = region.extent_mm.unwrap();
            assert_eq!(height * 4.0, width, "a round hill on pixels four times as wide as high");
            assert_eq!(region.size_mm(), Some(width));
            // The shoelace formula: no holes, so that the outline encloses just the pixels.
            let area: f32 = region.outline.points.windows(2).map(|p| p[0][0] * p[1][1] - p[1][0] * p[0][1]).sum();
            assert_eq!(area / 2.0, region.pixels as f32);
        }
        // exp(-d²/81) >= 0.5 up to d = 7.49
        assert_eq!((first.rows, first.columns), ([63, 77], [53, 67]));
    }

    #[test]
    fn at_most_so_many_and_none_of_a_cold_map() {
        assert_eq!(heat_regions(map().view(), &spec(0.5, 0.0, 5), None).len(), 3);
        let one = heat_regions(map().view(), &spec(0.5, 0.0, 1), None);
        assert_eq!((one.len(), one[0].peak, one[0].area_mm2, one[0].size_mm()), (1, 1.0, None, None));
        assert!(heat_regions(Array2::zeros((9, 9)).view(), &spec(0.5, 0.0, 5), None).is_empty());
        assert!(heat_regions(Array2::zeros((0, 0)).view(), &spec(0.5, 0.0, 5), None).is_empty());
    }
}
