//! What the plugin shows of itself: its entry under `/plugins/ai` and its script in Orthanc Explorer.

use super::entry::NAME;
use super::error::HostError;
use super::host::{Host, c_string};
use super::sys::{self, Property, Service};

/// Adds `javascript` to Orthanc Explorer's page (jQuery Mobile).
///
/// # Errors
/// The core refuses; the script holds a NUL.
pub fn extend_orthanc_explorer(host: &Host, javascript: &str) -> Result<(), HostError> {
    set_property(host, Property::OrthancExplorer, javascript)
}

/// What `/plugins/ai` says of us.
///
/// # Errors
/// As [`extend_orthanc_explorer`].
pub fn set_description(host: &Host, description: &str) -> Result<(), HostError> {
    set_property(host, Property::Description, description)
}

/// Where the link of the plugin's page in Orthanc Explorer leads, such as `../ai/app/`.
///
/// # Errors
/// As [`extend_orthanc_explorer`].
pub fn set_root_uri(host: &Host, uri: &str) -> Result<(), HostError> {
    set_property(host, Property::RootUri, uri)
}

fn set_property(host: &Host, property: Property, value: &str) -> Result<(), HostError> {
    let value = c_string("a property of the plugin", value)?;
    let params = sys::_OrthancPluginSetPluginProperty { plugin: NAME.as_ptr(), property, value: value.as_ptr() };
    // SAFETY: OrthancPluginExtendOrthancExplorer2, …SetDescription2 and …SetRootUri2 pass this structure ("it must match OrthancPluginGetName()");
    // the service is older than these functions, 1.10.1 has it.
    unsafe { host.invoke("SetPluginProperty", Service::SetPluginProperty, &raw const params) }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::*;

    #[test]
    fn properties_are_set_under_the_plugins_name() {
        let fake = Fake::new("1.10.1");
        set_description(fake.host(), "AI").unwrap();
        set_root_uri(fake.host(), "../ai/app/").unwrap();
        extend_orthanc_explorer(fake.host(), "$('#study')").unwrap();
        assert_eq!(fake.texts(), ["ai 1 AI", "ai 2 ../ai/app/", "ai 3 $('#study')"]);
        assert!(matches!(set_description(fake.host(), "\0").unwrap_err(), HostError::Nul { .. }));
    }
}
