//! A message handed over to a mail server by SMTP, as a mail client does.

use std::io;

use tokio::net::TcpStream;

use mxdrill::{connection::Connection, mail::Message, stream::Stream};

/// Hands a message over at an address and port. What it asks of notifications goes with it, and content of eight bits is
/// announced: whoever passes it on knows what it is.
///
/// # Errors
/// That nobody listens there, the first reply that is not positive, or that the server does not offer what the message
/// needs: DSN, 8BITMIME.
pub(super) async fn by_smtp(address: &str, message: &Message, content: &[u8]) -> io::Result<()> {
    let mut connection = Connection::new(Stream::Tcp(TcpStream::connect(address).await?));
    let from = message.from.as_ref().map_or("", |from| &*from.text);
    let is_ascii = from.is_ascii() && message.to.iter().all(|to| to.text.is_ascii());
    expect_positive(&mut connection, "the greeting").await?;
    let offered = command(&mut connection, "EHLO client.sender.test").await?;
    let offers = |extension: &str| {
        let keywords = offered
            .iter()
            .skip(1)
            .map(|line| line.split_whitespace().next());
        keywords
            .flatten()
            .any(|keyword| keyword.eq_ignore_ascii_case(extension))
    };
    let is_eight_bit = !content.is_ascii();
    for (is_needed, extension) in [(message.dsn.is_some(), "DSN"), (is_eight_bit, "8BITMIME")] {
        if is_needed && !offers(extension) {
            return Err(io::Error::other(format!("{extension} is not offered")));
        }
    }
    let mut commands = vec![format!(
        "MAIL FROM:<{from}>{}{}{}",
        if is_ascii { "" } else { " SMTPUTF8" },
        if is_eight_bit { " BODY=8BITMIME" } else { "" },
        message.mail_parameters()
    )];
    let recipients = message.to.iter();
    commands.extend(recipients.map(|to| format!("RCPT TO:<{to}>{}", message.rcpt_parameters(to))));
    commands.push("DATA".to_owned());
    for line in commands {
        command(&mut connection, &line).await?;
    }
    connection.send(content).await?;
    expect_positive(&mut connection, "the message").await?;
    connection.send(b"QUIT\r\n").await?;
    // It has the message; how it takes leave is its own affair.
    connection.reply().await.ok();
    Ok(())
}

/// Sends a command; the lines of the reply, if it is positive.
async fn command(connection: &mut Connection, line: &str) -> io::Result<Vec<String>> {
    connection.send(format!("{line}\r\n").as_bytes()).await?;
    expect_positive(connection, line).await
}

async fn expect_positive(connection: &mut Connection, to: &str) -> io::Result<Vec<String>> {
    let (reply, lines) = connection.reply().await?;
    match reply.code {
        ..400 => Ok(lines),
        _ => Err(io::Error::other(format!(
            "{to} was answered {} {}",
            reply.code, reply.text
        ))),
    }
}
