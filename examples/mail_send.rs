//! mail-send, delivering by MX with failover. mail-send knows one server; the list of them comes from the DNS.
//!
//! `cargo test --example mail_send` runs the test below.

#[path = "blocking_sender.rs"]
#[expect(dead_code, reason = "another example")]
mod dns;

use std::{
    error::Error,
    net::{IpAddr, SocketAddr},
};

use mail_send::{SmtpClientBuilder, smtp::message::Message};
use tokio_rustls::rustls::crypto::ring;

/// The code under test.
pub(crate) async fn send(
    resolver: SocketAddr,
    socket_for: impl Fn(IpAddr) -> SocketAddr,
    to: &str,
) -> Result<(), Box<dyn Error>> {
    // mail-send wants one to be chosen where a program has several; a second choice changes nothing.
    ring::default_provider().install_default().ok();
    for address in dns::candidates(resolver, to)? {
        let there = socket_for(address);
        // Without one it says the machine's own name, which is often none that others know.
        let server =
            SmtpClientBuilder::new(there.ip().to_string(), there.port())?.helo_host("client.test");
        let Ok(mut session) = server.connect_plain().await else {
            continue;
        };
        let message = Message::new("me@client.test", [to], b"Subject: hi\r\n\r\nhi\r\n");
        match session.send(message).await {
            Ok(_) => return Ok(session.quit().await?),
            Err(mail_send::Error::UnexpectedReply(reply)) if reply.code >= 500 => {
                return Err(reply.to_string().into());
            }
            // It is not its way to end a session that failed.
            Err(_) => drop(session.quit().await),
        }
    }
    Err("no exchanger takes it".into())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let lab = mxdrill::Lab::from_zone(dns::ZONE).await?;
    send(
        lab.resolver(),
        |address| lab.socket_for(address),
        "alice@example.test",
    )
    .await?;
    lab.attempts()
        .iter()
        .for_each(|attempt| println!("{attempt}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use mxdrill::{Lab, Stage, verdict::SenderKind};

    use super::*;

    #[tokio::test]
    async fn a_primary_that_defers_is_passed_over() -> Result<(), Box<dyn Error>> {
        let lab = Lab::from_zone(dns::ZONE).await?;
        let _later = lab.fail("mx1.example.test", Stage::Rcpt, "451 4.3.0 try again later")?;
        send(
            lab.resolver(),
            |address| lab.socket_for(address),
            "alice@example.test",
        )
        .await?;
        let message = lab.wait_for_message("alice@example.test").await?;
        assert_eq!(message.hosts[0].as_str(), "mx2.example.test");
        lab.assert_passed(SenderKind::Command);
        Ok(())
    }
}
