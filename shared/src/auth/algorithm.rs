//! What a token's header may say of its key.

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256 (RFC 7518, 3.4).
    Es256,
    /// Ed25519 (RFC 8037, 3.1).
    EdDsa,
    /// HMAC with SHA-256 (RFC 7518, 3.2).
    Hs256,
}

impl Algorithm {
    /// That of a key of this kind (`kty`: EC P-256, OKP Ed25519 or oct).
    #[must_use]
    pub fn of_kind(kty: &str) -> Option<Self> {
        match kty {
            "EC" => Some(Self::Es256),
            "OKP" => Some(Self::EdDsa),
            "oct" => Some(Self::Hs256),
            _ => None,
        }
    }

    /// Its name in a token's header and in a JWK.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
        }
    }

    /// The one with this name, in this spelling.
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Es256, Self::EdDsa, Self::Hs256].into_iter().find(|algorithm| algorithm.name() == name)
    }

    pub(super) const fn jwt(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Self::Hs256 => jsonwebtoken::Algorithm::HS256,
        }
    }
}

/// Whether `kid` is one that a key of ours may have.
pub(super) fn is_kid(kid: &str) -> bool {
    (1..=64).contains(&kid.len()) && kid.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
}
