//! A client that speaks line by line, and a lab for it on real sockets.

use std::{net::SocketAddr, sync::Arc};

use mxdrill::{
    Scenario,
    lab::{Lab, NetworkKind},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

pub(crate) const ZONE: &str =
    "$ORIGIN example.test.\n@ MX 10 mx1\n@ MX 20 mx2\nmx1 A 192.0.2.1\nmx2 A 192.0.2.2\n";

/// A client that speaks line by line.
pub(crate) struct LineClient(pub(crate) BufReader<TcpStream>);

impl LineClient {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let mut client = Self(BufReader::new(
            TcpStream::connect(address).await.expect("a connection"),
        ));
        assert_eq!(client.reply().await, 220);
        client
    }

    /// One that is to send the content of a message.
    pub(crate) async fn in_content(address: SocketAddr) -> Self {
        let mut client = Self::connect(address).await;
        client.say("EHLO c.test").await;
        client.say("MAIL FROM:<a@c.test>").await;
        client.say("RCPT TO:<x@example.test>").await;
        client.say("DATA").await;
        client
    }

    pub(crate) async fn reply(&mut self) -> u16 {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.expect("a line");
            if line.as_bytes().get(3) != Some(&b'-') {
                return line
                    .get(..3)
                    .and_then(|code| code.parse().ok())
                    .unwrap_or(0);
            }
        }
    }

    pub(crate) async fn send(&mut self, octets: &[u8]) {
        self.0.write_all(octets).await.expect("sent");
    }

    pub(crate) async fn say(&mut self, line: &str) -> u16 {
        self.send(format!("{line}\r\n").as_bytes()).await;
        self.reply().await
    }
}

pub(crate) async fn lab() -> (Lab, SocketAddr, SocketAddr) {
    lab_that("").await
}

/// One whose receivers offer what a list of extensions says.
pub(crate) async fn lab_that_offers(extensions: &str) -> (Lab, SocketAddr, SocketAddr) {
    lab_that(&format!("receivers = [{{ extensions = [{extensions}] }}]")).await
}

/// One with more of a scenario than its records.
async fn lab_that(rest: &str) -> (Lab, SocketAddr, SocketAddr) {
    let text = format!(
        "summary = \"a lab\"\nzone = \"\"\"\n{ZONE}\"\"\"\nmessages = [{{ id = \"m\", to = \"x@example.test\" }}]\n{rest}\n"
    );
    let scenario = Scenario::parse("lab.toml", &text).expect("a scenario");
    let lab = Lab::start(Arc::new(scenario), NetworkKind::Loopback);
    let lab = lab.await.expect("a lab");
    let at = |name: &str| {
        let found = lab
            .endpoints()
            .into_iter()
            .find(|endpoint| endpoint.hosts.iter().any(|host| host.as_str() == name));
        found.expect("an endpoint").listens
    };
    let (first, second) = (at("mx1.example.test"), at("mx2.example.test"));
    (lab, first, second)
}
