use super::super::fake::{Answer, ClientRequest, Fake, alone};
use super::*;

const GET: u32 = 1;
const POST: u32 = 2;

static ROUTES: [Route; 4] = [
    Route { pattern: "/ai/echo/([^/]*)(/.*)?", handler: echo },
    Route { pattern: "/ai/panic", handler: |_| panic!("planted") },
    Route { pattern: "/ai/error", handler: |_| Err(RestError::unprocessable("3 images").with_details("expected 4")) },
    Route { pattern: "/ai/status", handler: status },
];

fn echo(request: &Request<'_>) -> Result<Response, RestError> {
    let text = format!(
        "{} {} {:?} {:?} {:?} {}",
        request.method.as_str(),
        request.path,
        request.groups,
        request.query("a"),
        request.header("CONTENT-Type"),
        request.body.len(),
    );
    Ok(Response::ok("text/plain", text.into_bytes()).with_header("X-A", "1"))
}

fn status(request: &Request<'_>) -> Result<Response, RestError> {
    match request.query("s") {
        Some("405") => Err(RestError::method_not_allowed("GET,POST")),
        Some("503") => Err(RestError::unavailable("full", 30)),
        Some("301") => Ok(Response::redirect("app/")),
        Some("202") => Ok(Response::ok("application/json", &b"{}"[..]).with_status(202)),
        Some("204") => Ok(Response::ok("text/plain", &b"x"[..]).with_status(204)),
        Some("split") => Ok(Response::ok("text/plain", Vec::new()).with_header("X-A", "1\r\nX-B: 2")),
        Some("mime") => Ok(Response::ok("text/plain\n", Vec::new())),
        other => Err(RestError::bad_request(format!("{other:?}"))),
    }
}

/// Registers the routes with a fake of that version, which is the current host until `body` returns.
fn with_routes(version: &str, body: impl FnOnce(&Fake)) {
    let _alone = alone();
    clear();
    let fake = Fake::new(version);
    host::set_current(Some(fake.host().clone()));
    register(fake.host(), &ROUTES).unwrap();
    body(&fake);
    host::set_current(None);
    clear();
}

fn json(answer: &Answer) -> serde_json::Value {
    serde_json::from_slice(&answer.body).unwrap()
}

#[test]
fn routes_are_registered_without_the_lock_and_answer_by_number() {
    with_routes("1.10.1", |fake| {
        assert_eq!(fake.routes(), ROUTES.map(|route| route.pattern));
        assert_eq!(fake.calls(), [Service::RegisterRestCallbackNoLock; 4]);
        let (code, answer) = fake.request(2, &ClientRequest { method: GET, uri: "/ai/error", ..Default::default() });
        assert_eq!((code, answer.status), (sys::Code::Success, 422));
    });
}

#[test]
fn a_request_is_read_whole() {
    with_routes("1.10.1", |fake| {
        let request = ClientRequest {
            method: POST,
            uri: "/ai/echo/x",
            groups: &["x", ""],
            query: &[("b", "1"), ("a", "2"), ("a", "3")],
            headers: &[(b"x", b"1"), (b"content-type", b"caf\xe9")],
            body: b"0123",
            authentication: b"",
        };
        let (code, answer) = fake.request(0, &request);
        assert_eq!((code, answer.status, answer.mime_type.as_str()), (sys::Code::Success, 200, "text/plain"));
        assert_eq!(answer.headers, [("X-A".to_owned(), "1".to_owned())]);
        let text = String::from_utf8(answer.body).unwrap();
        assert_eq!(text, "POST /ai/echo/x [\"x\", \"\"] Some(\"2\") Some(\"caf\u{fffd}\") 4");
    });
}

#[test]
fn an_error_has_orthancs_form_and_status() {
    with_routes("1.13.0", |fake| {
        let (_, answer) = fake.request(2, &ClientRequest { method: POST, uri: "/ai/error", ..Default::default() });
        assert!(answer.headers.is_empty(), "the core adds one itself");
        let body = json(&answer);
        assert_eq!((&body["HttpStatus"], &body["Message"]), (&422.into(), &"Bad request".into()));
        assert_eq!((&body["Details"], &body["Method"]), (&"3 images: expected 4".into(), &"POST".into()));
        assert_eq!((&body["Uri"], &body["OrthancStatus"]), (&"/ai/error".into(), &8.into()));
    });
}

#[test]
fn each_status_goes_through_the_service_that_the_header_demands() {
    with_routes("1.13.0", |fake| {
        let ask = |status: &str| {
            let query = [("s", status)];
            fake.request(3, &ClientRequest { method: GET, uri: "/ai/status", query: &query, ..Default::default() }).1
        };
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(ask("405"), Answer { status: 405, headers: vec![header("Allow", "GET,POST")], ..Answer::default() });
        assert_eq!(ask("301"), Answer { status: 301, headers: vec![header("Location", "app/")], ..Answer::default() });
        assert_eq!(ask("204"), Answer { status: 204, ..Answer::default() });
        let unavailable = ask("503");
        assert_eq!((unavailable.status, &unavailable.headers[0]), (503, &header("Retry-After", "30")));
        let accepted = ask("202");
        assert_eq!((accepted.status, accepted.body.as_slice()), (202, &b"{}"[..]));
        assert!(accepted.headers.is_empty());
    });
    with_routes("1.12.1", |fake| {
        let request = ClientRequest { method: GET, uri: "/ai/error", ..Default::default() };
        let headers = fake.request(2, &request).1.headers;
        assert_eq!(headers, [("Content-Type".to_owned(), "application/json".to_owned())]);
    });
}

#[test]
fn the_query_arrives_decoded_from_every_core() {
    let table = [("1.10.1", "1%202%2B+%", "1 2+ %"), ("1.10.1", "%C3%A9%4", "é%4"), ("1.13.0", "100%25", "100%25")];
    for (version, sent, expected) in table {
        with_routes(version, |fake| {
            let query = [("a", sent)];
            let request = ClientRequest { method: GET, uri: "/ai/echo/x", query: &query, ..Default::default() };
            let text = String::from_utf8(fake.request(0, &request).1.body).unwrap();
            assert!(text.contains(&format!("Some({expected:?})")), "{version}: {text}");
        });
    }
}

#[test]
fn a_panic_in_a_handler_is_a_500_in_orthancs_form() {
    with_routes("1.13.0", |fake| {
        for _ in 0..2 {
            let (code, answer) =
                fake.request(1, &ClientRequest { method: POST, uri: "/ai/panic", ..Default::default() });
            assert_eq!((code, answer.status), (sys::Code::Success, 500));
            let body = json(&answer);
            assert_eq!(body["HttpError"], "Internal Server Error");
            assert!(!body.to_string().contains("planted"), "a panic's message may quote its input: {body}");
        }
    });
}

#[test]
fn what_cannot_be_read_or_sent_is_an_error() {
    with_routes("1.13.0", |fake| {
        let (_, answer) = fake.request(0, &ClientRequest { method: 9, uri: "/ai/echo/x", ..Default::default() });
        assert_eq!((answer.status, &json(&answer)["Details"]), (400, &"the request has an unknown method".into()));
        let (_, answer) = fake.null_request(0);
        assert_eq!(answer.status, 400);
        for forged in ["split", "mime"] {
            let query = [("s", forged)];
            let request = ClientRequest { method: GET, uri: "/ai/status", query: &query, ..Default::default() };
            let (code, answer) = fake.request(3, &request);
            assert_eq!((code, answer), (sys::Code::Plugin, Answer::default()), "{forged}");
        }
        fake.fail(Service::AnswerBuffer, sys::Code::NetworkProtocol);
        let request = ClientRequest { method: GET, uri: "/ai/echo/x", ..Default::default() };
        assert_eq!(fake.request(0, &request).0, sys::Code::NetworkProtocol);
    });
}

#[test]
fn a_route_of_a_life_that_is_over_answers_nothing() {
    with_routes("1.13.0", |fake| {
        let request = ClientRequest { method: GET, uri: "/ai/echo/x", ..Default::default() };
        host::set_current(None);
        assert_eq!(fake.request(0, &request), (sys::Code::BadSequenceOfCalls, Answer::default()));
        let next = Fake::new("1.10.1");
        host::set_current(Some(next.host().clone()));
        clear();
        assert_eq!(fake.request(0, &request).0, sys::Code::BadSequenceOfCalls);
        register(next.host(), &ROUTES).unwrap();
        assert_eq!(next.request(0, &request).1.status, 200);
    });
}

#[test]
fn one_route_too_many_and_a_nul_are_refused() {
    static MANY: [Route; 65] = [Route { pattern: "/many", handler: echo }; 65];
    static NUL: [Route; 1] = [Route { pattern: "/a\0b", handler: echo }];
    let _alone = alone();
    clear();
    let fake = Fake::new("1.13.0");
    assert!(matches!(register(fake.host(), &NUL).unwrap_err(), HostError::Nul { .. }));
    assert!(register(fake.host(), &MANY).unwrap_err().to_string().contains("64"));
    clear();
    fake.fail(Service::RegisterRestCallbackNoLock, sys::Code::BadSequenceOfCalls);
    assert!(register(fake.host(), &ROUTES).is_err());
    clear();
}

#[test]
fn the_payload_of_an_authentication_is_read_where_the_core_has_one() {
    static ROUTE: [Route; 1] = [Route {
        pattern: "/ai/who",
        handler: |request| Ok(Response::ok("text/plain", request.authentication.to_vec())),
    }];
    for (version, expected) in [("1.12.8", &b""[..]), ("1.12.9", b"alice"), ("1.13.0", b"alice")] {
        let _alone = alone();
        clear();
        let fake = Fake::new(version);
        host::set_current(Some(fake.host().clone()));
        register(fake.host(), &ROUTE).unwrap();
        let request = ClientRequest { method: GET, uri: "/ai/who", authentication: b"alice", ..Default::default() };
        assert_eq!(fake.request(0, &request).1.body, expected, "{version}");
        let nobody = ClientRequest { method: GET, uri: "/ai/who", ..Default::default() };
        assert_eq!(fake.request(0, &nobody).1.body, b"");
        host::set_current(None);
        clear();
    }
}
