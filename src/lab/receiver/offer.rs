//! What a receiver offers in its reply to EHLO (RFC 5321 section 4.1.1.1), outside TLS and inside.

use std::sync::Arc;

use crate::extension::Extension;

/// The lists of a receiver, made once.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    /// Outside TLS.
    plain: Hello,
    /// Outside TLS, while a fault hides STARTTLS.
    without_starttls: Hello,
    /// Inside TLS.
    in_tls: Hello,
}

/// A list, and the text of the reply to EHLO that has it.
#[derive(Debug, Clone)]
pub(super) struct Hello {
    extensions: Arc<[Extension]>,
    /// The receiver's name, then a line for each extension.
    pub(super) text: Arc<str>,
}

impl Hello {
    fn new(name: &str, extensions: Vec<Extension>) -> Self {
        let lines = extensions.iter().map(ToString::to_string);
        let lines: Vec<String> = std::iter::once(name.to_owned()).chain(lines).collect();
        Self {
            text: lines.join("\n").into(),
            extensions: extensions.into(),
        }
    }

    /// The extensions that a client was offered by a positive reply: these, unless a fault or the server behind
    /// answered.
    pub(super) fn offered_by(self, text: &str) -> Arc<[Extension]> {
        if *self.text == *text {
            return self.extensions;
        }
        let lines = text.lines().skip(1);
        lines.filter_map(Extension::of_line).collect()
    }
}

/// What a receiver offers by its rows beside extensions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Means {
    /// It has a certificate.
    pub(crate) starttls: bool,
    /// It has a good one.
    pub(crate) requiretls: bool,
    /// AUTH outside TLS, and inside.
    pub(crate) auth: (bool, bool),
}

impl Offer {
    /// As the rows of a scenario say: what is not there is as usual, which is all that the lab serves but for
    /// what senders would behave otherwise with. STARTTLS comes with a certificate.
    pub(crate) fn new(
        name: &str,
        plain: Option<&[Extension]>,
        in_tls: Option<&[Extension]>,
        max_size: usize,
        means: Means,
    ) -> Self {
        let Means {
            starttls,
            requiretls,
            auth,
        } = means;
        let usual = |is_tls: bool| {
            let size = Extension {
                keyword: "SIZE".to_owned(),
                parameters: max_size.to_string(),
            };
            let mut usual: Vec<Extension> = ["PIPELINING", "8BITMIME", "SMTPUTF8"]
                .map(Extension::plain)
                .into();
            usual.insert(1, size);
            // REQUIRETLS is for receivers in good order, and inside TLS only (RFC 8689 section 2).
            usual.extend((is_tls && requiretls).then(|| Extension::plain("REQUIRETLS")));
            usual.push(Extension::plain("ENHANCEDSTATUSCODES"));
            usual
        };
        let is_starttls = |one: &Extension| one.is("STARTTLS");
        let mut outside = plain.map_or_else(|| usual(false), <[Extension]>::to_vec);
        let mut inside = match (in_tls, plain) {
            (Some(list), _) => list.to_vec(),
            (None, Some(list)) => {
                let rest = list.iter().filter(|one| !is_starttls(one));
                rest.cloned().collect()
            }
            (None, None) => usual(true),
        };
        if !starttls {
            outside.retain(|one| !is_starttls(one));
        } else if !outside.iter().any(is_starttls) {
            // Before the last line, which says how replies look.
            let place = match plain {
                None => outside.len() - 1,
                Some(_) => outside.len(),
            };
            outside.insert(place, Extension::plain("STARTTLS"));
        }
        for (list, offered) in [(&mut outside, auth.0), (&mut inside, auth.1)] {
            if offered && !list.iter().any(|one| one.is("AUTH")) {
                list.push(Extension {
                    keyword: "AUTH".to_owned(),
                    parameters: "PLAIN LOGIN".to_owned(),
                });
            }
        }
        let rest = outside.iter().filter(|one| !is_starttls(one)).cloned();
        Self {
            without_starttls: Hello::new(name, rest.collect()),
            plain: Hello::new(name, outside),
            in_tls: Hello::new(name, inside),
        }
    }

    /// The list for a session, with its reply.
    pub(super) fn hello(&self, is_tls: bool, starttls: bool) -> &Hello {
        match (is_tls, starttls) {
            (true, _) => &self.in_tls,
            (false, true) => &self.plain,
            (false, false) => &self.without_starttls,
        }
    }
}
