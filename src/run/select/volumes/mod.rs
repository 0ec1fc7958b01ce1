//! Volumes: which series are the channels of one input, and in which order.
//!
//! Only headers are looked at here, so that a question costs no pixels; what they leave open (is each series complete, how many
//! time points has a multi-frame image) is decided when the slices are read.

pub(super) mod series;

use std::collections::BTreeSet;

use dicom_dictionary_std::tags;

use super::{Candidates, Input, NotApplicable, Selection};
use crate::imaging::clock::on_one_scale;
use crate::manifest::{ChannelSpec, MismatchPolicy, TimePointKey, VolumesSpec};
use crate::source::InstanceHeader;
use series::{Series, TimePoints, by_grid, series};

/// What a caller can do where the rule cannot decide.
const NAME_THEM: &str = "name the series as Channels";

/// The series of one run: one a channel, or one that holds all phases.
struct Chosen<'a> {
    series: Vec<Series<'a>>,
    /// What put several series in order; None where nothing had to.
    ordered_by: Option<TimePointKey>,
}

/// # Errors
/// [`NotApplicable`]: too few or too many series, too few slices, series that do not share a grid.
pub(super) fn select(
    rule: &VolumesSpec,
    candidates: &Candidates<'_>,
    named: &[String],
) -> Result<Selection, NotApplicable> {
    let all = series(&candidates.taken);
    let (found, short) = (all.len(), too_short(rule, &all));
    let chosen = choose(rule, all, named).and_then(|chosen| check(rule, &chosen.series).map(|()| chosen));
    let chosen = chosen.map_err(|text| NotApplicable(format!("{text}{short}{}", candidates.left_out())))?;
    let inputs = chosen.series.iter().enumerate().flat_map(|(group, series)| {
        let one_each = chosen.series.len() == rule.channels.len();
        let name = if one_each { rule.channels[group].name() } else { "all channels" };
        series.instances.iter().map(move |h| Input::new(h, name.to_string(), group))
    });
    let distinct: BTreeSet<&str> = chosen.series.iter().map(Series::uid).collect();
    Ok(Selection { inputs: inputs.collect(), warnings: warnings(&chosen, found - distinct.len()) })
}

/// What the order rests on, and that there was more to choose from.
fn warnings(chosen: &Chosen<'_>, left_out: usize) -> Vec<String> {
    let ordered = chosen.ordered_by.map(|key| format!("the phases were ordered by {}", key.keyword()));
    let others = (left_out > 0).then(|| format!("{left_out} other series of the study left out"));
    ordered.into_iter().chain(others).collect()
}

fn choose<'a>(rule: &VolumesSpec, all: Vec<Series<'a>>, named: &[String]) -> Result<Chosen<'a>, String> {
    if rule.has_conditions() {
        return Ok(Chosen { series: contrasts(rule, &all, named)?, ordered_by: None });
    }
    if !named.is_empty() {
        return Ok(Chosen { series: named_series(rule, all, named)?, ordered_by: None });
    }
    let enough: Vec<Series<'a>> = all.into_iter().filter(|s| s.slices() >= rule.min_slices).collect();
    one_study(&enough)?;
    if rule.is_dynamic() {
        return phases(rule, enough);
    }
    match (&rule.channels[..], enough.len()) {
        ([_], 1) => Ok(Chosen { series: enough, ordered_by: None }),
        ([_], 0) => Err(format!("{}, found 0", needed(rule))),
        ([_], _) => Err(format!("{}, found {}: {NAME_THEM}", needed(rule), list(&enough))),
        _ => Err(format!("nothing but the caller tells which series are {}: {NAME_THEM}", rule.names().join(", "))),
    }
}

/// Each channel's series by the channel's conditions, among all series or in the one that the caller names for it.
fn contrasts<'a>(rule: &VolumesSpec, all: &[Series<'a>], named: &[String]) -> Result<Vec<Series<'a>>, String> {
    if !named.is_empty() {
        check_named(rule, named)?;
    }
    let mut chosen: Vec<Series<'a>> = Vec::new();
    for (i, channel) in rule.channels.iter().enumerate() {
        let wanted = |s: &&Series| named.get(i).is_none_or(|uid| s.uid() == uid);
        let mut fitting: Vec<Series<'a>> = all.iter().filter(wanted).filter_map(|s| fulfilling(s, channel)).collect();
        // A short one is no rival, but it is told of where there is no other.
        if fitting.iter().any(|s| s.slices() >= rule.min_slices) {
            fitting.retain(|s| s.slices() >= rule.min_slices);
        }
        let Some(series) = fitting.pop() else {
            let conditions: Vec<String> = channel.conditions().iter().map(|c| c.describe()).collect();
            return Err(format!("{}: no series fits ({})", channel.name(), conditions.join(", ")));
        };
        if !fitting.is_empty() {
            fitting.push(series);
            return Err(format!("{}: expected one series, found {}: {NAME_THEM}", channel.name(), list(&fitting)));
        }
        let shared = |other: &Series| other.instances.iter().any(|h| series.instances.iter().any(|o| h.id == o.id));
        if let Some(twin) = chosen.iter().position(shared) {
            let (a, b) = (rule.channels[twin].name(), channel.name());
            return Err(format!(
                "{a} and {b} would both be {}: their conditions do not tell them apart",
                series.describe()
            ));
        }
        chosen.push(series);
    }
    Ok(chosen)
}

/// The images of a series that fulfil the channel's conditions; None where none does.
fn fulfilling<'a>(series: &Series<'a>, channel: &ChannelSpec) -> Option<Series<'a>> {
    let fits = |h: &&&'a InstanceHeader| channel.conditions().iter().all(|c| c.holds(&|keyword| h.by_keyword(keyword)));
    let instances: Vec<&'a InstanceHeader> = series.instances.iter().filter(fits).copied().collect();
    (!instances.is_empty()).then_some(Series { instances })
}

/// The series that the caller names, in the caller's order: one a channel, or one with all phases.
fn named_series<'a>(rule: &VolumesSpec, mut all: Vec<Series<'a>>, named: &[String]) -> Result<Vec<Series<'a>>, String> {
    if !(rule.is_dynamic() && named.len() == 1) {
        check_named(rule, named)?;
    }
    let taken = named.iter().enumerate().map(|(i, uid)| {
        let at = all.iter().position(|s| s.uid() == uid);
        let name = rule.channels[i].name();
        at.map(|at| all.remove(at)).ok_or_else(|| format!("channel {} ({name}) holds no image that fits", i + 1))
    });
    taken.collect()
}

fn check_named(rule: &VolumesSpec, named: &[String]) -> Result<(), String> {
    let (found, different) = (named.len(), named.iter().collect::<BTreeSet<_>>().len());
    if found != rule.channels.len() || (different != found && !rule.has_conditions()) {
        return Err(format!("{}, found {found} named ({different} different)", needed(rule)));
    }
    Ok(())
}

/// As many series on one grid as there are phases, that time orders; or one series with as many time points. Where both are
/// there, or several, nothing tells which is meant.
fn phases<'a>(rule: &VolumesSpec, enough: Vec<Series<'a>>) -> Result<Chosen<'a>, String> {
    let wanted = rule.channels.len();
    if enough.len() == 1 {
        return Ok(Chosen { series: enough, ordered_by: None });
    }
    let points: Vec<TimePoints> = enough.iter().map(|s| s.time_points(&rule.time_points)).collect();
    let single = enough.iter().zip(&points).filter(|(_, p)| !matches!(p, TimePoints::Several(..))).map(|(s, _)| s);
    let sets: Vec<Vec<&Series>> =
        by_grid(single).into_iter().map(|(_, set)| set).filter(|s| s.len() == wanted).collect();
    let orders: Vec<_> = sets.iter().filter_map(|set| order(rule, set)).collect();
    let with = |fits: &dyn Fn(usize) -> bool| (0..enough.len()).filter(|i| fits(*i)).collect::<Vec<usize>>();
    let mut dynamic = with(&|i| matches!(points[i], TimePoints::Several(n, _) if n == wanted));
    if dynamic.is_empty() && orders.is_empty() {
        let many = wanted.saturating_mul(rule.min_slices);
        dynamic = with(&|i| points[i] == TimePoints::Unknown && enough[i].slices() >= many);
    }
    let (ordered_by, uids) = match (&orders[..], &dynamic[..]) {
        ([(key, uids)], []) => (Some(*key), uids.clone()),
        ([], [only]) => (None, vec![enough[*only].uid()]),
        // On one grid or several: these are refused with both, or left to resampling.
        ([], []) if enough.len() == wanted => {
            let (key, uids) = order(rule, &enough.iter().collect::<Vec<_>>()).ok_or_else(|| unordered(rule))?;
            (Some(key), uids)
        }
        ([], []) if sets.len() == 1 => return Err(unordered(rule)),
        ([], []) => return Err(format!("{}, found {}{}", needed(rule), enough.len(), describe_grids(&enough))),
        (sets, dynamic) => {
            let of_time: Vec<String> = dynamic.iter().map(|i| enough[*i].describe()).collect();
            return Err(format!(
                "{}, found {} times {wanted} on one grid and {} that may have {wanted} time points{}; nothing tells which is \
                 meant: {NAME_THEM} ({})",
                needed(rule),
                sets.len(),
                dynamic.len(),
                if of_time.is_empty() { String::new() } else { format!(" ({})", of_time.join(", ")) },
                describe_grids(&enough).trim_start_matches(": "),
            ));
        }
    };
    let uids: Vec<String> = uids.into_iter().map(str::to_owned).collect();
    Ok(Chosen { series: named_series(rule, enough, &uids)?, ordered_by })
}

/// The series' UIDs in the order of time, by the first attribute of the rule that every series has and that tells them all
/// apart.
fn order<'a>(rule: &VolumesSpec, series: &[&Series<'a>]) -> Option<(TimePointKey, Vec<&'a str>)> {
    rule.time_points.iter().find_map(|key| {
        let times = series.iter().map(|s| s.times(*key)).collect::<Option<Vec<_>>>()?;
        // All on one scale: a date that one series lacks counts for none.
        let scaled = on_one_scale(&times.concat());
        let mut rest = &scaled[..];
        let mut earliest: Vec<(i64, &str)> = Vec::new();
        for (series, times) in series.iter().zip(&times) {
            let (own, others) = rest.split_at(times.len());
            rest = others;
            earliest.push((*own.iter().min()?, series.uid()));
        }
        earliest.sort_unstable();
        let told_apart = earliest.windows(2).all(|pair| pair[0].0 < pair[1].0);
        told_apart.then(|| (*key, earliest.into_iter().map(|(_, uid)| uid).collect()))
    })
}

fn unordered(rule: &VolumesSpec) -> String {
    let keys: Vec<&str> = rule.time_points.iter().map(|k| k.keyword()).collect();
    format!("the series cannot be ordered in time: none of {} tells them apart: {NAME_THEM}", keys.join(", "))
}

/// What holds however the series were chosen.
fn check(rule: &VolumesSpec, series: &[Series<'_>]) -> Result<(), String> {
    one_study(series)?;
    let wanted = rule.channels.len();
    let time_points = |s: &Series| match s.time_points(&rule.time_points) {
        TimePoints::Several(n, key) => Some((n, key.keyword())),
        _ => None,
    };
    if let [only] = series
        && wanted > 1
    {
        let n = only.slices();
        if n < wanted.saturating_mul(rule.min_slices) {
            return Err(format!("{}, found one series of {n} slices", needed(rule)));
        }
        return match time_points(only) {
            Some((n, by)) if n != wanted => {
                Err(format!("{}, found one series of {n} time points (by {by})", needed(rule)))
            }
            _ => Ok(()),
        };
    }
    for (channel, series) in rule.channels.iter().zip(series) {
        let (name, n) = (channel.name(), series.slices());
        if n < rule.min_slices {
            return Err(format!("{name}: found {n} slices, expected at least {}", rule.min_slices));
        }
        if let Some((n, by)) = time_points(series) {
            return Err(format!("{name}: found {n} time points in the series (by {by}), expected 1"));
        }
    }
    one_grid(rule, series)
}

fn one_study(series: &[Series<'_>]) -> Result<(), String> {
    let studies: BTreeSet<_> = series.iter().map(|s| s.first().get(tags::STUDY_INSTANCE_UID)).collect();
    if studies.len() > 1 {
        return Err(format!("found series of {} studies, expected one StudyInstanceUID", studies.len()));
    }
    Ok(())
}

/// The series must have one grid, or be allowed to be resampled to one, which takes one Frame of Reference.
fn one_grid(rule: &VolumesSpec, series: &[Series<'_>]) -> Result<(), String> {
    let Some((first, others)) = series.split_first() else { return Ok(()) };
    let first = first.grid();
    for other in others.iter().map(Series::grid).filter(|g| !g.same(&first)) {
        let elsewhere = other.frame_of_reference_uid != first.frame_of_reference_uid;
        if elsewhere || rule.mismatch == MismatchPolicy::Refuse {
            let (expected, found) = (first.describe(), other.describe());
            let elsewhere = if elsewhere { " in another Frame of Reference" } else { "" };
            return Err(format!("the series are not on one grid: found {expected} and {found}{elsewhere}"));
        }
    }
    Ok(())
}

fn needed(rule: &VolumesSpec) -> String {
    match &rule.channels[..] {
        [_] => "one series is needed".to_string(),
        channels => {
            let or = if rule.is_dynamic() { " or one with as many time points" } else { "" };
            format!("{} series ({}){or} are needed", channels.len(), rule.names().join(", "))
        }
    }
}

fn too_short(rule: &VolumesSpec, all: &[Series<'_>]) -> String {
    let few: Vec<String> =
        all.iter().map(Series::slices).filter(|n| *n < rule.min_slices).map(|n| n.to_string()).collect();
    if few.is_empty() {
        return String::new();
    }
    format!("; too few slices (at least {} expected): series of {}", rule.min_slices, few.join(", "))
}

fn list(series: &[Series<'_>]) -> String {
    let described: Vec<String> = series.iter().map(Series::describe).collect();
    format!("{} ({})", series.len(), described.join(", "))
}

fn describe_grids(series: &[Series<'_>]) -> String {
    let groups = by_grid(series);
    let parts: Vec<String> =
        groups.iter().map(|(grid, group)| format!("{} × {}", group.len(), grid.describe())).collect();
    if parts.is_empty() { String::new() } else { format!(": {}", parts.join("; ")) }
}

#[cfg(test)]
mod tests;
