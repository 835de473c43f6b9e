use ensemble_store::ErrorClass;

use super::*;

#[test]
fn a_url_names_brokers_and_topics() {
    for (text, brokers, topic) in [
        ("kafka://localhost:19092", "localhost:19092", "spotify.tracks"),
        ("kafka://localhost", "localhost:9092", "spotify.tracks"),
        ("kafka://a-1.b_2:1,10.0.0.7:65535/team.x-1", "a-1.b_2:1,10.0.0.7:65535", "team.x-1.spotify.tracks"),
        ("kafka://[::1]:19092,[fe80::7]/p", "[::1]:19092,[fe80::7]:9092", "p.spotify.tracks"),
        ("kafka://h:1/", "h:1", "spotify.tracks"),
    ] {
        let url: KafkaUrl = text.parse().unwrap();
        assert_eq!(
            (url.brokers(), url.topic(EventType::RowAccepted)),
            (brokers.to_owned(), topic.to_owned()),
            "{text}"
        );
        assert_eq!(url.to_string().parse::<KafkaUrl>().unwrap(), url);
    }
}

#[test]
fn what_is_wrong_with_a_url_is_said() {
    let long = format!("kafka://h/{}", "x".repeat(300));
    for (text, says) in [
        ("localhost:9092", "does not begin with kafka://"),
        ("http://h:1", "does not begin with kafka://"),
        ("kafka://", "no host"),
        ("kafka:///prefix", "no host"),
        ("kafka://a:1,", "no host"),
        ("kafka://a:1,,b:2", "no host"),
        ("kafka://a:", "no number from 1"),
        ("kafka://a:0", "no number from 1"),
        ("kafka://a:65536", "no number from 1"),
        ("kafka://a:-1", "no number from 1"),
        ("kafka://a b:1", "no host name"),
        ("kafka://::1:9092", "stands in brackets"),
        ("kafka://[::1", "closing bracket"),
        ("kafka://[nine]:1", "no IPv6 address"),
        ("kafka://[::1]9092", "no number from 1"),
        ("kafka://h:1?acks=0", "settings of their own"),
        ("kafka://h:1/a/b", "'/'"),
        ("kafka://h:1/über", "'ü'"),
        (&long, "are the most"),
    ] {
        let error = text.parse::<KafkaUrl>().unwrap_err();
        assert!(error.to_string().contains(says), "{text}: {error}");
        assert_eq!(error.class(), ErrorClass::Invalid);
    }
}

#[test]
fn a_password_in_a_url_is_refused_and_not_repeated() {
    for text in ["kafka://me:hunter2@h:9092", "kafka://h:1,me:hunter2@i:2/p"] {
        let error = text.parse::<KafkaUrl>().unwrap_err().to_string();
        assert!(error.contains("user or a password") && !error.contains("hunter2"), "{error}");
    }
}
