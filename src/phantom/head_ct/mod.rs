//! Synthetic CT of the head without contrast medium: axial slices in Hounsfield units, with and without haemorrhage, and
//! where it is.

mod anatomy;
mod base;
pub mod dicom;
mod haemorrhage;
mod scanner;
mod skull;

use ndarray::{Array2, Array3, Axis, stack};
use rayon::prelude::*;

use super::PhantomError;
use super::random::Random;
use crate::imaging::Geometry;
use anatomy::Head;
use haemorrhage::Blood;
use scanner::Scanner;

pub use dicom::{HeadCtInstance, HeadCtLayout, HeadCtSeries, HeadCtStudy};

/// Where blood is outside the vessels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Haemorrhage {
    /// In the brain, with a rim of oedema.
    Intraparenchymal,
    /// A crescent between brain and dura.
    Subdural,
    /// A lens between dura and skull.
    Epidural,
    /// In the sulci and cisterns of one region.
    Subarachnoid,
    /// A level in the ventricles.
    Intraventricular,
}

impl Haemorrhage {
    pub const ALL: [Self; 5] =
        [Self::Intraparenchymal, Self::Subdural, Self::Epidural, Self::Subarachnoid, Self::Intraventricular];

    pub fn name(self) -> &'static str {
        match self {
            Self::Intraparenchymal => "intraparenchymal",
            Self::Subdural => "subdural",
            Self::Epidural => "epidural",
            Self::Subarachnoid => "subarachnoid",
            Self::Intraventricular => "intraventricular",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }
}

/// The convolution kernel that a series is reconstructed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// Smooth: for the brain.
    Soft,
    /// Sharp and noisy: for the skull.
    Bone,
}

/// What to draw. Equal values give equal voxels; the head is the seed's, whatever the grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeadCtPhantom {
    /// Everything that varies between patients comes from here.
    pub seed: u64,
    /// (slices, rows, columns)
    pub size: [usize; 3],
    /// From a voxel to the next along (slice, row, column).
    pub spacing_mm: [f32; 3],
    /// None: no blood outside the vessels.
    pub haemorrhage: Option<Haemorrhage>,
    /// Of the gantry: slices are turned about the left-right axis, and shifted against one another, as the table moves
    /// along its own axis.
    pub gantry_tilt_degrees: f32,
}

impl Default for HeadCtPhantom {
    fn default() -> Self {
        Self {
            seed: 1,
            size: [28, 512, 512],
            spacing_mm: [5.0, 0.45, 0.45],
            haemorrhage: Some(Haemorrhage::Intraparenchymal),
            gantry_tilt_degrees: 0.0,
        }
    }
}

/// Blood covers at least this much of a slice that is said to show a haemorrhage.
pub const LEAST_AREA_MM2: f32 = 30.0;

/// One drawn slice.
#[derive(Debug, Clone)]
pub struct HeadCtSlice {
    /// Hounsfield units, (row, column).
    pub values: Array2<i16>,
    /// 1 in blood, (row, column).
    pub truth: Array2<u8>,
    /// Of the blood.
    pub area_mm2: f32,
}

impl HeadCtSlice {
    /// Whether a reader would see the haemorrhage in this slice.
    pub fn shows_haemorrhage(&self) -> bool {
        self.area_mm2 >= LEAST_AREA_MM2
    }
}

/// A drawn series.
#[derive(Debug, Clone)]
pub struct HeadCt {
    pub geometry: Geometry,
    /// Hounsfield units, (slice, row, column).
    pub values: Array3<i16>,
    /// 1 in blood, (slice, row, column).
    pub truth: Array3<u8>,
    pub haemorrhage: Option<HaemorrhagePlace>,
    /// Area of the blood in each slice.
    pub areas_mm2: Vec<f32>,
}

/// Where the haemorrhage is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HaemorrhagePlace {
    pub kind: Haemorrhage,
    /// Centre of mass of the drawn blood, LPS.
    pub centre_mm: [f64; 3],
    pub volume_mm3: f64,
}

/// A head in its scanner, ready to be drawn slice by slice.
pub struct HeadCtScan {
    phantom: HeadCtPhantom,
    head: Head,
    blood: Option<Blood>,
    scanner: Scanner,
}

impl HeadCtPhantom {
    /// Puts the head into the scanner.
    ///
    /// # Errors
    /// [`PhantomError::Option`] for a size, spacing or tilt that no series has.
    pub fn scan(&self) -> Result<HeadCtScan, PhantomError> {
        self.check()?;
        // One stream a subject, so that a change to one leaves the others as they were.
        let stream = |n: u64| Random::new(self.seed, n);
        let head = Head::new(&mut stream(1));
        let blood = self.haemorrhage.map(|kind| Blood::new(kind, &mut stream(2), &head));
        let scanner = Scanner::new(self, &mut stream(3));
        Ok(HeadCtScan { phantom: *self, head, blood, scanner })
    }

    /// Draws the series of one kernel. About 4 s at full size on one core.
    ///
    /// # Errors
    /// As [`Self::scan`].
    pub fn render(&self, kernel: Kernel) -> Result<HeadCt, PhantomError> {
        let scan = self.scan()?;
        let slices: Vec<HeadCtSlice> = (0..self.size[0]).into_par_iter().map(|i| scan.slice(i, kernel)).collect();
        Ok(scan.assemble(&slices))
    }

    fn check(&self) -> Result<(), PhantomError> {
        let fail = |key, found: String, expected| Err(PhantomError::Option { key, found, expected });
        let [slices, rows, columns] = self.size;
        if !(1..=600).contains(&slices) || !(32..=1024).contains(&rows) || !(32..=1024).contains(&columns) {
            return fail("size", format!("{:?}", self.size), "1 to 600 slices, 32 to 1024 rows and columns");
        }
        let [slice, row, column] = self.spacing_mm;
        let in_plane = |mm: f32| (0.2..=8.0).contains(&mm);
        if !(0.4..=20.0).contains(&slice) || !in_plane(row) || !in_plane(column) {
            return fail(
                "spacing",
                format!("{:?} mm", self.spacing_mm),
                "0.4 to 20 mm of slices, 0.2 to 8 mm of pixels",
            );
        }
        let (height, width) = (rows as f32 * row, columns as f32 * column);
        if height < 215.0 || width < 180.0 {
            let expected = "at least 215 mm of rows and 180 mm of columns: there is no room for the head";
            return fail("field of view", format!("{height:.0} x {width:.0} mm"), expected);
        }
        if !(-30.0..=30.0).contains(&self.gantry_tilt_degrees) {
            return fail("gantry tilt", format!("{} degrees", self.gantry_tilt_degrees), "-30 to 30 degrees");
        }
        Ok(())
    }
}

impl HeadCtScan {
    pub fn geometry(&self) -> &Geometry {
        &self.scanner.geometry
    }

    /// Draws one slice; it does not depend on which others are drawn.
    pub fn slice(&self, index: usize, kernel: Kernel) -> HeadCtSlice {
        let [_, rows, columns] = self.phantom.size;
        let mut noise = self.scanner.noise(self.phantom.seed, index, kernel);
        let mut values = Array2::zeros((rows, columns));
        let mut truth = Array2::zeros((rows, columns));
        let mut blood_pixels = 0usize;
        for row in 0..rows {
            for column in 0..columns {
                let added = noise.next(column);
                let Some((patient, body)) = self.scanner.place([index, row, column]) else {
                    values[[row, column]] = scanner::PADDING;
                    continue;
                };
                let (density, bled) = match self.head.sample(body, self.blood.as_ref()) {
                    Some(s) => (s.density + self.scanner.shading(body, s.inside), s.blood >= 0.5),
                    None => (self.scanner.around(patient), false),
                };
                values[[row, column]] = scanner::stored(density + added);
                truth[[row, column]] = u8::from(bled);
                blood_pixels += usize::from(bled);
            }
            noise.end_row();
        }
        let [_, row, column] = self.phantom.spacing_mm;
        HeadCtSlice { values, truth, area_mm2: blood_pixels as f32 * row * column }
    }

    /// The series that a set of all its slices makes.
    fn assemble(&self, slices: &[HeadCtSlice]) -> HeadCt {
        let geometry = self.scanner.geometry.clone();
        let values: Vec<_> = slices.iter().map(|s| s.values.view()).collect();
        let truth: Vec<_> = slices.iter().map(|s| s.truth.view()).collect();
        // The slices are of one size by construction.
        let truth = stack(Axis(0), &truth).unwrap_or_default();
        let (mut sum, mut voxels) = ([0.0; 3], 0.0);
        for ((s, r, c), _) in truth.indexed_iter().filter(|(_, v)| **v > 0) {
            let p = geometry.to_patient([s as f64, r as f64, c as f64]);
            (0..3).for_each(|axis| sum[axis] += p[axis]);
            voxels += 1.0;
        }
        let place = self.blood.as_ref().filter(|_| voxels > 0.0).map(|blood| HaemorrhagePlace {
            kind: blood.kind,
            centre_mm: sum.map(|v| v / voxels),
            volume_mm3: voxels * geometry.voxel_mm3(),
        });
        HeadCt {
            values: stack(Axis(0), &values).unwrap_or_default(),
            truth,
            haemorrhage: place,
            areas_mm2: slices.iter().map(|s| s.area_mm2).collect(),
            geometry,
        }
    }
}

impl HeadCt {
    /// Every slice in the brain window (level 40, width 80), `columns` side by side, the blood outlined.
    pub fn picture(&self, columns: usize) -> image::RgbImage {
        let (slices, rows, width) = self.values.dim();
        let lines = slices.div_ceil(columns.max(1));
        image::RgbImage::from_fn((columns * width) as u32, (lines * rows) as u32, |x, y| {
            let (x, y) = (x as usize, y as usize);
            let (slice, row, column) = (y / rows * columns + x / width, y % rows, x % width);
            if slice >= slices {
                return image::Rgb([0; 3]);
            }
            let inside = |r: usize, c: usize| self.truth.get((slice, r, c)).is_some_and(|v| *v > 0);
            let edge = inside(row, column) && !(inside(row + 1, column) && inside(row, column + 1));
            let shade = (f32::from(self.values[[slice, row, column]]) * 255.0 / 80.0).clamp(0.0, 255.0) as u8;
            image::Rgb(if edge { [255, 60, 60] } else { [shade; 3] })
        })
    }
}

#[cfg(test)]
mod tests;
