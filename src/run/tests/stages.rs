//! Two stages over the store: which regions a run is asked for on, and what follows what.

use std::path::Path;

use dicom_dictionary_std::tags;
use serde_json::{Value, json};

use super::*;
use crate::run::enqueue::Queue;
use crate::run::record::RunState;
use crate::run::service::SubmitError;

/// The shipped models of two stages, with weights that nobody reads.
fn registry(folder: &Path, change: impl Fn(&mut Value)) -> ModelRegistry {
    for shipped in [
        include_str!("../../../models/breast-mri-unet/manifest.json"),
        include_str!("../../../models/breast-mri-tumour/manifest.json"),
    ] {
        let mut manifest: Value = serde_json::from_str(shipped).unwrap();
        manifest["input"]["where"] = json!([{"keyword": "Modality", "equals": "MR"}]);
        manifest["input"]["select"] = json!({"Images": {"count": 2}});
        change(&mut manifest);
        let folder = folder.join(manifest["name"].as_str().unwrap());
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
        std::fs::write(folder.join("weights.pth"), b"weights").unwrap();
    }
    ModelRegistry::scan(folder).unwrap()
}

fn header(uid: &str) -> InstanceHeader {
    let values = [(tags::SOP_INSTANCE_UID, uid), (tags::MODALITY, "MR"), (tags::STUDY_INSTANCE_UID, "1.2")];
    InstanceHeader::new(InstanceId(format!("id-{uid}")), values.map(|(tag, v)| (tag, v.to_string())).into())
}

fn headers() -> Result<Vec<InstanceHeader>, String> {
    Ok(["1", "2"].map(header).to_vec())
}

fn asked(model: &str) -> RunRequest {
    let inputs = ["1", "2"].map(|uid| super::super::select::Input {
        id: InstanceId(format!("id-{uid}")),
        sop_instance_uid: uid.into(),
        view: uid.into(),
        group: 0,
        frame: None,
    });
    RunRequest { model: model.into(), inputs: inputs.to_vec(), ..request("1") }
}

/// A result of the first stage: of each image whether the tumour was found.
fn result(found: [bool; 2]) -> (Report, Vec<StoredInstance>) {
    let image = |(n, found): (usize, bool)| {
        json!({
            "View": "", "InstanceUid": (n + 1).to_string(), "Success": true, "SegInstanceUid": found.then_some("seg"), "MaskFrames": [],
            "Segments": [{"Name": "Tumour", "Color": "#ff0000", "Found": found, "Finding": ""}],
        })
    };
    let report = json!({
        "Model": "breast-mri-unet", "Title": "", "Version": "1", "Weights": "0", "Demo": false, "Disclaimer": "", "Created": "",
        "Images": found.into_iter().enumerate().map(image).collect::<Vec<_>>(),
    });
    let mut stored = outcome(&[("seg", StoreStatus::Stored)]).stored;
    stored[0].kind = "SEG".into();
    (serde_json::from_value(report).unwrap(), stored)
}

const ANY: InsertRule = InsertRule { limit: 100, unless_known: false };

#[test]
fn the_second_stage_is_asked_for_on_what_the_first_has_stored() {
    let models = tempfile::tempdir().unwrap();
    let registry = registry(models.path(), |m| {
        if m["name"] == "breast-mri-tumour" {
            m["input"]["region_of_interest"]["when_missing"] = json!("refuse");
        }
    });
    let store = sqlite::in_memory();
    let queue = Queue { store: &*store, models: &registry };
    let missing = queue.insert(asked("breast-mri-tumour"), ANY, None).unwrap_err().to_string();
    assert!(missing.contains("breast-mri-unet has not analysed these images yet"), "{missing}");

    for (found, objects) in [([true, false], 1), ([false, false], 0)] {
        let Inserted::New(first) = queue.insert(asked("breast-mri-unet"), ANY, None).unwrap() else { panic!() };
        let claim = Claim { node: "node", models: None, lease: Duration::from_secs(60) };
        let run = store.claim(&claim).unwrap().unwrap();
        assert_eq!(run.id, first.id);
        let (report, stored) = result(found);
        store
            .update(&Lease::of(&run), &mut |run| {
                run.state = RunState::Succeeded;
                run.report = Some(report.clone());
                run.stored.clone_from(&stored);
            })
            .unwrap();
        let second = queue.insert(asked("breast-mri-tumour"), ANY, None);
        if objects == 0 {
            let error = second.unwrap_err().to_string();
            assert!(error.contains("no Tumour found in 2 images by breast-mri-unet"), "{error}");
            continue;
        }
        let Inserted::New(second) = second.unwrap() else { panic!() };
        let regions = second.regions.clone().unwrap();
        assert_eq!(regions.objects.len(), objects);
        assert_eq!(regions.images.iter().map(|i| i.object).collect::<Vec<_>>(), [Some(0), None]);
        assert_eq!(store.get(&second.id).unwrap().unwrap().regions, Some(regions));
        // Out of the way of the next claim.
        store.cancel(&second.id).unwrap();
    }
}

#[test]
fn what_follows_is_asked_for_once_and_only_where_there_is_something() {
    let models = tempfile::tempdir().unwrap();
    let registry = registry(models.path(), |m| {
        if m["name"] == "breast-mri-unet" {
            m["then"] = json!(["breast-mri-tumour"]);
        }
    });
    let store = sqlite::in_memory();
    let queue = Queue { store: &*store, models: &registry };
    let Inserted::New(first) = queue.insert(asked("breast-mri-unet"), ANY, None).unwrap() else { panic!() };
    let (report, stored) = result([false, false]);
    let told = queue.follow(&first, (&report, &stored), &headers);
    assert!(
        matches!(&told[..], [told] if told.contains("breast-mri-tumour was not run") && told.contains("no Tumour found"))
    );

    let (report, stored) = result([false, true]);
    for _ in 0..2 {
        assert!(queue.follow(&first, (&report, &stored), &headers).is_empty());
    }
    let runs = store.list(&crate::run::RunFilter::default()).unwrap();
    let followers: Vec<_> = runs.iter().filter(|r| r.request.model == "breast-mri-tumour").collect();
    assert_eq!(followers.len(), 1, "a killed server asks again");
    assert_eq!(followers[0].regions.as_ref().unwrap().objects[0].id.0, "id-seg");
    assert_eq!(followers[0].request.resource, first.request.resource);
    assert!(matches!(queue.insert(asked("x"), ANY, None), Err(SubmitError::UnknownModel { .. })));
}
