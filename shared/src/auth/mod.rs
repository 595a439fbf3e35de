//! Who is calling, and what they may do.

mod algorithm;
mod caller;
mod claims;
mod content;
#[cfg(feature = "federation")]
mod federation;
mod introspection;
#[cfg(feature = "federation")]
mod jwks;
mod keys;
mod permission;
pub mod provider;
mod refresh_token;
#[cfg(feature = "signing")]
mod signer;
mod token;
mod verifier;

pub use algorithm::Algorithm;
pub use caller::{Caller, Identity, TenantId, bearer_token};
#[cfg(feature = "federation")]
pub use federation::{DeploymentProviders, Federation, Request as FederatedRequest};
pub use introspection::RegisteredClaims;
#[cfg(feature = "federation")]
pub use jwks::{ProviderKeys, discovery_url, inspect};
pub use keys::{GeneratedKey, KeyFault, LocalKey, PublishedKey, SigningKey, published_keys};
#[cfg(feature = "signing")]
pub use keys::{KmsKeys, Signing, SigningConfig};
pub use permission::{Permission, Role};
pub use refresh_token::{LIFE as REFRESH_TOKEN_LIFE, RefreshToken, RefreshTokens};
#[cfg(feature = "signing")]
pub use signer::{AccessToken, Signer};
pub use token::{LIFE as ACCESS_TOKEN_LIFE, Subject};
pub use verifier::{Refused, Verifier};
