//! Whatever a client sends, a receiver answers with replies and ends in order.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use mxdrill::{lab::{Lab, NetworkKind}, scenario::{Scenario}};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

static SCENARIO: LazyLock<Arc<Scenario>> = LazyLock::new(|| {
    let zone = "$ORIGIN example.test.\n@ IN MX 10 mx1\nmx1 IN A 192.0.2.1\n";
    Arc::new(Scenario::from_zone(zone).expect("a zone"))
});

fuzz_target!(|octets: &[u8]| {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let replies = runtime.block_on(async {
        let lab = Lab::start(Arc::clone(&SCENARIO), NetworkKind::Memory).await.expect("a lab");
        let stream = lab.connect([192, 0, 2, 1].into(), 25).await.expect("a connection");
        let (mut from, mut to) = tokio::io::split(stream);
        let send = async {
            // A receiver that has hung up reads no more.
            to.write_all(octets).await.ok();
            to.shutdown().await.ok();
        };
        let mut replies = Vec::new();
        let receive = from.read_to_end(&mut replies);
        let (_, received) = tokio::join!(send, receive);
        received.expect("an orderly end");
        lab.stop().await;
        replies
    });
    for line in replies.split_inclusive(|octet| *octet == b'\n') {
        let code = line.get(..3).expect("a code");
        assert!(code.iter().all(u8::is_ascii_digit) && (200..600).contains(
            &String::from_utf8_lossy(code).parse::<u16>().expect("digits")
        ));
        assert!(matches!(line[3], b' ' | b'-') && line.ends_with(b"\r\n"));
    }
});
