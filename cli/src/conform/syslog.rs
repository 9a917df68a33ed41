//! What a mail server says to the system's logger, which a drill listens in the place of.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tokio::net::UnixDatagram;

use crate::parallel;

/// Octets that are kept for each drill.
const MAX_SYSLOG: usize = 48 * 1024;

/// What listens in the place of the system's logger, until the process ends.
pub(super) struct Syslog {
    lines: Arc<Mutex<String>>,
}

impl Syslog {
    /// Listens at `/dev/log`.
    ///
    /// # Errors
    /// That there is no such place.
    pub(super) fn listen() -> io::Result<Self> {
        let socket = UnixDatagram::bind("/dev/log")?;
        let lines = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&lines);
        tokio::spawn(async move {
            let mut buffer = vec![0; 8 * 1024];
            while let Ok(length) = socket.recv(&mut buffer).await {
                let text = String::from_utf8_lossy(&buffer[..length]);
                // <PRIORITY>TEXT
                let line = text.split_once('>').map_or(&*text, |(_, line)| line);
                let mut heard = parallel::lock(&heard);
                if heard.len() < MAX_SYSLOG {
                    heard.push_str(line.trim_end_matches(['\n', '\0']));
                    heard.push('\n');
                }
            }
        });
        Ok(Self { lines })
    }

    /// What was said so far.
    pub(super) fn text(&self) -> String {
        parallel::lock(&self.lines).clone()
    }
}
