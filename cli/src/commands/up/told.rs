//! What `mxdrill up` says first: which hosts there are and where they listen, for people, for programs, and in a file.

use std::{
    fs,
    io::{self, Write},
    net::IpAddr,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::commands::{LogFormat, at};
use mxdrill::lab::{Endpoint, Lab, Spread};

/// A file that is there while everything listens.
pub(super) struct ReadyFile(PathBuf);

impl ReadyFile {
    /// Takes away what an earlier run left, which would say that this one is ready.
    ///
    /// # Errors
    /// What else is there, such as a folder.
    pub(super) fn none_yet(path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path, error)),
            _ => Ok(()),
        }
    }

    /// Writes it beside its place and moves it there, so that whoever finds it finds all of it.
    ///
    /// # Errors
    /// That it cannot be written.
    pub(super) fn write(path: &Path, told: &Value) -> io::Result<Self> {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let written = || -> io::Result<()> {
            let mut file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
            writeln!(file, "{told}")?;
            file.persist(path)?;
            Ok(())
        };
        written().map_err(|error| at(path, error))?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        // Somebody may have taken it away.
        fs::remove_file(&self.0).ok();
    }
}

/// For programs: one object.
pub(super) fn json(lab: &Lab, control: Option<&str>) -> Value {
    let endpoint = |endpoint: Endpoint| {
        let ports = endpoint.ports.iter();
        let ports: Vec<Value> = ports
            .map(|(port, at)| json!({ "port": port, "listens": at }))
            .collect();
        json!({
            "hosts": endpoint.hosts,
            "zone_address": endpoint.zone_address,
            "answered": endpoint.answered,
            "listens": endpoint.listens,
            "ports": ports,
        })
    };
    let told =
        |endpoints: Vec<Endpoint>| -> Vec<Value> { endpoints.into_iter().map(endpoint).collect() };
    let mut up = json!({
        "event": "up",
        "dns": lab.resolver(),
        "smtp_port": lab.smtp_port(),
        "receivers": told(lab.endpoints()),
        "policy_hosts": told(lab.policy_endpoints()),
    });
    if let Some(control) = control {
        up["control"] = json!(control);
    }
    up
}

/// Which hosts there are, and where they listen.
pub(super) fn introduction(
    lab: &Lab,
    asked: Spread,
    format: LogFormat,
    control: Option<&str>,
) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    if format == LogFormat::Json {
        writeln!(out, "{}", json(lab, control))?;
        return Ok(out);
    }
    let dns = lab.resolver();
    let domain = lab.mail_domain();
    writeln!(
        out,
        "DNS    {dns} (UDP and TCP)   try: dig @{} -p {} {domain} MX",
        dns.ip(),
        dns.port()
    )?;
    let smtp = lab
        .endpoints()
        .into_iter()
        .map(|endpoint| ("SMTP", endpoint));
    let https = lab.policy_endpoints().into_iter();
    for (what, endpoint) in smtp.chain(https.map(|endpoint| ("HTTPS", endpoint))) {
        let hosts: Vec<String> = endpoint.hosts.iter().map(ToString::to_string).collect();
        writeln!(
            out,
            "{what:<6} {:<24} {} stands for {}",
            endpoint.listens.to_string(),
            hosts.join(", "),
            endpoint.zone_address
        )?;
        for (port, at) in &endpoint.ports {
            writeln!(
                out,
                "{what:<6} {:<24} {} stands for {}, port {port}",
                at.to_string(),
                hosts.join(", "),
                endpoint.zone_address
            )?;
        }
    }
    if let Spread::Addresses { .. } = asked
        && lab.differs_by_ports()
    {
        let endpoints = lab.endpoints().into_iter().chain(lab.policy_endpoints());
        let lacking = endpoints.map(|endpoint| endpoint.answered);
        write!(out, "{}", lack_of_addresses(lacking))?;
    }
    if let Some(control) = control {
        writeln!(
            out,
            "HTTP   {control} (a page; the API: {control}/openapi.json)"
        )?;
    }
    writeln!(out, "Ctrl-C ends it.")?;
    Ok(out)
}

/// What is said where hosts have no addresses of their own, and how the system comes to have them.
fn lack_of_addresses(lacking: impl Iterator<Item = IpAddr>) -> String {
    let addresses: Vec<String> = lacking
        .map(|address| address.to_canonical().to_string())
        .collect();
    let first = addresses.first().map_or("", String::as_str);
    let command = match cfg!(target_os = "linux") {
        true => format!("ip address add {first}/32 dev lo"),
        false => format!("ifconfig lo0 alias {first}"),
    };
    format!(
        "These addresses cannot be had here, so each host has a port of its own: {}.\n\
         Tell a sender the port with the address. Or, for the addresses, as root for each: {command}\n",
        addresses.join(", ")
    )
}
