//! The statements of the RFCs that scenarios show, each by its number in `docs/requirements.md`.

use mxdrill::level::Level;
use serde::{Deserialize, Serialize};

/// A statement of the RFCs, as `docs/statements.toml` has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Statement {
    pub(crate) number: u16,
    pub(crate) section: String,
    pub(crate) level: Level,
    pub(crate) text: String,
}

impl Statement {
    /// Whether it stands in a section, or in one below it: "RFC 5321 5" has what "RFC 5321 section 5.1" has.
    pub(crate) fn is_of(&self, section: &str) -> bool {
        let (own, asked) = (plain(&self.section), plain(section));
        let rest = own.strip_prefix(&asked);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', ' ']))
    }
}

/// A section without the word "section", in lower case, its words a space apart.
fn plain(section: &str) -> String {
    let words = section.split_whitespace().map(str::to_lowercase);
    let words: Vec<String> = words.filter(|word| word != "section").collect();
    words.join(" ")
}

/// The statements that scenarios cover by number, in the order of their numbers.
pub(crate) fn statements() -> Vec<Statement> {
    #[derive(Deserialize)]
    struct Statements {
        statement: Vec<Statement>,
    }
    let text = mxdrill::bundled::STATEMENTS;
    let mut read: Statements = toml::from_str(text).expect("a test reads the statements");
    read.statement.sort_by_key(|statement| statement.number);
    read.statement
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_read_in_order() {
        let statements = statements();
        assert!(statements.len() > 80);
        assert!(statements.is_sorted_by_key(|statement| statement.number));
    }

    #[test]
    fn a_section_has_what_stands_below_it() {
        let of = |section: &str| Statement {
            number: 1,
            section: section.to_owned(),
            level: Level::Must,
            text: String::new(),
        };
        for (own, asked, is_of) in [
            ("RFC 5321 section 5.1", "RFC 5321 5.1", true),
            ("RFC 5321 section 5.1", "rfc 5321  Section 5", true),
            ("RFC 5321 section 4.5.3.2", "RFC 5321 4.5", true),
            ("RFC 5321 section 5.1", "RFC 5321", true),
            ("RFC 5321 section 5.1", "RFC 5321 5.10", false),
            ("RFC 5321 section 5.10", "RFC 5321 5.1", false),
            ("RFC 5321 section 5.1", "RFC 532", false),
        ] {
            assert_eq!(of(own).is_of(asked), is_of, "{own} {asked}");
        }
    }
}
