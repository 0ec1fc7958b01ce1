//! Ports for the servers of tests.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::TcpListener;

/// A port of loopback that nobody listens at. It is below those that the kernel gives to connections (`ip_local_port_range`, from 32768): one of these may
/// be taken by some client before the server listens, or while it is started again, and then the server ends with "address in use".
pub fn free_port() -> u16 {
    const RANGE: std::ops::Range<u16> = 12_000..32_000;
    loop {
        let random = RandomState::new().build_hasher().finish();
        let port = RANGE.start + u16::try_from(random % u64::from(RANGE.end - RANGE.start)).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
