//! A router under test: any function that puts exchangers in order, held against the oracle.

use std::{collections::BTreeMap, fmt, panic::Location};

use super::{
    Random,
    oracle::{Breach, breach_of_candidates, breach_of_hosts, list},
    router_case::{Case, MxRecords},
    runner::smallest_failing,
    shares::uneven,
    shrinking::FromSeed,
};
use crate::{
    name::Domain,
    route::{Addresses, Candidate, Identity},
};

/// Cases of any kind, and of equals alone.
const CASES: u32 = 1000;
const EQUALS: u32 = 16;

/// What a router returns: what to try, in order.
pub trait IntoRoute {
    /// The hosts in order, or their addresses, too; empty where there is nothing to try.
    fn into_route(self) -> Tried;
}

/// What is tried in order: hosts, or addresses of hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// Hosts, of which all addresses are tried.
    Hosts(Vec<Domain>),
    /// Hosts with their addresses.
    Candidates(Vec<Candidate>),
}

impl IntoRoute for Vec<Candidate> {
    fn into_route(self) -> Tried {
        Tried::Candidates(self)
    }
}

impl IntoRoute for Vec<Domain> {
    fn into_route(self) -> Tried {
        Tried::Hosts(self)
    }
}

/// Whatever the reason why there is nothing, nothing is tried.
impl<R: IntoRoute, E> IntoRoute for Result<R, E> {
    fn into_route(self) -> Tried {
        self.map_or_else(|_| Tried::Hosts(Vec::new()), R::into_route)
    }
}

impl Tried {
    fn first(self) -> Option<Domain> {
        match self {
            Self::Hosts(hosts) => hosts.into_iter().next(),
            Self::Candidates(candidates) => {
                candidates.into_iter().next().map(|first| first.exchanger)
            }
        }
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Hosts(hosts) => list(hosts),
            Self::Candidates(candidates) => list(
                candidates
                    .iter()
                    .map(|one| format!("{} [{}]", one.exchanger, one.address)),
            ),
        };
        f.write_str(if text.is_empty() { "nothing" } else { &text })
    }
}

/// What a router does wrong, with the smallest set of records at which it does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence} ({cites})\n\n{records}\n\n  expected  {expected}\n  observed  {observed}")]
#[non_exhaustive]
pub struct RouterFailure {
    /// What should hold.
    pub sentence: String,
    /// The section that asks for it.
    pub cites: String,
    /// The MX records, the addresses, and who asks, as lines of a zone file.
    pub records: String,
    /// How many MX records there are.
    pub mx_records: usize,
    /// What had to be tried.
    pub expected: String,
    /// What the router said.
    pub observed: String,
}

/// Holds a router against RFC 5321 section 5.1 and RFC 7505: lower preferences first, nothing left out, its own level
/// dropped, null MX, implicit MX, equals in equal shares.
///
/// It is called as `route(mx, addresses, identity, random)`: the MX records of a domain ([`MxRecords`], a list of
/// them), the addresses of each host, who asks, and where chance comes from ([`Random`]). It returns hosts
/// (`Vec<Domain>`) or addresses (`Vec<Candidate>`) in the order in which to try them, or a `Result` of one of these.
///
/// ```
/// use mxdrill::{name::Domain, testing};
///
/// testing::router(|mx, addresses, identity, random| {
///     // The router under test: this one is mxdrill's own.
///     let exchangers = mxdrill::route::exchangers(&mx.domain, &match mx.is_empty() {
///         true => mxdrill::route::MxAnswer::NoData,
///         false => mxdrill::route::MxAnswer::Records(mx.to_vec()),
///     })?;
///     mxdrill::route::route(&exchangers, addresses, identity, random)
/// });
/// ```
///
/// # Panics
/// If it does something wrong, with the smallest set of records at which it does ([`RouterFailure`]).
#[track_caller]
pub fn router<F, R>(route: F)
where
    F: Fn(&MxRecords, &BTreeMap<Domain, Addresses>, &Identity, &mut Random) -> R,
    R: IntoRoute,
{
    if let Err(failure) = check_router(route) {
        panic!("the router does not do what this asks for: {failure}\n");
    }
}

/// As [`router`], with what is wrong as a value.
///
/// # Errors
/// What it does wrong.
#[track_caller]
pub fn check_router<F, R>(route: F) -> Result<(), Box<RouterFailure>>
where
    F: Fn(&MxRecords, &BTreeMap<Domain, Addresses>, &Identity, &mut Random) -> R,
    R: IntoRoute,
{
    let caller = Location::caller();
    let tried = |case: &Case, seed: u64| {
        let mut random = Random::new(seed);
        let identity = case.identity();
        route(&case.mx, &case.addresses, &identity, &mut random).into_route()
    };
    let breach = |case: &Case| {
        let tried = tried(case, case.seed);
        let breach = match &tried {
            Tried::Hosts(hosts) => breach_of_hosts(case, hosts),
            Tried::Candidates(candidates) => breach_of_candidates(case, candidates),
        };
        breach.map(|breach| (breach, tried.to_string()))
    };
    let share = |case: &Case| {
        let counts = uneven(case, |seed| tried(case, seed).first())?;
        let rounds: usize = counts.values().sum();
        let each = rounds / counts.len();
        let observed = counts.iter().map(|(host, count)| format!("{host} {count}"));
        let observed = format!("came first: {}", list(observed));
        let expected = format!("of {rounds} orders, each first in about {each}");
        let sentence = "exchangers of one preference are put in random order, to spread the load";
        let cites = "RFC 5321 section 5.1";
        Some((
            Breach {
                sentence,
                cites,
                expected,
            },
            observed,
        ))
    };
    hold(FromSeed(Case::of_equals), EQUALS, caller, share)?;
    hold(FromSeed(Case::of), CASES, caller, breach)
}

fn hold(
    cases: FromSeed<Case>,
    count: u32,
    caller: &'static Location<'static>,
    breach: impl Fn(&Case) -> Option<(Breach, String)>,
) -> Result<(), Box<RouterFailure>> {
    let check = |case: &Case| match breach(case) {
        Some((breach, _)) => Err(breach.sentence.to_owned()),
        None => Ok(()),
    };
    let Some((case, _)) = smallest_failing(cases, count, caller, check) else {
        return Ok(());
    };
    // It may be due to a chance that is not ours.
    let (breach, observed) = breach(&case).unwrap_or_else(|| {
        let sentence = "the same case and the same randomness give the same route";
        let breach = Breach {
            sentence,
            cites: "a router that draws chance from elsewhere cannot be held to it",
            expected: "the same as before".to_owned(),
        };
        (breach, "another one".to_owned())
    });
    Err(Box::new(RouterFailure {
        sentence: breach.sentence.to_owned(),
        cites: breach.cites.to_owned(),
        records: case
            .to_string()
            .lines()
            .map(|line| format!("  {line}"))
            .collect::<Vec<_>>()
            .join("\n"),
        mx_records: case.mx.len(),
        expected: breach.expected,
        observed,
    }))
}
