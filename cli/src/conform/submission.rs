//! A message handed over to a mail server by SMTP, as a mail client does.

use std::io;

use tokio::net::TcpStream;

use mxdrill::{connection::Connection, mail::Message, stream::Stream};

/// Hands a message over at an address and port.
///
/// # Errors
/// That nobody listens there, or the first reply that is not positive.
pub(super) async fn by_smtp(address: &str, message: &Message, content: &[u8]) -> io::Result<()> {
    let mut connection = Connection::new(Stream::Tcp(TcpStream::connect(address).await?));
    let from = message.from.as_ref().map_or("", |from| &*from.text);
    let is_ascii = from.is_ascii() && message.to.iter().all(|to| to.text.is_ascii());
    let mut commands = vec![
        "EHLO client.sender.test".to_owned(),
        format!(
            "MAIL FROM:<{from}>{}",
            if is_ascii { "" } else { " SMTPUTF8" }
        ),
    ];
    commands.extend(message.to.iter().map(|to| format!("RCPT TO:<{to}>")));
    commands.push("DATA".to_owned());
    expect_positive(&mut connection, "the greeting").await?;
    for command in commands {
        connection.send(format!("{command}\r\n").as_bytes()).await?;
        expect_positive(&mut connection, &command).await?;
    }
    connection.send(content).await?;
    expect_positive(&mut connection, "the message").await?;
    connection.send(b"QUIT\r\n").await?;
    // It has the message; how it takes leave is its own affair.
    connection.reply().await.ok();
    Ok(())
}

async fn expect_positive(connection: &mut Connection, to: &str) -> io::Result<()> {
    let (reply, _) = connection.reply().await?;
    match reply.code {
        ..400 => Ok(()),
        _ => Err(io::Error::other(format!(
            "{to} was answered {} {}",
            reply.code, reply.text
        ))),
    }
}
