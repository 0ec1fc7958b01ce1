//! Which instances a model takes: what `input` may not say.

use super::{Checked, refuse, require};
use crate::manifest::{ChannelSpec, Condition, InputSpec, SelectSpec, VolumesSpec};

/// Images of one run.
const MAX_IMAGES: usize = 10_000;

pub(super) fn input(input: &InputSpec) -> Checked {
    match &input.select {
        SelectSpec::Images(s) => {
            let (min, max) = (s.count.min(), s.count.max());
            require(1 <= min && min <= max && max <= MAX_IMAGES, "input.select.Images.count", || {
                format!("found {}, expected 1 to {MAX_IMAGES}", s.count)
            })?;
            require(s.views.is_empty() || s.count.contains(s.views.len()), "input.select.Images.views", || {
                format!("found {} views for count {}", s.views.len(), s.count)
            })?;
        }
        SelectSpec::Series(s) => {
            require((1..=MAX_IMAGES).contains(&s.min_slices), "input.select.Series.min_slices", || {
                format!("found {}, expected 1 to {MAX_IMAGES}", s.min_slices)
            })?;
            conditions(&s.prefer, "input.select.Series.prefer")?;
        }
        SelectSpec::Volumes(s) => {
            require((1..=64).contains(&s.channels.len()), "input.select.Volumes.channels", || {
                format!("found {} names, expected 1 to 64", s.channels.len())
            })?;
            channels(s)?;
        }
    }
    require(!input.conditions.is_empty(), "input.where", || {
        "no condition: the model would take every image".to_string()
    })?;
    conditions(&input.conditions, "input.where")
}

/// Names, and one way of telling the channels apart: all by time, all by conditions, or all by the caller.
fn channels(s: &VolumesSpec) -> Checked {
    let at = "input.select.Volumes";
    let told = s.channels.iter().filter(|c| matches!(c, ChannelSpec::Found(_))).count();
    require(told == 0 || told == s.channels.len(), format!("{at}.channels"), || {
        format!("found \"where\" in {told} of {} channels, expected it in all or in none", s.channels.len())
    })?;
    require(told == 0 || s.time_points.is_empty(), format!("{at}.time_points"), || {
        "given beside channels with \"where\": channels are either phases in time or series told by conditions".into()
    })?;
    for (i, channel) in s.channels.iter().enumerate() {
        let (name, path) = (channel.name(), format!("{at}.channels[{i}]"));
        require((1..=64).contains(&name.trim().chars().count()), path.clone(), || {
            format!("found the name \"{name}\", expected 1–64 characters")
        })?;
        require(s.channels[..i].iter().all(|other| other.name() != name), path.clone(), || {
            format!("\"{name}\" is given twice")
        })?;
        if let ChannelSpec::Found(found) = channel {
            require(!found.conditions.is_empty(), format!("{path}.where"), || {
                "no condition: every series would be this channel".into()
            })?;
        }
        conditions(channel.conditions(), &format!("{path}.where"))?;
    }
    Ok(())
}

fn conditions(conditions: &[Condition], at: &str) -> Checked {
    for (i, condition) in conditions.iter().enumerate() {
        condition.validate().or_else(|(path, reason)| refuse(format!("{at}[{i}]{path}"), reason))?;
    }
    Ok(())
}
