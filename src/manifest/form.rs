//! Which preprocessing steps for images fit together: what a step takes, and what it gives.

use std::fmt;

use super::TransformSpec;
use super::transform::ResizeMode;

/// What lies between two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The image as it was read.
    Stored,
    /// `rgb`: three channels, red first.
    Bytes {
        channels: usize,
        rgb: bool,
    },
    Floats {
        channels: usize,
    },
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stored => f.write_str("stored values"),
            Self::Bytes { channels, .. } => write!(f, "bytes of {channels} channels"),
            Self::Floats { channels } => write!(f, "floats of {channels} channels"),
        }
    }
}

/// Follows a whole chain; gives the number of channels at its end.
///
/// # Errors
/// The index of the first step that does not fit (the chain's length for what is missing at its end), and the reason.
pub fn follow(steps: &[TransformSpec]) -> Result<usize, (usize, String)> {
    let (mut form, mut cropped) = (Form::Stored, false);
    for (index, step) in steps.iter().enumerate() {
        if matches!(step, TransformSpec::CropForeground(_)) && std::mem::replace(&mut cropped, true) {
            return Err((index, "only one CropForeground can be applied".into()));
        }
        form = after(step, form, index == 0).map_err(|reason| (index, reason))?;
    }
    match form {
        Form::Bytes { channels, .. } | Form::Floats { channels } => Ok(channels),
        Form::Stored => {
            let reason = "the chain ends with stored values, expected ConvertToUint8, ToRgb or Windowing in it";
            Err((steps.len(), reason.into()))
        }
    }
}

fn after(step: &TransformSpec, form: Form, first: bool) -> Result<Form, String> {
    let wrong = |name: &str, expected: &str| Err(format!("{name} takes {expected}, found {form}"));
    match (step, form) {
        (TransformSpec::ToGrey(_), _) if first => Ok(Form::Stored),
        (TransformSpec::ToGrey(_), _) => wrong("ToGrey", "the image as it is read (first step)"),
        (TransformSpec::ToRgb(_), _) if first => Ok(Form::Bytes { channels: 3, rgb: true }),
        (TransformSpec::ToRgb(_), _) => wrong("ToRgb", "the image as it is read (first step)"),
        (TransformSpec::CropForeground(_), Form::Stored) => Ok(form),
        (TransformSpec::CropForeground(_), _) => wrong("CropForeground", "stored values"),
        (TransformSpec::ConvertToUint8(_), Form::Stored) => Ok(Form::Bytes { channels: 1, rgb: false }),
        (TransformSpec::ConvertToUint8(_), _) => wrong("ConvertToUint8", "stored values"),
        (TransformSpec::Windowing(spec), Form::Stored) => {
            if spec.windows.is_empty() {
                return Err("Windowing has no window".into());
            }
            if let Some(w) =
                spec.windows.iter().find(|w| !(w.width > 0.0 && w.width.is_finite() && w.level.is_finite()))
            {
                return Err(format!(
                    "Windowing: found level {} and width {}, expected a width above 0",
                    w.level, w.width
                ));
            }
            let channels = spec.windows.len();
            Ok(match spec.output {
                super::transform::WindowingOutput::Float => Form::Floats { channels },
                _ => Form::Bytes { channels, rgb: false },
            })
        }
        (TransformSpec::Windowing(_), _) => wrong("Windowing", "stored values"),
        (TransformSpec::Resize(spec), _) if spec.mode == ResizeMode::ZoomLinear => {
            Err(format!("Resize {:?} is for volumes", spec.mode))
        }
        (TransformSpec::Resize(_), Form::Stored) => {
            wrong("Resize pil_bilinear", "bytes, and Resize area bytes or floats")
        }
        (TransformSpec::Resize(spec), Form::Floats { .. }) if spec.mode == ResizeMode::PilBilinear => {
            wrong("Resize pil_bilinear", "bytes")
        }
        (TransformSpec::Resize(spec), _) if spec.spatial_size.len() != 2 || spec.spatial_size.contains(&0) => {
            Err(format!("Resize.spatial_size is {:?}", spec.spatial_size))
        }
        (TransformSpec::Resize(_), _) => Ok(form),
        (TransformSpec::ScaleIntensityRange(_), Form::Stored) => wrong("ScaleIntensityRange", "bytes or floats"),
        (TransformSpec::ScaleIntensityRange(spec), _) if spec.a_min == spec.a_max => {
            Err(format!("ScaleIntensityRange: a_min and a_max are both {}", spec.a_min))
        }
        (TransformSpec::ScaleIntensityRange(_), Form::Bytes { channels, .. } | Form::Floats { channels }) => {
            Ok(Form::Floats { channels })
        }
        (TransformSpec::RepeatChannel(spec), Form::Bytes { channels: 1, .. } | Form::Floats { channels: 1 }) => {
            match (spec.repeats, form) {
                (0, _) => Err("RepeatChannel.repeats is 0".into()),
                (channels, Form::Bytes { .. }) => Ok(Form::Bytes { channels, rgb: false }),
                (channels, _) => Ok(Form::Floats { channels }),
            }
        }
        (TransformSpec::RepeatChannel(_), _) => wrong("RepeatChannel", "bytes or floats of one channel"),
        (TransformSpec::NormalizeIntensity(_), Form::Stored) => wrong("NormalizeIntensity", "bytes or floats"),
        (TransformSpec::NormalizeIntensity(spec), Form::Bytes { channels, .. } | Form::Floats { channels }) => {
            let (subtrahends, divisors) = (spec.subtrahend.len(), spec.divisor.len());
            if (subtrahends, divisors) != (channels, channels) {
                return Err(format!(
                    "NormalizeIntensity has {subtrahends} subtrahends and {divisors} divisors, expected {channels} (channels)"
                ));
            }
            if spec.divisor.contains(&0.0) {
                return Err("NormalizeIntensity.divisor has a 0".into());
            }
            Ok(Form::Floats { channels })
        }
        (TransformSpec::Clahe(spec), Form::Bytes { channels: 1, .. } | Form::Bytes { rgb: true, .. }) => {
            let [rows, columns] = spec.tile_grid_size;
            let tiles = (1..=64).contains(&rows) && (1..=64).contains(&columns);
            if !tiles || !(0.0..=1e6).contains(&spec.clip_limit) {
                return Err(format!(
                    "Clahe: found clip_limit {} and {rows} × {columns} tiles, expected 0 or more, and 1 to 64 a side",
                    spec.clip_limit
                ));
            }
            Ok(form)
        }
        (TransformSpec::Clahe(_), _) => wrong("Clahe", "bytes of one channel, or of RGB"),
        (TransformSpec::ConvertChannelOrder(_), Form::Bytes { channels: 3, .. }) => {
            Ok(Form::Bytes { channels: 3, rgb: false })
        }
        (TransformSpec::ConvertChannelOrder(_), Form::Floats { channels: 3 }) => Ok(form),
        (TransformSpec::ConvertChannelOrder(_), _) => wrong("ConvertChannelOrder", "three channels"),
        (TransformSpec::ScaleIntensity(_), Form::Stored) => wrong("ScaleIntensity", "bytes or floats"),
        (TransformSpec::ScaleIntensity(_), Form::Bytes { channels, .. } | Form::Floats { channels }) => {
            Ok(Form::Floats { channels })
        }
        (TransformSpec::CenterSpatialCrop(_), _) => Err("CenterSpatialCrop is for volumes".into()),
    }
}
