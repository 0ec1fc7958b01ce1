//! Slices that come late: another input, another run, and what becomes of the earlier result.

use orthanc_ai::phantom::{Orientation, SeriesLayout};
use serde_json::{Value, json};

use crate::automatic::{all_succeeded, results, wait_for};
use crate::breast_mri;
use crate::on_every_orthanc;
use crate::segmentation::ABOVE;
use crate::server::{Options, Orthanc, Version};
use crate::torch_script::write_model;

on_every_orthanc!(
    late_slices_replace_the_earlier_result,
    both_results_stay_where_the_manifest_wants_it,
    what_waits_for_a_part_of_the_input_is_withdrawn,
);

const SLICES: usize = 20;

/// A server that analyses what arrives with the test model, and the slices of one series, early and late ones.
fn arrange(version: Version, seed: u64, supersede: &str) -> (Orthanc, tempfile::TempDir, Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let models = tempfile::tempdir().unwrap();
    write_model(models.path(), ABOVE, &["volume"], |manifest| manifest["report"]["supersede"] = json!(supersede));
    let ai = json!({"ModelsDirectory": models.path(), "Rules": [{"Name": "volumes", "Model": ABOVE}]});
    let server = Orthanc::with(version, &Options { ai, ..Options::default() });
    let exam = breast_mri::study(&breast_mri::small(seed, Orientation::Axial), SeriesLayout::default());
    let part = |late: bool| {
        breast_mri::changed(&exam, |phase, slice| phase == 0 && (slice >= SLICES - 6) == late, |_, _, _| ())
    };
    (server, models, part(false), part(true))
}

/// (earlier, later)
fn in_order(runs: &[Value]) -> (&Value, &Value) {
    assert_eq!(runs.len(), 2, "{runs:#?}");
    (&runs[1], &runs[0])
}

fn slices(server: &Orthanc, run: &Value) -> usize {
    server.get(&format!("/ai/runs/{}", run["ID"].as_str().unwrap())).ok()["Slices"].as_array().unwrap().len()
}

fn late_slices_replace_the_earlier_result(version: Version) {
    let (server, _models, early, late) = arrange(version, 7001, "replace");
    let study = server.upload_study(&early);
    let runs = wait_for(&server, "the run on a part", all_succeeded(1));
    assert_eq!(slices(&server, &runs[0]), SLICES - 6);
    assert_eq!((results(&server, &study, "SEG"), results(&server, &study, "SR")), (1, 1));
    server.upload_study(&late);
    let runs = wait_for(&server, "the run on the whole", all_succeeded(2));
    let (earlier, later) = in_order(&runs);
    assert_eq!(slices(&server, later), SLICES);
    assert_eq!((&earlier["SupersededBy"], &later["SupersededBy"]), (&later["ID"], &json!(null)), "{runs:#?}");
    assert_eq!((results(&server, &study, "SEG"), results(&server, &study, "SR")), (1, 1));
    for stored in later["Stored"].as_array().unwrap() {
        server.get(stored["Path"].as_str().unwrap()).ok();
    }
    // The study becomes stable once more, with our new results in it.
    std::thread::sleep(std::time::Duration::from_secs(6));
    assert_eq!(wait_for(&server, "no third run", |_| true).len(), 2);
}

fn both_results_stay_where_the_manifest_wants_it(version: Version) {
    let (server, _models, early, late) = arrange(version, 7011, "keep");
    let study = server.upload_study(&early);
    wait_for(&server, "the run on a part", all_succeeded(1));
    server.upload_study(&late);
    let runs = wait_for(&server, "the run on the whole", all_succeeded(2));
    let (earlier, later) = in_order(&runs);
    assert_eq!((slices(&server, earlier), slices(&server, later)), (SLICES - 6, SLICES));
    assert_eq!((results(&server, &study, "SEG"), results(&server, &study, "SR")), (2, 2));
}

fn what_waits_for_a_part_of_the_input_is_withdrawn(version: Version) {
    let (server, _models, early, late) = arrange(version, 7021, "replace");
    server.post("/ai/queue/suspend", &json!({})).ok();
    let study = server.upload_study(&early);
    wait_for(&server, "the first", |runs| runs.len() == 1);
    server.upload_study(&late);
    let runs = wait_for(&server, "the second", |runs| runs.len() == 2);
    let (earlier, later) = in_order(&runs);
    assert_eq!((&earlier["State"], &earlier["SupersededBy"]), (&json!("Cancelled"), &later["ID"]), "{runs:#?}");
    server.post("/ai/queue/resume", &json!({})).ok();
    wait_for(&server, "the second's end", |runs| runs[0]["State"] == "Succeeded");
    assert_eq!((results(&server, &study, "SEG"), results(&server, &study, "SR")), (1, 1));
}
