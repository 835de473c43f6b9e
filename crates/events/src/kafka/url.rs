//! Where a Kafka event log is: `kafka://HOST:PORT,HOST:PORT/PREFIX`.

use std::{fmt, net::Ipv6Addr, str::FromStr};

use crate::{EventType, EventsError};

/// The port of a broker whose address names none.
const DEFAULT_PORT: u16 = 9092;
/// The most characters that Kafka takes in a topic's name.
const MAX_TOPIC: usize = 249;

/// The brokers to ask first, and what stands before the topics' names. It holds no credentials, so it may be shown.
///
/// Its text is `kafka://HOST:PORT,HOST:PORT/PREFIX`. A port that is left out is 9092, an IPv6 address stands in brackets,
/// and without a prefix the topics have their default names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KafkaUrl {
    brokers: Vec<Broker>,
    prefix: Option<String>,
}

/// One broker's address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Broker {
    /// A name or an address; an IPv6 address in its brackets.
    host: String,
    port: u16,
}

impl KafkaUrl {
    /// The brokers as the client library takes them: `HOST:PORT,HOST:PORT`.
    pub fn brokers(&self) -> String {
        let brokers: Vec<String> = self.brokers.iter().map(ToString::to_string).collect();
        brokers.join(",")
    }

    /// What stands before the topics' names, without the dot that joins them; `None` for the default names.
    pub fn prefix(&self) -> Option<&str> {
        self.prefix.as_deref()
    }

    /// The topic of this type's events: `spotify.tracks`, with a prefix `PREFIX.spotify.tracks`.
    pub fn topic(&self, event_type: EventType) -> String {
        let name = event_type.topic();
        self.prefix.as_ref().map_or_else(|| name.to_owned(), |prefix| format!("{prefix}.{name}"))
    }
}

impl fmt::Display for KafkaUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kafka://{}", self.brokers())?;
        self.prefix.as_ref().map_or(Ok(()), |prefix| write!(f, "/{prefix}"))
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl FromStr for KafkaUrl {
    type Err = EventsError;

    /// # Errors
    /// `BadUrl`, which says what is wrong and never repeats the text: somebody may have put a password into it.
    fn from_str(text: &str) -> Result<Self, EventsError> {
        let rest = text.strip_prefix("kafka://").ok_or_else(|| bad("it does not begin with kafka://"))?;
        if rest.contains('@') {
            return Err(bad("it holds a user or a password; give them as settings, by the environment or by a file"));
        }
        if rest.contains(['?', '#']) {
            return Err(bad("it holds options; they are settings of their own"));
        }
        let (brokers, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let brokers = brokers.split(',').map(broker).collect::<Result<_, _>>()?;
        let prefix = if prefix.is_empty() { None } else { Some(checked_prefix(prefix)?) };
        Ok(Self { brokers, prefix })
    }
}

fn bad(reason: impl Into<String>) -> EventsError {
    EventsError::BadUrl { reason: reason.into() }
}

fn broker(text: &str) -> Result<Broker, EventsError> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']').ok_or_else(|| bad(format!("{text:?} has no closing bracket")))?;
        address.parse::<Ipv6Addr>().map_err(|_| bad(format!("{address:?} is no IPv6 address")))?;
        return Ok(Broker { host: format!("[{address}]"), port: port_of(port, text)? });
    }
    let (host, port) = text.find(':').map_or((text, ""), |at| text.split_at(at));
    if port.get(1..).is_some_and(|port| port.contains(':')) {
        return Err(bad(format!("{text:?} has more than one colon; an IPv6 address stands in brackets: [::1]:9092")));
    }
    if host.is_empty() {
        return Err(bad("a broker has no host; it looks like kafka://HOST:PORT,HOST:PORT/PREFIX"));
    }
    if !host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
        return Err(bad(format!("{host:?} is no host name")));
    }
    Ok(Broker { host: host.to_owned(), port: port_of(port, text)? })
}

/// The port from what stands behind the host: nothing, or a colon and the number.
fn port_of(text: &str, broker: &str) -> Result<u16, EventsError> {
    if text.is_empty() {
        return Ok(DEFAULT_PORT);
    }
    let number = text.strip_prefix(':').and_then(|port| port.parse().ok()).filter(|port| *port != 0);
    number.ok_or_else(|| bad(format!("the port of {broker:?} is no number from 1 to 65535")))
}

fn checked_prefix(prefix: &str) -> Result<String, EventsError> {
    if let Some(other) = prefix.chars().find(|c| !c.is_ascii_alphanumeric() && !".-_".contains(*c)) {
        return Err(bad(format!(
            "the prefix {prefix:?} holds {other:?}; a topic's name has letters, digits, . _ and -"
        )));
    }
    let longest = EventType::ALL.map(|t| t.topic().len()).into_iter().max().unwrap_or_default();
    if prefix.len() + 1 + longest > MAX_TOPIC {
        let most = MAX_TOPIC - 1 - longest;
        return Err(bad(format!("the prefix has {} characters, and {most} are the most", prefix.len())));
    }
    Ok(prefix.to_owned())
}

#[cfg(test)]
mod tests;
