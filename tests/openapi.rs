//! What others say of the description of the REST interface.

use std::path::Path;

#[path = "support/readers.rs"]
mod readers;

/// openapi-spec-validator (scripts/fetch_rest_tools.sh): the document against the specification's own schema, and each default against its own.
#[test]
fn a_validator_takes_the_description() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let Some(validator) = readers::rest_tool("openapi-spec-validator") else { return };
    let said = |file: &Path| {
        let output = readers::run(&validator, &["--schema", "3.1", file.to_str().unwrap()]).unwrap();
        (output.status.success(), readers::text(&output))
    };
    let (is_valid, text) = said(&document);
    assert!(is_valid, "{text}");
    // It does look.
    let broken = std::fs::read_to_string(&document).unwrap().replacen("\"responses\"", "\"answers\"", 1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broken.json");
    std::fs::write(&file, broken.replace("\"in\": \"path\"", "\"in\": \"nowhere\"")).unwrap();
    assert!(!said(&file).0);
}
