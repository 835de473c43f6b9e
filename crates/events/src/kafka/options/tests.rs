use ensemble_store::ErrorClass;

use super::*;

fn options() -> KafkaOptions {
    KafkaOptions::new("kafka://127.0.0.1:9092".parse().unwrap())
}

fn sasl() -> Security {
    Security {
        protocol: SecurityProtocol::SaslPlaintext,
        username: Some("me".into()),
        password: Some(Secret::new("hunter2")),
        ..Security::default()
    }
}

#[test]
fn the_defaults_are_valid_and_within_a_lease() {
    let options = options();
    options.validate().unwrap();
    assert!(options.delivery_timeout < Duration::from_secs(15), "the default lease");
    KafkaOptions { security: sasl(), ..options }.validate().unwrap();
}

#[test]
fn each_option_is_checked_and_named() {
    let base = options;
    let secure = |security| KafkaOptions { security, ..base() };
    let cases = [
        ("connect_timeout", KafkaOptions { connect_timeout: Duration::ZERO, ..base() }),
        ("delivery_timeout", KafkaOptions { delivery_timeout: Duration::from_secs(901), ..base() }),
        ("queue_bytes", KafkaOptions { queue_bytes: 1, ..base() }),
        ("queue_bytes", KafkaOptions { queue_bytes: 1 << 20, max_message_bytes: (1 << 20) + 1, ..base() }),
        ("queue_messages", KafkaOptions { queue_messages: 0, ..base() }),
        ("max_message_bytes", KafkaOptions { max_message_bytes: 999, ..base() }),
        ("partitions", KafkaOptions { partitions: Some(0), ..base() }),
        ("replication", KafkaOptions { replication: Some(0), ..base() }),
        ("security_protocol", secure(Security { protocol: SecurityProtocol::Ssl, ..Security::default() })),
        ("security_protocol", secure(Security { protocol: SecurityProtocol::SaslSsl, ..sasl() })),
        ("ca_location", secure(Security { ca_location: Some("/ca.pem".into()), ..sasl() })),
        ("sasl_mechanism", secure(Security { mechanism: Some("SCRAM-SHA-512".into()), ..sasl() })),
        ("sasl_username", secure(Security { username: None, ..sasl() })),
        ("sasl_password", secure(Security { password: Some(Secret::default()), ..sasl() })),
        ("sasl_username", secure(Security { protocol: SecurityProtocol::Plaintext, ..sasl() })),
    ];
    for (option, options) in cases {
        let error = options.validate().unwrap_err();
        assert_eq!(error.class(), ErrorClass::Invalid);
        let EventsError::BadOption { option: named, .. } = &error else { panic!("{error}") };
        assert_eq!(*named, option, "{error}");
    }
}

#[test]
fn options_are_shown_without_the_password() {
    let shown = format!("{:?}", KafkaOptions { security: sasl(), ..options() });
    assert!(shown.contains("***") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_protocol_is_read_as_it_is_written() {
    assert_eq!("SASL_Plaintext".parse::<SecurityProtocol>().unwrap(), SecurityProtocol::SaslPlaintext);
    let error = "tls".parse::<SecurityProtocol>().unwrap_err().to_string();
    assert!(error.contains("none of plaintext, ssl"), "{error}");
}
