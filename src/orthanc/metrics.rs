//! Values for `/tools/metrics-prometheus`.
//!
//! Orthanc prints a metric's name verbatim, so labels pass through: `orthanc_ai_runs_total{model="x",status="ok"}`.

use std::sync::{PoisonError, RwLock};

use super::error::HostError;
use super::guard::guard;
use super::host::{self, Host, c_string};
use super::sys::{self, Service};

/// Called when somebody reads the metrics: calls [`set`] and [`set_integer`] with values of atomics. It runs inside the scrape, under a mutex
/// of the core: it never waits for a lock that a run holds.
static REFRESH: RwLock<Option<fn(&Host)>> = RwLock::new(None);

/// Sets a floating-point metric.
///
/// # Errors
/// The core refuses; the name holds a NUL.
pub fn set(host: &Host, name: &str, value: f32) -> Result<(), HostError> {
    let name = c_string("a metric's name", name)?;
    let params = sys::_OrthancPluginSetMetricsValue {
        name: name.as_ptr(),
        value,
        type_: sys::OrthancPluginMetricsType::Default,
    };
    // SAFETY: OrthancPluginSetMetricsValue passes this structure; the core copies the name.
    unsafe { host.invoke("SetMetricsValue", Service::SetMetricsValue, &raw const params) }
}

/// Sets an integer metric; before Orthanc 1.12.1 it is one of floating point, exact up to 2^24.
///
/// # Errors
/// As [`set`].
#[expect(clippy::cast_precision_loss, reason = "older cores have floats only")]
pub fn set_integer(host: &Host, name: &str, value: i64) -> Result<(), HostError> {
    if !host.at_least(1, 12, 1) {
        return set(host, name, value as f32);
    }
    let name = c_string("a metric's name", name)?;
    let params = sys::_OrthancPluginSetMetricsIntegerValue {
        name: name.as_ptr(),
        value,
        type_: sys::OrthancPluginMetricsType::Default,
    };
    // SAFETY: OrthancPluginSetMetricsIntegerValue passes this structure; the core copies the name.
    unsafe { host.invoke("SetMetricsIntegerValue", Service::SetMetricsIntegerValue, &raw const params) }
}

/// Has `refresh` called whenever the metrics are read, during Initialize only.
///
/// # Errors
/// The core refuses.
pub fn on_refresh(host: &Host, refresh: fn(&Host)) -> Result<(), HostError> {
    *REFRESH.write().unwrap_or_else(PoisonError::into_inner) = Some(refresh);
    let params = sys::_OrthancPluginRegisterRefreshMetricsCallback { callback: Some(refresh_callback) };
    let service = Service::RegisterRefreshMetricsCallback;
    // SAFETY: OrthancPluginRegisterRefreshMetricsCallback passes this structure.
    unsafe { host.invoke("RegisterRefreshMetricsCallback", service, &raw const params) }
}

/// Forgets the callback of the plugin's previous life.
pub(super) fn clear() {
    *REFRESH.write().unwrap_or_else(PoisonError::into_inner) = None;
}

unsafe extern "C" fn refresh_callback() {
    guard("the metrics callback", (), || {
        let refresh = *REFRESH.read().unwrap_or_else(PoisonError::into_inner);
        if let (Some(refresh), Some(host)) = (refresh, host::current()) {
            refresh(&host);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, alone};
    use super::*;

    #[test]
    fn integers_fall_back_to_floats_on_older_cores() {
        for (version, expected) in [("1.12.0", "runs{model=\"x\"} 3.0"), ("1.12.1", "runs{model=\"x\"} 3")] {
            let fake = Fake::new(version);
            set_integer(fake.host(), "runs{model=\"x\"}", 3).unwrap();
            assert_eq!(fake.texts(), [expected]);
        }
        assert!(matches!(set(Fake::new("1.13.0").host(), "a\0", 1.0).unwrap_err(), HostError::Nul { .. }));
    }

    #[test]
    fn a_refresh_that_panics_stays_inside() {
        let _alone = alone();
        let fake = Fake::new("1.13.0");
        host::set_current(Some(fake.host().clone()));
        on_refresh(fake.host(), |_| panic!("planted")).unwrap();
        fake.refresh();
        on_refresh(fake.host(), |host| set(host, "queue", 2.5).unwrap()).unwrap();
        fake.refresh();
        assert_eq!(fake.texts(), ["queue 2.5"]);
        host::set_current(None);
        fake.refresh();
        assert_eq!(fake.texts(), ["queue 2.5"]);
    }
}
