//! Which frames of a dynamic series belong to which time point.

use std::collections::{BTreeMap, BTreeSet};

use super::clock::{TimeValue, on_one_scale};
use super::frame_times::FrameTimes;
use super::series_error::{SeriesError, TimePoint};

/// Splits frames that share positions into time points, in the order of time.
///
/// `slots` gives each frame's place among the `positions_mm`. The first of `keywords` decides that every frame has and
/// that makes groups with one frame at every position: it is given, and each group as indices of frames, by slot.
///
/// # Errors
/// What comes nearest: a time point that lacks slices or has one twice, else what each keyword gave.
pub(super) fn time_points<'k>(
    slots: &[usize],
    positions_mm: &[f64],
    times: &[&FrameTimes],
    keywords: &[&'k str],
) -> Result<(&'k str, Vec<Vec<usize>>), SeriesError> {
    let positions = positions_mm.len();
    let mut at_position = vec![0; positions];
    slots.iter().for_each(|slot| at_position[*slot] += 1);
    let most = at_position.into_iter().max().unwrap_or(0);
    let mut looked_at = Vec::new();
    let mut nearest = None;
    for &keyword in keywords {
        match Split::new(slots, times, keyword) {
            Ok(split) if split.is_complete(positions) => return Ok((keyword, split.frames())),
            Ok(split) => {
                nearest = nearest.or_else(|| split.nearly(keyword, positions_mm, most));
                looked_at.push(split.describe(keyword, positions));
            }
            Err(lacking) if lacking == slots.len() => looked_at.push(format!("{keyword} is absent")),
            Err(lacking) => looked_at.push(format!("{keyword} is absent in {lacking} frames")),
        }
    }
    Err(nearest.unwrap_or_else(|| SeriesError::NotToldApart {
        frames: slots.len(),
        positions,
        most,
        looked_at: if looked_at.is_empty() { "no attribute was looked at".into() } else { looked_at.join(", ") },
    }))
}

/// The frames by the value of one keyword, in its order: of each group its frames with their slots, by slot. As large as there
/// are frames, whatever their values: a damaged or hostile series may have as many values as frames.
struct Split(Vec<Vec<(usize, usize)>>);

impl Split {
    /// In error: how many frames lack the keyword.
    fn new(slots: &[usize], times: &[&FrameTimes], keyword: &str) -> Result<Self, usize> {
        let values: Vec<TimeValue> = times.iter().filter_map(|t| t.get(keyword)).collect();
        if values.len() < times.len() {
            return Err(times.len() - values.len());
        }
        let mut groups: BTreeMap<i64, Vec<(usize, usize)>> = BTreeMap::new();
        for (frame, (value, slot)) in on_one_scale(&values).into_iter().zip(slots).enumerate() {
            groups.entry(value).or_default().push((*slot, frame));
        }
        groups.values_mut().for_each(|group| group.sort_unstable());
        Ok(Self(groups.into_values().collect()))
    }

    fn is_complete(&self, positions: usize) -> bool {
        self.0.iter().all(|group| is_volume(group, positions))
    }

    fn frames(self) -> Vec<Vec<usize>> {
        self.0.into_iter().map(|group| group.into_iter().map(|(_, frame)| frame).collect()).collect()
    }

    /// The fault of a split that is complete but for a few slices; None for one that is none.
    fn nearly(&self, keyword: &str, positions_mm: &[f64], most: usize) -> Option<SeriesError> {
        let of = self.0.len();
        let time_point = |index: usize| TimePoint { number: index + 1, of, keyword: keyword.to_string() };
        // A split by something else than time (one value a slice, say) has no complete group.
        if of < 2 || !self.0.iter().any(|group| is_volume(group, positions_mm.len())) {
            return None;
        }
        let twice = |group: &Vec<(usize, usize)>| Some(group.windows(2).find(|pair| pair[0].0 == pair[1].0)?[0].0);
        if let Some((index, slot)) = self.0.iter().enumerate().find_map(|(i, group)| Some((i, twice(group)?))) {
            return Some(SeriesError::Duplicate {
                time_point: time_point(index),
                frames: self.0[index].iter().filter(|(s, _)| *s == slot).count(),
                position_mm: positions_mm[slot],
            });
        }
        let index = self.0.iter().position(|group| group.len() < positions_mm.len()).filter(|_| of == most)?;
        let there: BTreeSet<usize> = self.0[index].iter().map(|(slot, _)| *slot).collect();
        let lacking = positions_mm.iter().enumerate().filter(|(slot, _)| !there.contains(slot));
        Some(SeriesError::MissingSlices {
            time_point: time_point(index),
            missing_mm: lacking.map(|(_, p)| *p).collect(),
        })
    }

    fn describe(&self, keyword: &str, positions: usize) -> String {
        match self.0.len() {
            1 => format!("{keyword} has one value"),
            n => {
                let sizes: BTreeSet<usize> = self.0.iter().map(Vec::len).collect();
                let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
                let single = if sizes == [positions.to_string()] { ", some positions twice in one" } else { "" };
                format!("{keyword} has {n} values of {} frames{single}", sizes.join(" or "))
            }
        }
    }
}

/// Whether the group has one frame at each of the positions.
fn is_volume(group: &[(usize, usize)], positions: usize) -> bool {
    group.len() == positions && group.iter().enumerate().all(|(n, (slot, _))| n == *slot)
}
