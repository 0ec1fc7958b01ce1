//! GET `/ai/explorer2.json`: buttons for Orthanc Explorer 2, as its configuration takes them (docs/explorer2.md).

use serde_json::{Value, json};

use super::{allow, service};
use crate::model::{ModelInfo, ModelState};
use crate::orthanc::RestError;
use crate::orthanc::host;
use crate::orthanc::rest_server::{Method, Request, Response};

/// `OrthancExplorer2.Root` where the configuration has none.
const DEFAULT_ROOT: &str = "/ui/";

pub fn buttons(request: &Request<'_>) -> Result<Response, RestError> {
    allow(request, &[Method::Get])?;
    let service = service()?;
    let configuration = host::current().and_then(|host| host.configuration().ok()).unwrap_or_default();
    let root = configuration["OrthancExplorer2"]["Root"].as_str().unwrap_or(DEFAULT_ROOT);
    Response::json(&snippet(&service.models.list(), root))
}

/// The keys are those of Orthanc Explorer 2's own default configuration: since 1.8.0, `StartMessage` since 1.9.2 (older ones ignore it). It puts
/// the study's id in the place of `{UUID}`, and sends `Payload` as JSON.
fn snippet(models: &[ModelInfo], root: &str) -> Value {
    let up = way_up(root);
    let page = json!({
        "HttpMethod": "GET",
        "Id": "orthanc-ai-page",
        "Tooltip": "AI: runs and results of this study",
        "Icon": "bi bi-clipboard2-pulse",
        "Url": format!("{up}ai/app/index.html#/studies/{{UUID}}"),
        "Target": "_blank",
    });
    let analyse = |model: &ModelInfo| {
        json!({
            "HttpMethod": "POST",
            "Id": format!("orthanc-ai-{}", model.name),
            "Tooltip": format!("AI: {}", model.title),
            "Icon": "bi bi-cpu",
            "Url": format!("{up}studies/{{UUID}}/ai"),
            "Payload": {"Model": model.name},
            "StartMessage": format!("AI: {} was asked for", model.title),
            "Refresh": false,
        })
    };
    let ready = models.iter().filter(|model| model.state == ModelState::Ready);
    let study: Vec<Value> = std::iter::once(page).chain(ready.map(analyse)).collect();
    json!({"OrthancExplorer2": {"UiOptions": {"CustomButtons": {"study": study}}}})
}

/// From the address of its page, `{root}app/`, to Orthanc's root, whatever the prefix of a reverse proxy.
fn way_up(root: &str) -> String {
    let folders = root.split('/').filter(|folder| !folder.is_empty()).count() + "app".split('/').count();
    "../".repeat(folders)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelRegistry;

    fn models() -> Vec<ModelInfo> {
        let mut models = ModelRegistry::scan(concat!(env!("CARGO_MANIFEST_DIR"), "/models").as_ref()).unwrap().list();
        for (n, model) in models.iter_mut().enumerate() {
            model.state = if n % 2 == 0 { ModelState::Ready } else { ModelState::NoWeights };
        }
        models
    }

    #[test]
    fn a_button_for_the_page_and_one_for_each_model_that_is_ready() {
        let models = models();
        let snippet = snippet(&models, "/ui/");
        let buttons = snippet["OrthancExplorer2"]["UiOptions"]["CustomButtons"]["study"].as_array().unwrap();
        let ready: Vec<&ModelInfo> = models.iter().filter(|m| m.state == ModelState::Ready).collect();
        assert!(ready.len() >= 2 && buttons.len() == ready.len() + 1, "{snippet:#}");
        assert_eq!(buttons[0]["Url"], "../../ai/app/index.html#/studies/{UUID}");
        for (button, model) in buttons[1..].iter().zip(ready) {
            assert_eq!((&button["HttpMethod"], &button["Url"]), (&json!("POST"), &json!("../../studies/{UUID}/ai")));
            assert_eq!(
                (&button["Payload"], &button["Tooltip"]),
                (&json!({"Model": model.name}), &json!(format!("AI: {}", model.title)))
            );
        }
        let ids: std::collections::HashSet<&str> = buttons.iter().map(|b| b["Id"].as_str().unwrap()).collect();
        assert_eq!(ids.len(), buttons.len());
    }

    /// As a browser resolves it (RFC 3986, 5.2).
    fn resolved(page: &str, relative: &str) -> String {
        let ups = relative.matches("../").count();
        let mut folders: Vec<&str> = page.split('/').collect();
        folders.truncate(folders.len() - 1 - ups);
        format!("{}/{}", folders.join("/"), relative.trim_start_matches("../"))
    }

    #[test]
    fn addresses_hold_behind_a_prefix_and_under_another_root() {
        for root in ["/ui/", "/my/ui/", "/"] {
            let url = snippet(&[], root)["OrthancExplorer2"]["UiOptions"]["CustomButtons"]["study"][0]["Url"].clone();
            for prefix in ["", "/orthanc", "/a/b"] {
                let page = format!("{prefix}{root}app/index.html");
                let expected = format!("{prefix}/ai/app/index.html#/studies/{{UUID}}");
                assert_eq!(resolved(&page, url.as_str().unwrap()), expected);
            }
        }
    }
}
