//! As much of connection strings as it takes to put a proxy into one.

use std::{io, net::SocketAddr};

/// Where the first server of a connection string listens.
///
/// # Errors
/// `InvalidInput` where the string is no `mongodb://…` or asks for TLS, which a proxy cannot read; what resolving the
/// host's name returns.
pub(super) async fn first_server(uri: &str) -> io::Result<SocketAddr> {
    let (_, hosts, rest) = parts(uri).ok_or_else(|| invalid("the proxy wants a mongodb:// connection string"))?;
    let options = rest.to_ascii_lowercase();
    if options.contains("tls=true") || options.contains("ssl=true") {
        return Err(invalid("the proxy reads what passes: connect without TLS"));
    }
    let first = hosts.split(',').next().unwrap_or_default();
    let server = if first.ends_with(']') || !first.contains(':') { format!("{first}:27017") } else { first.to_owned() };
    let mut addrs = tokio::net::lookup_host(server).await?;
    addrs.next().ok_or_else(|| invalid("the server's name has no address"))
}

/// The connection string with this address in place of its servers.
pub(super) fn through(uri: &str, addr: SocketAddr) -> Option<String> {
    let (before, _, rest) = parts(uri)?;
    Some(format!("{before}{addr}{rest}"))
}

/// Scheme and credentials; servers; database and options.
fn parts(uri: &str) -> Option<(&str, &str, &str)> {
    let authority = "mongodb://".len();
    if !uri.starts_with("mongodb://") {
        return None;
    }
    // A slash or question mark in a password has to be escaped.
    let end = uri.get(authority..)?.find(['/', '?']).map_or(uri.len(), |at| authority + at);
    let start = uri.get(..end)?.rfind('@').map_or(authority, |at| at + 1);
    Some((uri.get(..start)?, uri.get(start..end)?, uri.get(end..)?))
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::{first_server, through};

    #[test]
    fn a_proxy_takes_the_servers_place_in_a_connection_string() {
        let addr = ([127, 0, 0, 1], 9).into();
        for (uri, expected) in [
            ("mongodb://localhost", "mongodb://127.0.0.1:9"),
            ("mongodb://a:1,b:2/", "mongodb://127.0.0.1:9/"),
            ("mongodb://u:p%40@[::1]:1/db?w=1", "mongodb://u:p%40@127.0.0.1:9/db?w=1"),
            ("mongodb://h?replicaSet=rs0", "mongodb://127.0.0.1:9?replicaSet=rs0"),
        ] {
            assert_eq!(through(uri, addr).as_deref(), Some(expected), "{uri}");
        }
        assert_eq!(through("mongodb+srv://h", addr), None);
    }

    #[tokio::test]
    async fn the_first_server_is_the_one_behind_the_proxy() {
        for (uri, expected) in [
            ("mongodb://u:p@127.0.0.1:7,127.0.0.1:8/?w=1", "127.0.0.1:7"),
            ("mongodb://127.0.0.1/db", "127.0.0.1:27017"),
        ] {
            assert_eq!(first_server(uri).await.unwrap().to_string(), expected, "{uri}");
        }
        for uri in ["mongodb+srv://h", "http://h", "mongodb://127.0.0.1/?tls=true", "mongodb://127.0.0.1/?ssl=TRUE"] {
            assert_eq!(first_server(uri).await.unwrap_err().kind(), std::io::ErrorKind::InvalidInput, "{uri}");
        }
    }
}
