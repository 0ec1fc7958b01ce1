//! Values that cannot be, refused with the JSON path.

mod classification;
mod ensemble;
mod explanation;
mod input;
mod stages;

use super::form;
use super::task::{PostprocessingSpec, SegmentationSpec};
use super::transform::{ResizeMode, WindowSpec};
use super::{
    CodedConcept, InfererSpec, Manifest, ManifestError, NetworkSpec, SelectSpec, TaskSpec, TransformSpec,
    WeightsFormat, WeightsSpec,
};

type Checked = Result<(), ManifestError>;

fn refuse(path: impl Into<String>, reason: impl Into<String>) -> Checked {
    Err(ManifestError::Value { path: path.into(), reason: reason.into() })
}

fn require(ok: bool, path: impl Into<String>, reason: impl FnOnce() -> String) -> Checked {
    if ok { Ok(()) } else { refuse(path, reason()) }
}

pub(super) fn validate(m: &Manifest) -> Checked {
    require(m.manifest_version == 1, "manifest_version", || format!("found {}, expected 1", m.manifest_version))?;
    let name_ok = !m.name.is_empty()
        && m.name.len() <= 64
        && m.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !m.name.starts_with('-');
    require(name_ok, "name", || format!("found \"{}\", expected 1–64 lower-case letters, digits and dashes", m.name))?;
    require(!m.version.is_empty() && m.version.len() <= 64, "version", || "expected 1–64 characters".into())?;
    require(!m.title.is_empty() && m.title.len() <= 64, "title", || "expected 1–64 characters".into())?;
    input::input(&m.input)?;
    explanation::plausibility(&m.input.plausibility)?;
    network(&m.network, "")?;
    weights_file(&m.network, &m.weights, "weights")?;
    ensemble::ensemble(m)?;
    together(m)?;
    chain(m)?;
    inferer(m)?;
    task(m)?;
    stages::stages(m)?;
    if let TaskSpec::Classification(task) = &m.task
        && let Some(spec) = &task.explanation
    {
        explanation::explanation(m, spec)?;
    }
    report(m)?;
    explanation::sentences(m)
}

/// `at`: what stands before "network" in the path.
fn network(network: &NetworkSpec, at: &str) -> Checked {
    let (key, in_channels, outputs) = (network.name(), network.in_channels(), network.num_classes());
    let path = |parameter: &str| format!("{at}network.{key}.{parameter}");
    let between = |value: usize, max: usize, parameter: &str| {
        require((1..=max).contains(&value), path(parameter), || format!("found {value}, expected 1 to {max}"))
    };
    let outputs_key = match network {
        NetworkSpec::ResNet50(s) => {
            between(s.width, 512, "width")?;
            require(s.hidden_features.len() <= 8, path("hidden_features"), || {
                format!("found {} layers, expected at most 8", s.hidden_features.len())
            })?;
            s.hidden_features.iter().try_for_each(|&width| between(width, 65_536, "hidden_features"))?;
            let epsilon = s.batch_norm_epsilon;
            require(epsilon > 0.0 && epsilon <= 0.1, path("batch_norm_epsilon"), || {
                format!("found {epsilon}, expected above 0, at most 0.1")
            })
            .map(|()| "num_classes")
        }
        NetworkSpec::UNet(s) => between(s.width, 512, "width").map(|()| "out_channels"),
        NetworkSpec::SwinUNETR(s) => {
            // The first stage has three heads, and MONAI doubles the heads with the channels.
            let ok = (12..=192).contains(&s.feature_size) && s.feature_size % 12 == 0;
            require(ok, path("feature_size"), || {
                format!("found {}, expected a multiple of 12, 12 to 192", s.feature_size)
            })
            .map(|()| "out_channels")
        }
        NetworkSpec::TorchScript(s) => require((2..=3).contains(&s.spatial_dims), path("spatial_dims"), || {
            format!("found {}, expected 2 or 3", s.spatial_dims)
        })
        .map(|()| "num_classes"),
    }?;
    between(in_channels, 64, "in_channels")?;
    between(outputs, 10_000, outputs_key)
}

fn weights_file(network: &NetworkSpec, weights: &WeightsSpec, at: &str) -> Checked {
    let WeightsSpec { file, format, sha256 } = weights;
    let path = |key: &str| format!("{at}.{key}");
    // A name, not a path: a manifest must not make the server read a file outside its folder.
    let plain = !file.is_empty() && !file.starts_with('.') && !file.contains(['/', '\\', '\0']);
    require(plain, path("file"), || format!("found \"{file}\", expected a file name in the model's folder"))?;
    if let Some(hash) = sha256 {
        let hex = hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
        require(hex, path("sha256"), || format!("found \"{hash}\", expected 64 lower-case hexadecimal digits"))?;
    }
    let script = matches!(network, NetworkSpec::TorchScript(_));
    require(script == (*format == WeightsFormat::Torchscript), path("format"), || {
        if script {
            "the network is TorchScript: expected \"torchscript\"".into()
        } else {
            "\"torchscript\" weights need the network \"TorchScript\"".into()
        }
    })
}

/// Which tasks and networks go with which input.
fn together(m: &Manifest) -> Checked {
    let (input, dimensions) = match &m.input.select {
        SelectSpec::Images(_) => ("Images", 2),
        SelectSpec::Series(_) => ("Series", 2),
        SelectSpec::Volumes(_) => ("Volumes", 3),
    };
    if let (TaskSpec::Classification(_), 3) = (&m.task, dimensions) {
        return refuse(
            "task",
            "found Classification of Volumes, expected Images: whole volumes cannot be classified yet",
        );
    }
    let (name, found) = (m.network.name(), m.network.spatial_dims());
    require(found == dimensions, "network", || {
        format!("found {name}, which takes {found}D input, expected {dimensions}D: input.select is {input}")
    })
}

/// How many images or volumes lie on one another in one input.
fn channel_count(m: &Manifest) -> usize {
    match &m.input.select {
        SelectSpec::Images(_) | SelectSpec::Series(_) => 1,
        SelectSpec::Volumes(s) => s.channels.len(),
    }
}

/// Follows dimensions and channel count through the chain: the network must get what it takes.
fn chain(m: &Manifest) -> Checked {
    let dimensions = match &m.input.select {
        SelectSpec::Images(_) | SelectSpec::Series(_) => 2,
        SelectSpec::Volumes(_) => 3,
    };
    let mut channels = channel_count(m);
    // Of each axis, where the chain settles it.
    let mut sides: Vec<Option<usize>> = vec![None; dimensions];
    let mut resize = None;
    for (i, step) in m.preprocessing.iter().enumerate() {
        let path = |key: &str| format!("preprocessing[{i}].{key}");
        let only = |name: &str, wanted: usize| {
            require(dimensions == wanted, path(name), || {
                format!("is for {wanted}D input, input.select takes {dimensions}D")
            })
        };
        match step {
            TransformSpec::CropForeground(_) => only("CropForeground", 2)?,
            TransformSpec::ToGrey(_) => only("ToGrey", 2)?,
            TransformSpec::ToRgb(_) => {
                only("ToRgb", 2)?;
                channels = 3;
            }
            TransformSpec::Windowing(s) => {
                only("Windowing", 2)?;
                require((1..=64).contains(&s.windows.len()), path("Windowing.windows"), || {
                    format!("found {}, expected 1 to 64", s.windows.len())
                })?;
                let sound = |w: &WindowSpec| w.level.is_finite() && w.width.is_finite() && w.width > 0.0;
                require(s.windows.iter().all(sound), path("Windowing.windows"), || {
                    format!("found {:?}, expected numbers, widths above 0", s.windows)
                })?;
                channels = s.windows.len();
            }
            TransformSpec::Clahe(_) => only("Clahe", 2)?,
            TransformSpec::ConvertChannelOrder(_) => only("ConvertChannelOrder", 2)?,
            TransformSpec::ConvertToUint8(_) => only("ConvertToUint8", 2)?,
            TransformSpec::Resize(s) => {
                only(&format!("Resize.mode {:?}", s.mode), if s.mode == ResizeMode::ZoomLinear { 3 } else { 2 })?;
                let size = &s.spatial_size;
                let fits = size.len() == dimensions && size.iter().all(|d| (1..=8192).contains(d));
                require(fits, path("Resize.spatial_size"), || {
                    format!("found {size:?}, expected {dimensions} numbers from 1 to 8192")
                })?;
                sides = size.iter().copied().map(Some).collect();
                resize = Some(i);
            }
            TransformSpec::ScaleIntensityRange(s) => {
                let finite = [s.a_min, s.a_max, s.b_min, s.b_max].iter().all(|v| v.is_finite());
                require(finite && s.a_max != s.a_min, path("ScaleIntensityRange"), || {
                    format!("found a_min {} and a_max {}, expected two different numbers", s.a_min, s.a_max)
                })?;
            }
            TransformSpec::ScaleIntensity(s) => {
                require(s.minv.is_finite() && s.maxv.is_finite() && s.minv < s.maxv, path("ScaleIntensity"), || {
                    format!("found minv {} and maxv {}, expected minv < maxv", s.minv, s.maxv)
                })?;
            }
            TransformSpec::CenterSpatialCrop(s) => {
                only("CenterSpatialCrop", 3)?;
                require(
                    s.roi_size.iter().all(|d| *d == -1 || (1..=8192).contains(d)),
                    path("CenterSpatialCrop.roi_size"),
                    || format!("found {:?}, expected 1 to 8192 each, or -1", s.roi_size),
                )?;
                for (side, roi) in sides.iter_mut().zip(s.roi_size) {
                    *side = usize::try_from(roi).ok().or(*side);
                }
            }
            TransformSpec::RepeatChannel(s) => {
                only("RepeatChannel", 2)?;
                require((1..=64).contains(&s.repeats), path("RepeatChannel.repeats"), || {
                    format!("found {}, expected 1 to 64", s.repeats)
                })?;
                channels *= s.repeats;
            }
            TransformSpec::NormalizeIntensity(s) => {
                let len = |v: &[f32]| v.len() == channels && v.iter().all(|x| x.is_finite());
                require(len(&s.subtrahend), path("NormalizeIntensity.subtrahend"), || {
                    format!("found {:?}, expected {channels} numbers, one a channel", s.subtrahend)
                })?;
                require(len(&s.divisor) && !s.divisor.contains(&0.0), path("NormalizeIntensity.divisor"), || {
                    format!("found {:?}, expected {channels} numbers other than 0, one a channel", s.divisor)
                })?;
            }
        }
    }
    // Masks go back onto each image's own grid, so that a segmentation can take images as they are.
    let any_size = dimensions == 3 || matches!(m.task, TaskSpec::Segmentation(_));
    require(resize.is_some() || any_size, "preprocessing", || {
        "no Resize: images of different sizes cannot be batched".into()
    })?;
    let divisor = m.network.size_divisor();
    // A sliding window is of its own size, whatever the volume's.
    if matches!(m.inferer, InfererSpec::SimpleInferer(_)) && sides.iter().flatten().any(|side| side % divisor != 0) {
        let last = resize.map_or("preprocessing".into(), |i| format!("preprocessing[{i}].Resize.spatial_size"));
        let found: Vec<String> = sides.iter().map(|s| s.map_or("?".into(), |s| s.to_string())).collect();
        return refuse(
            last,
            format!(
                "the network gets {}, expected multiples of {divisor}, as {} takes them",
                found.join(" × "),
                m.network.name()
            ),
        );
    }
    if dimensions == 2 {
        form::follow(&m.preprocessing)
            .map(drop)
            .or_else(|(index, reason)| refuse(format!("preprocessing[{index}]"), reason))?;
    }
    require(channels == m.network.in_channels(), "preprocessing", || {
        format!("gives {channels} channels, the network takes {}", m.network.in_channels())
    })
}

fn inferer(m: &Manifest) -> Checked {
    let s = match &m.inferer {
        InfererSpec::SlidingWindowInferer(s) => s,
        InfererSpec::SimpleInferer(s) => {
            let images = m.network.spatial_dims() == 2;
            let max = if images { 256 } else { 1 };
            return require((1..=max).contains(&s.batch_size), "inferer.SimpleInferer.batch_size", || {
                format!(
                    "found {}, expected 1 to {max}{}",
                    s.batch_size,
                    if images { "" } else { ": a run has one volume" }
                )
            });
        }
    };
    let path = |key: &str| format!("inferer.SlidingWindowInferer.{key}");
    require(m.network.spatial_dims() == 3, "inferer", || {
        format!("SlidingWindowInferer goes over volumes, the network {} takes images", m.network.name())
    })?;
    require(s.roi_size.iter().all(|d| (1..=1024).contains(d)), path("roi_size"), || {
        format!("found {:?}, expected 1 to 1024 each", s.roi_size)
    })?;
    let divisor = m.network.size_divisor();
    require(s.roi_size.iter().all(|d| d % divisor == 0), path("roi_size"), || {
        format!("found {:?}, expected multiples of {divisor}, as {} takes them", s.roi_size, m.network.name())
    })?;
    require((0.0..1.0).contains(&s.overlap), path("overlap"), || {
        format!("found {}, expected 0 to below 1", s.overlap)
    })?;
    require((1..=64).contains(&s.sw_batch_size), path("sw_batch_size"), || {
        format!("found {}, expected 1 to 64", s.sw_batch_size)
    })?;
    require(s.sigma_scale > 0.0 && s.sigma_scale <= 1.0, path("sigma_scale"), || {
        format!("found {}, expected above 0, at most 1", s.sigma_scale)
    })
}

fn task(m: &Manifest) -> Checked {
    match &m.task {
        TaskSpec::Classification(task) => {
            code(&task.probability_concept, "task.Classification.probability_concept")?;
            classification::classification(m, task)
        }
        TaskSpec::Segmentation(task) => segmentation(m, task),
    }
}

fn segmentation(m: &Manifest, task: &SegmentationSpec) -> Checked {
    let outputs = m.network.num_classes();
    let at = "task.Segmentation.segments";
    require(task.segments.len() == outputs, at, || {
        format!("found {} segments, the network has {outputs} output channels", task.segments.len())
    })?;
    for (i, s) in task.segments.iter().enumerate() {
        let path = |key: &str| format!("{at}[{i}].{key}");
        name_and_colour(&s.name, task.segments[..i].iter().any(|o| o.name == s.name), &s.color, &path)?;
        require(s.name.chars().count() <= 64, path("name"), || "expected 1–64 characters (VR LO)".into())?;
        code(&s.category, &path("category"))?;
        code(&s.concept, &path("concept"))?;
    }
    if let Some(channel) = task.display_channel {
        let channels = channel_count(m);
        require(channel < channels, "task.Segmentation.display_channel", || {
            format!("found {channel}, expected 0..{channels}: the input's channels, counted from 0")
        })?;
    }
    if let Some(surface) = &task.surface {
        let found = surface.max_triangles;
        require((1000..=1_000_000).contains(&found), "task.Segmentation.surface.max_triangles", || {
            format!("found {found}, expected 1000 to 1000000")
        })?;
    }
    let at = "task.Segmentation.postprocessing";
    let count = |is: fn(&PostprocessingSpec) -> bool| task.postprocessing.iter().filter(|s| is(s)).count();
    for (name, found) in [
        ("AsDiscrete", count(|s| matches!(s, PostprocessingSpec::AsDiscrete(_)))),
        ("Invert", count(|s| matches!(s, PostprocessingSpec::Invert(_)))),
    ] {
        require(found == 1, at, || format!("found {found} × {name}, expected one"))?;
    }
    let mut discrete = false;
    for (i, step) in task.postprocessing.iter().enumerate() {
        let path = |key: &str| format!("{at}[{i}].{key}");
        match step {
            PostprocessingSpec::AsDiscrete(s) => {
                require(s.threshold > 0.0 && s.threshold < 1.0, path("AsDiscrete.threshold"), || {
                    format!("found {}, expected a probability between 0 and 1", s.threshold)
                })?;
                discrete = true;
            }
            PostprocessingSpec::BinaryErosion(s) => {
                require(discrete, path("BinaryErosion"), || "takes a mask: AsDiscrete comes first".into())?;
                require(s.size.iter().all(|d| d % 2 == 1 && *d <= 15), path("BinaryErosion.size"), || {
                    format!("found {:?}, expected odd numbers up to 15", s.size)
                })?;
                require(m.network.spatial_dims() == 3 || s.size[0] == 1, path("BinaryErosion.size"), || {
                    format!("found {:?}, expected 1 slice: the masks are of single images", s.size)
                })?;
            }
            PostprocessingSpec::FillHoles(_) => {
                require(discrete, path("FillHoles"), || "takes a mask: AsDiscrete comes first".into())?;
            }
            PostprocessingSpec::KeepLargestConnectedComponent(_) => {
                require(discrete, path("KeepLargestConnectedComponent"), || {
                    "takes a mask: AsDiscrete comes first".into()
                })?;
            }
            PostprocessingSpec::Invert(_) => {}
        }
    }
    Ok(())
}

fn name_and_colour(name: &str, twice: bool, color: &str, path: &dyn Fn(&str) -> String) -> Checked {
    require(!name.is_empty(), path("name"), || "empty".into())?;
    require(!twice, path("name"), || format!("\"{name}\" is given twice"))?;
    let colour = color.len() == 7 && color.starts_with('#') && color[1..].bytes().all(|b| b.is_ascii_hexdigit());
    require(colour, path("color"), || format!("found \"{color}\", expected \"#rrggbb\""))
}

fn report(m: &Manifest) -> Checked {
    let r = &m.report;
    require((1..=64).contains(&r.series_description.chars().count()), "report.series_description", || {
        "expected 1–64 characters (VR LO)".into()
    })?;
    require(!r.disclaimer.trim().is_empty(), "report.disclaimer", || "empty: every result says what it is for".into())?;
    require((1..=64).contains(&r.algorithm_name.chars().count()), "report.algorithm_name", || {
        "expected 1–64 characters (VR LO)".into()
    })?;
    code(&r.procedure_reported, "report.procedure_reported")?;
    code(&r.finding_site, "report.finding_site")
}

/// VR limits of a coded entry: dicom-rs writes whatever it is given.
fn code(c: &CodedConcept, path: &str) -> Checked {
    for (key, value, max) in
        [("CodeValue", &c.value, 16), ("CodingSchemeDesignator", &c.scheme, 16), ("CodeMeaning", &c.meaning, 64)]
    {
        let n = value.chars().count();
        let clean = !value.contains(['\\', '\n', '\r', '\0']) && value.trim() == value;
        require((1..=max).contains(&n) && clean, format!("{path}.{key}"), || {
            format!("found \"{value}\", expected 1–{max} characters, no backslash")
        })?;
    }
    Ok(())
}
