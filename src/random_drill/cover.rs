//! Drills that have every two kinds together at least once: pairwise coverage of stage, effect, zone shape, what
//! receivers offer and bear, and mail.
//!
//! The rows are found greedily and are always the same: each begins with the first pair that no row has yet, and
//! takes of every further column the kind that brings the most new pairs with what the row has. That is not the
//! least number of rows, but near it: not many more than the product of the two longest columns.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use super::{
    parts::{Bears, Mail, Offered, ZoneShape},
    points::{FailurePlace, FailurePoint, kind_of_effect, points},
};
use crate::verdict::SenderKind;

/// A row: a drill that is to be played.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) point: FailurePoint,
    pub(super) shape: ZoneShape,
    pub(super) offered: Offered,
    pub(super) bears: Bears,
    pub(super) mail: Mail,
}

/// The columns of choices: a point counts as two of the columns of pairs, its place and its effect.
const CHOICES: usize = 5;
/// The columns of pairs.
const COLUMNS: usize = CHOICES + 1;

/// A kind in a column of pairs.
type Cell = (usize, usize);
/// Two kinds of different columns, the one of the first column first.
type Pair = (Cell, Cell);

/// The rows for a sender.
pub(super) fn rows(sender: SenderKind) -> &'static [Row] {
    static IN_PROCESS: LazyLock<Vec<Row>> = LazyLock::new(|| {
        covering(&Kinds::of(
            &ZoneShape::ALL,
            &Offered::ALL,
            &Bears::ALL,
            &Mail::ALL,
        ))
    });
    static SERVER: LazyLock<Vec<Row>> = LazyLock::new(|| {
        covering(&Kinds::of(
            &ZoneShape::ALL,
            &Offered::ALL,
            &Bears::of_others(),
            &Mail::OF_SERVERS,
        ))
    });
    // A command sends one message of its own, and cannot know a name by which a list of exchangers means it.
    static COMMAND: LazyLock<Vec<Row>> = LazyLock::new(|| {
        let shapes = ZoneShape::ALL.into_iter();
        let shapes: Vec<ZoneShape> = shapes.filter(|one| *one != ZoneShape::OwnName).collect();
        covering(&Kinds::of(
            &shapes,
            &Offered::ALL,
            &Bears::of_one(),
            &[Mail::One],
        ))
    });
    match sender {
        SenderKind::Command | SenderKind::ClockedCommand => &COMMAND,
        SenderKind::InProcess { .. } => &IN_PROCESS,
        SenderKind::MailServer => &SERVER,
    }
}

/// The kinds of each column of choices.
struct Kinds {
    points: Vec<FailurePoint>,
    /// The place and the effect of each point, as kinds of the columns of pairs.
    places: Vec<usize>,
    effects: Vec<usize>,
    shapes: Vec<ZoneShape>,
    offered: Vec<Offered>,
    bears: Vec<Bears>,
    mail: Vec<Mail>,
}

impl Kinds {
    fn of(shapes: &[ZoneShape], offered: &[Offered], bears: &[Bears], mail: &[Mail]) -> Self {
        let points = points();
        let mut known: Vec<FailurePlace> = Vec::new();
        let places = points.iter().map(|(place, _)| {
            known
                .iter()
                .position(|one| one == place)
                .unwrap_or_else(|| {
                    known.push(*place);
                    known.len() - 1
                })
        });
        let places = places.collect();
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        let effects = points.iter().map(|(_, effect)| {
            let next = numbers.len();
            *numbers.entry(kind_of_effect(effect)).or_insert(next)
        });
        Self {
            effects: effects.collect(),
            places,
            points,
            shapes: shapes.to_vec(),
            offered: offered.to_vec(),
            bears: bears.to_vec(),
            mail: mail.to_vec(),
        }
    }

    /// How many kinds a column of choices has.
    fn count(&self, column: usize) -> usize {
        match column {
            0 => self.points.len(),
            1 => self.shapes.len(),
            2 => self.offered.len(),
            3 => self.bears.len(),
            _ => self.mail.len(),
        }
    }

    /// The cells of pairs that a choice fills: a point two, any other one.
    fn cells(&self, column: usize, choice: usize) -> Vec<Cell> {
        match column {
            0 => vec![(0, self.places[choice]), (1, self.effects[choice])],
            column => vec![(column + 1, choice)],
        }
    }

    fn row(&self, choices: [usize; CHOICES]) -> Row {
        let [point, shape, offered, bears, mail] = choices;
        Row {
            point: self.points[point],
            shape: self.shapes[shape],
            offered: self.offered[offered],
            bears: self.bears[bears],
            mail: self.mail[mail],
        }
    }

    /// Every pair that some row can have.
    fn pairs(&self) -> BTreeSet<Pair> {
        let mut all = BTreeSet::new();
        for one in 0..CHOICES {
            for choice in 0..self.count(one) {
                let cells = self.cells(one, choice);
                // A place and an effect go together only where a point has both.
                all.extend(pairs_of(&cells));
                for other in one + 1..CHOICES {
                    for second in 0..self.count(other) {
                        let both = [&cells[..], &self.cells(other, second)].concat();
                        all.extend(pairs_of(&both));
                    }
                }
            }
        }
        all
    }
}

/// The pairs among cells that stand in the order of their columns.
fn pairs_of(cells: &[Cell]) -> impl Iterator<Item = Pair> + '_ {
    let pairs = cells.iter().enumerate();
    pairs.flat_map(move |(at, one)| cells[at + 1..].iter().map(move |other| (*one, *other)))
}

/// Rows in which each pair occurs.
fn covering(kinds: &Kinds) -> Vec<Row> {
    let mut missing = kinds.pairs();
    let mut rows = Vec::new();
    while let Some(first) = missing.first().copied() {
        let choices = best_row(kinds, &missing, first);
        let cells: Vec<Cell> = (0..CHOICES)
            .flat_map(|column| kinds.cells(column, choices[column]))
            .collect();
        // The first of the missing pairs is in the row, so this ends.
        for pair in pairs_of(&cells) {
            missing.remove(&pair);
        }
        rows.push(kinds.row(choices));
    }
    taking_turns(rows)
}

/// The rows in another order: first one of each place, then another of each, so that who has little time has seen
/// every place.
fn taking_turns(rows: Vec<Row>) -> Vec<Row> {
    let mut turns: Vec<(usize, Row)> = Vec::new();
    for row in rows {
        let earlier = turns
            .iter()
            .filter(|(_, other)| other.point.0 == row.point.0);
        turns.push((earlier.count(), row));
    }
    // Those of one turn stay in their order.
    turns.sort_by_key(|(turn, _)| *turn);
    turns.into_iter().map(|(_, row)| row).collect()
}

/// The choices of a row that has a certain pair, and as many missing ones besides as a greedy choice finds.
fn best_row(kinds: &Kinds, missing: &BTreeSet<Pair>, pair: Pair) -> [usize; CHOICES] {
    let mut cells: [Option<usize>; COLUMNS] = [None; COLUMNS];
    for (column, kind) in [pair.0, pair.1] {
        cells[column] = Some(kind);
    }
    let mut choices = [0; CHOICES];
    for (column, chosen) in choices.iter_mut().enumerate() {
        let fits = |choice: &usize| {
            let filled = kinds.cells(column, *choice);
            filled
                .iter()
                .all(|(column, kind)| cells[*column].is_none_or(|wanted| wanted == *kind))
        };
        let gain = |choice: usize| {
            let own = kinds.cells(column, choice);
            let others = cells.iter().enumerate();
            let others = others.filter_map(|(column, kind)| Some((column, (*kind)?)));
            let others: Vec<Cell> = others.collect();
            let with = |one: &Cell, other: &Cell| {
                let pair = if one.0 < other.0 {
                    (*one, *other)
                } else {
                    (*other, *one)
                };
                one.0 != other.0 && missing.contains(&pair)
            };
            let news = own
                .iter()
                .flat_map(|one| others.iter().filter(move |other| with(one, other)));
            news.count()
        };
        // Of equals the first: `max_by_key` would take the last.
        let best = (0..kinds.count(column))
            .filter(fits)
            .rev()
            .max_by_key(|choice| gain(*choice));
        *chosen = best.unwrap_or(0);
        for (column, kind) in kinds.cells(column, *chosen) {
            cells[column] = Some(kind);
        }
    }
    choices
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(row: &Row) -> [String; COLUMNS] {
        let (place, effect) = row.point;
        [
            format!("{place:?}"),
            kind_of_effect(effect),
            format!("{:?}", row.shape),
            format!("{:?}", row.offered),
            format!("{:?}", row.bears),
            format!("{:?}", row.mail),
        ]
    }

    #[test]
    fn every_two_kinds_are_in_a_row_together() {
        let rows = rows(SenderKind::MailServer);
        let mut seen = BTreeSet::new();
        for row in rows {
            let kinds = of(row);
            for one in 0..COLUMNS {
                for other in one + 1..COLUMNS {
                    seen.insert((one, kinds[one].clone(), other, kinds[other].clone()));
                }
            }
        }
        let kinds = |column: usize| -> BTreeSet<String> {
            rows.iter().map(|row| of(row)[column].clone()).collect()
        };
        let sizes: Vec<usize> = (0..COLUMNS).map(|column| kinds(column).len()).collect();
        assert_eq!(sizes[2..], [ZoneShape::ALL.len(), 8, 12, 6]);
        for one in 0..COLUMNS {
            for other in one + 1..COLUMNS {
                // Not every effect is at every place.
                if (one, other) == (0, 1) {
                    continue;
                }
                for kind in kinds(one) {
                    for second in kinds(other) {
                        let pair = (one, kind.clone(), other, second);
                        assert!(seen.contains(&pair), "{pair:?}");
                    }
                }
            }
        }
        let points: BTreeSet<String> = rows.iter().map(|row| format!("{:?}", row.point)).collect();
        assert_eq!(points.len(), super::points().len());
        // A row for each two would be many thousands.
        assert!(rows.len() < 700, "{}", rows.len());
    }
}
