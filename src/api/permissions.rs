//! Which permission each route needs, for administrators of the authorization plugin (docs/security.md).

use std::fmt;

use crate::orthanc::rest_server::Method;

/// One line of `Authorization.ExtraPermissions`.
#[derive(Debug, Clone, Copy)]
pub struct Permission {
    pub method: Method,
    /// The authorization plugin's form: a regular expression for the path.
    pub path: &'static str,
    /// Names of user permissions, one of which is enough.
    pub needs: &'static str,
    pub what: &'static str,
}

const READ: &str = "all|view";
const ANALYSE: &str = "all|upload";
const DELETE: &str = "all|delete";
const SETTINGS: &str = "all|settings";

const fn entry(method: Method, path: &'static str, needs: &'static str, what: &'static str) -> Permission {
    Permission { method, path, needs, what }
}

/// Every method of every route.
pub static PERMISSIONS: [Permission; 40] = [
    entry(Method::Get, "^/ai$", READ, "version, device, queue, models"),
    entry(Method::Get, "^/ai/health$", READ, "200 or 503, for probes"),
    entry(Method::Get, "^/ai/models$", READ, "models"),
    entry(Method::Get, "^/ai/models/([^/]+)$", READ, "one model"),
    entry(Method::Get, "^/ai/models/([^/]+)/card$", READ, "its card: README.md of its folder"),
    entry(Method::Post, "^/ai/compat/api/mri/mammography/analyze/?$", ANALYSE, "analyse an exam, as the original did"),
    entry(
        Method::Get,
        "^/ai/compat/api/mri/(mammography|segmentation)/health/?$",
        READ,
        "whether its model is ready, as the originals did",
    ),
    entry(
        Method::Post,
        "^/ai/compat/api/mri/segmentation/series/([a-f0-9-]+)/segment/?$",
        ANALYSE,
        "segment four series, as the original did",
    ),
    entry(
        Method::Get,
        "^/ai/compat/api/mri/segmentation/instances/([a-f0-9-]+)/frames/?$",
        READ,
        "its masks, as the original did",
    ),
    entry(
        Method::Post,
        "^/ai/compat/api/medical-images/([a-f0-9-]+)/analyze/?$",
        ANALYSE,
        "segment an image, as the original did",
    ),
    entry(
        Method::Post,
        "^/ai/compat/api/medical-images/([a-f0-9-]+)/tumor_analysis/?$",
        ANALYSE,
        "judge what it shows, as the original did",
    ),
    entry(
        Method::Get,
        "^/ai/compat/api/medical-images/generate_3d_visualization/?$",
        READ,
        "a patient's latest segmentation in 3D, as the original did",
    ),
    entry(Method::Get, "^/ai/openapi.json$", READ, "this interface, as OpenAPI has it"),
    entry(Method::Get, "^/ai/explorer2.json$", READ, "buttons for Orthanc Explorer 2's configuration"),
    entry(Method::Get, "^/ai/app$", READ, "the page"),
    entry(Method::Get, "^/ai/app/(.*)$", READ, "the page's files"),
    entry(Method::Get, "^/(studies|series|instances)/([a-f0-9-]+)/ai$", READ, "which models apply, the study's runs"),
    entry(Method::Post, "^/(studies|series|instances)/([a-f0-9-]+)/ai$", ANALYSE, "analyse"),
    entry(Method::Get, "^/studies/([a-f0-9-]+)/ai/report$", READ, "the study's reports"),
    entry(Method::Get, "^/instances/([a-f0-9-]+)/ai/overlay.png$", READ, "a segmentation's picture"),
    entry(Method::Get, "^/instances/([a-f0-9-]+)/ai/frames$", READ, "a segmentation's mask"),
    entry(Method::Get, "^/series/([a-f0-9-]+)/ai/surface.stl$", READ, "a segment's surface"),
    entry(Method::Get, "^/series/([a-f0-9-]+)/ai/surface.html$", READ, "a segmentation's surface in 3D"),
    entry(Method::Post, "^/ai/images$", ANALYSE, "store pictures, and analyse them"),
    entry(Method::Post, "^/ai/demo$", ANALYSE, "store synthetic studies"),
    entry(Method::Get, "^/ai/runs$", READ, "runs, of all studies"),
    entry(Method::Get, "^/ai/runs/([a-f0-9-]+)$", READ, "one run, of whatever study"),
    entry(Method::Post, "^/ai/runs/([a-f0-9-]+)/cancel$", ANALYSE, "cancel a run"),
    entry(Method::Post, "^/ai/runs/([a-f0-9-]+)/retry$", ANALYSE, "do a run again"),
    entry(Method::Delete, "^/ai/runs/([a-f0-9-]+)$", DELETE, "forget a run and delete its results"),
    entry(Method::Get, "^/ai/runs/([a-f0-9-]+)/feedback$", READ, "what readers said of a run, comments included"),
    entry(Method::Post, "^/ai/runs/([a-f0-9-]+)/feedback$", ANALYSE, "accept, reject or comment a finding"),
    entry(Method::Get, "^/ai/models/([^/]+)/feedback$", READ, "how often readers agree with a model"),
    entry(Method::Get, "^/ai/feedback.csv$", READ, "what readers said of all runs, comments included"),
    entry(Method::Post, "^/ai/queue/(suspend|resume)$", SETTINGS, "suspend or resume the queue, of all nodes"),
    entry(Method::Post, "^/ai/models/([^/]+)/evaluate$", ANALYSE, "evaluate a model on labelled studies"),
    entry(Method::Get, "^/ai/evaluations$", READ, "evaluations"),
    entry(Method::Get, "^/ai/evaluations/([a-f0-9-]+)$", READ, "one evaluation"),
    entry(Method::Delete, "^/ai/evaluations/([a-f0-9-]+)$", ANALYSE, "end or forget an evaluation"),
    entry(
        Method::Get,
        "^/ai/evaluations/([a-f0-9-]+)/(report.html|cases.csv|override.json)$",
        READ,
        "its report, its cases as they were labelled, its thresholds",
    ),
];

impl fmt::Display for Permission {
    /// As it stands in Orthanc's configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = self.method.as_str().to_ascii_lowercase();
        write!(f, "[\"{method}\", \"{}\", \"{}\"]", self.path, self.needs)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use regex::Regex;

    use super::super::ROUTES;
    use super::super::openapi::{example, paths};
    use super::*;
    use crate::orthanc::rest_server::{Request, Route};

    pub const METHODS: [Method; 4] = [Method::Get, Method::Post, Method::Put, Method::Delete];

    /// The handler says itself which methods it takes; without a running service the others get no further than that.
    pub fn takes(route: &Route, method: Method, path: &str) -> bool {
        let captures = Regex::new(&format!("^{}$", route.pattern)).unwrap();
        let captures = captures.captures(path).unwrap();
        let mut request = Request::new(method, path);
        request.groups = captures.iter().skip(1).flatten().map(|m| &path[m.range()]).collect();
        !(route.handler)(&request).is_err_and(|e| e.status == 405)
    }

    #[test]
    fn every_method_of_every_route_needs_one_permission() {
        let mut used = vec![0; PERMISSIONS.len()];
        for route in ROUTES {
            for path in paths(route.pattern).iter().map(|path| example(path)) {
                for method in METHODS {
                    let fits = |p: &Permission| p.method == method && Regex::new(p.path).unwrap().is_match(&path);
                    let fitting: Vec<usize> = (0..PERMISSIONS.len()).filter(|i| fits(&PERMISSIONS[*i])).collect();
                    let expected = usize::from(takes(route, method, &path));
                    assert_eq!(fitting.len(), expected, "{} {path}: {fitting:?}", method.as_str());
                    fitting.iter().for_each(|i| used[*i] += 1);
                }
            }
        }
        let unused: Vec<&str> = PERMISSIONS.iter().zip(used).filter(|(_, n)| *n == 0).map(|(p, _)| p.path).collect();
        assert_eq!(unused, [""; 0]);
    }

    #[test]
    fn the_documentation_has_them_all() {
        let page = include_str!("../../docs/security.md");
        let lines: Vec<String> = PERMISSIONS.iter().map(|p| format!("      {p}")).collect();
        assert!(page.contains(&lines.join(",\n")), "docs/security.md should have\n{}", lines.join(",\n"));
        for p in &PERMISSIONS {
            let row = format!(
                "| {} | `{}` | `{}` | {} |",
                p.method.as_str(),
                p.path.replace('|', "\\|"),
                p.needs.replace('|', "\\|"),
                p.what
            );
            assert!(page.contains(&row), "docs/security.md should have\n{row}");
        }
    }
}
