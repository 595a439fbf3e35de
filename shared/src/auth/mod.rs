//! Who is calling, and what they may do.

mod caller;
mod claims;
mod introspection;
#[cfg(feature = "federation")]
mod jwks;
mod key_set;
mod permission;
pub mod provider;
mod refresh_token;
mod signer;
mod token;
mod verifier;

pub use caller::{Caller, Identity, TenantId, bearer_token};
pub use introspection::RegisteredClaims;
#[cfg(feature = "federation")]
pub use jwks::{ProviderKeys, discovery_url, inspect};
pub use key_set::KeyFault;
pub use permission::{Permission, Role};
pub use refresh_token::{LIFE as REFRESH_TOKEN_LIFE, RefreshToken, RefreshTokens};
pub use signer::{AccessToken, Signer};
pub use token::{LIFE as ACCESS_TOKEN_LIFE, Subject};
pub use verifier::{Refused, Verifier};
