//! What AUTH carries (RFC 4954): base64, and the message of PLAIN (RFC 4616).

use std::sync::LazyLock;

use data_encoding::{BASE64, Encoding};

/// Base64 (RFC 4648 section 4) whose last digit may carry bits of no octet (section 3.5).
static LENIENT: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = BASE64.specification();
    specification.check_trailing_bits = false;
    specification
        .encoding()
        .expect("base64 is an encoding whatever it checks")
});

/// Octets in base64.
pub(crate) fn encode(octets: &[u8]) -> String {
    BASE64.encode(octets)
}

/// The octets of base64; `None` if it is malformed.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let last = text.len().saturating_sub(4);
    let is_padded_inside = text[..last].contains(&b'=');
    LENIENT.decode(text).ok().filter(|_| !is_padded_inside)
}

/// The message of PLAIN without an authorization identity (RFC 4616 section 2).
pub(crate) fn plain(user: &str, password: &str) -> Vec<u8> {
    format!("\0{user}\0{password}").into_bytes()
}

/// The user and the password of PLAIN; `None` if it is malformed. Whom the client wants to act for is not asked.
pub(crate) fn read_plain(message: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut parts = message.split(|octet| *octet == 0);
    let (_, user, password) = (parts.next()?, parts.next()?, parts.next()?);
    parts
        .next()
        .is_none()
        .then(|| (user.to_vec(), password.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 4648 section 10.
    #[test]
    fn base64_is_that_of_the_rfc() {
        for (octets, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(encode(octets.as_bytes()), text);
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(octets.as_bytes()));
        }
        for text in ["Zg", "Zg=", "Z===", "Zg==Zg==", "Z!==", "===="] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
        // Section 3.5 leaves it to the reader.
        assert_eq!(decode(b"Zh==").as_deref(), Some(&b"f"[..]));
    }

    // RFC 4616 section 4.
    #[test]
    fn plain_has_three_parts() {
        assert_eq!(plain("tim", "tanstaaftanstaaf"), b"\0tim\0tanstaaftanstaaf");
        let read = read_plain(b"Ursel\0Kurt\0xipj3plmq");
        assert_eq!(read, Some((b"Kurt".to_vec(), b"xipj3plmq".to_vec())));
        assert_eq!(read_plain(b"Kurt\0xipj3plmq"), None);
    }
}
