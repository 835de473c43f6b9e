//! Dialling a server, the same way from a worker and from a command line.

use std::time::Duration;

use tonic::transport::Endpoint;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A peer that does not answer within two of these is gone: a pulled cable says nothing.
pub const KEEPALIVE: Duration = Duration::from_secs(5);

/// What dials this address, such as `http://127.0.0.1:7070`; `None` where it is none. Nothing is dialled yet.
pub fn endpoint(address: &str) -> Option<Endpoint> {
    let endpoint = Endpoint::from_shared(address.to_owned()).ok()?;
    let is_whole = endpoint.uri().host().is_some() && endpoint.uri().scheme_str() == Some("http");
    is_whole.then(|| {
        endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE)
            .tcp_nodelay(true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_a_host() {
        assert!(endpoint("http://127.0.0.1:7070").is_some());
        for wrong in ["", "localhost:7070", "https://a:1", "/path", "http://"] {
            assert!(endpoint(wrong).is_none(), "{wrong}");
        }
    }
}
