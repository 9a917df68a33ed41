//! `mxdrill up --control`: an HTTP API beside a lab, and a page for people that uses it.
//!
//! `routes` has the resources and their description, `guard` keeps pages of other sites out, `serving` has the
//! sockets and their limits. What the API knows of the lab comes over the `desk`, and what the lab saw is in `kept`.
//! No path of the host goes in or out: a scenario that is sent names no files, and a message is its octets.

mod desk;
mod guard;
mod kept;
mod page;
mod problem;
mod routes;
mod serving;

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use tokio::{net::TcpListener, sync::mpsc};

pub(crate) use self::{
    desk::Ask,
    kept::{KeptLimits, SharedKept},
};
use self::{
    desk::Desk,
    guard::OwnNames,
    routes::{ApiState, router},
};

/// Where the API is, and to whom it is open.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ControlArgs {
    /// Serve an HTTP API and a page for people at this address and port of loopback; port 0 is any free one.
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = "Control")]
    pub(crate) control: Option<SocketAddr>,
    /// Let the API have an address that other hosts reach. Whoever reaches it drives the lab and reads its mail.
    #[arg(long, requires = "control", help_heading = "Control")]
    pub(crate) allow_control_from_outside: bool,
    /// A name by which the API is called, beside localhost and addresses; may be given more than once.
    #[arg(
        long,
        requires = "control",
        value_name = "NAME",
        help_heading = "Control"
    )]
    pub(crate) control_name: Vec<String>,
}

/// The API, bound and not served yet.
pub(crate) struct ControlServer {
    listener: TcpListener,
    at: SocketAddr,
    names: OwnNames,
    state: ApiState,
    asked: mpsc::Receiver<Ask>,
    kept: SharedKept,
}

impl ControlServer {
    /// Binds the address that was asked for; `None` if none was.
    ///
    /// # Errors
    /// An address that other hosts reach, or one that cannot be bound.
    pub(crate) async fn bind(args: &ControlArgs, allow_upstream: bool) -> io::Result<Option<Self>> {
        let Some(at) = args.control else {
            return Ok(None);
        };
        if !is_loopback(at.ip()) && !args.allow_control_from_outside {
            let text = format!(
                "found --control {at}, expected an address of loopback, such as 127.0.0.1:0; \
                 --allow-control-from-outside lets others be"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let listener = TcpListener::bind(at)
            .await
            .map_err(|error| io::Error::new(error.kind(), format!("--control {at}: {error}")))?;
        let kept = SharedKept::new(KeptLimits::USUAL);
        let (desk, asked) = Desk::new(kept.clone());
        Ok(Some(Self {
            at: listener.local_addr()?,
            listener,
            names: OwnNames(args.control_name.clone().into()),
            state: ApiState::new(desk, allow_upstream),
            asked,
            kept,
        }))
    }

    /// Where it is, for people and programs.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.at)
    }

    /// What the owner of the lab is asked for, and where it puts what the lab saw; and the API, to be served beside.
    pub(crate) fn start(
        self,
    ) -> (
        mpsc::Receiver<Ask>,
        SharedKept,
        impl Future<Output = io::Error>,
    ) {
        let router = router(self.state, self.names);
        let served = serving::serve(self.listener, router);
        (self.asked, self.kept, served)
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}
