//! A route's regular expression as OpenAPI's path templates.

/// Of a pattern such as `/ai/runs/([^/]+)/(cancel|retry)` the templates `/ai/runs/{id}/cancel` and `/ai/runs/{id}/retry`.
pub fn paths(pattern: &str) -> Vec<String> {
    let mut templates = vec![String::new()];
    let mut rest = pattern;
    while let Some((before, group, after)) = split_group(rest) {
        let options: Vec<String> = if group.contains('|') {
            group.split('|').map(|option| format!("{before}{option}")).collect()
        } else {
            vec![format!("{before}{{{}}}", parameter_name(before))]
        };
        templates = templates.iter().flat_map(|t| options.iter().map(move |option| format!("{t}{option}"))).collect();
        rest = after;
    }
    templates.iter().map(|template| format!("{template}{rest}")).collect()
}

fn split_group(pattern: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = pattern.split_once('(')?;
    let (group, after) = rest.split_once(')')?;
    Some((before, group, after))
}

/// What stands behind this part of a path.
fn parameter_name(before: &str) -> &'static str {
    match before {
        "/ai/models/" => "name",
        "/ai/app/" => "file",
        _ => "id",
    }
}

/// The names between braces.
pub fn parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// The path with something in the place of each parameter.
pub fn example(path: &str) -> String {
    let part = |part: &str| if part.starts_with('{') { "0a-1b".to_owned() } else { part.to_owned() };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_alternative_is_a_path() {
        assert_eq!(paths("/ai"), ["/ai"]);
        assert_eq!(paths("/ai/models/([^/]+)/evaluate"), ["/ai/models/{name}/evaluate"]);
        assert_eq!(paths("/(studies|series)/([^/]+)/ai"), ["/studies/{id}/ai", "/series/{id}/ai"]);
        assert_eq!(paths("/ai/runs/([^/]+)/(cancel|retry)"), ["/ai/runs/{id}/cancel", "/ai/runs/{id}/retry"]);
        assert_eq!(paths("/ai/app/(.*)"), ["/ai/app/{file}"]);
        assert_eq!(parameters("/a/{id}/b/{name}").collect::<Vec<_>>(), ["id", "name"]);
        assert_eq!(example("/a/{id}/b"), "/a/0a-1b/b");
    }
}
