//! What happens in the server: changes of resources, its start and stop, stored instances.
//!
//! The core calls back on one thread that all plugins share (changes) or inside the reception of an instance (stored). A subscriber
//! passes the event on (a channel, a flag) and returns; it never calls the REST interface.

use std::ffi::c_char;
use std::ptr;
use std::sync::{PoisonError, RwLock};

use super::error::HostError;
use super::guard::guard;
use super::host::{self, Host, borrow_c_string};
use super::sys::{self, Service};

/// What has happened. Other kinds (peers, modalities, jobs, attachments, …) come with Orthanc's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// The REST interface works from now on.
    OrthancStarted,
    /// The REST interface still works: stop the workers now.
    OrthancStopped,
    NewInstance,
    NewSeries,
    NewStudy,
    NewPatient,
    /// No new instance for `StableAge` seconds. A restart before that loses the event for good.
    StableSeries,
    StableStudy,
    StablePatient,
    Deleted,
    Other(i32),
}

impl EventKind {
    fn from_sys(kind: sys::OrthancPluginChangeType) -> Self {
        use sys::OrthancPluginChangeType as Sys;
        match kind {
            Sys::OrthancStarted => Self::OrthancStarted,
            Sys::OrthancStopped => Self::OrthancStopped,
            Sys::NewInstance => Self::NewInstance,
            Sys::NewSeries => Self::NewSeries,
            Sys::NewStudy => Self::NewStudy,
            Sys::NewPatient => Self::NewPatient,
            Sys::StableSeries => Self::StableSeries,
            Sys::StableStudy => Self::StableStudy,
            Sys::StablePatient => Self::StablePatient,
            Sys::Deleted => Self::Deleted,
            other => Self::Other(other.0.cast_signed()),
        }
    }
}

/// A level of Orthanc's tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceLevel {
    Patient,
    Study,
    Series,
    Instance,
}

impl ResourceLevel {
    pub(super) fn from_sys(level: sys::OrthancPluginResourceType) -> Option<Self> {
        use sys::OrthancPluginResourceType as Sys;
        Some(match level {
            Sys::Patient => Self::Patient,
            Sys::Study => Self::Study,
            Sys::Series => Self::Series,
            Sys::Instance => Self::Instance,
            _ => return None,
        })
    }

    pub(super) fn to_sys(self) -> sys::OrthancPluginResourceType {
        use sys::OrthancPluginResourceType as Sys;
        match self {
            Self::Patient => Sys::Patient,
            Self::Study => Sys::Study,
            Self::Series => Sys::Series,
            Self::Instance => Sys::Instance,
        }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub kind: EventKind,
    pub level: Option<ResourceLevel>,
    /// Orthanc's id of the resource (not a DICOM UID), where the change has one.
    pub resource_id: Option<String>,
}

/// Where a stored instance came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Unknown,
    DicomProtocol,
    RestApi,
    Plugin,
    Lua,
    WebDav,
}

impl Origin {
    fn from_sys(origin: sys::OrthancPluginInstanceOrigin) -> Self {
        use sys::OrthancPluginInstanceOrigin as Sys;
        match origin {
            Sys::DicomProtocol => Self::DicomProtocol,
            Sys::RestApi => Self::RestApi,
            Sys::Plugin => Self::Plugin,
            Sys::Lua => Self::Lua,
            Sys::WebDav => Self::WebDav,
            _ => Self::Unknown,
        }
    }
}

/// An instance that the core has just stored (or had already: a re-upload calls back as well).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredInstance {
    /// Orthanc's id of the instance.
    pub instance_id: String,
    pub origin: Origin,
}

type Slot<T> = RwLock<Option<fn(T)>>;
static ON_CHANGE: Slot<Event> = RwLock::new(None);
static ON_STORED: Slot<StoredInstance> = RwLock::new(None);

/// Has `subscriber` called for every change, during Initialize only. A later call replaces the subscriber.
///
/// # Errors
/// The core refuses.
pub fn subscribe(host: &Host, subscriber: fn(Event)) -> Result<(), HostError> {
    if replace(&ON_CHANGE, Some(subscriber)) {
        return Ok(());
    }
    let params = sys::_OrthancPluginOnChangeCallback { callback: Some(on_change) };
    // SAFETY: OrthancPluginRegisterOnChangeCallback passes this structure.
    unsafe { host.invoke("RegisterOnChangeCallback", Service::RegisterOnChangeCallback, &raw const params) }
}

/// Has `subscriber` called for every stored instance, during Initialize only, **inside** the reception of that instance and under a mutex: a channel
/// send, no more. A later call replaces the subscriber.
///
/// # Errors
/// The core refuses.
pub fn subscribe_stored(host: &Host, subscriber: fn(StoredInstance)) -> Result<(), HostError> {
    if replace(&ON_STORED, Some(subscriber)) {
        return Ok(());
    }
    let params = sys::_OrthancPluginOnStoredInstanceCallback { callback: Some(on_stored) };
    let service = Service::RegisterOnStoredInstanceCallback;
    // SAFETY: OrthancPluginRegisterOnStoredInstanceCallback passes this structure.
    unsafe { host.invoke("RegisterOnStoredInstanceCallback", service, &raw const params) }
}

/// Forgets the subscribers of the plugin's previous life.
pub(super) fn clear() {
    replace(&ON_CHANGE, None);
    replace(&ON_STORED, None);
}

/// Returns whether there was a subscriber before, that is whether our callback is registered with the core already.
fn replace<T>(slot: &Slot<T>, subscriber: Option<fn(T)>) -> bool {
    std::mem::replace(&mut *slot.write().unwrap_or_else(PoisonError::into_inner), subscriber).is_some()
}

fn subscriber<T>(slot: &Slot<T>) -> Option<fn(T)> {
    *slot.read().unwrap_or_else(PoisonError::into_inner)
}

/// Always Success: another value would keep the event from the plugins after us.
unsafe extern "C" fn on_change(
    kind: sys::OrthancPluginChangeType,
    level: sys::OrthancPluginResourceType,
    resource_id: *const c_char,
) -> sys::Code {
    guard("the event callback", sys::Code::Success, || {
        // SAFETY: null or a C string of the core, valid until this function returns.
        let resource_id = unsafe { borrow_c_string(resource_id) }.map(|id| id.to_string_lossy().into_owned());
        let resource_id = resource_id.filter(|id| !id.is_empty());
        if let Some(subscriber) = subscriber(&ON_CHANGE) {
            subscriber(Event { kind: EventKind::from_sys(kind), level: ResourceLevel::from_sys(level), resource_id });
        }
        sys::Code::Success
    })
}

unsafe extern "C" fn on_stored(
    instance: *const sys::OrthancPluginDicomInstance,
    instance_id: *const c_char,
) -> sys::Code {
    guard("the stored-instance callback", sys::Code::Success, || {
        // SAFETY: null or a C string of the core, valid until this function returns.
        let instance_id = unsafe { borrow_c_string(instance_id) }.map(|id| id.to_string_lossy().into_owned());
        if let (Some(subscriber), Some(instance_id)) = (subscriber(&ON_STORED), instance_id) {
            // SAFETY: `instance` is the core's argument, valid until this function returns.
            let origin = unsafe { origin_of(instance) };
            subscriber(StoredInstance { instance_id, origin });
        }
        sys::Code::Success
    })
}

/// # Safety
/// `instance` is what the core gave the callback that is running.
unsafe fn origin_of(instance: *const sys::OrthancPluginDicomInstance) -> Origin {
    let mut origin = sys::OrthancPluginInstanceOrigin::Unknown;
    let params = sys::_OrthancPluginAccessDicomInstance {
        resultStringToFree: ptr::null_mut(),
        instance,
        resultOrigin: &raw mut origin,
        ..Default::default()
    };
    let Some(host) = host::current() else { return Origin::Unknown };
    // SAFETY: OrthancPluginGetInstanceOrigin passes this structure with resultOrigin and instance set.
    match unsafe { host.invoke("GetInstanceOrigin", Service::GetInstanceOrigin, &raw const params) } {
        Ok(()) => Origin::from_sys(origin),
        Err(_) => Origin::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::fake::{Fake, alone};
    use super::*;

    static SEEN: Mutex<Vec<Event>> = Mutex::new(Vec::new());
    static STORED: Mutex<Vec<StoredInstance>> = Mutex::new(Vec::new());

    fn see(event: Event) {
        SEEN.lock().unwrap().push(event);
    }

    fn see_stored(stored: StoredInstance) {
        STORED.lock().unwrap().push(stored);
    }

    #[test]
    fn changes_reach_the_subscriber_and_always_succeed() {
        use sys::{OrthancPluginChangeType as Kind, OrthancPluginResourceType as Level};
        let _alone = alone();
        clear();
        let fake = Fake::new("1.10.1");
        subscribe(fake.host(), see).unwrap();
        fake.change(Kind::OrthancStarted, Level::None, None);
        fake.change(Kind::StableSeries, Level::Series, Some("8ea120d7-5057d919"));
        fake.change(Kind(4242), Level(77), Some(""));
        let event = |kind, level, id: Option<&str>| Event { kind, level, resource_id: id.map(str::to_owned) };
        let expected = [
            event(EventKind::OrthancStarted, None, None),
            event(EventKind::StableSeries, Some(ResourceLevel::Series), Some("8ea120d7-5057d919")),
            event(EventKind::Other(4242), None, None),
        ];
        assert_eq!(std::mem::take(&mut *SEEN.lock().unwrap()), expected);
        clear();
        subscribe(fake.host(), |_| panic!("planted")).unwrap();
        assert_eq!(fake.change(Kind::OrthancStopped, Level::None, None), sys::Code::Success);
        clear();
        assert_eq!(fake.change(Kind::OrthancStopped, Level::None, None), sys::Code::Success);
    }

    #[test]
    fn a_second_subscriber_replaces_the_first_without_a_second_registration() {
        let _alone = alone();
        clear();
        let fake = Fake::new("1.10.1");
        subscribe(fake.host(), |_| panic!("replaced")).unwrap();
        subscribe(fake.host(), |_| ()).unwrap();
        assert_eq!(fake.calls(), [Service::RegisterOnChangeCallback]);
        clear();
    }

    #[test]
    fn stored_instances_come_with_their_origin() {
        let _alone = alone();
        clear();
        let fake = Fake::new("1.10.1");
        host::set_current(Some(fake.host().clone()));
        subscribe_stored(fake.host(), see_stored).unwrap();
        fake.stored(sys::OrthancPluginInstanceOrigin::Plugin, Some("id-1"));
        fake.stored(sys::OrthancPluginInstanceOrigin(55), Some("id-2"));
        fake.stored(sys::OrthancPluginInstanceOrigin::Lua, None);
        fake.fail(Service::GetInstanceOrigin, sys::Code::InternalError);
        fake.stored(sys::OrthancPluginInstanceOrigin::Lua, Some("id-3"));
        let stored = |id: &str, origin| StoredInstance { instance_id: id.to_owned(), origin };
        let expected =
            [stored("id-1", Origin::Plugin), stored("id-2", Origin::Unknown), stored("id-3", Origin::Unknown)];
        assert_eq!(std::mem::take(&mut *STORED.lock().unwrap()), expected);
        clear();
        host::set_current(None);
    }
}
