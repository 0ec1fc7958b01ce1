//! Which frames of a dynamic series belong to which time point.

use std::collections::{BTreeMap, BTreeSet};

use super::frame_times::FrameTimes;
use super::series_error::{SeriesError, TimePoint};

/// Splits frames that share positions into time points, in the order of time.
///
/// `slots` gives each frame's place among the `positions_mm`. The first of `keywords` decides that every frame has and
/// that makes groups with one frame at every position. Each group is given as indices of frames, by slot.
///
/// # Errors
/// What comes nearest: a time point that lacks slices or has one twice, else what each keyword gave.
pub(super) fn time_points(
    slots: &[usize],
    positions_mm: &[f64],
    times: &[&FrameTimes],
    keywords: &[&str],
) -> Result<Vec<Vec<usize>>, SeriesError> {
    let positions = positions_mm.len();
    let mut at_position = vec![0; positions];
    slots.iter().for_each(|slot| at_position[*slot] += 1);
    let most = at_position.into_iter().max().unwrap_or(0);
    let mut looked_at = Vec::new();
    let mut nearest = None;
    for keyword in keywords {
        let split = Split::new(slots, positions, times, keyword);
        match split {
            Ok(split) if split.is_complete() => return Ok(split.frames()),
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

/// The frames by the value of one keyword, in its order: (value, frames at each position).
struct Split(Vec<Vec<Vec<usize>>>);

impl Split {
    /// In error: how many frames lack the keyword.
    fn new(slots: &[usize], positions: usize, times: &[&FrameTimes], keyword: &str) -> Result<Self, usize> {
        let lacking = times.iter().filter(|t| t.get(keyword).is_none()).count();
        if lacking > 0 {
            return Err(lacking);
        }
        let mut groups: BTreeMap<i64, Vec<Vec<usize>>> = BTreeMap::new();
        for (frame, (slot, time)) in slots.iter().zip(times).enumerate() {
            if let Some(value) = time.get(keyword) {
                groups.entry(value).or_insert_with(|| vec![Vec::new(); positions])[*slot].push(frame);
            }
        }
        Ok(Self(groups.into_values().collect()))
    }

    fn is_complete(&self) -> bool {
        self.0.iter().flatten().all(|at_position| at_position.len() == 1)
    }

    fn frames(self) -> Vec<Vec<usize>> {
        self.0.into_iter().map(|group| group.into_iter().flatten().collect()).collect()
    }

    /// The fault of a split that is complete but for a few slices; None for one that is none.
    fn nearly(&self, keyword: &str, positions_mm: &[f64], most: usize) -> Option<SeriesError> {
        let of = self.0.len();
        let twice = |group: &&Vec<Vec<usize>>| group.iter().any(|at| at.len() > 1);
        let complete = self.0.iter().filter(|group| group.iter().all(|at| at.len() == 1)).count();
        let time_point = |index: usize| TimePoint { number: index + 1, of, keyword: keyword.to_string() };
        // A split by something else than time (one value a slice, say) has no complete group.
        if of < 2 || complete == 0 {
            return None;
        }
        if let Some(index) = self.0.iter().position(|group| twice(&group)) {
            let (slot, at) = self.0[index].iter().enumerate().find(|(_, at)| at.len() > 1)?;
            return Some(SeriesError::Duplicate {
                time_point: time_point(index),
                frames: at.len(),
                position_mm: positions_mm[slot],
            });
        }
        let index = self.0.iter().position(|group| group.iter().any(Vec::is_empty)).filter(|_| of == most)?;
        let lacking = self.0[index].iter().zip(positions_mm).filter(|(at, _)| at.is_empty());
        Some(SeriesError::MissingSlices {
            time_point: time_point(index),
            missing_mm: lacking.map(|(_, p)| *p).collect(),
        })
    }

    fn describe(&self, keyword: &str, positions: usize) -> String {
        match self.0.len() {
            1 => format!("{keyword} has one value"),
            n => {
                let sizes: BTreeSet<usize> = self.0.iter().map(|group| group.iter().map(Vec::len).sum()).collect();
                let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
                let single = if sizes == [positions.to_string()] { ", some positions twice in one" } else { "" };
                format!("{keyword} has {n} values of {} frames{single}", sizes.join(" or "))
            }
        }
    }
}
