//! Volumes of phantoms and of frames made here.

use std::sync::Arc;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use ndarray::Array2;

use super::*;
use crate::imaging::{FrameTimes, ImageAttributes, Plane};
use crate::manifest::{ChannelSpec, InputSpec, Manifest, SelectSpec};
use crate::phantom::{BreastMriInstance, BreastMriPhantom, Orientation, SeriesLayout};
use crate::run::select::select;
use crate::source::{InstanceBytes, InstanceHeader, InstanceId, Resource, SourceError};

const AXIAL: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];

fn rule(names: &[&str], mismatch: MismatchPolicy) -> VolumesSpec {
    VolumesSpec {
        channels: names.iter().map(|name| ChannelSpec::Named((*name).into())).collect(),
        time_points: vec![crate::manifest::TimePointKey::TriggerTime],
        min_slices: 2,
        mismatch,
    }
}

/// Slices `mm` apart of 4 × 4 pixels, each `shift` further along the rows; the values rise from pixel to pixel.
fn frames(count: usize, mm: f64, pixel_mm: f64, shift: f64) -> Vec<SourceFrame> {
    let mut dataset = InMemDicomObject::new_empty();
    for (tag, value) in [
        (tags::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.4"),
        (tags::SOP_INSTANCE_UID, "2.25.1"),
        (tags::STUDY_INSTANCE_UID, "2.25.2"),
        (tags::SERIES_INSTANCE_UID, "2.25.3"),
        (tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2"),
    ] {
        dataset.put(DataElement::new(tag, VR::UI, value));
    }
    for (tag, value) in [(tags::ROWS, 4), (tags::COLUMNS, 4), (tags::BITS_ALLOCATED, 16), (tags::BITS_STORED, 16)] {
        dataset.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value as u16)));
    }
    let instance = Arc::new(ImageAttributes::from_dataset(dataset).unwrap());
    let frame = |n: usize| {
        let position_mm = [n as f64 * shift, 0.0, n as f64 * mm];
        SourceFrame {
            instance: instance.clone(),
            frame: Some(n as u32 + 1),
            plane: Plane {
                position_mm,
                orientation: AXIAL,
                pixel_spacing_mm: [pixel_mm; 2],
                slice_spacing_mm: Some(mm),
                position_text: position_mm.map(|v| v.to_string()),
                orientation_text: AXIAL.map(|v| v.to_string()),
                pixel_spacing_text: [pixel_mm.to_string(), pixel_mm.to_string()],
                thickness_text: None,
            },
            frame_of_reference_uid: Some("2.25.9".into()),
            times: FrameTimes::default(),
            values: Array2::from_shape_fn((4, 4), |(r, c)| (16 * n + 4 * r + c) as f32),
        }
    };
    (0..count).map(frame).collect()
}

fn refusal(rule: &VolumesSpec, series: Vec<Vec<SourceFrame>>) -> String {
    channels(rule, series).unwrap_err().to_string()
}

/// The same positions and the same number of pixels, of another size: only the grids tell.
#[test]
fn a_channel_of_other_pixels_is_refused_or_resampled_and_told() {
    let series = || vec![frames(5, 3.0, 1.0, 0.0), frames(5, 3.0, 1.0001, 0.0), frames(5, 3.0, 1.1, 0.0)];
    let names = ["pre", "post", "late"];
    let error = refusal(&rule(&names, MismatchPolicy::Refuse), series());
    assert!(error.starts_with("late is not on the grid of pre") && !error.contains("2.25"), "{error}");
    let found = channels(&rule(&names, MismatchPolicy::Resample), series()).unwrap();
    assert_eq!(found.resampled, [false, false, true]);
    assert_eq!(
        found.warnings,
        ["late was resampled onto the grid of pre: its values inside the masks are interpolated"]
    );
    let (first, late) = (&found.volumes[0], &found.volumes[2]);
    assert_eq!(first.geometry, late.geometry);
    // A pixel of 1.1 mm is passed after 0.909 of its width.
    assert!((late.voxels[[0, 0, 1]] - 1.0 / 1.1).abs() < 1e-5);
}

#[test]
fn positions_that_the_reader_took_for_rounded_are_on_the_grid() {
    let mut rounded = frames(9, 7.0, 0.4, 0.0);
    // 1.7 % of the way between slices, but a quarter of a pixel.
    rounded[4].plane.position_mm[2] += 0.12;
    let found = channels(&rule(&["pre", "post"], MismatchPolicy::Refuse), vec![frames(9, 7.0, 0.4, 0.0), rounded]);
    assert_eq!(found.unwrap().resampled, [false, false]);
}

#[test]
fn a_channel_without_an_image_is_refused_by_its_name() {
    let mut flat = frames(5, 3.0, 1.0, 0.0);
    flat.iter_mut().for_each(|f| f.values.fill(7.0));
    let rule = rule(&["pre", "post"], MismatchPolicy::Refuse);
    let error = refusal(&rule, vec![frames(5, 3.0, 1.0, 0.0), flat.clone()]);
    assert_eq!(error, "post: found the value 7 in every voxel, expected an image");
    flat[2].values[[1, 1]] = 8.0;
    assert!(channels(&rule, vec![frames(5, 3.0, 1.0, 0.0), flat]).is_ok());
}

#[test]
fn a_tilted_gantry_is_told() {
    let rule = rule(&["CT"], MismatchPolicy::Refuse);
    let shift = 3.0 * 18.5f64.to_radians().tan();
    let found = channels(&rule, vec![frames(5, 3.0, 1.0, shift)]).unwrap();
    assert!(found.warnings[0].starts_with("CT: the slices lean by 18.5 degrees"), "{:?}", found.warnings);
    assert!(channels(&rule, vec![frames(5, 3.0, 1.0, 0.001)]).unwrap().warnings.is_empty());
}

/// Files in memory, by number.
struct Files(Vec<Vec<u8>>);

impl InstanceSource for Files {
    fn headers(&self, _: &Resource) -> Result<Vec<InstanceHeader>, SourceError> {
        Ok(Vec::new())
    }

    fn fetch(&self, id: &InstanceId) -> Result<InstanceBytes, SourceError> {
        Ok(Box::new(self.0[id.0.parse::<usize>().unwrap()].clone()))
    }
}

struct Silent;

impl Monitor for Silent {
    fn progress(&self, _: Stage, _: usize, _: usize) {}
    fn is_cancelled(&self) -> bool {
        false
    }
}

fn phantom(one_series: bool) -> Vec<BreastMriInstance> {
    let phantom = BreastMriPhantom {
        seed: 7,
        size: [34, 48, 56],
        spacing_mm: [5.0, 6.5, 6.0],
        orientation: Orientation::Axial,
        lesion: true,
    };
    phantom.to_dicom(SeriesLayout { one_series, ..SeriesLayout::default() }).unwrap().instances
}

fn header(n: usize, instance: &BreastMriInstance) -> InstanceHeader {
    InstanceHeader::from_dataset(InstanceId(n.to_string()), &instance.object)
}

fn native() -> InputSpec {
    let text = include_str!("../../../../models/breast-dce-swinunetr-native/manifest.json");
    Manifest::from_json(text).unwrap().input
}

#[test]
fn phantoms_are_taken_whatever_their_layout_and_say_how_their_phases_were_ordered() {
    for one_series in [false, true] {
        let instances = phantom(one_series);
        let headers: Vec<_> = instances.iter().enumerate().map(|(n, i)| header(n, i)).collect();
        let selection = select(&native(), &headers, &[]).unwrap();
        let files = Files(instances.iter().map(|i| i.to_bytes().unwrap()).collect());
        let clock = Clock::start();
        let budget = |voxels| VoxelBudget::new(voxels);
        let all = instances.len() * 48 * 56;
        let read = read_all(&files, &selection.inputs, &budget(all), &Silent, &clock).unwrap();
        let SelectSpec::Volumes(rule) = &native().select else { panic!() };
        let found = channels(rule, read).unwrap();
        assert_eq!((found.volumes.len(), found.volumes[3].geometry.size), (4, [34, 48, 56]));
        let warnings = [selection.warnings, found.warnings].concat();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].ends_with("ordered by TemporalPositionIdentifier"), "{warnings:?}");
        let error = read_all(&files, &selection.inputs, &budget(all - 1), &Silent, &clock).unwrap_err().to_string();
        assert!(error.contains(&format!("expected at most {} in all", all - 1)), "{error}");
    }
}

/// A Dixon acquisition without time points: its four reconstructions are no phases. Subtractions beside the phases are left out.
#[test]
fn reconstructions_of_one_acquisition_are_no_phases() {
    let dixon = |n: usize, instance: &BreastMriInstance| {
        let mut header = instance.object.clone();
        let kinds = ["WATER", "FAT", "IN_PHASE", "OPP_PHASE"];
        let image_type = format!("DERIVED\\PRIMARY\\DIXON\\{}", kinds[instance.phase]);
        header.put(DataElement::new(tags::IMAGE_TYPE, VR::CS, image_type));
        for tag in [tags::TEMPORAL_POSITION_IDENTIFIER, tags::ACQUISITION_NUMBER] {
            header.remove_element(tag);
        }
        header.put(DataElement::new(tags::ACQUISITION_TIME, VR::TM, "120000"));
        // What reconstruction is told by.
        header.put(DataElement::new(tags::CONTENT_TIME, VR::TM, format!("1201{:02}", instance.phase)));
        InstanceHeader::from_dataset(InstanceId(n.to_string()), &header)
    };
    let instances = phantom(false);
    let headers: Vec<_> = instances.iter().enumerate().map(|(n, i)| dixon(n, i)).collect();
    let text = select(&native(), &headers, &[]).unwrap_err().0;
    assert!(text.contains("ImageType without FAT"), "{text}");
    // Even where the types do not tell.
    let mut any = native();
    any.conditions.retain(|c| c.lacks.is_none());
    let text = select(&any, &headers, &[]).unwrap_err().0;
    assert!(text.contains("cannot be ordered in time"), "{text}");

    let mut headers: Vec<_> = instances.iter().enumerate().map(|(n, i)| header(n, i)).collect();
    for (n, instance) in instances.iter().enumerate().filter(|(_, i)| i.phase > 0) {
        let mut subtraction = instance.object.clone();
        subtraction.put(DataElement::new(tags::IMAGE_TYPE, VR::CS, "DERIVED\\PRIMARY\\SUBTRACTION"));
        subtraction.put(DataElement::new(tags::SERIES_INSTANCE_UID, VR::UI, format!("2.25.{}", instance.phase)));
        headers.push(InstanceHeader::from_dataset(InstanceId((1000 + n).to_string()), &subtraction));
    }
    let selection = select(&native(), &headers, &[]).unwrap();
    assert!(selection.inputs.iter().all(|i| i.id.0.parse::<usize>().unwrap() < 1000));
}
