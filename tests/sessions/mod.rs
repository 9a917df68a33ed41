//! Sessions with a receiver, for the tests that hold many of them.

use std::net::SocketAddr;

use tokio::{io::AsyncReadExt, net::TcpStream};

/// A session in which the receiver has greeted.
pub(crate) async fn greeted(to: SocketAddr) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(to).await?;
    expect(&mut stream, b"220").await?;
    Ok(stream)
}

/// Reads a reply, which must begin so.
pub(crate) async fn expect(stream: &mut TcpStream, code: &[u8]) -> std::io::Result<()> {
    let mut reply = [0; 512];
    let length = stream.read(&mut reply).await?;
    let reply = &reply[..length];
    match reply.starts_with(code) {
        true => Ok(()),
        false => Err(std::io::Error::other(String::from_utf8_lossy(reply))),
    }
}

/// Whether this process may have so many files open; from now on it may have as many as it can.
#[cfg(unix)]
pub(crate) fn allows(files: u32) -> bool {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    // macOS says that there is no limit, and sets none.
    let files = files.into();
    let mut limits = [most, files].into_iter();
    most >= files && limits.any(|limit| setrlimit(Resource::RLIMIT_NOFILE, limit, most).is_ok())
}

/// Elsewhere it is not the files that limit sessions: Windows refuses a burst of connections.
#[cfg(not(unix))]
pub(crate) fn allows(_: u32) -> bool {
    false
}
