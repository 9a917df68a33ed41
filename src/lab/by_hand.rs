//! Faults that come and go by hand, while a lab is up.

use super::Lab;
use crate::{
    event::What,
    fault::{Effect, Failure, Fault, Host, QueryEffect, Stage},
    name::Domain,
};

impl Lab {
    /// Lets a host fail from now on: `lab.fail("mx1.example.test", Stage::Connect, "refuse")`.
    ///
    /// # Errors
    /// A host that the lab does not have, or an effect that the stage does not.
    pub fn fail(&self, host: &str, stage: Stage, effect: &str) -> Result<(), String> {
        let host = self.known_host(host)?;
        let effect = Effect::parse(effect, stage)?;
        let change = format!("{host} fails at {stage}: {effect}");
        self.put_up(
            Failure::Session {
                host,
                stage,
                effect,
                recipient: None,
            },
            change,
        );
        Ok(())
    }

    /// Lets lookups fail from now on: `lab.fail_query("example.test MX", "servfail")`.
    ///
    /// # Errors
    /// What is no name and type, or no effect on a query.
    pub fn fail_query(&self, query: &str, effect: &str) -> Result<(), String> {
        let (name, record_type) = crate::scenario::read_query(query)?;
        let effect: QueryEffect = effect.parse()?;
        self.put_up(
            Failure::Query {
                name,
                record_type,
                over: None,
                effect,
            },
            format!("lookups of {query} fail: {effect}"),
        );
        Ok(())
    }

    fn put_up(&self, failure: Failure, change: String) {
        self.site.faults().fail(Fault::lasting(failure));
        self.site.record(What::Changed { change });
        self.site.faults_changed.send_replace(());
    }

    /// Lifts every fault of a host, those of the scenario too.
    ///
    /// # Errors
    /// A host that the lab does not have.
    pub fn restore(&self, host: &str) -> Result<(), String> {
        let host = self.known_host(host)?;
        self.site.faults().lift(
            |failure| matches!(failure, Failure::Session { host: failed, .. } if *failed == host),
        );
        self.site.record(What::Changed {
            change: format!("{host} is restored"),
        });
        self.site.faults_changed.send_replace(());
        Ok(())
    }

    /// Lifts every fault of lookups.
    pub fn restore_queries(&self) {
        self.site
            .faults()
            .lift(|failure| matches!(failure, Failure::Query { .. }));
        self.site.record(What::Changed {
            change: "lookups are restored".to_owned(),
        });
    }

    fn known_host(&self, text: &str) -> Result<Host, String> {
        let host: Host = text.parse()?;
        let known = self
            .site
            .receivers
            .values()
            .any(|receiver| host.covers(receiver.address, &receiver.names));
        let names = self
            .site
            .receivers
            .values()
            .flat_map(|receiver| &receiver.names)
            .map(Domain::as_str);
        known.then_some(host).ok_or_else(|| {
            let hint = crate::diagnostic::nearest(text, names)
                .map_or(String::new(), |near| format!("; did you mean {near:?}?"));
            format!("found host {text:?}, expected one that a record names{hint}")
        })
    }
}
