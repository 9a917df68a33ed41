//! Every rule is broken by a log, and is not by one that differs in just the thing that matters.

mod delivery;
mod giving_up;
mod order;
mod places;
mod security;
