//! What `docs/library.md` shows: each of its blocks of Rust stands here or in an example, where it is compiled
//! and run, and what it says of a test that fails is what such a test prints.

#[path = "../examples/blocking_sender.rs"]
#[expect(dead_code, reason = "an example with a main of its own")]
mod blocking_sender;

use std::{
    env,
    error::Error,
    fs,
    net::{IpAddr, SocketAddr},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
    time::Duration,
};

use mxdrill::{
    Effect, Fault, NetworkKind, Scenario, Stage,
    blocking::Lab,
    drill,
    event::EventKind,
    mail::Message,
    outcome::AttemptResult,
    scenario::{ExpectedMessage, Messages},
    sender::{self, SenderContext},
    time::Moment,
    verdict::SenderKind,
};
use rand::{SeedableRng, rngs::ChaCha8Rng};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};

use self::blocking_sender::{ZONE, send};

type PageResult = Result<(), Box<dyn Error>>;

/// How long a client of the lab's waits for a reply, by the drill's clock: it never comes where a host hangs.
const PATIENCE: Duration = Duration::from_secs(300);

/// As [`send`], with the lab's addresses.
fn my_sender(lab: &Lab, to: &str) -> PageResult {
    send(lab.resolver(), |address| lab.socket_for(address), to)
}

#[test]
fn a_fault_lasts_as_long_as_its_guard() -> PageResult {
    let lab = Lab::from_zone(ZONE)?;

    let busy = lab.fail("mx1.example.test", Stage::Rcpt, "451 4.3.0 try again later")?;
    assert!(my_sender(&lab, "alice@example.test").is_err());
    drop(busy);
    my_sender(&lab, "bob@example.test")?;

    let lost = lab.fail_query("example.test MX", "servfail")?;
    assert!(my_sender(&lab, "carol@example.test").is_err());
    lost.keep();
    lab.restore_queries();
    my_sender(&lab, "carol@example.test")?;

    let message = lab.wait_for_message("bob@example.test")?;
    assert_eq!(message.hosts[0].as_str(), "mx1.example.test");
    assert!(message.content.read()?.starts_with(b"Subject: hi\r\n"));

    let attempts = lab.attempts();
    assert_eq!(attempts[0].result, AttemptResult::Code(451));
    assert_eq!(attempts[0].stage, Some(Stage::Rcpt));
    assert_eq!(attempts[1].taken, ["bob@example.test"]);
    Ok(())
}

#[test]
fn a_failed_assertion_shows_the_attempts() -> PageResult {
    let lab = Lab::from_zone(ZONE)?;
    let mx2: IpAddr = [192, 0, 2, 2].into();
    let stream = std::net::TcpStream::connect(lab.socket_for(mx2))?;
    blocking_sender::hand_over(stream, "alice@example.test")?;
    lab.wait_for(|event| matches!(event.kind, EventKind::End { .. }))?;
    let lab = AssertUnwindSafe(lab);
    let panic = catch_unwind(|| lab.assert_passed(SenderKind::Command)).expect_err("it panics");
    is_shown(panic.downcast_ref::<String>().expect("a text"));
    Ok(())
}

#[test]
fn waiting_in_vain_shows_what_the_lab_saw() -> PageResult {
    let lab = Lab::from_zone(ZONE)?.with_patience(Duration::from_millis(500));
    let error = lab.wait_for_message("alice@example.test");
    is_shown(&error.expect_err("nobody sends").to_string());
    Ok(())
}

#[cfg(feature = "proptest")]
#[test]
fn a_router_that_never_shuffles_is_shown() -> PageResult {
    use mxdrill::{name::Domain, testing};

    let panic = catch_unwind(|| {
        testing::router(|mx, _, _, _| {
            let mut exchangers = mx.to_vec();
            exchangers.sort();
            let hosts = exchangers.into_iter().map(|one| one.host);
            hosts.collect::<Vec<Domain>>()
        });
    });
    // Kept for the next run, where a fault is not planted.
    fs::remove_file(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/library_page.proptest-regressions"
    ))?;
    let panic = panic.expect_err("it panics");
    is_shown(panic.downcast_ref::<String>().expect("a text"));
    Ok(())
}

#[cfg(feature = "tls")]
#[test]
fn a_sender_that_trusts_the_labs_authority() -> PageResult {
    use mxdrill::scenario::{Certificate, ReceiverSettings};

    let scenario = Scenario::builder("mx1 and mx2 offer STARTTLS")
        .zone(ZONE)
        .messages(Messages::new("m", "alice@example.test"))
        .receiver(ReceiverSettings {
            certificate: Some(Certificate::Valid),
            ..ReceiverSettings::default()
        })
        .build()?;
    let lab = Lab::start(Arc::new(scenario))?;
    let trusted: Option<String> = lab.authority_pem();
    assert!(trusted.is_some_and(|pem| pem.starts_with("-----BEGIN CERTIFICATE-----")));
    Ok(())
}

/// A drill in which everything is down for twenty minutes.
fn outage() -> Result<Scenario, Box<dyn Error>> {
    let down = |host: &str| -> Result<Fault, Box<dyn Error>> {
        let fault = Fault::of_host(host.parse()?, Stage::Connect, Effect::Refuse);
        Ok(fault.until(Moment(Duration::from_secs(20 * 60))))
    };
    let scenario = Scenario::builder("mail waits while all exchangers are down")
        .zone(ZONE)
        .messages(Messages::new("m", "alice@example.test").count(3))
        .fault(down("mx1.example.test")?)
        .fault(down("mx2.example.test")?)
        .expect(
            "m",
            ExpectedMessage {
                by: Some("mx1.example.test".parse()?),
                ..ExpectedMessage::default()
            },
        )
        .build()?;
    Ok(scenario)
}

#[test]
fn a_scenario_made_in_code_reads_as_the_file_that_it_writes() -> PageResult {
    let scenario = outage()?;
    assert_eq!(scenario.messages.len(), 3);
    let again = Scenario::parse("outage.toml", &scenario.to_toml())?;
    assert_eq!(again.to_toml(), scenario.to_toml());
    Ok(())
}

#[test]
fn half_an_hour_of_retries_takes_no_time() -> PageResult {
    let sender = sender::from_fn(|mut context| async move {
        while let Some(message) = context.next_message().await {
            while !pass(&context, &message).await {
                tokio::time::sleep(Duration::from_secs(30 * 60)).await;
            }
        }
    });
    let scenario = Arc::new(outage()?);
    let run = drill::run(&scenario, NetworkKind::Memory, None, sender)?;
    assert!(run.verdict.passed(), "{:#?}", run.verdict.findings);
    Ok(())
}

/// One walk over the candidates, with the route made by mxdrill and SMTP spoken by us.
async fn pass(context: &SenderContext, message: &Message) -> bool {
    let mut random = ChaCha8Rng::seed_from_u64(context.seed());
    let route = context.route(&message.to[0].domain, &mut random).await;
    for candidate in route.unwrap_or_default() {
        let connect = context.connect(candidate.address, &message.id);
        let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_secs(30), connect).await else {
            continue;
        };
        if hand_over(stream, context, message).await.is_ok() {
            return true;
        }
    }
    false
}

async fn hand_over(
    stream: mxdrill::stream::Stream,
    context: &SenderContext,
    message: &Message,
) -> PageResult {
    let mut stream = BufStream::new(stream);
    let content = String::from_utf8(context.content(message))?;
    let rcpt = format!("RCPT TO:<{}>\r\n", message.to[0]);
    for step in [
        "",
        "EHLO client.test\r\n",
        "MAIL FROM:<sender@sender.test>\r\n",
        &rcpt,
        "DATA\r\n",
        &content,
        "QUIT\r\n",
    ] {
        stream.write_all(step.as_bytes()).await?;
        stream.flush().await?;
        let reply = tokio::time::timeout(PATIENCE, last_line(&mut stream)).await??;
        if !reply.starts_with(['2', '3']) {
            stream.write_all(b"QUIT\r\n").await?;
            stream.flush().await?;
            return Err(reply.into());
        }
    }
    Ok(())
}

/// The last line of a reply, which has a space behind the code.
async fn last_line(stream: &mut BufStream<mxdrill::stream::Stream>) -> std::io::Result<String> {
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if line.get(3..4) != Some("-") {
            return Ok(line);
        }
    }
}

fn file(name: &str) -> String {
    let root = env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where it is");
    fs::read_to_string(Path::new(&root).join(name)).expect(name)
}

/// The blocks of a language in the page, without what goes before each line.
fn blocks(language: &str) -> Vec<Vec<String>> {
    let page = file("docs/library.md");
    let begin = format!("```{language}\n");
    let blocks = page.split(begin.as_str()).skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().expect("its end"));
    blocks
        .map(|block| block.lines().map(bare).collect())
        .collect()
}

fn bare(line: &str) -> String {
    line.trim().to_owned()
}

#[test]
fn every_block_of_rust_is_compiled_and_run() {
    let names = [
        "tests/library_page.rs",
        "examples/blocking_sender.rs",
        "examples/own_sender.rs",
        "examples/own_router.rs",
        "examples/own_queue.rs",
        "tests/folder.rs",
        "benches/own_code.rs",
    ];
    let files: Vec<Vec<String>> = names
        .map(|name| file(name).lines().map(bare).collect())
        .to_vec();
    let blocks = blocks("rust");
    assert!(!blocks.is_empty());
    for block in blocks {
        let mut files = files.iter();
        let is_there = files.any(|lines| lines.windows(block.len()).any(|part| *part == block[..]));
        assert!(is_there, "in none of {names:?}:\n{}", block.join("\n"));
    }
}

/// Panics unless the page shows this text, whatever the sockets and moments.
fn is_shown(text: &str) {
    let settled = |line: String| {
        let words = line.split(' ').map(|word| {
            let number = word.trim_start_matches('+');
            if word.parse::<SocketAddr>().is_ok() {
                "SOCKET"
            } else if number.ends_with('s') && number.starts_with(|c: char| c.is_ascii_digit()) {
                "MOMENT"
            } else {
                word
            }
        });
        words.collect::<Vec<_>>().join(" ")
    };
    let said: Vec<String> = text
        .trim_end()
        .lines()
        .map(|line| settled(bare(line)))
        .collect();
    let mut shown = blocks("text").into_iter();
    let is_there = shown.any(|block| block.into_iter().map(settled).eq(said.iter().cloned()));
    assert!(is_there, "docs/library.md does not show\n\n{text}\n");
}
