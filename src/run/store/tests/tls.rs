//! TLS to PostgreSQL: encrypted where the server can, refused where it is not who it should be.

use super::*;
use crate::run::store::StoreError;

const OURS: &str = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl
    AND application_name = 'orthanc-ai'";

#[track_caller]
fn refused(store: &dyn RunStore) -> String {
    match store.check() {
        Err(StoreError::Unavailable { reason }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_connection_is_encrypted_and_its_server_verified() {
    let Some(server) = PostgresServer::start_with_tls() else { return };
    let database = server.database();
    let open = |more: &str, authorities: Option<&str>| {
        let address = format!("{} {more}", server.tcp_address(&database));
        postgres::open(address.parse().unwrap(), authorities.map(|name| server.folder().join(name)))
    };
    let encrypted = || server.query(&database, OURS).trim().to_string();
    for (more, authorities, count) in [
        ("sslmode=disable", None, "0"),
        ("", None, "1"),
        ("sslmode=require", None, "1"),
        ("", Some("ca.pem"), "1"),
        ("sslmode=require", Some("ca.pem"), "1"),
    ] {
        let store = open(more, authorities);
        insert(&*store, &run(&format!("{more}{authorities:?}")));
        assert_eq!(encrypted(), count, "{more} {authorities:?}");
        drop(store);
        // The server hears of the end of a connection a little later.
        std::thread::sleep(Duration::from_millis(200));
    }
    let of_another = refused(&*open("", Some("other.pem")));
    assert_eq!(of_another, "TLS: the server's certificate is of none of the trusted authorities");
    let by_number = server.tcp_address(&database).replace("host=localhost", "host=127.0.0.1");
    let by_number = postgres::open(by_number.parse().unwrap(), Some(server.folder().join("ca.pem")));
    assert_eq!(refused(&*by_number), "TLS: the server's certificate is for another name");
    for (file, expected) in [("nowhere.pem", "cannot be read"), ("server.key", "has no certificate")] {
        let reason = refused(&*open("", Some(file)));
        assert!(reason.contains(expected) && !reason.contains(file), "{reason}");
    }
}

#[test]
fn a_server_without_tls_is_refused_where_tls_is_wanted() {
    let Some(server) = PostgresServer::start_with_tcp() else { return };
    let database = server.database();
    let address = server.tcp_address(&database);
    let without = postgres::open(format!("{address} sslmode=prefer").parse().unwrap(), None);
    insert(&*without, &run("1"));
    let with = postgres::open(format!("{address} sslmode=require").parse().unwrap(), None);
    let reason = refused(&*with);
    assert!(reason.contains("server does not support TLS"), "{reason}");
}
