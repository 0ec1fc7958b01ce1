//! The server is killed at each moment of a run's life, one after the other; at the end there is one result, and one alone.

use orthanc_ai::phantom::{Orientation, SeriesLayout};
use serde_json::json;

use crate::automatic::{all_succeeded, results, wait_for};
use crate::breast_mri;
use crate::on_every_orthanc;
use crate::segmentation::ABOVE;
use crate::server::{Options, Orthanc, Version};
use crate::torch_script::write_model;

on_every_orthanc!(a_kill_at_each_moment_leaves_one_result);

/// In their order: the study is looked at, the run written down, the log of changes read, then the worker's own stages ("stage, how many of it are
/// done"), the intent to store written down, the first of two objects stored, both stored, the end about to be recorded, the end recorded.
const MOMENTS: [&str; 14] = [
    "event",
    "submitted",
    "replayed",
    "claimed",
    "fetch 0",
    "prepare 1",
    "infer 0",
    "encode 0",
    "store 0",
    "intended",
    "store 1",
    "store 2",
    "settling",
    "finished",
];

fn a_kill_at_each_moment_leaves_one_result(version: Version) {
    let models = tempfile::tempdir().unwrap();
    write_model(models.path(), ABOVE, &["volume"], |_| ());
    let ai = json!({"ModelsDirectory": models.path(), "Rules": [{"Name": "volumes", "Model": ABOVE}]});
    let mut server = Orthanc::with(version, &Options { ai, fault: true, ..Options::default() });
    for (i, moment) in MOMENTS.into_iter().enumerate() {
        let exam = breast_mri::study(&breast_mri::small(7100 + i as u64, Orientation::Axial), SeriesLayout::default());
        let files = breast_mri::changed(&exam, |phase, _| phase == 0, |_, _, _| ());
        server.post("/ai/fault/kill", &json!({"At": moment})).ok();
        let study = server.upload_study(&files);
        server.wait_killed(moment);
        server.start_again();
        wait_for(&server, moment, all_succeeded(i + 1));
        let found = (results(&server, &study, "SEG"), results(&server, &study, "SR"));
        assert_eq!(found, (1, 1), "killed at \"{moment}\":\n{}", server.log());
    }
    // Nobody comes back later with a second one.
    std::thread::sleep(std::time::Duration::from_secs(8));
    assert_eq!(wait_for(&server, "the end", all_succeeded(MOMENTS.len())).len(), MOMENTS.len());
    let series = server.get("/series?expand").ok();
    let ours =
        |modality| series.as_array().unwrap().iter().filter(|s| s["MainDicomTags"]["Modality"] == modality).count();
    assert_eq!((ours("SEG"), ours("SR")), (MOMENTS.len(), MOMENTS.len()));
}
