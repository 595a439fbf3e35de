//! J3, J4, J11 and K1 to K7 of THREATS as far as an identity provider's keys
//! are concerned: what is fetched, from where, how often, and what is kept.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod addresses;
mod cache;
mod environment;
mod fetch;
mod flood;
mod outage;
mod shared_copy;
mod tls;
