//! A sender of one's own under test: a lab on loopback, an exchanger that dies, an assertion.
//!
//! `cargo test --example own_sender` runs the test below; `cargo run --example own_sender` sends one
//! message and prints what the lab saw.

use std::{
    error::Error,
    io,
    net::{IpAddr, SocketAddr},
};

use hickory_resolver::{
    Resolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
    proto::rr::{RData, RecordType},
};
use mxdrill::lab::Lab;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// The code under test: asks `dns` for the exchangers of the domain and tries them by preference. On the
/// internet, the socket for an address is its port 25.
pub async fn send(
    dns: SocketAddr,
    socket_for: impl Fn(IpAddr) -> SocketAddr,
    to: &str,
) -> Result<(), Box<dyn Error>> {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = dns.port();
        connection
    });
    let server = NameServerConfig::new(dns.ip(), true, connections.to_vec());
    let config = ResolverConfig::from_parts(None, vec![], vec![server]);
    let resolver =
        Resolver::builder_with_config(config, TokioRuntimeProvider::default()).build()?;

    let domain = to.split('@').nth(1).ok_or("no domain")?;
    let answer = resolver
        .lookup(format!("{domain}."), RecordType::MX)
        .await?;
    let mut exchangers: Vec<_> = answer
        .answers()
        .iter()
        .filter_map(|record| match &record.data {
            RData::MX(mx) => Some((mx.preference, mx.exchange.clone())),
            _ => None,
        })
        .collect();
    exchangers.sort();
    for (_, exchanger) in exchangers {
        for address in resolver.lookup_ip(exchanger).await?.iter() {
            if let Ok(stream) = TcpStream::connect(socket_for(address)).await {
                return hand_over(stream, to).await;
            }
        }
    }
    Err("no exchanger takes it".into())
}

async fn hand_over(stream: TcpStream, to: &str) -> Result<(), Box<dyn Error>> {
    let mut stream = BufReader::new(stream);
    let rcpt = format!("RCPT TO:<{to}>");
    let steps = [
        "",
        "EHLO client.test",
        "MAIL FROM:<me@client.test>",
        &rcpt,
        "DATA",
        "Subject: hi\r\n\r\nhi\r\n.",
        "QUIT",
    ];
    for step in steps {
        if !step.is_empty() {
            stream.write_all(format!("{step}\r\n").as_bytes()).await?;
        }
        let reply = last_line(&mut stream).await?;
        if !reply.starts_with(['2', '3']) {
            stream.write_all(b"QUIT\r\n").await?;
            last_line(&mut stream).await?;
            return Err(reply.into());
        }
    }
    Ok(())
}

/// The last line of a reply, which has a space behind the code.
async fn last_line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if line.get(3..4) != Some("-") {
            return Ok(line);
        }
    }
}

const ZONE: &str = "
example.test.      300 IN MX 10 mx1.example.test.
example.test.      300 IN MX 20 mx2.example.test.
mx1.example.test.  300 IN A  192.0.2.1
mx2.example.test.  300 IN A  192.0.2.2
";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let lab = Lab::from_zone(ZONE).await?;
    send(
        lab.resolver(),
        |address| lab.socket_for(address),
        "alice@example.test",
    )
    .await?;
    for attempt in lab.attempts() {
        println!("{attempt}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use mxdrill::Stage;

    use super::*;

    #[tokio::test]
    async fn the_backup_takes_mail_while_the_primary_is_down() -> Result<(), Box<dyn Error>> {
        let lab = Lab::from_zone(ZONE).await?;
        let socket_for = |address| lab.socket_for(address);
        let down = lab.fail("mx1.example.test", Stage::Connect, "refuse")?;
        send(lab.resolver(), socket_for, "alice@example.test").await?;
        assert_eq!(
            lab.wait_for_message("alice@example.test").await?.hosts[0].as_str(),
            "mx2.example.test"
        );

        drop(down);
        send(lab.resolver(), socket_for, "bob@example.test").await?;
        assert_eq!(
            lab.wait_for_message("bob@example.test").await?.hosts[0].as_str(),
            "mx1.example.test"
        );
        assert_eq!(lab.attempts().len(), 2);
        Ok(())
    }
}
