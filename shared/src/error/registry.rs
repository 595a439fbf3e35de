//! The one table of error codes. A published code never changes its meaning.

use http::StatusCode;

macro_rules! registry {
    ($($variant:ident = $code:literal, $status:ident, $message:literal;)*) => {
        /// A published error code; see `docs/ERROR_CODES.md`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = concat!($code, ": ", $message, ".")] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the registry.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The code as it stands on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code),* }
            }

            /// The HTTP status that it is answered with.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),* }
            }

            /// The fixed text that goes with it.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self { $(Self::$variant => $message),* }
            }
        }
    };
}

registry! {
    InvalidToken = "AUTH_001", UNAUTHORIZED, "Invalid token";
    TokenExpired = "AUTH_002", UNAUTHORIZED, "Token expired";
    MissingCredentials = "AUTH_003", UNAUTHORIZED, "Missing credentials";
    TokenLifetimeTooLong = "AUTH_004", UNAUTHORIZED, "Token lifetime too long";
    InvalidCredentials = "AUTH_005", UNAUTHORIZED, "Invalid credentials";
    SessionEnded = "AUTH_006", UNAUTHORIZED, "Session ended";
    InvalidRefreshToken = "AUTH_007", UNAUTHORIZED, "Invalid refresh token";
    TooManyFailedAttempts = "AUTH_008", TOO_MANY_REQUESTS, "Too many failed attempts";
    SignupClosed = "AUTH_009", FORBIDDEN, "Sign-up is closed";
    SignInRefused = "AUTH_010", BAD_REQUEST, "Identity provider refused the sign-in";
    OriginNotAllowed = "AUTH_011", FORBIDDEN, "Origin not allowed";
    NoTenant = "TEN_001", FORBIDDEN, "Token names no tenant";
    ConflictingTenants = "TEN_002", FORBIDDEN, "Token names conflicting tenants";
    IssuerNotTrusted = "TEN_003", FORBIDDEN, "Issuer may not speak for this tenant";
    TenantSuspended = "TEN_004", FORBIDDEN, "Tenant suspended";
    PermissionDenied = "PERM_001", FORBIDDEN, "Permission denied";
    MalformedRequest = "REQ_001", BAD_REQUEST, "Malformed request";
    BodyTooLarge = "REQ_002", PAYLOAD_TOO_LARGE, "Body too large";
    UnsupportedContentType = "REQ_003", UNSUPPORTED_MEDIA_TYPE, "Unsupported content type";
    MethodNotAllowed = "REQ_004", METHOD_NOT_ALLOWED, "Method not allowed";
    NoSuchRoute = "REQ_005", NOT_FOUND, "No such route";
    IfMatchRequired = "REQ_006", PRECONDITION_REQUIRED, "If-Match required";
    ResourceChanged = "REQ_007", PRECONDITION_FAILED, "Resource has changed";
    ValidationFailed = "VAL_001", UNPROCESSABLE_ENTITY, "Validation failed";
    NotFound = "RES_001", NOT_FOUND, "Not found";
    AlreadyExists = "RES_002", CONFLICT, "Already exists";
    RecordClosed = "RES_003", CONFLICT, "Record is closed";
    SameRequestInFlight = "RES_004", CONFLICT, "Same request in flight";
    IdempotencyKeyReused = "RES_005", UNPROCESSABLE_ENTITY, "Idempotency key reused with another body";
    NotAllowedInState = "RES_006", CONFLICT, "Not allowed in this state";
    RateLimited = "RATE_001", TOO_MANY_REQUESTS, "Rate limit reached";
    Internal = "SYS_001", INTERNAL_SERVER_ERROR, "Internal error";
    DatabaseUnavailable = "SYS_002", SERVICE_UNAVAILABLE, "Database unavailable";
    ProviderUnavailable = "SYS_003", SERVICE_UNAVAILABLE, "Identity provider unavailable";
    KeyManagementUnavailable = "SYS_004", SERVICE_UNAVAILABLE, "Key management unavailable";
    Undecryptable = "SYS_005", INTERNAL_SERVER_ERROR, "Stored data could not be decrypted";
    DeadlineReached = "SYS_006", SERVICE_UNAVAILABLE, "Deadline reached";
}

impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
