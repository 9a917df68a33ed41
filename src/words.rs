//! Enums whose variants are words of a format: one table of variant and word.
//!
//! Reading, printing and the list that mistakes show all come from that table, so that no word can be
//! read and not be printed.

/// Declares an enum with a word for each variant: `ALL`, `WORDS` (each with its word), `word`, `named` and
/// `Display`.
///
/// Variants behind a semicolon carry data and so have no fixed word: the enum then has `WORDS` of the others
/// and `fixed_word`, and prints itself.
macro_rules! words {
    (
        $(#[$of_enum:meta])*
        pub enum $name:ident {
            $($(#[$of_variant:meta])* $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[$of_enum])*
        pub enum $name {
            $($(#[$of_variant])* $variant,)+
        }

        impl $name {
            /// Every one, in the order of their declaration.
            pub const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            /// Every one with its word.
            pub(crate) const WORDS: [(&'static str, Self); Self::ALL.len()] =
                [$(($word, Self::$variant)),+];

            /// Its word, as it is written and read.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// The one of a word; `None` if there is none.
            pub fn named(word: &str) -> Option<Self> {
                let mut words = Self::WORDS.iter();
                words.find(|(known, _)| *known == word).map(|(_, one)| *one)
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.word())
            }
        }
    };
    (
        $(#[$of_enum:meta])*
        pub enum $name:ident {
            $($(#[$of_variant:meta])* $variant:ident = $word:literal,)+
            ;
            $($(#[$of_other:meta])* $other:ident($data:ty),)+
        }
    ) => {
        $(#[$of_enum])*
        pub enum $name {
            $($(#[$of_variant])* $variant,)+
            $($(#[$of_other])* $other($data),)+
        }

        impl $name {
            /// Every one that has a fixed word, with it.
            pub(crate) const WORDS: [(&'static str, Self); [$($word),+].len()] =
                [$(($word, Self::$variant)),+];

            /// Its word; `None` for one that carries data.
            pub(crate) fn fixed_word(&self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => Some($word),)+
                    $(Self::$other(_) => None,)+
                }
            }
        }
    };
}

pub(crate) use words;
