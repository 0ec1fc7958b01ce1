//! Values that cannot be, refused with the JSON path.

use dicom_core::dictionary::DataDictionary;
use dicom_dictionary_std::StandardDataDictionary;

use super::{CodedConcept, InputSpec, Manifest, ManifestError, NetworkSpec, TransformSpec, WeightsFormat, WeightsSpec};

type Checked = Result<(), ManifestError>;

fn refuse(path: impl Into<String>, reason: impl Into<String>) -> Checked {
    Err(ManifestError::Value { path: path.into(), reason: reason.into() })
}

pub(super) fn require(ok: bool, path: impl Into<String>, reason: impl FnOnce() -> String) -> Checked {
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
    input(&m.input)?;
    network(&m.network)?;
    weights(m)?;
    chain(m)?;
    classes(m)?;
    report(m)
}

fn input(input: &InputSpec) -> Checked {
    require((1..=10_000).contains(&input.count), "input.count", || {
        format!("found {}, expected 1 to 10000", input.count)
    })?;
    require(input.views.is_empty() || input.views.len() == input.count, "input.views", || {
        format!("found {} views for count {}", input.views.len(), input.count)
    })?;
    require(!input.conditions.is_empty(), "input.where", || {
        "no condition: the model would take every image".to_string()
    })?;
    for (i, c) in input.conditions.iter().enumerate() {
        let path = format!("input.where[{i}]");
        require(StandardDataDictionary.by_name(&c.keyword).is_some(), format!("{path}.keyword"), || {
            format!("\"{}\" is not a DICOM keyword", c.keyword)
        })?;
        let given = usize::from(c.equals.is_some()) + usize::from(c.one_of.is_some()) + usize::from(c.exists.is_some());
        require(given == 1, path, || format!("found {given} of \"equals\", \"in\", \"exists\"; expected exactly one"))?;
    }
    Ok(())
}

fn network(network: &NetworkSpec) -> Checked {
    let (key, in_channels, outputs) = (network.name(), network.in_channels(), network.num_classes());
    let path = |parameter: &str| format!("network.{key}.{parameter}");
    let between = |value: usize, max: usize, parameter: &str| {
        require((1..=max).contains(&value), path(parameter), || format!("found {value}, expected 1 to {max}"))
    };
    let outputs_key = match network {
        NetworkSpec::ResNet50(s) => between(s.width, 512, "width").map(|()| "num_classes"),
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

fn weights(m: &Manifest) -> Checked {
    let WeightsSpec { file, format, sha256 } = &m.weights;
    // A name, not a path: a manifest must not make the server read a file outside its folder.
    let plain = !file.is_empty() && !file.starts_with('.') && !file.contains(['/', '\\', '\0']);
    require(plain, "weights.file", || format!("found \"{file}\", expected a file name in the model's folder"))?;
    if let Some(hash) = sha256 {
        let hex = hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
        require(hex, "weights.sha256", || format!("found \"{hash}\", expected 64 lower-case hexadecimal digits"))?;
    }
    let script = matches!(m.network, NetworkSpec::TorchScript(_));
    require(script == (*format == WeightsFormat::Torchscript), "weights.format", || {
        if script {
            "the network is TorchScript: expected \"torchscript\"".into()
        } else {
            "\"torchscript\" weights need the network \"TorchScript\"".into()
        }
    })
}

/// Follows the channel count through the chain: the network must get what it takes.
fn chain(m: &Manifest) -> Checked {
    let mut channels = 1usize;
    let mut sized = false;
    for (i, step) in m.preprocessing.iter().enumerate() {
        let path = |key: &str| format!("preprocessing[{i}].{key}");
        match step {
            TransformSpec::CropForeground(_) | TransformSpec::ConvertToUint8(_) => {}
            TransformSpec::Resize(s) => {
                require(s.spatial_size.iter().all(|d| (1..=8192).contains(d)), path("Resize.spatial_size"), || {
                    format!("found {:?}, expected 1 to 8192 each", s.spatial_size)
                })?;
                sized = true;
            }
            TransformSpec::ScaleIntensityRange(s) => {
                let finite = [s.a_min, s.a_max, s.b_min, s.b_max].iter().all(|v| v.is_finite());
                require(finite && s.a_max != s.a_min, path("ScaleIntensityRange"), || {
                    format!("found a_min {} and a_max {}, expected two different numbers", s.a_min, s.a_max)
                })?;
            }
            TransformSpec::RepeatChannel(s) => {
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
    require(sized, "preprocessing", || "no Resize: images of different sizes cannot be batched".into())?;
    require(channels == m.network.in_channels(), "preprocessing", || {
        format!("gives {channels} channels, the network takes {}", m.network.in_channels())
    })
}

fn classes(m: &Manifest) -> Checked {
    let outputs = m.network.num_classes();
    require(m.classes.len() == outputs, "classes", || {
        format!("found {} classes, the network has {outputs} outputs", m.classes.len())
    })?;
    for (i, c) in m.classes.iter().enumerate() {
        let path = |key: &str| format!("classes[{i}].{key}");
        require(!c.name.is_empty(), path("name"), || "empty".into())?;
        require(m.classes[..i].iter().all(|o| o.name != c.name), path("name"), || {
            format!("\"{}\" is given twice", c.name)
        })?;
        let colour =
            c.color.len() == 7 && c.color.starts_with('#') && c.color[1..].bytes().all(|b| b.is_ascii_hexdigit());
        require(colour, path("color"), || format!("found \"{}\", expected \"#rrggbb\"", c.color))?;
        let t = c.thresholds;
        require(0.0 <= t.absent && t.absent <= t.present && t.present <= 1.0, path("thresholds"), || {
            format!("found absent {} and present {}, expected 0 <= absent <= present <= 1", t.absent, t.present)
        })?;
        code(&c.concept, &path("concept"))?;
    }
    Ok(())
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
    code(&r.finding_site, "report.finding_site")?;
    code(&r.probability_concept, "report.probability_concept")
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
