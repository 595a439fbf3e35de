//! What must be withstood, tried on a whole function: an event in, an answer
//! out, and the database as it is afterwards.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod algorithms;
mod catalogue;
mod claims;
mod encryption;
mod federated_users;
mod gateway;
mod idempotency;
mod kids;
mod log;
mod outages;
mod pooler;
mod provider_claims;
mod provider_keys;
mod provider_sessions;
mod provider_tenants;
mod provider_tokens;
mod provider_users;
mod refusals;
mod source;
mod tenants;
mod tls;
mod tokens;
mod trail;
