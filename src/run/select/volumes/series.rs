//! The series of a study as far as headers tell: how many slices, on which grid, at which times.

use std::collections::{BTreeMap, BTreeSet};

use dicom_core::Tag;
use dicom_dictionary_std::tags;

use crate::imaging::Geometry;
use crate::imaging::clock::{TimeValue, on_one_scale};
use crate::imaging::geometry::{cross, unit};
use crate::manifest::TimePointKey;
use crate::run::select::{frame_count, image_count};
use crate::source::InstanceHeader;

pub(in crate::run::select) struct Series<'a> {
    /// By SOPInstanceUID: the same input gives the same order, however it is listed. Never empty.
    pub instances: Vec<&'a InstanceHeader>,
}

/// The instances by their series.
pub(in crate::run::select) fn series<'a>(taken: &[&'a InstanceHeader]) -> Vec<Series<'a>> {
    let mut by_uid: BTreeMap<&str, Vec<&'a InstanceHeader>> = BTreeMap::new();
    for header in taken {
        by_uid.entry(header.get(tags::SERIES_INSTANCE_UID).unwrap_or_default()).or_default().push(header);
    }
    let sorted = by_uid.into_values().map(|mut instances| {
        instances.sort_by_key(|h| h.get(tags::SOP_INSTANCE_UID));
        Series { instances }
    });
    sorted.collect()
}

/// How many time points a series has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::run::select) enum TimePoints {
    /// One: no two slices lie at one place.
    One,
    /// Several, all of them whole, told apart by this attribute.
    Several(usize, TimePointKey),
    /// Slices share places, and no attribute tells them apart.
    Untold,
    /// Known when the slices are read: the headers of multi-frame images do not tell.
    Unknown,
}

impl<'a> Series<'a> {
    pub fn first(&self) -> &'a InstanceHeader {
        self.instances[0]
    }

    pub fn uid(&self) -> &'a str {
        self.first().get(tags::SERIES_INSTANCE_UID).unwrap_or_default()
    }

    /// Frames of all instances.
    pub fn slices(&self) -> usize {
        image_count(&self.instances)
    }

    /// For people; numbers only, for a header may hold anything.
    pub fn describe(&self) -> String {
        let number = number(self.first().get(tags::SERIES_NUMBER)).map_or("?".into(), |n| format!("{n:.0}"));
        let Grid { slices, rows, columns, .. } = self.grid();
        format!("series {number} ({slices} slices of {} × {})", or_unknown(rows), or_unknown(columns))
    }

    pub fn grid(&self) -> Grid {
        let first = self.first();
        let whole = |tag| number(first.get(tag)).filter(|n| *n >= 1.0).map(|n| n as usize);
        let (rows, columns) = (whole(tags::ROWS), whole(tags::COLUMNS));
        let uid = first.get(tags::FRAME_OF_REFERENCE_UID).map(str::to_owned);
        let plane = || {
            let [row_mm, column_mm] = numbers::<2>(first, tags::PIXEL_SPACING)?;
            let [a, b, c, d, e, f] = numbers::<6>(first, tags::IMAGE_ORIENTATION_PATIENT)?;
            let (right, down) = ([a, b, c], [d, e, f]);
            Some(Geometry {
                size: [1, rows?, columns?],
                origin_mm: [0.0; 3],
                // One slice: how far the next would be does not matter, but the smallest step is the measure of what is equal.
                steps_mm: [
                    unit(cross(right, down)).map(|v| v * row_mm),
                    down.map(|v| v * row_mm),
                    right.map(|v| v * column_mm),
                ],
                frame_of_reference_uid: uid.clone(),
            })
        };
        Grid { slices: self.slices(), rows, columns, plane: plane(), frame_of_reference_uid: uid.clone() }
    }

    /// The attribute's values; None where an instance lacks it.
    pub fn times(&self, key: TimePointKey) -> Option<Vec<TimeValue>> {
        self.instances.iter().map(|h| time(h, key)).collect()
    }

    /// As the reader of the slices will find them: the first of `keys` that every instance has and that makes groups with one
    /// instance at every position.
    pub fn time_points(&self, keys: &[TimePointKey]) -> TimePoints {
        let places: Option<Vec<[i64; 3]>> = self.instances.iter().map(|h| place(h)).collect();
        let Some(places) = places.filter(|_| self.instances.iter().all(|h| frame_count(h) == 1)) else {
            return TimePoints::Unknown;
        };
        let positions = places.iter().collect::<BTreeSet<_>>().len();
        if positions == places.len() {
            return TimePoints::One;
        }
        let count_by = |key: &TimePointKey| {
            let mut groups: BTreeMap<i64, Vec<&[i64; 3]>> = BTreeMap::new();
            for (time, place) in on_one_scale(&self.times(*key)?).into_iter().zip(&places) {
                groups.entry(time).or_default().push(place);
            }
            let whole = |group: &Vec<&[i64; 3]>| {
                group.len() == positions && group.iter().collect::<BTreeSet<_>>().len() == positions
            };
            groups.values().all(whole).then_some(groups.len())
        };
        let found = keys.iter().find_map(|key| Some(TimePoints::Several(count_by(key)?, *key)));
        found.unwrap_or(TimePoints::Untold)
    }
}

/// What the volumes of one run share.
#[derive(Debug, Clone)]
pub(in crate::run::select) struct Grid {
    slices: usize,
    rows: Option<usize>,
    columns: Option<usize>,
    /// A single slice, its place left open; None where the header does not say it, as that of a multi-frame image.
    plane: Option<Geometry>,
    pub frame_of_reference_uid: Option<String>,
}

impl Grid {
    /// Whether both can be one grid: where the slices lie is seen when they are read.
    pub fn same(&self, other: &Self) -> bool {
        let planes = match (&self.plane, &other.plane) {
            (Some(a), Some(b)) => a.same_grid(b).is_ok(),
            (None, None) => true,
            _ => false,
        };
        let size = |g: &Self| (g.slices, g.rows, g.columns);
        planes && size(self) == size(other) && self.frame_of_reference_uid == other.frame_of_reference_uid
    }

    /// Numbers only: a header may hold anything, and UIDs are the patient's.
    pub fn describe(&self) -> String {
        let rounded = |values: &[f64]| values.iter().map(|v| format!("{:.3}", v + 0.0)).collect::<Vec<_>>().join("\\");
        let plane = self.plane.as_ref().map_or("no plane in the header".into(), |p| {
            let [_, row_mm, column_mm] = p.spacing_mm();
            let (spacing, orientation) = (rounded(&[row_mm, column_mm]), rounded(&p.orientation()));
            format!("PixelSpacing {spacing}, ImageOrientationPatient {orientation}")
        });
        let reference = if self.frame_of_reference_uid.is_some() { "" } else { ", no FrameOfReferenceUID" };
        format!(
            "{} slices of {} × {}, {plane}{reference}",
            self.slices,
            or_unknown(self.rows),
            or_unknown(self.columns)
        )
    }
}

/// The series by their grids, in the order of their first ones.
pub(super) fn by_grid<'s, 'a>(series: impl IntoIterator<Item = &'s Series<'a>>) -> Vec<(Grid, Vec<&'s Series<'a>>)> {
    let mut groups: Vec<(Grid, Vec<&'s Series<'a>>)> = Vec::new();
    for one in series {
        let grid = one.grid();
        match groups.iter_mut().find(|(of_group, _)| of_group.same(&grid)) {
            Some((_, group)) => group.push(one),
            None => groups.push((grid, vec![one])),
        }
    }
    groups
}

fn or_unknown(number: Option<usize>) -> String {
    number.map_or("?".into(), |n| n.to_string())
}

pub(in crate::run::select) fn number(text: Option<&str>) -> Option<f64> {
    text?.trim().parse().ok().filter(|n: &f64| n.is_finite())
}

pub(in crate::run::select) fn numbers<const N: usize>(header: &InstanceHeader, tag: Tag) -> Option<[f64; N]> {
    let values: Vec<f64> = header.get(tag)?.split('\\').map(|v| number(Some(v))).collect::<Option<_>>()?;
    values.try_into().ok()
}

/// ImagePositionPatient in hundredths of a millimetre, within which slices lie at one place.
pub(in crate::run::select) fn place(header: &InstanceHeader) -> Option<[i64; 3]> {
    Some(numbers::<3>(header, tags::IMAGE_POSITION_PATIENT)?.map(|v| (v * 100.0).round() as i64))
}

/// The attribute's value, as [`crate::imaging::FrameTimes`] reads it from a classic image.
fn time(header: &InstanceHeader, key: TimePointKey) -> Option<TimeValue> {
    let number = |tag| TimeValue::number(header.get(tag)?);
    let clock = |date, time| TimeValue::date_and_time(header.get(date), header.get(time)?);
    match key {
        TimePointKey::TemporalPositionIdentifier => number(tags::TEMPORAL_POSITION_IDENTIFIER),
        TimePointKey::TriggerTime => number(tags::TRIGGER_TIME),
        TimePointKey::AcquisitionNumber => number(tags::ACQUISITION_NUMBER),
        TimePointKey::SeriesNumber => number(tags::SERIES_NUMBER),
        TimePointKey::AcquisitionTime => (header.get(tags::ACQUISITION_DATE_TIME).and_then(TimeValue::date_time))
            .or_else(|| clock(tags::ACQUISITION_DATE, tags::ACQUISITION_TIME)),
        TimePointKey::ContentTime => clock(tags::CONTENT_DATE, tags::CONTENT_TIME),
    }
}
