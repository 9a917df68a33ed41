//! Records that are lists of tags, `NAME=VALUE` between semicolons: DMARC, DKIM, TLS reports, BIMI.

/// One tag of a record.
pub(in super::super) struct Tag<'a> {
    /// As it is written.
    pub(in super::super) text: &'a str,
    pub(in super::super) name: &'a str,
    /// What follows the equals sign; `None` without one.
    pub(in super::super) value: Option<&'a str>,
}

/// The tags of a record, in order; empty ones between semicolons are none.
pub(in super::super) fn tags(record: &str) -> impl Iterator<Item = Tag<'_>> {
    let parts = record.split(';').map(|part| part.trim_matches([' ', '\t']));
    parts.filter(|part| !part.is_empty()).map(|text| {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.trim_start_matches([' ', '\t']))),
            None => (text, None),
        };
        Tag {
            text,
            name: name.trim_end_matches([' ', '\t']),
            value,
        }
    })
}

/// The value of a tag; `None` if the record does not have it. The first one counts.
pub(in super::super) fn value<'a>(record: &'a str, wanted: &str) -> Option<&'a str> {
    let mut tags = tags(record);
    tags.find(|tag| tag.name.eq_ignore_ascii_case(wanted))
        .map(|tag| tag.value.unwrap_or_default())
}
