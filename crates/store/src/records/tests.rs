use super::*;

#[test]
fn the_digest_is_blake3_of_32_bytes() {
    let known = [
        (&b""[..], "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
        (&b"abc"[..], "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"),
    ];
    for (bytes, digest) in known {
        assert_eq!(to_hex(&ShardPlan::digest_of(bytes)), digest);
    }
}
