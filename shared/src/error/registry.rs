//! The one table of error codes. A published code never changes its meaning.

use http::StatusCode;

macro_rules! registry {
    ($($variant:ident = $code:literal, $status:ident, $message:literal, $advice:literal;)*) => {
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

            /// What a client should do about it, in one sentence.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice),* }
            }
        }
    };
}

registry! {
    InvalidToken = "AUTH_001", UNAUTHORIZED, "Invalid token",
        "Get a new access token: this one was not issued by us, or not for this API, or was changed on its way.";
    TokenExpired = "AUTH_002", UNAUTHORIZED, "Token expired",
        "Refresh the session, then send the request again with the new access token.";
    MissingCredentials = "AUTH_003", UNAUTHORIZED, "Missing credentials",
        "Send `Authorization: Bearer <access token>`.";
    TokenLifetimeTooLong = "AUTH_004", UNAUTHORIZED, "Token lifetime too long",
        "Have the identity provider issue access tokens that live 60 minutes at most.";
    InvalidCredentials = "AUTH_005", UNAUTHORIZED, "Invalid credentials",
        "Ask for tenant, e-mail and password again; the answer never says which of them is wrong.";
    SessionEnded = "AUTH_006", UNAUTHORIZED, "Session ended",
        "Sign in again: the session was signed out, has expired, or its user was deactivated.";
    InvalidRefreshToken = "AUTH_007", UNAUTHORIZED, "Invalid refresh token",
        "Sign in again: a refresh token is used once, lives 7 days, and ends with its session.";
    TooManyFailedAttempts = "AUTH_008", TOO_MANY_REQUESTS, "Too many failed attempts",
        "Wait as many seconds as `Retry-After` says before the next attempt.";
    SignupClosed = "AUTH_009", FORBIDDEN, "Sign-up is closed",
        "Ask the operator for an account: this deployment lets nobody sign up.";
    SignInRefused = "AUTH_010", BAD_REQUEST, "Identity provider refused the sign-in",
        "Begin the sign-in anew: what the identity provider sent back was refused, late, or not asked for.";
    OriginNotAllowed = "AUTH_011", FORBIDDEN, "Origin not allowed",
        "Call from an origin that the deployment allows; requests with a cookie are taken from no other.";
    NoTenant = "TEN_001", FORBIDDEN, "Token names no tenant",
        "Have the identity provider put the tenant's id into the token.";
    ConflictingTenants = "TEN_002", FORBIDDEN, "Token names conflicting tenants",
        "Have the identity provider put one tenant's id, as one string, into the token.";
    IssuerNotTrusted = "TEN_003", FORBIDDEN, "Issuer may not speak for this tenant",
        "Sign in with a provider that is registered for this tenant.";
    TenantSuspended = "TEN_004", FORBIDDEN, "Tenant suspended",
        "Ask the operator: the tenant is suspended, and no request of it is served.";
    PermissionDenied = "PERM_001", FORBIDDEN, "Permission denied",
        "Ask an admin of the tenant for a role that has the permission.";
    MalformedRequest = "REQ_001", BAD_REQUEST, "Malformed request",
        "Correct the request's syntax: the body is no JSON, or a header cannot be read.";
    BodyTooLarge = "REQ_002", PAYLOAD_TOO_LARGE, "Body too large",
        "Send a body of 1 MiB at most.";
    UnsupportedContentType = "REQ_003", UNSUPPORTED_MEDIA_TYPE, "Unsupported content type",
        "Send the body as `application/json` in UTF-8.";
    MethodNotAllowed = "REQ_004", METHOD_NOT_ALLOWED, "Method not allowed",
        "Use one of the methods that the `Allow` header names.";
    NoSuchRoute = "REQ_005", NOT_FOUND, "No such route",
        "Correct the path: there is no operation under it.";
    IfMatchRequired = "REQ_006", PRECONDITION_REQUIRED, "If-Match required",
        "Read the resource, and send its `ETag` back in `If-Match`.";
    ResourceChanged = "REQ_007", PRECONDITION_FAILED, "Resource has changed",
        "Read the resource again: it has changed since; then decide whether the change still holds.";
    ValidationFailed = "VAL_001", UNPROCESSABLE_ENTITY, "Validation failed",
        "Correct the members that `fields` names.";
    NotFound = "RES_001", NOT_FOUND, "Not found",
        "Do not retry: it does not exist, or is not yours to see.";
    AlreadyExists = "RES_002", CONFLICT, "Already exists",
        "Choose another value for the member that `fields` names, or use what is there.";
    RecordClosed = "RES_003", CONFLICT, "Record is closed",
        "Do not retry: a closed record stays as it is.";
    SameRequestInFlight = "RES_004", CONFLICT, "Same request in flight",
        "Wait for the answer to the first request with this `Idempotency-Key`, or ask again in a moment.";
    IdempotencyKeyReused = "RES_005", UNPROCESSABLE_ENTITY, "Idempotency key reused with another body",
        "Use a new `Idempotency-Key` for a new request.";
    NotAllowedInState = "RES_006", CONFLICT, "Not allowed in this state",
        "Read the resource: its state allows no such step now.";
    RateLimited = "RATE_001", TOO_MANY_REQUESTS, "Rate limit reached",
        "Wait as many seconds as `Retry-After` says, and send fewer requests.";
    Internal = "SYS_001", INTERNAL_SERVER_ERROR, "Internal error",
        "Report it with its `request_id`; the cause is in our log under the same id.";
    DatabaseUnavailable = "SYS_002", SERVICE_UNAVAILABLE, "Database unavailable",
        "Send it again after a moment, with the same `Idempotency-Key` if it creates something.";
    ProviderUnavailable = "SYS_003", SERVICE_UNAVAILABLE, "Identity provider unavailable",
        "Send it again after a moment: the keys of the tenant's identity provider cannot be had.";
    KeyManagementUnavailable = "SYS_004", SERVICE_UNAVAILABLE, "Key management unavailable",
        "Send it again after a moment: nothing can be encrypted, decrypted or signed, or a key of today cannot be read.";
    Undecryptable = "SYS_005", INTERNAL_SERVER_ERROR, "Stored data could not be decrypted",
        "Report it with its `request_id`: the record is damaged, or its key was destroyed.";
    DeadlineReached = "SYS_006", SERVICE_UNAVAILABLE, "Deadline reached",
        "Send it again, with the same `Idempotency-Key` if it creates something, or ask for less at once.";
}

impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
