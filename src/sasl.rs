//! What AUTH carries (RFC 4954): base64, and the message of PLAIN (RFC 4616).

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Octets in base64 (RFC 4648 section 4).
pub(crate) fn encode(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len().div_ceil(3) * 4);
    for group in octets.chunks(3) {
        let mut bits = [0; 3];
        bits[..group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes([0, bits[0], bits[1], bits[2]]);
        for place in 0..4 {
            let digit = (bits >> (18 - 6 * place)) as usize & 0x3f;
            // So many octets fill one digit more than there are of them.
            let is_filled = place <= group.len();
            text.push(if is_filled {
                char::from(ALPHABET[digit])
            } else {
                '='
            });
        }
    }
    text
}

/// The octets of base64; `None` if it is malformed.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let mut octets = Vec::with_capacity(text.len() / 4 * 3);
    let groups = text.len() / 4;
    for (index, group) in text.chunks(4).enumerate() {
        let padding = group.iter().rev().take_while(|sign| **sign == b'=').count();
        if padding > 2 || padding > 0 && index + 1 < groups {
            return None;
        }
        let mut bits = 0;
        for sign in &group[..4 - padding] {
            let digit = ALPHABET.iter().position(|known| known == sign)?;
            bits = bits << 6 | u32::try_from(digit).ok()?;
        }
        bits <<= 6 * padding;
        octets.extend_from_slice(&bits.to_be_bytes()[1..4 - padding]);
    }
    Some(octets)
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
