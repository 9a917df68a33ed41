//! A text of YAML, or of JSON, as a tree in which everything has its place.
//!
//! YAML's parser reads both; JSON is looked at by JSON's own before, which is stricter.

use yaml_rust2::{
    parser::{Event, Parser},
    scanner::{Marker, ScanError},
};

use crate::diagnostic::{Mistake, Mistakes};

/// Lists and tables within each other; records need five.
const MAX_DEPTH: usize = 32;

/// Where something is written down, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Place {
    pub(super) fn mistake(self, path: &str, message: String) -> Mistake {
        Mistake {
            path: path.to_owned(),
            line: self.line,
            column: self.column,
            message,
        }
    }
}

impl From<Marker> for Place {
    fn from(marker: Marker) -> Self {
        Self {
            line: marker.line(),
            column: marker.col() + 1,
        }
    }
}

/// A value with its place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    /// A word, a number, a text.
    Text(String),
    List(Vec<Node>),
    /// Keys in their order; each is there once.
    Table(Vec<(String, Node)>),
}

impl Node {
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What a table has under a key.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        let found = self.table().iter().find(|(name, _)| name == key);
        found.map(|(_, node)| node)
    }

    /// The entries of a table; none of anything else.
    pub(super) fn table(&self) -> &[(String, Node)] {
        match &self.value {
            Value::Table(entries) => entries,
            _ => &[],
        }
    }

    /// The members of a list; anything else is the only one.
    pub(super) fn members(&self) -> &[Node] {
        match &self.value {
            Value::List(members) => members,
            _ => std::slice::from_ref(self),
        }
    }

    /// What kind of value it is, for messages.
    pub(super) fn kind(&self) -> String {
        match &self.value {
            Value::Text(text) => format!("{text:?}"),
            Value::List(_) => "a list".to_owned(),
            Value::Table(_) => "a table".to_owned(),
        }
    }
}

/// A list or a table that is being read; of a table the key that waits for its value.
enum Open {
    List(Place, Vec<Node>),
    Table(Place, Vec<(String, Node)>, Option<String>),
}

/// Reads JSON.
pub(super) fn json(path: &str, text: &str) -> Result<Node, Mistakes> {
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
        let place = Place {
            line: error.line().max(1),
            column: error.column().max(1),
        };
        let message = format!("found no JSON: {error}");
        return Err(Mistakes(vec![place.mistake(path, message)]));
    }
    // Within texts JSON has none; between them YAML has its own opinion of tabs.
    yaml(path, &text.replace('\t', " "))
}

/// Reads YAML.
pub(super) fn yaml(path: &str, text: &str) -> Result<Node, Mistakes> {
    read(text).map_err(|(place, message)| Mistakes(vec![place.mistake(path, message)]))
}

fn read(text: &str) -> Result<Node, (Place, String)> {
    let mut parser = Parser::new_from_str(text);
    let mut open: Vec<Open> = Vec::new();
    let mut root: Option<Node> = None;
    let scanned = |error: ScanError| {
        let place = Place::from(*error.marker());
        (place, format!("found no YAML: {}", error.info()))
    };
    loop {
        let (event, marker) = parser.next_token().map_err(scanned)?;
        let place = Place::from(marker);
        let node = match event {
            Event::StreamEnd => break,
            Event::Alias(_) => {
                let message = "found a reference (*name), expected the value itself".to_owned();
                return Err((place, message));
            }
            Event::Scalar(text, ..) => Node {
                place,
                value: Value::Text(text),
            },
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if open.len() == MAX_DEPTH {
                    let message =
                        format!("found more than {MAX_DEPTH} lists and tables within each other");
                    return Err((place, message));
                }
                open.push(match event {
                    Event::SequenceStart(..) => Open::List(place, Vec::new()),
                    _ => Open::Table(place, Vec::new(), None),
                });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(place, members)) => Node {
                    place,
                    value: Value::List(members),
                },
                Some(Open::Table(place, entries, _)) => Node {
                    place,
                    value: Value::Table(entries),
                },
                None => continue,
            },
            _ => continue,
        };
        match open.last_mut() {
            None if root.is_some() => {
                let message = "found a second document, expected one".to_owned();
                return Err((node.place, message));
            }
            None => root = Some(node),
            Some(Open::List(_, members)) => members.push(node),
            Some(Open::Table(_, entries, key)) => match (key.take(), node.value) {
                (Some(key), value) => {
                    let place = node.place;
                    entries.push((key, Node { place, value }));
                }
                (None, Value::Text(text)) => {
                    if entries.iter().any(|(known, _)| *known == text) {
                        return Err((node.place, format!("found {text:?} a second time")));
                    }
                    *key = Some(text);
                }
                (None, _) => {
                    let message = "found a list or a table as a key, expected a word".to_owned();
                    return Err((node.place, message));
                }
            },
        }
    }
    root.ok_or((Place { line: 1, column: 1 }, "found nothing".to_owned()))
}
