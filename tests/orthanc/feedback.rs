//! What readers say of findings, in a live server; and what the server says of itself: OpenAPI, buttons for Orthanc Explorer 2.

use orthanc_ai::api::openapi;
use serde_json::{Value, json};

use crate::exam;
use crate::on_every_orthanc;
use crate::operations::{call, scrape, start, wait, with_users};
use crate::server::{DEMO, Options, Orthanc, Version, basic};

on_every_orthanc!(
    readers_accept_reject_and_comment,
    what_is_wrong_is_refused_and_not_quoted,
    feedback_stays_with_its_run,
    the_description_is_true,
    explorer_2_gets_its_buttons,
);

/// A text that shows wherever it gets to.
const COMMENT: &str = "=Miller^Jane, see the prior";

fn analysed(server: &Orthanc, seed: u64) -> String {
    let study = server.upload_study(&exam::files(&exam::options(seed)));
    let run = server.analyse(&study);
    assert_eq!(run["State"], "Succeeded", "{run:#}");
    run["ID"].as_str().unwrap().to_owned()
}

fn path(run: &str) -> String {
    format!("/ai/runs/{run}/feedback")
}

/// The keys of what the run found.
fn findings(server: &Orthanc, run: &str) -> Vec<String> {
    let answer = server.get(&path(run)).ok();
    let keys = answer["Findings"].as_array().unwrap().iter().map(|f| f["Finding"].as_str().unwrap().to_owned());
    keys.collect()
}

fn agreement(server: &Orthanc) -> Value {
    server.get(&format!("/ai/models/{DEMO}/feedback")).ok()
}

fn table(server: &Orthanc, query: &str) -> String {
    let answer = server.get(&format!("/ai/feedback.csv{query}"));
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/csv")), "{:?}", answer.headers);
    String::from_utf8(answer.body).unwrap()
}

fn readers_accept_reject_and_comment(version: Version) {
    let server = with_users(version, Options { fault: true, ..Options::default() });
    let run = analysed(&server, 7201);
    let shown = server.get(&path(&run)).ok();
    assert_eq!((&shown["User"], &shown["Feedback"]), (&json!("alice"), &json!([])));
    let full = server.get(&format!("/ai/runs/{run}")).ok();
    let keys = findings(&server, &run);
    assert_eq!(keys.len(), 4, "{shown:#}");
    for (key, result) in keys.iter().zip(full["Results"].as_array().unwrap()) {
        let expected = format!("{}/{}", result["InstanceUid"].as_str().unwrap(), result["Class"].as_str().unwrap());
        assert_eq!(key, &expected);
    }
    let accept = |n: usize| json!({"Finding": keys[n], "Verdict": "Accept"});
    let given = server.post(&path(&run), &accept(0)).ok();
    assert_eq!(
        (&given["User"], &given["Verdict"], &given["Current"]),
        (&json!("alice"), &json!("Accept"), &json!(true))
    );
    // She looks again; he sees it otherwise.
    server.post(&path(&run), &json!({"Finding": keys[0], "Verdict": "Reject", "Comment": COMMENT})).ok();
    server.post(&path(&run), &accept(1)).ok();
    let bob = basic("bob", "secret of bob");
    let headers = [("Authorization", bob.as_str()), ("Content-Type", "application/json")];
    let (status, answer) = call(&server, "POST", &path(&run), &headers, accept(0).to_string().as_bytes());
    assert_eq!(status, 200, "{answer}");
    let shown = server.get(&path(&run)).ok();
    let said: Vec<(&str, &str, bool)> = shown["Feedback"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| (f["User"].as_str().unwrap(), f["Verdict"].as_str().unwrap(), f["Current"].as_bool().unwrap()))
        .collect();
    let expected =
        [("bob", "Accept", true), ("alice", "Accept", true), ("alice", "Reject", true), ("alice", "Accept", false)];
    assert_eq!(said, expected);
    let counts = agreement(&server);
    assert_eq!((&counts["Accepted"], &counts["Rejected"]), (&json!(2), &json!(1)), "{counts:#}");
    assert_eq!(counts["Agreement"]["Counts"], json!([2, 3]));
    assert_eq!(counts["Versions"][0]["Version"], full["Version"]);
    assert_eq!(counts["Months"].as_array().unwrap().len(), 1);
    let metric =
        |verdict: &str| scrape(&server)[&format!("orthanc_ai_feedback{{model=\"{DEMO}\",verdict=\"{verdict}\"}}")];
    assert_eq!((metric("Accept"), metric("Reject")), (2.0, 1.0));
    let text = table(&server, &format!("?model={DEMO}"));
    assert_eq!((text.lines().count(), text.starts_with("\u{feff}Time,Model,")), (5, true), "{text}");
    assert!(text.contains(&format!("\"'{COMMENT}\"")), "no formula: {text}");
    assert_eq!(table(&server, "?model=another").lines().count(), 1);
    // Who takes a verdict back has none.
    server.post(&path(&run), &json!({"Finding": keys[1], "Verdict": null})).ok();
    assert_eq!(agreement(&server)["Accepted"], 1);
    if version == Version::V1_13_0 {
        let entries = wait(&server, "the audit log's entries", || {
            let log = server.log();
            let entries = log.lines().filter(|l| l.contains("audit: ai ") && l.contains("ai-feedback-given"));
            let entries: Vec<String> = entries.map(str::to_owned).collect();
            (entries.len() == 5).then_some(entries)
        });
        assert!(entries[3].contains("user=\"bob\"") && entries[3].contains(&run), "{entries:#?}");
    }
    let scraped = String::from_utf8(server.get("/tools/metrics-prometheus").body).unwrap();
    for (what, text) in [("log", server.log()), ("metrics", scraped), ("run", full.to_string())] {
        assert!(!text.contains("Miller"), "a comment in the {what}");
    }
}

fn what_is_wrong_is_refused_and_not_quoted(version: Version) {
    let server = start(version, Options::default());
    let run = analysed(&server, 7211);
    let key = findings(&server, &run).remove(0);
    let long = "Miller ".repeat(400);
    for (body, expected) in [
        (json!({"Finding": "overall", "Verdict": "Accept"}), "body: Finding: expected one of this run's: "),
        (json!({"Verdict": "Accept"}), "missing field `Finding`"),
        (json!({"Finding": key, "Verdict": "maybe"}), "Verdict: expected \"Accept\", \"Reject\" or null"),
        (json!({"Finding": key, "Comment": ["Miller"]}), "Comment: expected a string or null"),
        (json!({"Finding": key, "Comment": "Miller\n1970"}), "Comment: found a control character"),
        (json!({"Finding": key, "Comment": long}), "Comment: found 2800 characters, expected at most 2000"),
        (json!({"Finding": key, "Text": "x"}), "unknown field `Text`, expected one of `Finding`, `Verdict`, `Comment`"),
    ] {
        let details = server.post(&path(&run), &body).error(400);
        assert!(details.contains(expected) && !details.contains("Miller"), "{details}");
    }
    let unknown = "00000000-0000-0000-0000-000000000000";
    server.post(&path(unknown), &json!({"Finding": key})).error(404);
    server.get(&path(unknown)).error(404);
    server.get("/ai/models/another/feedback").error(404);
    assert!(server.get("/ai/feedback.csv?modell=x").error(400).contains("unknown parameter \"modell\", known: model"));
    // Nothing is found before the end.
    server.post("/ai/queue/suspend", &json!({})).ok();
    let study = server.get(&format!("/ai/runs/{run}")).ok()["Study"].as_str().unwrap().to_owned();
    let waiting = server.post(&format!("/studies/{study}/ai"), &json!({"Model": DEMO, "Force": true})).ok();
    let waiting = waiting["ID"].as_str().unwrap();
    let details = server.post(&path(waiting), &json!({"Finding": key, "Verdict": "Accept"})).error(409);
    assert_eq!(details, "the run is Queued, expected Succeeded");
    assert_eq!(server.get(&path(&run)).ok()["Feedback"], json!([]));
    assert!(!server.log().contains("Miller"), "{}", server.log());
}

fn feedback_stays_with_its_run(version: Version) {
    let mut server = Orthanc::start(version);
    let run = analysed(&server, 7221);
    let key = findings(&server, &run).remove(0);
    let reject = json!({"Finding": key, "Verdict": "Reject", "Comment": "ä, 乳房"});
    server.post(&path(&run), &reject).ok();
    // Another run of the same images is judged for itself.
    let again = server.post(&format!("/ai/runs/{run}/retry"), &json!({})).ok();
    let again = again["ID"].as_str().unwrap().to_owned();
    wait(&server, "the retry's end", || {
        (server.get(&format!("/ai/runs/{again}")).ok()["State"] == "Succeeded").then_some(())
    });
    assert_eq!(server.get(&path(&again)).ok()["Feedback"], json!([]));
    server.post(&path(&again), &json!({"Finding": key, "Verdict": "Accept"})).ok();
    server.kill();
    server.start_again();
    let kept = server.get(&path(&run)).ok()["Feedback"].clone();
    assert_eq!(kept.as_array().unwrap().len(), 1);
    assert_eq!((&kept[0]["Verdict"], &kept[0]["Comment"]), (&json!("Reject"), &json!("ä, 乳房")));
    let counts = agreement(&server);
    assert_eq!((&counts["Accepted"], &counts["Rejected"]), (&json!(1), &json!(1)), "{counts:#}");
    server.delete(&format!("/ai/runs/{run}")).ok();
    server.get(&path(&run)).error(404);
    let counts = agreement(&server);
    assert_eq!((&counts["Accepted"], &counts["Rejected"]), (&json!(1), &json!(0)), "{counts:#}");
    assert_eq!(table(&server, "").lines().count(), 2);
}

/// Whether a value is what `schema` of the document says.
#[track_caller]
fn assert_fits(document: &Value, what: &str, schema: &Value, value: &Value) {
    let mut schema = schema.clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{what}: {errors:#?}\n{value:#}");
}

fn the_description_is_true(version: Version) {
    let server = start(version, Options::default());
    let run = analysed(&server, 7231);
    let key = findings(&server, &run).remove(0);
    server.post(&path(&run), &json!({"Finding": key, "Verdict": "Accept"})).ok();
    let document = server.get("/ai/openapi.json").ok();
    assert_eq!(document, openapi::document());
    let study = server.get(&format!("/ai/runs/{run}")).ok()["Study"].as_str().unwrap().to_owned();
    let mut looked = 0;
    for (template, item) in document["paths"].as_object().unwrap() {
        let Some(schema) = item.pointer("/get/responses/200/content/application~1json/schema") else { continue };
        let id = if template.starts_with("/ai/") { &run } else { &study };
        let path = template.replace("{name}", DEMO).replace("{id}", id);
        // The originals' routes are off.
        let elsewhere = ["/series/", "/instances/", "/ai/evaluations/", "/ai/compat/"];
        if elsewhere.iter().any(|start| path.starts_with(start)) {
            continue;
        }
        assert_fits(&document, &path, schema, &server.get(&path).ok());
        looked += 1;
    }
    assert!(looked >= 11, "{looked}");
    let answer = |path: &str, method: &str| {
        document["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"].clone()
    };
    let submit = answer("/studies/{id}/ai", "post");
    for body in [json!({"Model": DEMO}), json!({"Model": DEMO, "Synchronous": true}), json!({"Synchronous": true})] {
        assert_fits(&document, "POST", &submit, &server.post(&format!("/studies/{study}/ai"), &body).ok());
    }
    let retried = server.post(&format!("/ai/runs/{run}/retry"), &json!({})).ok();
    assert_fits(&document, "retry", &answer("/ai/runs/{id}/retry", "post"), &retried);
    let error = json!({"$ref": "#/components/schemas/Error"});
    assert_fits(&document, "error", &error, &server.get("/ai/runs/0-1").json());
}

fn explorer_2_gets_its_buttons(version: Version) {
    let server = start(version, Options::default());
    let study = server.upload_study(&exam::files(&exam::options(7241)));
    let snippet = server.get("/ai/explorer2.json").ok();
    let buttons = snippet["OrthancExplorer2"]["UiOptions"]["CustomButtons"]["study"].as_array().unwrap().clone();
    assert_eq!(buttons.len(), 2, "{snippet:#}");
    // As a browser resolves it from /ui/app/, with Explorer 2's placeholder filled in.
    let address = |button: &Value| button["Url"].as_str().unwrap().replace("../../", "/").replace("{UUID}", &study);
    let page = server.get(address(&buttons[0]).split('#').next().unwrap());
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let run = server.post(&address(&buttons[1]), &buttons[1]["Payload"]).ok();
    assert_eq!(run["Model"], DEMO);
    wait(&server, "the run's end", || {
        (server.get(run["Path"].as_str().unwrap()).ok()["State"] == "Succeeded").then_some(())
    });
    drop(server);
    let orthanc = json!({"OrthancExplorer2": {"Root": "/my/ui/"}});
    let server = start(version, Options { orthanc, ..Options::default() });
    let snippet = server.get("/ai/explorer2.json").ok();
    let url = &snippet["OrthancExplorer2"]["UiOptions"]["CustomButtons"]["study"][0]["Url"];
    assert_eq!(url, "../../../ai/app/index.html#/studies/{UUID}");
}
