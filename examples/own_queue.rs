//! A queue of one's own under test: `cargo test --example own_queue` plays random drills with it, days in milliseconds.
//!
//! It tries the candidates of a domain in order, waits, and tries again for five days. It is async, connects through the
//! context of the drill, and sleeps by its clock.

use std::{io, time::Duration};

use mxdrill::{
    mail::{Mailbox, Message},
    outcome::Outcome,
    reply::ReplyClass,
    sender::SenderContext,
    stream::Stream,
    testing::Random,
    time::Moment,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufStream},
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(5 * 60);
const FIRST_WAIT: Duration = Duration::from_secs(30 * 60);
const LONGEST_WAIT: Duration = Duration::from_secs(4 * 60 * 60);
const LIFETIME: Duration = Duration::from_secs(5 * 24 * 60 * 60);

/// A message to one recipient.
struct Entry {
    message: Message,
    to: Mailbox,
    since: Moment,
    due: Moment,
    wait: Duration,
}

/// How far an attempt got.
enum End {
    Delivered,
    Later,
    Never,
}

/// The code under test: takes messages as they come, and ends when the queue is empty.
pub async fn queue(mut context: SenderContext) {
    let mut random = Random::new(context.seed());
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        while let Some((_, message)) = context.due() {
            let now = context.now();
            entries.extend(message.to.iter().map(|to| Entry {
                message: message.clone(),
                to: to.clone(),
                since: now,
                due: now,
                wait: FIRST_WAIT,
            }));
        }
        let next = entries.iter().map(|entry| entry.due).min();
        let Some(next) = next.into_iter().chain(context.next_at()).min() else {
            return;
        };
        context.until(next).await;
        let mut left = Vec::new();
        for mut entry in entries {
            let is_due = entry.due <= context.now();
            if is_due && attempt(&context, &mut entry, &mut random).await {
                continue;
            }
            left.push(entry);
        }
        entries = left;
    }
}

/// One pass over the candidates; whether the entry is done with.
async fn attempt(context: &SenderContext, entry: &mut Entry, random: &mut Random) -> bool {
    let mut end = End::Later;
    match context.route(&entry.to.domain, random).await {
        Ok(candidates) => {
            for candidate in candidates {
                let connect = context.connect(candidate.address, &entry.message.id);
                let Ok(Ok(stream)) = timeout(PATIENCE, connect).await else {
                    continue;
                };
                end = hand_over(stream, context, entry)
                    .await
                    .unwrap_or(End::Later);
                if !matches!(end, End::Later) {
                    break;
                }
            }
        }
        Err(reason) if reason.class() == ReplyClass::Permanent => end = End::Never,
        Err(_) => {}
    }
    let now = context.now();
    if matches!(end, End::Later) && now.since(entry.since) > LIFETIME {
        end = End::Never;
    }
    let outcome = match end {
        End::Delivered => Outcome::Delivered,
        End::Never => Outcome::Bounced,
        End::Later => {
            entry.due = Moment(now.0 + entry.wait);
            entry.wait = (entry.wait * 2).min(LONGEST_WAIT);
            return false;
        }
    };
    context.report(&entry.message.id, &entry.to, outcome, None, "");
    true
}

/// One session: a 5yz in reply to a command of the transaction is final, whatever else goes wrong is not.
async fn hand_over(stream: Stream, context: &SenderContext, entry: &Entry) -> io::Result<End> {
    let mut stream = BufStream::new(stream);
    let from = entry.message.from.as_ref().map_or("", |from| &from.text);
    let mail = format!("MAIL FROM:<{from}>\r\n");
    let rcpt = format!("RCPT TO:<{}>\r\n", entry.to.text);
    let content = context.content(&entry.message);
    for (is_final, command) in [
        (false, &b""[..]),
        (false, b"EHLO client.test\r\n"),
        (true, mail.as_bytes()),
        (true, rcpt.as_bytes()),
        (true, b"DATA\r\n"),
        (true, &content),
    ] {
        let reply = exchange(&mut stream, command).await?;
        if !reply.starts_with(['2', '3']) {
            exchange(&mut stream, b"QUIT\r\n").await.ok();
            // To RCPT, 552 may mean that there are too many recipients for one session.
            let is_too_many = command == rcpt.as_bytes() && reply.starts_with("552");
            let is_final = is_final && reply.starts_with('5') && !is_too_many;
            return Ok(if is_final { End::Never } else { End::Later });
        }
    }
    exchange(&mut stream, b"QUIT\r\n").await.ok();
    Ok(End::Delivered)
}

/// Sends a command; the last line of the reply.
async fn exchange(stream: &mut BufStream<Stream>, command: &[u8]) -> io::Result<String> {
    stream.write_all(command).await?;
    stream.flush().await?;
    loop {
        let mut line = String::new();
        let read = timeout(PATIENCE * 2, stream.read_line(&mut line)).await??;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.get(3..4) != Some("-") {
            return Ok(line);
        }
    }
}

fn main() {
    mxdrill::testing::sender(queue);
    println!("the queue breaks no rule");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_rule_is_broken_whatever_fails() {
        mxdrill::testing::sender(queue);
    }
}
