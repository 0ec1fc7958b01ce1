//! What manifests say of one another: the model whose segment is a region of interest, and the models that follow.

use std::collections::{BTreeMap, BTreeSet};

use super::{Manifest, MissingPolicy, RegionOfInterestSpec, SelectSpec, TaskSpec};

/// Why models cannot work together with those that their manifests name, by the name of the model that names them. `manifests`
/// are all that could be read.
pub fn check(manifests: &BTreeMap<&str, &Manifest>) -> BTreeMap<String, String> {
    let refused = manifests.iter().filter_map(|(name, manifest)| {
        let region = manifest.input.region_of_interest.as_ref().map_or(Ok(()), |spec| region(name, spec, manifests));
        region.and_then(|()| follow(name, manifest, manifests)).err().map(|reason| ((*name).to_owned(), reason))
    });
    refused.collect()
}

fn region(name: &str, spec: &RegionOfInterestSpec, manifests: &BTreeMap<&str, &Manifest>) -> Result<(), String> {
    let at = "manifest.json: at input.region_of_interest";
    if spec.model == name {
        return Err(format!("{at}.model: found the model itself, expected another one"));
    }
    let first = known(&spec.model, manifests).map_err(|reason| format!("{at}.model: {reason}"))?;
    let TaskSpec::Segmentation(task) = &first.task else {
        return Err(format!("{at}.model: {} classifies, expected a model that segments", spec.model));
    };
    if matches!(first.input.select, SelectSpec::Volumes(_)) {
        return Err(format!("{at}.model: {} takes volumes, expected a model that takes images", spec.model));
    }
    if first.input.region_of_interest.is_some() {
        return Err(format!("{at}.model: {} has a region of interest itself, expected two stages", spec.model));
    }
    let names: Vec<&str> = task.segments.iter().map(|s| s.name.as_str()).collect();
    if !names.contains(&spec.segment.as_str()) {
        let (found, names) = (&spec.segment, names.join("\", \""));
        return Err(format!("{at}.segment: found \"{found}\", {} has \"{names}\"", spec.model));
    }
    Ok(())
}

/// The models that follow, and those that follow them, do not lead back.
fn follow(name: &str, manifest: &Manifest, manifests: &BTreeMap<&str, &Manifest>) -> Result<(), String> {
    let at = "manifest.json: at then";
    for (i, next) in manifest.then.iter().enumerate() {
        known(next, manifests).map_err(|reason| format!("{at}[{i}]: {reason}"))?;
    }
    let mut seen = BTreeSet::new();
    let mut left: Vec<&str> = manifest.then.iter().map(String::as_str).collect();
    while let Some(next) = left.pop() {
        if next == name {
            return Err(format!("{at}: leads back to {name}, expected an end"));
        }
        if seen.insert(next) {
            left.extend(manifests.get(next).into_iter().flat_map(|m| m.then.iter().map(String::as_str)));
        }
    }
    // What a model runs first cannot follow it.
    let first = manifest.input.region_of_interest.as_ref().filter(|spec| spec.when_missing == MissingPolicy::Run);
    match first.filter(|spec| seen.contains(spec.model.as_str())) {
        Some(spec) => Err(format!("{at}: leads to {}, which is run before {name}", spec.model)),
        None => Ok(()),
    }
}

fn known<'m>(name: &str, manifests: &BTreeMap<&str, &'m Manifest>) -> Result<&'m Manifest, String> {
    manifests.get(name).copied().ok_or_else(|| {
        let names: Vec<&str> = manifests.keys().copied().collect();
        format!("found the unknown model \"{name}\", known models: {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn manifest(file: &str, name: &str, change: impl FnOnce(&mut Value)) -> Manifest {
        let mut value: Value = serde_json::from_str(file).unwrap();
        value["name"] = json!(name);
        change(&mut value);
        Manifest::from_json(&value.to_string()).unwrap()
    }

    fn first(change: impl FnOnce(&mut Value)) -> Manifest {
        manifest(include_str!("../../models/breast-mri-unet/manifest.json"), "first", |m| {
            m.as_object_mut().unwrap().remove("then");
            change(m);
        })
    }

    fn second(change: impl FnOnce(&mut Value)) -> Manifest {
        manifest(include_str!("../../models/breast-mri-tumour/manifest.json"), "second", |m| {
            m["input"]["region_of_interest"]["model"] = json!("first");
            change(m);
        })
    }

    fn refused(models: &[&Manifest]) -> BTreeMap<String, String> {
        check(&models.iter().map(|m| (m.name.as_str(), *m)).collect())
    }

    #[test]
    fn two_stages_fit() {
        assert!(refused(&[&first(|m| m["then"] = json!(["second"])), &second(|_| {})]).is_empty());
    }

    #[test]
    fn what_does_not_fit_is_said_of_the_model_that_says_it() {
        let region = |key: &'static str, value: Value| {
            move |m: &mut Value| m["input"]["region_of_interest"][key] = value.clone()
        };
        let first_region = json!({"model": "second", "segment": "Tumour"});
        for (models, whose, expected) in [
            (
                [first(|_| {}), second(region("model", json!("nobody")))],
                "second",
                "unknown model \"nobody\", known models: first, second",
            ),
            ([first(|_| {}), second(region("model", json!("second")))], "second", "the model itself"),
            (
                [first(|_| {}), second(region("segment", json!("Cyst")))],
                "second",
                "found \"Cyst\", first has \"Tumour\"",
            ),
            ([first(|m| m["then"] = json!(["nobody"])), second(|_| {})], "first", "then[0]: found the unknown model"),
            (
                [first(|m| m["then"] = json!(["second"])), second(|m| m["then"] = json!(["first"]))],
                "first",
                "leads back to first",
            ),
            (
                [first(|_| {}), second(|m| m["then"] = json!(["first"]))],
                "second",
                "leads to first, which is run before second",
            ),
            (
                [first(|m| m["input"]["region_of_interest"] = first_region.clone()), second(|_| {})],
                "second",
                "has a region of interest itself",
            ),
            (
                [first(|m| m["input"]["region_of_interest"] = first_region.clone()), second(|_| {})],
                "first",
                "second classifies",
            ),
        ] {
            let found = refused(&[&models[0], &models[1]]);
            let reason = found.get(whose).unwrap_or_else(|| panic!("{expected}: {found:?}"));
            assert!(reason.contains(expected), "{reason}");
        }
    }
}
