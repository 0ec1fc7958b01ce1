//! A core of Orthanc made of Rust: an `InvokeService` that records what it is asked and answers what the test wants.
//!
//! No C code is involved, so the tests of this folder can run under Miri, which then checks our pointers.

use std::alloc::{Layout, alloc, dealloc};
use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::HostError;
use super::host::Host;
use super::sys::{self, Code, MemoryBuffer, Service};

/// For tests that use the folder's statics (the current host, the routes, the subscribers): one at a time.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A core and the host that wraps its context.
pub struct Fake {
    core: *mut Core,
    context: *mut sys::Context,
    host: Option<Host>,
}

struct Core {
    version: CString,
    /// Blocks and images handed out and not freed yet.
    live: Arc<AtomicUsize>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    calls: Vec<Service>,
    failing: HashMap<Service, Code>,
    null: HashSet<Service>,
    configuration: Option<String>,
    image: Option<FakeImage>,
    rest_answer: (u16, Option<Vec<u8>>),
    rest_answer_headers: Option<String>,
    rest_calls: Vec<RestCall>,
    routes: Vec<(String, sys::OrthancPluginRestCallback)>,
    on_change: sys::OrthancPluginOnChangeCallback,
    on_stored: sys::OrthancPluginOnStoredInstanceCallback,
    on_refresh: sys::OrthancPluginRefreshMetricsCallback,
    filter: sys::OrthancPluginIncomingHttpRequestFilter2,
    job: Option<FakeJob>,
    texts: Vec<String>,
}

#[derive(Clone)]
pub struct FakeImage {
    pub format: sys::OrthancPluginPixelFormat,
    pub width: u32,
    pub height: u32,
    pub pitch: u32,
    pub data: Vec<u8>,
}

/// A call that our REST client has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestCall {
    pub method: u32,
    pub uri: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub after_plugins: bool,
}

/// What a handler of ours has answered to a client.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub mime_type: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Fake {
    pub fn new(version: &str) -> Self {
        Self::try_new(version).unwrap()
    }

    pub fn try_new(version: &str) -> Result<Self, HostError> {
        let version = CString::new(version).unwrap();
        let core = Core { version, live: Arc::default(), state: Mutex::default() };
        core.state.lock().unwrap().configuration = Some("{}".into());
        let core = Box::into_raw(Box::new(core));
        // SAFETY: just made.
        let orthanc_version = unsafe { (*core).version.as_ptr() };
        let context = Box::into_raw(Box::new(sys::Context {
            pluginsManager: core.cast::<c_void>(),
            orthancVersion: orthanc_version,
            Free: Some(free),
            InvokeService: Some(invoke_service),
        }));
        let mut fake = Self { core, context, host: None };
        // SAFETY: the context lives until the fake is dropped, which closes the host first.
        fake.host = Some(unsafe { Host::new(context) }?);
        Ok(fake)
    }

    pub fn host(&self) -> &Host {
        self.host.as_ref().unwrap()
    }

    fn core(&self) -> &Core {
        // SAFETY: freed in `drop` only.
        unsafe { &*self.core }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.core().state.lock().unwrap()
    }

    /// Every service asked for so far.
    pub fn calls(&self) -> Vec<Service> {
        self.state().calls.clone()
    }

    /// Has `service` answer this code from now on.
    pub fn fail(&self, service: Service, code: Code) {
        self.state().failing.insert(service, code);
    }

    /// Has `service` report success and give a null pointer.
    pub fn null(&self, service: Service) {
        self.pass(service);
        self.state().null.insert(service);
    }

    /// Undoes `fail` and `null`.
    pub fn pass(&self, service: Service) {
        self.state().failing.remove(&service);
        self.state().null.remove(&service);
    }

    pub fn unfreed(&self) -> usize {
        self.core().live.load(Ordering::SeqCst)
    }

    pub fn set_configuration(&self, text: Option<&str>) {
        self.state().configuration = text.map(str::to_owned);
    }

    pub fn set_image(&self, image: Option<FakeImage>) {
        self.state().image = image;
    }

    pub fn set_rest_answer(&self, status: u16, body: Option<&[u8]>) {
        self.state().rest_answer = (status, body.map(<[u8]>::to_vec));
    }

    /// The headers of the next answers, as the core gives them: a JSON object.
    pub fn set_rest_answer_headers(&self, json: &str) {
        self.state().rest_answer_headers = Some(json.into());
    }

    pub fn rest_calls(&self) -> Vec<RestCall> {
        self.state().rest_calls.clone()
    }

    /// Log lines, metrics and plugin properties, as text.
    pub fn texts(&self) -> Vec<String> {
        self.state().texts.clone()
    }

    pub fn routes(&self) -> Vec<String> {
        self.state().routes.iter().map(|(pattern, _)| pattern.clone()).collect()
    }

    /// Calls the registered route number `route`.
    pub fn request(&self, route: usize, request: &ClientRequest<'_>) -> (Code, Answer) {
        let callback = self.state().routes[route].1.unwrap();
        let mut answer = Answer::default();
        let output = (&raw mut answer).cast::<sys::OrthancPluginRestOutput>();
        let whole = self.host().at_least(1, 12, 9);
        let code = request.with_raw(whole, |uri, request| {
            // SAFETY: the callback is ours; its arguments are as the header says.
            unsafe { callback(output, uri, request) }
        });
        (code, answer)
    }

    /// The same with null pointers for URI and request.
    pub fn null_request(&self, route: usize) -> (Code, Answer) {
        let callback = self.state().routes[route].1.unwrap();
        let mut answer = Answer::default();
        let output = (&raw mut answer).cast::<sys::OrthancPluginRestOutput>();
        // SAFETY: as above; null is what is tested.
        let code = unsafe { callback(output, ptr::null(), ptr::null()) };
        (code, answer)
    }

    pub fn change(
        &self,
        kind: sys::OrthancPluginChangeType,
        level: sys::OrthancPluginResourceType,
        id: Option<&str>,
    ) -> Code {
        let callback = self.state().on_change.unwrap();
        let id = id.map(|id| CString::new(id).unwrap());
        // SAFETY: the callback is ours; its arguments are as the header says.
        unsafe { callback(kind, level, id.as_deref().map_or(ptr::null(), CStr::as_ptr)) }
    }

    pub fn stored(&self, origin: sys::OrthancPluginInstanceOrigin, id: Option<&str>) -> Code {
        let callback = self.state().on_stored.unwrap();
        let id = id.map(|id| CString::new(id).unwrap());
        let instance = (&raw const origin).cast::<sys::OrthancPluginDicomInstance>();
        // SAFETY: the callback is ours; its arguments are as the header says.
        unsafe { callback(instance, id.as_deref().map_or(ptr::null(), CStr::as_ptr)) }
    }

    pub fn filter(&self, method: u32, uri: &str, headers: &[(&[u8], &[u8])]) -> i32 {
        let callback = self.state().filter.unwrap();
        let uri = CString::new(uri).unwrap();
        let owned = |bytes: &[u8]| CString::new(bytes).unwrap();
        let headers: Vec<_> = headers.iter().map(|(k, v)| (owned(k), owned(v))).collect();
        let keys: Vec<_> = headers.iter().map(|(key, _)| key.as_ptr()).collect();
        let values: Vec<_> = headers.iter().map(|(_, value)| value.as_ptr()).collect();
        let (count, none) = (headers.len() as u32, ptr::null());
        let method = sys::HttpMethod(method);
        // SAFETY: the callback is ours; its arguments are as the header says.
        unsafe { callback(method, uri.as_ptr(), ptr::null(), count, keys.as_ptr(), values.as_ptr(), 0, none, none) }
    }

    pub fn refresh(&self) {
        let callback = self.state().on_refresh.unwrap();
        // SAFETY: the callback is ours.
        unsafe { callback() };
    }

    pub fn job(&self) -> FakeJob {
        self.state().job.unwrap()
    }
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fake({:?})", self.host)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if let Some(host) = &self.host {
            host.close();
        }
        // SAFETY: made by `Box::into_raw`; no call is in flight and none can begin.
        unsafe {
            drop(Box::from_raw(self.context));
            drop(Box::from_raw(self.core));
        }
    }
}

/// A request as a client sends it.
#[derive(Default)]
pub struct ClientRequest<'a> {
    pub method: u32,
    pub uri: &'a str,
    pub groups: &'a [&'a str],
    pub query: &'a [(&'a str, &'a str)],
    pub headers: &'a [(&'a [u8], &'a [u8])],
    pub body: &'a [u8],
    /// Given by cores from 1.12.9 on.
    pub authentication: &'a [u8],
}

/// The structure as a core before 1.12.9 allocates it: without the two fields at the end, so that reading them shows.
#[repr(C)]
struct OldHttpRequest {
    method: sys::HttpMethod,
    groups_count: u32,
    groups: *const *const c_char,
    get_count: u32,
    get_keys: *const *const c_char,
    get_values: *const *const c_char,
    body: *const c_void,
    body_size: u32,
    headers_count: u32,
    headers_keys: *const *const c_char,
    headers_values: *const *const c_char,
}

const _: () = {
    use std::mem::{offset_of, size_of};
    assert!(size_of::<OldHttpRequest>() == offset_of!(sys::OrthancPluginHttpRequest, authenticationPayload));
    assert!(offset_of!(OldHttpRequest, headers_values) == offset_of!(sys::OrthancPluginHttpRequest, headersValues));
};

impl ClientRequest<'_> {
    fn with_raw<T>(
        &self,
        whole: bool,
        body: impl FnOnce(*const c_char, *const sys::OrthancPluginHttpRequest) -> T,
    ) -> T {
        let owned = |bytes: &[u8]| CString::new(bytes).unwrap();
        let uri = owned(self.uri.as_bytes());
        let groups: Vec<_> = self.groups.iter().map(|group| owned(group.as_bytes())).collect();
        let query: Vec<_> = self.query.iter().map(|(k, v)| (owned(k.as_bytes()), owned(v.as_bytes()))).collect();
        let headers: Vec<_> = self.headers.iter().map(|(k, v)| (owned(k), owned(v))).collect();
        let pointers = |strings: &mut dyn Iterator<Item = &CString>| strings.map(|s| s.as_ptr()).collect::<Vec<_>>();
        let groups = pointers(&mut groups.iter());
        let get_keys = pointers(&mut query.iter().map(|(key, _)| key));
        let get_values = pointers(&mut query.iter().map(|(_, value)| value));
        let headers_keys = pointers(&mut headers.iter().map(|(key, _)| key));
        let headers_values = pointers(&mut headers.iter().map(|(_, value)| value));
        let raw = OldHttpRequest {
            method: sys::HttpMethod(self.method),
            groups_count: groups.len() as u32,
            groups: groups.as_ptr(),
            get_count: get_keys.len() as u32,
            get_keys: get_keys.as_ptr(),
            get_values: get_values.as_ptr(),
            body: if self.body.is_empty() { ptr::null() } else { self.body.as_ptr().cast() },
            body_size: self.body.len() as u32,
            headers_count: headers_keys.len() as u32,
            headers_keys: headers_keys.as_ptr(),
            headers_values: headers_values.as_ptr(),
        };
        if !whole {
            return body(uri.as_ptr(), (&raw const raw).cast());
        }
        let mut request = sys::OrthancPluginHttpRequest {
            authenticationPayload: self.authentication.as_ptr().cast(),
            authenticationPayloadSize: self.authentication.len() as u32,
            ..Default::default()
        };
        // SAFETY: the older structure is the beginning of this one (asserted above).
        unsafe { ptr::copy_nonoverlapping(&raw const raw, (&raw mut request).cast::<OldHttpRequest>(), 1) };
        body(uri.as_ptr(), &raw const request)
    }
}

/// A job as the core keeps it.
#[derive(Clone, Copy)]
pub struct FakeJob {
    params: sys::_OrthancPluginCreateJob2,
    borrowed_content: sys::OrthancPluginJobGetContent,
    context: *mut sys::Context,
}

// SAFETY: the tests use it on one thread.
unsafe impl Send for FakeJob {}

#[expect(
    clippy::undocumented_unsafe_blocks,
    reason = "each calls a callback of ours with the pointer it was created with"
)]
impl FakeJob {
    pub fn step(&self) -> sys::OrthancPluginJobStepStatus {
        unsafe { self.params.step.unwrap()(self.params.job) }
    }

    pub fn stop(&self, reason: sys::OrthancPluginJobStopReason) -> Code {
        unsafe { self.params.stop.unwrap()(self.params.job, reason) }
    }

    pub fn reset(&self) -> Code {
        unsafe { self.params.reset.unwrap()(self.params.job) }
    }

    pub fn progress(&self) -> f32 {
        unsafe { self.params.getProgress.unwrap()(self.params.job) }
    }

    pub fn finalize(&self) {
        unsafe { self.params.finalize.unwrap()(self.params.job) }
    }

    /// Null if the callback reports an error.
    pub fn content(&self) -> serde_json::Value {
        if let Some(callback) = self.borrowed_content {
            let text = unsafe { CStr::from_ptr(callback(self.params.job)) };
            return serde_json::from_slice(text.to_bytes()).unwrap();
        }
        let mut target = MemoryBuffer::default();
        match unsafe { self.params.getContent.unwrap()(&raw mut target, self.params.job) } {
            Code::Success => {
                let bytes = unsafe { std::slice::from_raw_parts(target.data.cast::<u8>(), target.size as usize) };
                let value = serde_json::from_slice(bytes).unwrap();
                unsafe { (*self.context).Free.unwrap()(target.data) };
                value
            }
            _ => serde_json::Value::Null,
        }
    }
}

/// In front of each block that the fake hands out.
struct Header {
    live: Arc<AtomicUsize>,
    size: usize,
}

const ALIGN: usize = 16;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size_of::<Header>().next_multiple_of(ALIGN) + size, ALIGN).unwrap()
}

fn allocate(live: &Arc<AtomicUsize>, bytes: &[u8]) -> *mut c_void {
    live.fetch_add(1, Ordering::SeqCst);
    let header = Header { live: live.clone(), size: bytes.len() };
    // SAFETY: the layout has room for the header and, ALIGN-aligned behind it, the bytes.
    unsafe {
        let start = alloc(layout(bytes.len()));
        start.cast::<Header>().write(header);
        let data = start.add(size_of::<Header>().next_multiple_of(ALIGN));
        ptr::copy_nonoverlapping(bytes.as_ptr(), data, bytes.len());
        data.cast::<c_void>()
    }
}

unsafe extern "C" fn free(data: *mut c_void) {
    // SAFETY: made by `allocate`.
    unsafe {
        let start = data.cast::<u8>().sub(size_of::<Header>().next_multiple_of(ALIGN));
        let header = start.cast::<Header>().read();
        header.live.fetch_sub(1, Ordering::SeqCst);
        dealloc(start, layout(header.size));
    }
}

fn text(string: *const c_char) -> String {
    // SAFETY: a C string of ours, valid for the call.
    unsafe { CStr::from_ptr(string) }.to_str().unwrap().to_owned()
}

fn bytes(data: *const c_void, size: u32) -> Vec<u8> {
    if data.is_null() {
        assert_eq!(size, 0);
        return Vec::new();
    }
    // SAFETY: as many bytes as the caller says.
    unsafe { std::slice::from_raw_parts(data.cast::<u8>(), size as usize) }.to_vec()
}

/// The fake's `InvokeService`.
#[expect(
    clippy::undocumented_unsafe_blocks,
    reason = "each reads the structure that the header assigns to the service"
)]
unsafe extern "C" fn invoke_service(context: *mut sys::Context, service: Service, params: *const c_void) -> Code {
    let core = unsafe { &*(*context).pluginsManager.cast::<Core>() };
    let mut state = core.state.lock().unwrap();
    state.calls.push(service);
    if let Some(code) = state.failing.get(&service) {
        return *code;
    }
    let null = state.null.contains(&service);
    macro_rules! params {
        ($type:ident) => {
            (&*params.cast::<sys::$type>())
        };
    }
    match service {
        // The fake keeps one text for both.
        Service::GetConfiguration | Service::GetConfigurationPath => {
            let text = state.configuration.as_ref().map(|text| CString::new(text.as_str()).unwrap());
            let result = text.map_or(ptr::null_mut(), |text| allocate(&core.live, text.as_bytes_with_nul()));
            unsafe { params!(_OrthancPluginRetrieveDynamicString).result.write(result.cast()) };
        }
        Service::CreateMemoryBuffer => {
            let params = unsafe { params!(_OrthancPluginCreateMemoryBuffer) };
            let data = if null { ptr::null_mut() } else { allocate(&core.live, &vec![0; params.size as usize]) };
            unsafe { params.target.write(MemoryBuffer { data, size: params.size }) };
        }
        Service::CallRestApi => {
            let params = unsafe { params!(_OrthancPluginCallRestApi) };
            let string = |array: *const *const c_char, index: u32| text(unsafe { *array.add(index as usize) });
            let header = |index| (string(params.headersKeys, index), string(params.headersValues, index));
            state.rest_calls.push(RestCall {
                method: params.method.0,
                uri: text(params.uri),
                headers: (0..params.headersCount).map(header).collect(),
                body: bytes(params.body, params.bodySize),
                after_plugins: params.afterPlugins != 0,
            });
            if let Some(headers) = state.rest_answer_headers.as_ref().filter(|_| !params.answerHeaders.is_null()) {
                let (data, size) = (allocate(&core.live, headers.as_bytes()), headers.len() as u32);
                unsafe { params.answerHeaders.write(MemoryBuffer { data, size }) };
            }
            let (status, body) = &state.rest_answer;
            unsafe { params.httpStatus.write(*status) };
            if let Some(body) = body {
                let size = body.len() as u32;
                unsafe { params.answerBody.write(MemoryBuffer { data: allocate(&core.live, body), size }) };
            }
        }
        Service::RegisterRestCallbackNoLock => {
            let params = unsafe { params!(_OrthancPluginRestCallback) };
            state.routes.push((text(params.pathRegularExpression), params.callback));
        }
        Service::RegisterOnChangeCallback => {
            state.on_change = unsafe { params!(_OrthancPluginOnChangeCallback).callback }
        }
        Service::RegisterOnStoredInstanceCallback => {
            state.on_stored = unsafe { params!(_OrthancPluginOnStoredInstanceCallback).callback };
        }
        Service::RegisterRefreshMetricsCallback => {
            state.on_refresh = unsafe { params!(_OrthancPluginRegisterRefreshMetricsCallback).callback };
        }
        Service::RegisterIncomingHttpRequestFilter2 => {
            state.filter = unsafe { params!(_OrthancPluginIncomingHttpRequestFilter2).callback };
        }
        Service::GetInstanceOrigin => {
            let params = unsafe { params!(_OrthancPluginAccessDicomInstance) };
            let origin = params.instance.cast::<sys::OrthancPluginInstanceOrigin>();
            unsafe { params.resultOrigin.write(origin.read()) };
        }
        Service::AnswerBuffer => {
            let params = unsafe { params!(_OrthancPluginAnswerBuffer) };
            let answer = unsafe { &mut *params.output.cast::<Answer>() };
            answer.status = 200;
            answer.mime_type = text(params.mimeType);
            answer.body = bytes(params.answer, params.answerSize);
        }
        Service::SendHttpStatus => {
            let params = unsafe { params!(_OrthancPluginSendHttpStatus) };
            let answer = unsafe { &mut *params.output.cast::<Answer>() };
            answer.status = params.status;
            answer.body = bytes(params.body, params.bodySize);
        }
        Service::SetHttpHeader => {
            let params = unsafe { params!(_OrthancPluginSetHttpHeader) };
            let answer = unsafe { &mut *params.output.cast::<Answer>() };
            answer.headers.push((text(params.key), text(params.value)));
        }
        Service::SendMethodNotAllowed | Service::Redirect => {
            let params = unsafe { params!(_OrthancPluginOutputPlusArgument) };
            let answer = unsafe { &mut *params.output.cast::<Answer>() };
            let (status, name) = if service == Service::Redirect { (301, "Location") } else { (405, "Allow") };
            answer.status = status;
            answer.headers.push((name.into(), text(params.argument)));
        }
        Service::DecodeDicomImage => {
            let image = state.image.clone().map_or(ptr::null_mut(), |image| {
                core.live.fetch_add(1, Ordering::SeqCst);
                Box::into_raw(Box::new(image)).cast()
            });
            unsafe { params!(_OrthancPluginCreateImage).target.write(image) };
        }
        Service::GetImagePixelFormat
        | Service::GetImageWidth
        | Service::GetImageHeight
        | Service::GetImagePitch
        | Service::GetImageBuffer => {
            let params = unsafe { params!(_OrthancPluginGetImageInfo) };
            let image = unsafe { &*params.image.cast::<FakeImage>() };
            match service {
                Service::GetImagePixelFormat => unsafe { params.resultPixelFormat.write(image.format) },
                Service::GetImageWidth => unsafe { params.resultUint32.write(image.width) },
                Service::GetImageHeight => unsafe { params.resultUint32.write(image.height) },
                Service::GetImagePitch => unsafe { params.resultUint32.write(image.pitch) },
                _ => {
                    let pixels = if null { ptr::null() } else { image.data.as_ptr() };
                    unsafe { params.resultBuffer.write(pixels.cast_mut().cast()) };
                }
            }
        }
        Service::FreeImage => {
            core.live.fetch_sub(1, Ordering::SeqCst);
            drop(unsafe { Box::from_raw(params!(_OrthancPluginFreeImage).image.cast::<FakeImage>()) });
        }
        Service::CreateJob2 if !null => {
            let params = unsafe { *params!(_OrthancPluginCreateJob2) };
            unsafe { params.target.write(ptr::dangling_mut()) };
            state.job = Some(FakeJob { params, borrowed_content: None, context });
        }
        Service::CreateJob if !null => {
            let old = unsafe { *params!(_OrthancPluginCreateJob) };
            unsafe { old.target.write(ptr::dangling_mut()) };
            let params = sys::_OrthancPluginCreateJob2 {
                job: old.job,
                finalize: old.finalize,
                getProgress: old.getProgress,
                step: old.step,
                stop: old.stop,
                reset: old.reset,
                ..Default::default()
            };
            state.job = Some(FakeJob { params, borrowed_content: old.getContent, context });
        }
        Service::SubmitJob => {
            let params = unsafe { params!(_OrthancPluginSubmitJob) };
            if !null {
                let id = CString::new(format!("job-{}", params.priority)).unwrap();
                unsafe { params.resultId.write(allocate(&core.live, id.as_bytes_with_nul()).cast()) };
            }
        }
        Service::FreeJob => {
            let job = state.job.take().unwrap();
            drop(state);
            job.finalize();
        }
        Service::LogError => state.texts.push(format!("error {}", text(params.cast()))),
        Service::LogWarning => state.texts.push(format!("warning {}", text(params.cast()))),
        Service::LogInfo => state.texts.push(format!("info {}", text(params.cast()))),
        Service::LogMessage => {
            let params = unsafe { params!(_OrthancPluginLogMessage) };
            let (plugin, file) = (text(params.plugin), text(params.file));
            let message = text(params.message);
            state.texts.push(format!("{} {plugin} {file}:{} {message}", params.level.0, params.line));
        }
        Service::SetMetricsValue => {
            let params = unsafe { params!(_OrthancPluginSetMetricsValue) };
            state.texts.push(format!("{} {:?}", text(params.name), params.value));
        }
        Service::EmitAuditLog => {
            let params = unsafe { params!(_OrthancPluginEmitAuditLog) };
            let data = String::from_utf8(bytes(params.logData, params.logDataSize)).unwrap();
            let (plugin, user, level) = (text(params.sourcePlugin), text(params.userId), params.resourceType.0);
            let (resource, action) = (text(params.resourceId), text(params.action));
            state.texts.push(format!("audit {plugin} [{user}] {level} {resource} {action} {data}"));
        }
        Service::SetMetricsIntegerValue => {
            let params = unsafe { params!(_OrthancPluginSetMetricsIntegerValue) };
            state.texts.push(format!("{} {}", text(params.name), params.value));
        }
        Service::SetPluginProperty => {
            let params = unsafe { params!(_OrthancPluginSetPluginProperty) };
            state.texts.push(format!("{} {} {}", text(params.plugin), params.property.0, text(params.value)));
        }
        Service::CreateJob | Service::CreateJob2 => (),
        _ => return Code::UnknownPluginService,
    }
    Code::Success
}
