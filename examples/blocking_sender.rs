//! A sender of one's own that blocks, over the standard library and the codec of DNS messages, in a plain test.
//!
//! `cargo test --example blocking_sender` runs the test below.

use std::{
    error::Error,
    io::{self, BufRead, BufReader, Write},
    net::{IpAddr, SocketAddr, TcpStream, UdpSocket},
};

use hickory_resolver::proto::{
    op::{Message, Query},
    rr::{Name, RData, RecordType},
};

/// The code under test: tries the exchangers of the domain by preference. On the internet, the socket for an
/// address is its port 25.
pub(crate) fn send(
    resolver: SocketAddr,
    socket_for: impl Fn(IpAddr) -> SocketAddr,
    to: &str,
) -> Result<(), Box<dyn Error>> {
    for address in candidates(resolver, to)? {
        if let Ok(stream) = TcpStream::connect(socket_for(address)) {
            return hand_over(stream, to);
        }
    }
    Err("no exchanger takes it".into())
}

/// The addresses of the exchangers of a mailbox's domain, by preference.
pub(crate) fn candidates(resolver: SocketAddr, to: &str) -> Result<Vec<IpAddr>, Box<dyn Error>> {
    let domain = to.split('@').nth(1).ok_or("no domain")?;
    let records = ask(
        resolver,
        &Name::from_ascii(format!("{domain}."))?,
        RecordType::MX,
    )?;
    let mut exchangers: Vec<_> = records
        .into_iter()
        .filter_map(|data| match data {
            RData::MX(mx) => Some((mx.preference, mx.exchange)),
            _ => None,
        })
        .collect();
    exchangers.sort();
    let mut addresses = Vec::new();
    for (_, exchanger) in exchangers {
        let records = ask(resolver, &exchanger, RecordType::A)?;
        addresses.extend(records.iter().filter_map(RData::ip_addr));
    }
    Ok(addresses)
}

fn ask(resolver: SocketAddr, name: &Name, kind: RecordType) -> Result<Vec<RData>, Box<dyn Error>> {
    let mut query = Message::query();
    query.add_query(Query::query(name.clone(), kind));
    query.metadata.recursion_desired = true;
    let socket = UdpSocket::bind((resolver.ip(), 0))?;
    socket.send_to(&query.to_vec()?, resolver)?;
    let mut answer = [0; 1232];
    let (length, _) = socket.recv_from(&mut answer)?;
    let answers = Message::from_vec(&answer[..length])?.answers;
    Ok(answers.into_iter().map(|record| record.data).collect())
}

/// Hands a message over in a session.
pub(crate) fn hand_over(mut stream: TcpStream, to: &str) -> Result<(), Box<dyn Error>> {
    let mut replies = BufReader::new(stream.try_clone()?);
    let rcpt = format!("RCPT TO:<{to}>");
    let (from, hi) = ("MAIL FROM:<me@client.test>", "Subject: hi\r\n\r\nhi\r\n.");
    for command in ["", "EHLO client.test", from, &rcpt, "DATA", hi, "QUIT"] {
        if !command.is_empty() {
            stream.write_all(format!("{command}\r\n").as_bytes())?;
        }
        let reply = last_line(&mut replies)?;
        if !reply.starts_with(['2', '3']) {
            stream.write_all(b"QUIT\r\n")?;
            last_line(&mut replies)?;
            return Err(reply.into());
        }
    }
    Ok(())
}

/// The last line of a reply, which has a space behind the code.
fn last_line(replies: &mut BufReader<TcpStream>) -> io::Result<String> {
    loop {
        let mut line = String::new();
        replies.read_line(&mut line)?;
        if line.get(3..4) != Some("-") {
            return Ok(line);
        }
    }
}

/// A domain with a primary and a backup.
pub(crate) const ZONE: &str = "
example.test.      300 IN MX 10 mx1.example.test.
example.test.      300 IN MX 20 mx2.example.test.
mx1.example.test.  300 IN A  192.0.2.1
mx2.example.test.  300 IN A  192.0.2.2
";

fn main() -> Result<(), Box<dyn Error>> {
    let lab = mxdrill::blocking::Lab::from_zone(ZONE)?;
    send(
        lab.resolver(),
        |address| lab.socket_for(address),
        "alice@example.test",
    )?;
    lab.attempts()
        .iter()
        .for_each(|attempt| println!("{attempt}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use mxdrill::{Stage, blocking::Lab, verdict::SenderKind};

    use super::*;

    #[test]
    fn the_backup_takes_mail_while_the_primary_is_down() -> Result<(), Box<dyn Error>> {
        let lab = Lab::from_zone(ZONE)?;
        let _down = lab.fail("mx1.example.test", Stage::Connect, "refuse")?;
        send(
            lab.resolver(),
            |address| lab.socket_for(address),
            "alice@example.test",
        )?;
        let message = lab.wait_for_message("alice@example.test")?;
        assert_eq!(message.hosts[0].as_str(), "mx2.example.test");
        lab.assert_passed(SenderKind::Command);
        Ok(())
    }
}
