//! One matrix made of several, as shares of the drills or of the mail servers were played on several machines.

use std::{collections::BTreeMap, path::Path};

use super::matrix::{Grade, Judged, Matrix, MatrixRow, ServerColumn};

impl Matrix {
    /// The matrix of all that these were played for, each with where it comes from. A drill of a server that is in none
    /// is inconclusive.
    ///
    /// # Errors
    /// That they are of different versions, or two have played the same.
    pub(crate) fn merged(parts: Vec<(String, Self)>) -> Result<Self, String> {
        let mut parts = parts.into_iter();
        let Some((first_path, mut whole)) = parts.next() else {
            return Err("found no matrix, expected one or more".to_owned());
        };
        let mut cells = BTreeMap::new();
        whole.hand_over(&first_path, &mut cells)?;
        for (path, mut part) in parts {
            whole
                .is_alike(&part)
                .map_err(|why| format!("{path}: {why}, as in {first_path}"))?;
            part.hand_over(&path, &mut cells)?;
            for column in part.columns {
                whole
                    .take_column(column)
                    .map_err(|why| format!("{path}: {why}, as in {first_path}"))?;
            }
            let known = |row: &MatrixRow| whole.rows.iter().any(|one| one.path == row.path);
            let new: Vec<MatrixRow> = part.rows.into_iter().filter(|row| !known(row)).collect();
            whole.rows.extend(new);
        }
        // In the order in which folders are read.
        whole
            .rows
            .sort_by(|one, other| Path::new(&one.path).cmp(Path::new(&other.path)));
        for row in &mut whole.rows {
            let cell = |column: &ServerColumn| {
                let found = cells.remove(&(row.path.clone(), column.server.id.clone()));
                let missing =
                    || Judged::without_run(Grade::Inconclusive, "in none of the merged".to_owned());
                found.map_or_else(missing, |(_, cell)| cell)
            };
            row.cells = whole.columns.iter().map(cell).collect();
        }
        Ok(whole)
    }

    /// Takes the cells out, by drill and server, with where they come from.
    fn hand_over(
        &mut self,
        path: &str,
        cells: &mut BTreeMap<(String, String), (String, Judged)>,
    ) -> Result<(), String> {
        for row in &mut self.rows {
            let judged = std::mem::take(&mut row.cells);
            for (column, cell) in self.columns.iter().zip(judged) {
                let place = (row.path.clone(), column.server.id.clone());
                if let Some((other, _)) = cells.get(&place) {
                    let (drill, server) = &place;
                    return Err(format!(
                        "{path}: found {drill} with {server}, which {other} has too, expected it once"
                    ));
                }
                cells.insert(place, (path.to_owned(), cell));
            }
        }
        Ok(())
    }

    /// An error if another matrix was not made by the same mxdrill with the same suite.
    fn is_alike(&self, other: &Self) -> Result<(), String> {
        if (&self.mxdrill, &self.suite) == (&other.mxdrill, &other.suite) {
            return Ok(());
        }
        let by = |matrix: &Self| match &matrix.suite {
            Some(suite) => format!("mxdrill {} with {suite}", matrix.mxdrill),
            None => format!("mxdrill {} with drills of the user's", matrix.mxdrill),
        };
        Err(format!("found {}, expected {}", by(other), by(self)))
    }

    /// Takes a server up, or what is known of one in addition.
    fn take_column(&mut self, column: ServerColumn) -> Result<(), String> {
        let known = self
            .columns
            .iter_mut()
            .find(|one| one.server.id == column.server.id);
        let Some(known) = known else {
            self.columns.push(column);
            return Ok(());
        };
        let (one, other) = (&mut known.server, column.server);
        if one.version.is_empty() {
            one.version.clone_from(&other.version);
        }
        let wrong = |found: &str, expected: &str| {
            Err(format!("found {} {found}, expected {expected}", other.id))
        };
        if !other.version.is_empty() && one.version != other.version {
            return wrong(&other.version, &one.version);
        }
        if one.packages != other.packages {
            return wrong(&other.packages.join(", "), &one.packages.join(", "));
        }
        if known.configure != column.configure {
            return wrong("set up by another script", "the same");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conform::played_server::PlayedServer;
    use mxdrill::level::Level;

    fn matrix(servers: &[&str], rows: &[(&str, Grade)]) -> Matrix {
        let column = |id: &&str| ServerColumn {
            server: PlayedServer {
                id: (*id).to_owned(),
                name: String::new(),
                home: String::new(),
                version: "1".to_owned(),
                packages: Vec::new(),
                settings: Vec::new(),
            },
            configure: String::new(),
            cannot: Vec::new(),
        };
        let row = |(path, grade): &(&str, Grade)| MatrixRow {
            path: (*path).to_owned(),
            summary: String::new(),
            level: Level::Must,
            cites: Vec::new(),
            covers: Vec::new(),
            cells: servers
                .iter()
                .map(|_| Judged::without_run(*grade, String::new()))
                .collect(),
        };
        Matrix {
            mxdrill: "1".to_owned(),
            suite: Some("a suite".to_owned()),
            system: String::new(),
            columns: servers.iter().map(column).collect(),
            rows: rows.iter().map(row).collect(),
        }
    }

    fn named(parts: Vec<Matrix>) -> Vec<(String, Matrix)> {
        (1..).map(|n| format!("{n}.json")).zip(parts).collect()
    }

    #[test]
    fn shares_of_drills_and_of_servers_make_the_whole() {
        let (pass, fails) = (Grade::Pass, Grade::Violates);
        let whole = matrix(&["a", "b"], &[("s/a", pass), ("s/b", fails), ("s/c", pass)]);
        let by_drills = vec![
            matrix(&["a", "b"], &[("s/a", pass), ("s/c", pass)]),
            matrix(&["a", "b"], &[("s/b", fails)]),
        ];
        let by_servers = vec![
            matrix(&["a"], &[("s/a", pass), ("s/b", fails), ("s/c", pass)]),
            matrix(&["b"], &[("s/a", pass), ("s/b", fails), ("s/c", pass)]),
        ];
        let text = |matrix: &Matrix| serde_json::to_string(matrix).expect("JSON");
        for parts in [by_drills, by_servers] {
            let merged = Matrix::merged(named(parts)).expect("one matrix");
            assert_eq!(text(&merged), text(&whole));
        }
    }

    #[test]
    fn what_is_missing_is_inconclusive() {
        let parts = vec![
            matrix(&["a"], &[("s/a", Grade::Pass)]),
            matrix(&["b"], &[("s/b", Grade::Pass)]),
        ];
        let merged = Matrix::merged(named(parts)).expect("one matrix");
        let grades: Vec<Vec<Grade>> = merged
            .rows
            .iter()
            .map(|row| row.cells.iter().map(|cell| cell.grade).collect())
            .collect();
        assert_eq!(
            grades,
            [
                [Grade::Pass, Grade::Inconclusive],
                [Grade::Inconclusive, Grade::Pass]
            ]
        );
    }

    #[test]
    fn what_does_not_belong_together_is_told() {
        let one = || matrix(&["a"], &[("s/a", Grade::Pass)]);
        let other = |change: fn(&mut Matrix)| {
            let mut other = matrix(&["a"], &[("s/b", Grade::Pass)]);
            change(&mut other);
            Matrix::merged(named(vec![one(), other])).map(drop)
        };
        assert_eq!(other(|_| {}), Ok(()));
        let twice = Matrix::merged(named(vec![one(), one()])).map(drop);
        assert_eq!(
            twice,
            Err("2.json: found s/a with a, which 1.json has too, expected it once".to_owned())
        );
        let suite = other(|other| other.suite = None).expect_err("another suite");
        assert!(
            suite.starts_with("2.json: found mxdrill 1 with drills of the user's, expected"),
            "{suite}"
        );
        let set_up = other(|other| other.columns[0].configure = "x".to_owned());
        assert_eq!(
            set_up,
            Err(
                "2.json: found a set up by another script, expected the same, as in 1.json"
                    .to_owned()
            )
        );
    }
}
