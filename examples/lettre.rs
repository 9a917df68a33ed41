//! lettre, blocking and async, delivering by MX with failover. lettre knows one server; the list of them comes
//! from the DNS.
//!
//! `cargo test --example lettre` runs the tests below.

#[path = "blocking_sender.rs"]
#[expect(dead_code, reason = "another example")]
mod dns;

use std::{
    error::Error,
    net::{IpAddr, SocketAddr},
};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, SmtpTransport, Tokio1Executor, Transport,
};

fn message(to: &str) -> Result<Message, Box<dyn Error>> {
    let message = Message::builder()
        .from("me@client.test".parse()?)
        .to(to.parse()?);
    Ok(message.subject("hi").body("hi".to_owned())?)
}

/// Blocking: the code under test.
pub(crate) fn send(
    resolver: SocketAddr,
    socket_for: impl Fn(IpAddr) -> SocketAddr,
    to: &str,
) -> Result<(), Box<dyn Error>> {
    let message = message(to)?;
    for address in dns::candidates(resolver, to)? {
        let there = socket_for(address);
        let server = SmtpTransport::builder_dangerous(there.ip().to_string()).port(there.port());
        match server.build().send(&message) {
            Ok(_) => return Ok(()),
            Err(error) if error.is_permanent() => return Err(error.into()),
            Err(_) => {}
        }
    }
    Err("no exchanger takes it".into())
}

/// Async: the same.
pub(crate) async fn send_async(
    resolver: SocketAddr,
    socket_for: impl Fn(IpAddr) -> SocketAddr,
    to: &str,
) -> Result<(), Box<dyn Error>> {
    let message = message(to)?;
    for address in dns::candidates(resolver, to)? {
        let there = socket_for(address);
        let server =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(there.ip().to_string());
        match server
            .port(there.port())
            .build()
            .send(message.clone())
            .await
        {
            Ok(_) => return Ok(()),
            Err(error) if error.is_permanent() => return Err(error.into()),
            Err(_) => {}
        }
    }
    Err("no exchanger takes it".into())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let lab = mxdrill::Lab::from_zone(dns::ZONE).await?;
    let socket_for = |address| lab.socket_for(address);
    // The lab has a thread of its own: a sender that blocks this one is served all the same.
    send(lab.resolver(), socket_for, "alice@example.test")?;
    send_async(lab.resolver(), socket_for, "bob@example.test").await?;
    lab.attempts()
        .iter()
        .for_each(|attempt| println!("{attempt}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use mxdrill::{Lab, Stage, blocking, verdict::SenderKind};

    use super::*;

    #[test]
    fn a_primary_that_is_busy_is_passed_over() -> Result<(), Box<dyn Error>> {
        let lab = blocking::Lab::from_zone(dns::ZONE)?;
        let _busy = lab.fail("mx1.example.test", Stage::Greeting, "421 4.3.2 busy")?;
        send(
            lab.resolver(),
            |address| lab.socket_for(address),
            "alice@example.test",
        )?;
        lab.wait_for_message("alice@example.test")?;
        lab.assert_passed(SenderKind::Command);
        assert_eq!(lab.attempts().len(), 2);
        Ok(())
    }

    #[tokio::test]
    async fn a_primary_that_is_down_is_passed_over() -> Result<(), Box<dyn Error>> {
        let lab = Lab::from_zone(dns::ZONE).await?;
        let _down = lab.fail("mx1.example.test", Stage::Connect, "refuse")?;
        send_async(
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

    #[test]
    fn what_is_rejected_for_good_is_not_tried_elsewhere() -> Result<(), Box<dyn Error>> {
        let lab = blocking::Lab::from_zone(dns::ZONE)?;
        let _no = lab.fail("mx1.example.test", Stage::Rcpt, "550 5.1.1 no such user")?;
        let sent = send(
            lab.resolver(),
            |address| lab.socket_for(address),
            "alice@example.test",
        );
        assert!(sent.is_err());
        lab.assert_passed(SenderKind::Command);
        assert_eq!(lab.attempts().len(), 1);
        Ok(())
    }
}
