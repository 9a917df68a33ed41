//! A sender of one's own that blocks, over nothing but the standard library (and a DNS message's codec), in a
//! plain test.
//!
//! `cargo test --example blocking_sender` runs the test below.

use std::{
    error::Error,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
};

use hickory_resolver::proto::{
    op::{Message, Query},
    rr::{Name, RData, RecordType},
};

/// The code under test: asks `dns` for the exchangers of the domain and tries them by preference.
pub fn send(dns: SocketAddr, port: u16, to: &str) -> Result<(), Box<dyn Error>> {
    let domain = to.split('@').nth(1).ok_or("no domain")?;
    let mut exchangers = Vec::new();
    for data in ask(
        dns,
        &Name::from_ascii(format!("{domain}."))?,
        RecordType::MX,
    )? {
        if let RData::MX(mx) = data {
            exchangers.push((mx.preference, mx.exchange));
        }
    }
    exchangers.sort();
    for (_, exchanger) in exchangers {
        for data in ask(dns, &exchanger, RecordType::A)? {
            let RData::A(address) = data else { continue };
            if let Ok(stream) = TcpStream::connect((address.0, port)) {
                return hand_over(stream, to);
            }
        }
    }
    Err("no exchanger takes it".into())
}

fn ask(dns: SocketAddr, name: &Name, kind: RecordType) -> Result<Vec<RData>, Box<dyn Error>> {
    let mut query = Message::query();
    query.add_query(Query::query(name.clone(), kind));
    query.metadata.recursion_desired = true;
    let socket = UdpSocket::bind((dns.ip(), 0))?;
    socket.send_to(&query.to_vec()?, dns)?;
    let mut answer = [0; 1232];
    let (length, _) = socket.recv_from(&mut answer)?;
    let answer = Message::from_vec(&answer[..length])?;
    Ok(answer
        .answers
        .into_iter()
        .map(|record| record.data)
        .collect())
}

fn hand_over(stream: TcpStream, to: &str) -> Result<(), Box<dyn Error>> {
    let mut replies = BufReader::new(stream.try_clone()?);
    let (mut stream, rcpt) = (stream, format!("RCPT TO:<{to}>"));
    let hi = "Subject: hi\r\n\r\nhi\r\n.";
    let from = "MAIL FROM:<me@client.test>";
    for command in ["", "HELO client.test", from, &rcpt, "DATA", hi, "QUIT"] {
        if !command.is_empty() {
            stream.write_all(format!("{command}\r\n").as_bytes())?;
        }
        let mut reply = String::new();
        replies.read_line(&mut reply)?;
        if !reply.starts_with(['2', '3']) {
            return Err(reply.into());
        }
    }
    Ok(())
}

const ZONE: &str = "
example.test.      300 IN MX 10 mx1.example.test.
example.test.      300 IN MX 20 mx2.example.test.
mx1.example.test.  300 IN A  192.0.2.1
mx2.example.test.  300 IN A  192.0.2.2
";

fn main() -> Result<(), Box<dyn Error>> {
    let lab = mxdrill::blocking::Lab::from_zone(ZONE)?;
    send(lab.resolver(), lab.smtp_port(), "alice@example.test")?;
    for attempt in lab.attempts() {
        println!("{attempt}");
    }
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
        send(lab.resolver(), lab.smtp_port(), "alice@example.test")?;
        let message = lab.wait_for_message("alice@example.test")?;
        assert_eq!(message.hosts[0].as_str(), "mx2.example.test");
        lab.assert_passed(SenderKind::Command);
        Ok(())
    }
}
