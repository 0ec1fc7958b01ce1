//! Two stages over the store of runs: which earlier results are a run's regions of interest, and which models follow a run.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::record::{Run, RunState};
use super::select::Input;
use super::store::{RunFilter, RunStore, StoreError};
use crate::manifest::RegionOfInterestSpec;
use crate::result::Report;
use crate::source::{InstanceId, StoredInstance};

/// Where an earlier model has found a run's regions: settled when the run is asked for, so that its key tells one question from another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct KnownRegions {
    /// The objects with the masks.
    pub objects: Vec<RegionObject>,
    /// Every image of the run.
    pub images: Vec<RegionImage>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RegionObject {
    #[serde(rename = "ID")]
    pub id: InstanceId,
    #[serde(rename = "SOPInstanceUID")]
    pub sop_instance_uid: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RegionImage {
    #[serde(rename = "SOPInstanceUID")]
    pub sop_instance_uid: String,
    /// Index into the objects; None: nothing was found in the image.
    pub object: Option<usize>,
}

impl KnownRegions {
    /// Whether there is an image with a region at all.
    pub fn any(&self) -> bool {
        self.images.iter().any(|image| image.object.is_some())
    }

    /// From earlier results of the model that `spec` names, the latest first: of each image the latest that has analysed it. None where an image
    /// of `inputs` is in none of them.
    pub fn of<'r>(
        spec: &RegionOfInterestSpec,
        inputs: &[Input],
        results: impl IntoIterator<Item = (&'r Report, &'r [StoredInstance])>,
    ) -> Option<Self> {
        let mut objects: Vec<RegionObject> = Vec::new();
        let mut known: HashMap<&str, Option<usize>> = HashMap::new();
        for (report, stored) in results {
            // An image with several frames is there several times.
            let mut of_this: HashMap<&str, Option<usize>> = HashMap::new();
            for image in report.images.iter().filter(|image| image.success) {
                let of_image = of_this.entry(&image.instance_uid).or_default();
                let Some(seg) = image.segmentation.as_ref() else { continue };
                let found = seg.segments.iter().any(|s| s.found && s.name == spec.segment);
                let object = seg.seg_instance_uid.as_ref().filter(|_| found).and_then(|uid| {
                    let stored = stored.iter().find(|s| s.sop_instance_uid == *uid)?;
                    Some(RegionObject { id: InstanceId(stored.id.clone()), sop_instance_uid: uid.clone() })
                });
                if let Some(object) = object {
                    let place = objects.iter().position(|o| *o == object).unwrap_or_else(|| {
                        objects.push(object);
                        objects.len() - 1
                    });
                    *of_image = Some(place);
                }
            }
            for (uid, object) in of_this {
                known.entry(uid).or_insert(object);
            }
        }
        let image = |input: &Input| {
            let object = *known.get(input.sop_instance_uid.as_str())?;
            Some(RegionImage { sop_instance_uid: input.sop_instance_uid.clone(), object })
        };
        let images: Vec<RegionImage> = inputs.iter().map(image).collect::<Option<_>>()?;
        Some(Self { objects, images }.compact())
    }

    /// Without the objects that no image needs.
    fn compact(mut self) -> Self {
        let needed: Vec<bool> =
            (0..self.objects.len()).map(|n| self.images.iter().any(|i| i.object == Some(n))).collect();
        let place = |n: usize| needed.iter().take(n).filter(|needed| **needed).count();
        for image in &mut self.images {
            image.object = image.object.map(place);
        }
        let objects = std::mem::take(&mut self.objects).into_iter().zip(&needed);
        self.objects = objects.filter(|(_, needed)| **needed).map(|(object, _)| object).collect();
        self
    }

    /// As [`Self::of`], from the study's runs that have succeeded.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn find(
        store: &dyn RunStore,
        spec: &RegionOfInterestSpec,
        study: &str,
        inputs: &[Input],
    ) -> Result<Option<Self>, StoreError> {
        let filter = RunFilter {
            state: Some(RunState::Succeeded),
            model: Some(spec.model.clone()),
            study: Some(study.to_owned()),
            ..RunFilter::default()
        };
        let runs = store.list(&filter)?;
        let results = runs.iter().filter(|run| run.superseded_by.is_none());
        Ok(Self::of(spec, inputs, results.filter_map(|run: &Run| Some((run.report.as_ref()?, &run.stored[..])))))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifest::MissingPolicy;

    fn spec() -> RegionOfInterestSpec {
        RegionOfInterestSpec {
            model: "first".into(),
            segment: "Tumour".into(),
            margin_mm: 0.0,
            margin_pixels: 0,
            mask: true,
            when_missing: MissingPolicy::Run,
        }
    }

    fn input(uid: &str) -> Input {
        Input {
            id: InstanceId(format!("id-{uid}")),
            sop_instance_uid: uid.into(),
            view: uid.into(),
            group: 0,
            frame: None,
        }
    }

    /// Images with the object that their segment lies in; None: not found.
    fn result(images: &[(&str, Option<&str>)]) -> (Report, Vec<StoredInstance>) {
        let image = |(uid, seg): &(&str, Option<&str>)| {
            json!({
                "View": uid, "InstanceUid": uid, "Success": true, "SegInstanceUid": seg, "MaskFrames": [],
                "Segments": [{"Name": "Tumour", "Color": "#ff0000", "Found": seg.is_some(), "Finding": ""}],
            })
        };
        let report = json!({
            "Model": "first", "Title": "", "Version": "1", "Weights": "", "Demo": false, "Disclaimer": "", "Created": "",
            "Images": images.iter().map(image).collect::<Vec<_>>(),
        });
        let stored = |uid: &str| {
            json!({
                "ID": format!("orthanc-{uid}"), "Kind": "SEG", "Path": "", "SeriesID": "", "StudyID": "",
                "SopInstanceUid": uid, "Status": "Stored",
            })
        };
        let stored = images.iter().filter_map(|(_, seg)| Some(stored((*seg)?))).collect::<Vec<_>>();
        (serde_json::from_value(report).unwrap(), serde_json::from_value(json!(stored)).unwrap())
    }

    #[test]
    fn of_each_image_the_latest_result_counts() {
        let latest = result(&[("b", None), ("c", Some("seg-2"))]);
        let earlier = result(&[("a", Some("seg-1")), ("b", Some("seg-1")), ("d", Some("seg-0"))]);
        let results = || [&latest, &earlier].map(|(report, stored)| (report, &stored[..]));
        let known = KnownRegions::of(&spec(), &["a", "b", "c"].map(input), results()).unwrap();
        let objects: Vec<&str> = known.objects.iter().map(|o| o.id.0.as_str()).collect();
        assert_eq!(objects, ["orthanc-seg-2", "orthanc-seg-1"], "seg-0 is of none of these images");
        let places: Vec<Option<usize>> = known.images.iter().map(|i| i.object).collect();
        assert_eq!(places, [Some(1), None, Some(0)]);
        assert!(known.any());
        let nothing = KnownRegions::of(&spec(), &[input("b")], results()).unwrap();
        assert!(!nothing.any() && nothing.objects.is_empty());
        assert_eq!(KnownRegions::of(&spec(), &[input("a"), input("x")], results()), None);
    }
}
