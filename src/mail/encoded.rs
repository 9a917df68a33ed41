//! Texts as parameters of SMTP have them: xtext (RFC 3461 section 4), and addresses beyond ASCII (RFC 6533 section 3).

/// A text encoded: all but printable ASCII, and `+` and `=`, is `+` with two hexadecimal digits (RFC 3461
/// section 4).
pub(crate) fn xtext(text: &str) -> String {
    let octets = text.bytes().map(|octet| match octet {
        b'+' | b'=' => format!("+{octet:02X}"),
        octet if octet.is_ascii_graphic() => char::from(octet).to_string(),
        octet => format!("+{octet:02X}"),
    });
    octets.collect()
}

/// An address beyond ASCII in ASCII: what is no printable ASCII, and `\`, `+` and `=`, is `\x{}` with its number in
/// hexadecimal within (utf-8-addr-xtext, RFC 6533 section 3).
pub(crate) fn unitext(text: &str) -> String {
    text.chars().map(embedded).collect()
}

/// The same where what is beyond ASCII may stay as it is (utf-8-addr-unitext).
pub(crate) fn unitext_beyond_ascii(text: &str) -> String {
    let sign = |sign: char| match sign.is_ascii() {
        true => embedded(sign),
        false => sign.to_string(),
    };
    text.chars().map(sign).collect()
}

/// A sign in ASCII, and none that means something there.
fn embedded(sign: char) -> String {
    match sign {
        '\\' | '+' | '=' => format!("\\x{{{:X}}}", u32::from(sign)),
        sign if sign.is_ascii_graphic() => sign.to_string(),
        sign => format!("\\x{{{:02X}}}", u32::from(sign)),
    }
}

/// The sign of a number as `embedded` writes it.
fn sign_of(number: &str) -> Option<char> {
    let is_number =
        (2..=6).contains(&number.len()) && number.bytes().all(|octet| octet.is_ascii_hexdigit());
    let number = u32::from_str_radix(number, 16).ok().filter(|_| is_number)?;
    char::from_u32(number)
}

/// Whether an address is encoded so, or is in other octets than ASCII where it may be (utf-8-addr-unitext).
pub(crate) fn is_unitext(encoded: &str, beyond_ascii: bool) -> bool {
    let is_one = |sign: char| match sign.is_ascii() {
        true => sign.is_ascii_graphic() && !matches!(sign, '+' | '='),
        false => beyond_ascii && !sign.is_control(),
    };
    let is_plain = |text: &str| text.chars().all(is_one);
    let mut parts = encoded.split('\\');
    let is_escaped = |part: &str| {
        let read = part
            .strip_prefix("x{")
            .and_then(|part| part.split_once('}'));
        read.is_some_and(|(number, rest)| sign_of(number).is_some() && is_plain(rest))
    };
    parts.next().is_none_or(is_plain) && parts.all(is_escaped)
}

/// The address that was encoded so; what is not encoded stands for itself.
pub(crate) fn of_unitext(encoded: &str) -> String {
    let mut parts = encoded.split("\\x{");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let read = part
            .split_once('}')
            .and_then(|(number, rest)| Some((sign_of(number)?, rest)));
        match read {
            Some((sign, rest)) => {
                text.push(sign);
                text.push_str(rest);
            }
            None => text.extend(["\\x{", part]),
        }
    }
    text
}

/// The text that was encoded; `None` if that is no such text.
pub(crate) fn of_xtext(encoded: &str) -> Option<String> {
    let mut octets = Vec::new();
    let mut rest = encoded.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        (octets, rest) = match (first, after) {
            (b'+', [high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).ok()?;
                octets.push(
                    u8::from_str_radix(digits, 16)
                        .ok()
                        .filter(|_| *high != b'+')?,
                );
                (octets, after)
            }
            (octet, after) if octet.is_ascii_graphic() && !matches!(octet, b'+' | b'=') => {
                octets.push(*octet);
                (octets, after)
            }
            _ => return None,
        };
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_read_again(text in any::<String>()) {
            let encoded = xtext(&text);
            prop_assert!(encoded.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'='));
            prop_assert_eq!(of_xtext(&encoded), Some(text));
        }

        #[test]
        fn whatever_is_read_can_be_written(text in "[ -~]{0,20}|(\\+[0-9A-F]{2}|[!-~]){0,10}") {
            if let Some(read) = of_xtext(&text) {
                prop_assert_eq!(of_xtext(&xtext(&read)), Some(read));
            }
        }
    }

    #[test]
    fn an_address_beyond_ascii_has_a_form_in_ascii() {
        let address = "m\u{fc}ller+x@b\u{fc}cher.test";
        let encoded = unitext(address);
        assert_eq!(encoded, "m\\x{FC}ller\\x{2B}x@b\\x{FC}cher.test");
        assert_eq!(of_unitext(&encoded), address);
        for text in ["a\\x{", "a\\x{ZZ}b", "a\\x{D800}b", "plain@a.test"] {
            assert_eq!(of_unitext(text), text);
        }
    }

    #[test]
    fn an_address_beyond_ascii_is_written_so_or_as_it_is() {
        for address in ["m\\x{FC}ller@a.test", "a\\x{5C}\\x{2B}", "{x}@a.test"] {
            assert!(is_unitext(address, false), "{address}");
        }
        assert!(is_unitext("m\u{fc}ller@a.test", true));
        assert!(!is_unitext("m\u{fc}ller@a.test", false));
        for wrong in [
            "a+b",
            "a=b",
            "a b",
            "a\\b",
            "a\\x{",
            "a\\x{2}",
            "a\\x{D800}",
            "a\\x{2B}+",
            "a\\x{+2B}b",
        ] {
            assert!(!is_unitext(wrong, true), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_xtext_is_not_read() {
        assert_eq!(of_xtext("QQ+2B1+3D").as_deref(), Some("QQ+1="));
        for text in ["+", "+4", "+G1", "++1", "a b", "a=b", "\u{e9}"] {
            assert_eq!(of_xtext(text), None, "{text}");
        }
    }
}
