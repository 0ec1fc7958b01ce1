//! GET `…/mammography/health/` and `…/segmentation/health/`.

use serde_json::json;

use super::{choose, route};
use crate::config::Contract;
use crate::model::ModelState;
use crate::orthanc::RestError;
use crate::orthanc::rest_server::{Method, Request, Response};

/// `{"success": true, "status": "healthy", "model_loaded": true}`; 503 and `"status": "unavailable"` where no model can answer.
pub fn health(request: &Request<'_>) -> Result<Response, RestError> {
    route(request, &[Method::Get], |compat| {
        let mammography = request.groups.first() == Some(&"mammography");
        let contract = if mammography { Contract::Mammography } else { Contract::BreastSegmentation };
        let loaded = compat.chooser().candidates(contract).iter().any(|model| model.state == ModelState::Ready);
        if loaded && compat.service.worker_is_alive() {
            return Response::json(&json!({"success": true, "status": "healthy", "model_loaded": true}));
        }
        let error = choose::not_ready(contract).message;
        let body = json!({"success": false, "status": "unavailable", "model_loaded": loaded, "error": error});
        Ok(Response::json(&body)?.with_status(503))
    })
}
