//! The adapter that a word asks for, with what is to be changed of its server.

use std::io;

use super::{
    Adapter,
    variant::{self, SIGN},
};
use mxdrill::diagnostic::{did_you_mean, nearest};

impl Adapter {
    /// The adapter of a word: the name of a bundled one, or the path of a file, and what is changed of it.
    ///
    /// # Errors
    /// That there is none, or no such change, with the nearest name.
    pub(crate) fn find(word: &str) -> io::Result<(String, Self)> {
        let (server, changes) = variant::split(word);
        let (id, adapter) = Self::of_server(server)?;
        adapter.changed(&id, &changes)
    }

    /// The same server with these changes, and its id then.
    ///
    /// # Errors
    /// That there is no such change, with those that there are; that one is asked for twice.
    fn changed(mut self, id: &str, names: &[&str]) -> io::Result<(String, Self)> {
        let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidInput, text);
        for (index, name) in names.iter().enumerate() {
            if names[..index].contains(name) {
                return Err(invalid(format!(
                    "found variant {name:?} of {id} twice, expected it once"
                )));
            }
            let known = self.variants.iter();
            let found = known.clone().find(|(known, _)| known.0 == *name);
            let Some((_, variant)) = found else {
                let known: Vec<&str> = known.map(|(name, _)| name.0.as_str()).collect();
                return Err(invalid(unknown(id, name, &known)));
            };
            let variant = variant.clone();
            self.configure.push('\n');
            self.configure.push_str(&variant.configure);
            self.settings.push(format!("{name}: {}", variant.changes));
            self.settled.extend(variant.settles);
        }
        if names.is_empty() {
            return Ok((id.to_owned(), self));
        }
        self.name = format!("{} ({})", self.name, names.join(", "));
        Ok((format!("{id}{SIGN}{}", names.join("+")), self))
    }
}

fn unknown(id: &str, name: &str, known: &[&str]) -> String {
    if known.is_empty() {
        return format!(
            "found variant {name:?} of {id}, expected none: its adapter has no [variants]"
        );
    }
    let hint = did_you_mean(nearest(name, known.iter().copied()));
    format!(
        "found variant {name:?} of {id}, expected one of {}{hint}",
        known.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_added_to_the_configuration_and_told_in_the_settings() {
        let (_, plain) = Adapter::find("postfix").expect("bundled");
        let (id, changed) = Adapter::find("postfix+fixed-order+ipv4-first").expect("bundled");
        assert_eq!(id, "postfix+fixed-order+ipv4-first");
        assert_eq!(variant::server_of(&id), "postfix");
        assert_eq!(changed.name, "Postfix (fixed-order, ipv4-first)");
        let added = changed.configure.strip_prefix(&plain.configure);
        let added = added.expect("all that was there stays");
        assert!(added.contains("smtp_randomize_addresses = no"), "{added}");
        assert_eq!(changed.settings.len(), plain.settings.len() + 2);
        // What decided is told where it does, and not where it was changed.
        let scenario = "scenarios/rfc5321/addresses_in_the_order_of_the_answer.toml";
        assert!(plain.depends_on(scenario).is_some());
        assert_eq!(changed.depends_on(scenario), None);
        let other = "scenarios/rfc5321/hundred_exchangers.toml";
        assert!(changed.depends_on(other).is_some());
    }

    #[test]
    fn a_change_that_there_is_not_is_told_with_those_that_there_are() {
        let told = |word: &str| {
            let found = Adapter::find(word).map(|(id, _)| id);
            found.expect_err("no such change").to_string()
        };
        assert_eq!(
            told("postfix+ipv4-frist"),
            "found variant \"ipv4-frist\" of postfix, expected one of fixed-order, ipv4-first, no-limits; did you mean \"ipv4-first\"?"
        );
        assert_eq!(
            told("dma+x"),
            "found variant \"x\" of dma, expected none: its adapter has no [variants]"
        );
        assert_eq!(
            told("postfix+ipv4-first+ipv4-first"),
            "found variant \"ipv4-first\" of postfix twice, expected it once"
        );
    }

    #[test]
    fn a_word_that_is_no_adapter_is_told_the_nearest() {
        let error = Adapter::find("postfx").expect_err("no such adapter");
        assert!(
            error.to_string().contains("did you mean \"postfix\"?"),
            "{error}"
        );
    }
}
