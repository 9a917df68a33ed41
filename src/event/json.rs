//! Events as JSON: what serde cannot derive, both ways.
//!
//! Records are zone-file text, names of types and effects are the words that scenario files use.

use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// What is written and read as its text.
pub(super) mod text {
    use std::{fmt::Display, str::FromStr};

    use super::{Deserialize, Deserializer, Error, Serializer};

    pub(in crate::event) fn serialize<T: Display, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(in crate::event) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// The same for what may be missing.
pub(super) mod optional_text {
    use std::{fmt::Display, str::FromStr};

    use super::{Deserializer, Serializer, text};

    pub(in crate::event) fn serialize<T: Display, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => text::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::event) fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        text::deserialize(deserializer).map(Some)
    }
}

/// DNS records, each as a line of a zone file.
pub(super) mod records {
    use hickory_proto::rr::Record;

    use super::{Deserialize, Deserializer, Error, Serializer};
    use crate::zone::{present, text};

    pub(in crate::event) fn serialize<S: Serializer>(
        records: &[Record],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(records.iter().map(present::record))
    }

    pub(in crate::event) fn deserialize<'de, D>(deserializer: D) -> Result<Vec<Record>, D::Error>
    where
        D: Deserializer<'de>,
    {
        let lines = Vec::<String>::deserialize(deserializer)?;
        text::parse(&lines.join("\n")).map_err(|mistakes| {
            let messages: Vec<String> = mistakes.into_iter().map(|one| one.message).collect();
            D::Error::custom(messages.join("; "))
        })
    }
}
