//! Connects: from settings to a server that lets this program in and keeps what it writes.

use std::time::Duration;

use mongodb::{
    Client,
    bson::doc,
    error::ErrorKind,
    options::{
        Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, ServerAddress, Tls, WriteConcern,
    },
};

use super::{
    options::MongoOptions,
    server::{Limits, Server},
};
use crate::StoreError;

type Result<T> = std::result::Result<T, StoreError>;

/// The database where neither the settings nor the connection string name one.
const DATABASE: &str = "ensemble";
const PORT: u16 = 27017;
/// What the texts of errors about TLS have in them, and those of a server that hangs up on what it does not understand.
const TLS_WORDS: [&str; 7] =
    ["tls", "certificate", "handshake", "corrupt message", "InvalidContentType", "alert", "UnknownIssuer"];
const HUNG_UP_WORDS: [&str; 4] = ["eof", "end of file", "connection reset", "close"];

/// How long it is tried whether a server answers without TLS.
const PLAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// Makes the client, and returns what it was made from. Nothing is sent yet.
///
/// # Errors
/// [`StoreError::Refused`] where the connection string cannot be read or names a host that does not exist.
pub(super) async fn server(options: &MongoOptions) -> Result<(Server, ClientOptions)> {
    let uri = with_user(options)?;
    let parsed = ClientOptions::parse(&uri).await.map_err(|e| StoreError::Refused {
        server: "the MongoDB connection string".to_owned(),
        problem: format!("cannot be read: {}", without_user(&uri, &e.to_string())),
    })?;
    let database = options.database.clone().or_else(|| parsed.default_database.clone());
    let database = database.unwrap_or_else(|| DATABASE.to_owned());
    let hosts: Vec<String> = parsed.hosts.iter().map(ToString::to_string).collect();
    let name = format!("mongodb://{}/{database}", hosts.join(","));
    look_up(&parsed.hosts, &name).await?;
    let refused = |e: mongodb::error::Error| StoreError::Refused {
        server: name.clone(),
        problem: format!("cannot be connected to: {}", without_user(&uri, &e.to_string())),
    };
    let parsed = overridden(parsed, options);
    let client = Client::with_options(parsed.clone()).map_err(refused)?;
    let limits = Limits {
        operation_timeout: options.operation_timeout,
        in_flight: options.in_flight,
        batch_documents: options.batch_documents,
        batch_bytes: options.batch_bytes,
    };
    Ok((Server::new(client, &database, name, limits), parsed))
}

/// What the protocol rests on does not come from a connection string: neither what a write waits for nor what a read
/// sees.
fn overridden(parsed: ClientOptions, options: &MongoOptions) -> ClientOptions {
    let mut all = parsed;
    let concern = WriteConcern::builder().w(Acknowledgment::Majority).journal(true);
    all.write_concern = Some(concern.w_timeout(options.operation_timeout * 9 / 10).build());
    all.read_concern = Some(ReadConcern::majority());
    all.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    all.connect_timeout = Some(options.connect_timeout);
    all.server_selection_timeout = Some(options.server_selection_timeout);
    all.max_pool_size = Some(options.max_pool_size);
    all.min_pool_size = all.min_pool_size.map(|least| least.min(options.max_pool_size));
    all.app_name.get_or_insert_with(|| "ensemble".to_owned());
    all
}

/// The connection string with the settings' user and password, if they have any.
fn with_user(options: &MongoOptions) -> Result<String> {
    let uri = options.uri.expose();
    if options.user.is_none() && options.password.is_none() {
        return Ok(uri.to_owned());
    }
    let Some((scheme, rest)) = uri.split_once("://") else { return Ok(uri.to_owned()) };
    let (old, rest) = split_user(rest);
    let (old_user, old_password) = match old.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (old, None),
    };
    let user = options.user.as_deref().map_or_else(|| old_user.to_owned(), encoded);
    if user.is_empty() {
        let problem = "is given without a user; give one too".to_owned();
        return Err(StoreError::Setting { setting: "password", problem });
    }
    let password = options.password.as_ref().map(|p| encoded(p.expose())).or_else(|| old_password.map(str::to_owned));
    let password = password.map_or_else(String::new, |password| format!(":{password}"));
    Ok(format!("{scheme}://{user}{password}@{rest}"))
}

/// User and password, and what comes behind them.
fn split_user(rest: &str) -> (&str, &str) {
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    match rest.get(..end).and_then(|hosts| hosts.rfind('@')) {
        Some(at) => (rest.get(..at).unwrap_or_default(), rest.get(at + 1..).unwrap_or_default()),
        None => ("", rest),
    }
}

/// Percent-encodes all but letters, digits and a few signs.
fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    let encode = |byte: u8| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encode).collect()
}

/// A message of the driver without user and password, should it quote them.
fn without_user(uri: &str, message: &str) -> String {
    let user = uri.split_once("://").map(|(_, rest)| split_user(rest).0).unwrap_or_default();
    let mut message = message.to_owned();
    for secret in [user, user.split_once(':').map(|(_, password)| password).unwrap_or_default()] {
        if !secret.is_empty() {
            message = message.replace(secret, "***");
        }
    }
    message
}

/// Looks the hosts up: the driver would look for one that does not exist until its time is over, and not say why.
async fn look_up(hosts: &[ServerAddress], name: &str) -> Result<()> {
    let mut reasons = Vec::new();
    for address in hosts {
        let ServerAddress::Tcp { host, port } = address else { return Ok(()) };
        match tokio::net::lookup_host((host.as_str(), port.unwrap_or(PORT))).await {
            Ok(_) => return Ok(()),
            Err(e) => reasons.push(format!("{host}: {e}")),
        }
    }
    let problem = format!("cannot be found ({}); check the host's name", reasons.join(", "));
    Err(StoreError::Refused { server: name.to_owned(), problem })
}

/// Says more of an error at the opening, where more can be told than that the server is not there.
pub(super) async fn explained(server: &Server, options: ClientOptions, error: StoreError) -> StoreError {
    let StoreError::Unavailable(reason) = &error else { return error };
    let text = reason.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(&word.to_ascii_lowercase()));
    if !matches!(options.tls, Some(Tls::Enabled(_))) {
        // A server that is just starting hangs up as well, so this may pass.
        let hint = "it hangs up before it answers; add tls=true if it speaks TLS only";
        return if has(&HUNG_UP_WORDS) { StoreError::Unavailable(format!("{reason}; {hint}")) } else { error };
    }
    let problem = if answers_without_tls(options).await {
        "does not speak TLS; take tls=true away, or turn TLS on at the server"
    } else if has(&TLS_WORDS) || has(&HUNG_UP_WORDS) {
        "does not speak TLS as asked; check its certificate and tlsCAFile, or take tls=true away"
    } else {
        return error;
    };
    StoreError::Refused { server: server.name.clone(), problem: format!("{problem} ({reason})") }
}

/// Whether a server answers to a client that does not speak TLS. It is sent a greeting and no credentials.
async fn answers_without_tls(mut options: ClientOptions) -> bool {
    options.tls = Some(Tls::Disabled);
    options.credential = None;
    options.server_selection_timeout = Some(PLAIN_TIMEOUT);
    let Ok(client) = Client::with_options(options) else { return false };
    let admin = client.database("admin");
    let ping = admin.run_command(doc! { "ping": 1 });
    tokio::time::timeout(PLAIN_TIMEOUT, ping.into_future()).await.is_ok_and(|answer| match answer {
        Ok(_) => true,
        // It has answered, if only that it wants to know who asks.
        Err(error) => matches!(*error.kind, ErrorKind::Command(_)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    fn options(uri: &str, user: Option<&str>, password: Option<&str>) -> MongoOptions {
        let mut options = MongoOptions::new(uri);
        options.user = user.map(str::to_owned);
        options.password = password.map(Secret::new);
        options
    }

    #[test]
    fn user_and_password_of_the_settings_win() {
        let cases = [
            ("mongodb://h/db?a=b", None, None, "mongodb://h/db?a=b"),
            ("mongodb://h,i:1/db?a=b@c", Some("u"), Some("p@/:"), "mongodb://u:p%40%2F%3A@h,i:1/db?a=b@c"),
            ("mongodb://old:secret@h/db", Some("u"), None, "mongodb://u:secret@h/db"),
            ("mongodb://old:secret@h", None, Some("p"), "mongodb://old:p@h"),
            ("mongodb://h?x", Some("ü"), None, "mongodb://%C3%BC@h?x"),
        ];
        for (uri, user, password, expected) in cases {
            assert_eq!(with_user(&options(uri, user, password)).unwrap(), expected);
        }
        let error = with_user(&options("mongodb://h", None, Some("hush"))).unwrap_err();
        assert!(matches!(&error, StoreError::Setting { setting: "password", .. }), "{error}");
    }

    #[test]
    fn errors_do_not_quote_secrets() {
        let message = without_user("mongodb://me:hush@h/db", "cannot read me:hush@h, not even hush");
        assert_eq!(message, "cannot read ***@h, not even ***");
    }

    #[tokio::test]
    async fn what_the_connection_string_says_of_concerns_does_not_count() {
        let uri = "mongodb://h/db?w=1&journal=false&readConcernLevel=local&readPreference=secondary&maxPoolSize=3";
        let options = MongoOptions::new(uri);
        let all = overridden(ClientOptions::parse(uri).await.unwrap(), &options);
        let concern = all.write_concern.unwrap();
        assert_eq!((concern.w, concern.journal), (Some(Acknowledgment::Majority), Some(true)));
        assert_eq!(all.read_concern, Some(ReadConcern::majority()));
        assert_eq!(all.selection_criteria, Some(SelectionCriteria::ReadPreference(ReadPreference::Primary)));
        assert_eq!(all.max_pool_size, Some(options.max_pool_size));
    }

    #[tokio::test]
    async fn a_connection_string_that_cannot_be_read_is_refused_without_its_secrets() {
        for uri in
            ["nonsense", "mongodb://me:hush@/db", "mongodb://me:hu/sh@h/db", "mongodb+srv://me:hush@h.example/db"]
        {
            let error = server(&MongoOptions::new(uri)).await.err().unwrap();
            assert!(
                matches!(error, StoreError::Refused { .. }) && !error.to_string().contains("hush"),
                "{uri}: {error}"
            );
        }
    }
}
