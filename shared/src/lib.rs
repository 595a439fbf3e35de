//! The foundation that every function stands on, in reading order:
//!
//! 1. [`lambda`]: `serve()`, the whole cold start on one screen.
//! 2. [`config`] and [`secrets`]: what a function needs from outside, all faults at once.
//! 3. [`routes`] and [`access`]: a route cannot be added without its access and its audit action.
//! 4. [`layers`]: what every request passes through, in order.
//! 5. [`auth`], [`user`] and [`origin`]: who is calling, from where, and what they may do.
//! 6. [`extract`], [`page`], [`etag`], [`idempotency`]: the parts of a handler's signature.
//! 7. [`db`]: a tenant's rows, reachable from a verified caller only.
//! 8. [`audit`] and [`refusal`]: what is recorded, and how what was refused is; `checkpoints` (a feature): what proves it.
//! 9. [`rate_limit`] and [`lockout`]: how often an address, and an account, may be tried.
//! 10. `session` (feature `signing`): how a session begins, and its tokens.
//! 11. `fetch` (feature `federation`): the one way out, to identity providers.
//! 12. `kms` and `crypto` (feature `kms`): what is encrypted, per tenant.
//! 13. [`mod@error`]: the registry of error codes and its wire forms.
//!
//! `docs/ARCHITECTURE.md` tells the same story with its reasons.

pub mod access;
pub mod app;
pub mod audit;
pub mod auth;
mod aws;
#[cfg(feature = "checkpoints")]
pub mod checkpoints;
pub mod clock;
pub mod config;
#[cfg(feature = "kms")]
pub mod crypto;
pub mod db;
pub mod error;
pub mod etag;
mod event;
pub mod extract;
#[cfg(feature = "federation")]
pub mod fetch;
pub mod idempotency;
#[cfg(feature = "kms")]
pub mod kms;
pub mod lambda;
pub mod layers;
pub mod lockout;
pub mod origin;
pub mod page;
#[cfg(feature = "password")]
pub mod password;
pub mod rate_limit;
pub mod refusal;
pub mod routes;
pub mod secrets;
#[cfg(feature = "signing")]
pub mod session;
pub mod start;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod text;
pub mod user;

pub use app::App;
pub use auth::Caller;
pub use db::Db;
pub use error::{Code, Error, Result};
pub use routes::Routes;
