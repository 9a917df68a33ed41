//! The page for a browser that a rehearsal may be asked for.

use std::{
    fs::File,
    io::{self, BufWriter},
    path::Path,
};

use crate::{
    commands::{at, output},
    report::page,
};

/// The page that is asked for, if one is. It is begun with the first domain that can be rehearsed: an earlier page is not
/// lost for nothing.
pub(super) struct AskedPage<'a> {
    path: Option<&'a Path>,
    title: String,
    begun: Option<BufWriter<File>>,
}

impl<'a> AskedPage<'a> {
    pub(super) fn new(path: Option<&'a Path>, title: String) -> Self {
        Self {
            path,
            title,
            begun: None,
        }
    }

    /// Writes a part of it, if it is asked for.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(
        &mut self,
        part: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(path) = self.path else {
            return Ok(());
        };
        let page = match &mut self.begun {
            Some(page) => page,
            None => {
                let mut begun = output::create(path)?;
                page::begin(&mut begun, &self.title).map_err(|error| at(path, error))?;
                self.begun.insert(begun)
            }
        };
        part(page).map_err(|error| at(path, error))
    }

    /// Ends it, if it was begun.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn end(self) -> io::Result<()> {
        match (self.begun, self.path) {
            (Some(mut page), Some(path)) => page::end(&mut page).map_err(|error| at(path, error)),
            _ => Ok(()),
        }
    }
}
