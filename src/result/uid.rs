//! UIDs of result objects: functions of what went in, so that a repeat of a run makes the same objects and the archive
//! answers "already stored" instead of piling up copies.

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use crate::imaging::ImageAttributes;
use crate::manifest::Manifest;

/// ImplementationClassUID (0002,0012) of every file this project writes: made once from a random UUID, PS3.5 B.2.
/// Selection rules may use it to recognise our own results.
pub const IMPLEMENTATION_CLASS_UID: &str = "2.25.75978693526833942125391303078421581834";
/// ImplementationVersionName (0002,0013), at most 16 characters; changes with the way results are encoded.
pub const IMPLEMENTATION_VERSION_NAME: &str = "ORTHANC_AI_1";

/// A UUID-derived UID (PS3.5 B.2) from the SHA-256 of `fields`, each with its length in front so that no two lists of
/// fields read alike. The UUID is a custom one (version 8, RFC 9562 5.8). At most 44 characters.
pub fn derived_uid<'f>(fields: impl IntoIterator<Item = &'f str>) -> String {
    let mut hash = Sha256::new();
    for field in fields {
        hash.update((field.len() as u64).to_le_bytes());
        hash.update(field.as_bytes());
    }
    let digest = hash.finalize();
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&digest[..16]);
    format!("2.25.{}", Builder::from_custom_bytes(bytes).into_uuid().as_u128())
}

/// SHA-256 of `bytes`, 64 hexadecimal digits.
pub fn fingerprint(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// DeviceUID of a trained model: new weights are a new device (IHE AIR 6.5.3.1).
pub fn device_uid(weights_sha256: &str) -> String {
    derived_uid(["device", weights_sha256])
}

/// The UIDs of one run's results.
#[derive(Debug, Clone)]
pub struct ResultUids {
    /// The run's identity: inputs in report order, model, version, weights.
    run: Vec<String>,
    /// Only in a forced run.
    salt: Option<String>,
}

impl ResultUids {
    /// The UIDs for `images` (in report order) analysed by this model. The order belongs to the identity, because it is
    /// the order of the report.
    pub fn new(images: &[&ImageAttributes], manifest: &Manifest, weights_sha256: &str) -> Self {
        let mut run = vec![manifest.name.clone(), manifest.version.clone(), weights_sha256.to_owned()];
        run.extend(images.iter().map(|i| i.sop_instance_uid.clone()));
        Self { run, salt: None }
    }

    /// The UIDs of what is said of some of the run's images: the same whichever others are analysed with them.
    pub fn of_images(&self, images: &[&ImageAttributes]) -> Self {
        let model = self.run.iter().take(3).cloned();
        let run = model.chain(images.iter().map(|i| i.sop_instance_uid.clone())).collect();
        Self { run, salt: self.salt.clone() }
    }

    /// The same run on regions that earlier results name: other `regions` (SOP Instance UIDs) make other objects.
    pub fn on_regions<'r>(mut self, regions: impl IntoIterator<Item = &'r str>) -> Self {
        self.run.extend(regions.into_iter().map(|uid| format!("region {uid}")));
        self
    }

    /// The same run with new objects: `salt` goes into every UID but the tracking ones.
    pub fn forced(mut self, salt: Uuid) -> Self {
        self.salt = Some(salt.simple().to_string());
        self
    }

    /// SeriesInstanceUID of the series with this role.
    pub fn series(&self, role: &str) -> String {
        self.uid(["series", role, ""])
    }

    /// SOPInstanceUID of the object with this role. `variant` tells objects apart that the inputs do not: an SR that
    /// lacks an image which failed must not keep the complete one of a later run from being stored.
    pub fn instance(&self, role: &str, variant: &str) -> String {
        self.uid(["instance", role, variant])
    }

    /// Tracking UID (112040, DCM) of what this model says about `what`, an image (its SOPInstanceUID) or a segment on it:
    /// the same in every object and also in forced runs, because the thing tracked is the same.
    pub fn tracking(&self, what: &str) -> String {
        let model = self.run.iter().take(3).map(String::as_str);
        derived_uid(["tracking", what].into_iter().chain(model))
    }

    fn uid(&self, head: [&str; 3]) -> String {
        let salt = self.salt.as_deref().unwrap_or_default();
        derived_uid(head.into_iter().chain([salt]).chain(self.run.iter().map(String::as_str)))
    }
}
