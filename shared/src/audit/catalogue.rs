//! What every action means, what it is done to, and what it leaves in the trail.

use super::{Action, DetailsKind};

/// What a record's `object_id` is the id of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Object {
    /// No one thing.
    Nothing,
    /// A tenant.
    Tenant,
    /// A user.
    User,
    /// A session.
    Session,
    /// An identity provider.
    IdentityProvider,
    /// A todo.
    Todo,
}

impl Object {
    /// Its name in the documentation.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Tenant => "tenant",
            Self::User => "user",
            Self::Session => "session",
            Self::IdentityProvider => "identity provider",
            Self::Todo => "todo",
        }
    }
}

/// What an action does when it succeeds, and so whether that is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It changes something, or acts outside: each success is one record.
    Changes,
    /// It reads one protected thing: each success is one record.
    ReadsProtected,
    /// It reads: a success is in the log only.
    Reads,
}

/// An action's place in the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// What it does when it succeeds.
    pub effect: Effect,
    /// What the object of its records is.
    pub object: Object,
    /// What it means, in one sentence.
    pub meaning: &'static str,
    /// What its records may say besides.
    pub details: &'static [DetailsKind],
}

impl Entry {
    const fn new(effect: Effect, object: Object, meaning: &'static str) -> Self {
        Self { effect, object, meaning, details: &[] }
    }

    const fn with(self, details: &'static [DetailsKind]) -> Self {
        Self { details, ..self }
    }

    /// Whether a success leaves a record.
    #[must_use]
    pub const fn records_success(&self) -> bool {
        !matches!(self.effect, Effect::Reads)
    }
}

/// An action that changes `object`.
const fn changes(object: Object, meaning: &'static str) -> Entry {
    Entry::new(Effect::Changes, object, meaning)
}

/// An action that reads one protected thing: its statement ends with
/// `app.audit_read`.
const fn reads_protected(object: Object, meaning: &'static str) -> Entry {
    Entry::new(Effect::ReadsProtected, object, meaning)
}

/// An action that only reads.
const fn reads(object: Object, meaning: &'static str) -> Entry {
    Entry::new(Effect::Reads, object, meaning)
}

impl Action {
    /// Its place in the catalogue.
    #[must_use]
    pub const fn entry(self) -> Entry {
        use DetailsKind::{LoggedOut, ProviderChanged, SessionsEnded, TodoChanged, TrailExported, UserChanged};
        use Object::{IdentityProvider, Nothing, Session, Tenant, Todo, User};
        match self {
            Self::HealthRead => reads(Nothing, "The function's state was asked for."),

            Self::AuthSignup => changes(Session, "An organization and its first admin came to be, with a session."),
            Self::AuthLogin => changes(Session, "A user signed in: a session began."),
            Self::AuthRefresh => changes(
                Session,
                "A refresh token was used for the next one. Denied: it was used before, and its session has ended.",
            ),
            Self::AuthLogout => changes(Session, "A user signed out.").with(&[LoggedOut]),
            Self::AuthMe => reads(Nothing, "A user asked who it is."),
            Self::AuthPassword => {
                changes(User, "A user changed its password; its other sessions ended.").with(&[SessionsEnded])
            }
            Self::AuthSessionsList => reads(Nothing, "A user listed its sessions."),
            Self::AuthSessionsDelete => changes(
                Session,
                "A session was ended by its user; with the reason `session_limit`, by the sign-in that was one too many.",
            ),
            Self::AuthIntrospect => reads(Nothing, "A resource server asked whether a token is good."),
            Self::AuthRevoke => changes(Session, "A session was ended by who held a token of it."),
            Self::AuthJwks => reads(Nothing, "The published keys were read."),
            Self::AuthDiscovery => reads(Nothing, "The published configuration was read."),
            Self::AuthOidcStart => reads(Nothing, "Somebody was sent to an identity provider to sign in."),
            Self::AuthOidcLogin => changes(Session, "A user signed in at an identity provider: a session began."),
            Self::AuthOidcLogout => changes(Session, "An identity provider ended sessions that it had vouched for."),

            Self::TenantsRead => reads(Tenant, "A user read its organization."),
            Self::TenantsUpdate => changes(Tenant, "The organization was renamed."),
            Self::TenantsCreate => changes(Tenant, "An operator created the organization and its first admin."),
            Self::TenantsSuspend => changes(Tenant, "An operator suspended the organization: nobody of it is served."),
            Self::TenantsResume => changes(Tenant, "An operator resumed the organization."),
            Self::TenantsDelete => changes(Tenant, "An operator deleted the organization: its data key is gone."),
            Self::TenantsPurge => {
                changes(Tenant, "The last row of the deleted organization is gone, but for its trail.")
            }

            Self::IdentityProvidersList => reads(Nothing, "The identity providers were listed."),
            Self::IdentityProvidersCreate => changes(IdentityProvider, "An identity provider was registered."),
            Self::IdentityProvidersRead => reads_protected(IdentityProvider, "An identity provider was read."),
            Self::IdentityProvidersUpdate => {
                changes(IdentityProvider, "An identity provider was changed.").with(&[ProviderChanged])
            }
            Self::IdentityProvidersDelete => changes(IdentityProvider, "An identity provider was deleted."),
            Self::IdentityProvidersTest => {
                changes(IdentityProvider, "An identity provider was asked for its configuration and keys.")
            }

            Self::UsersList => reads(Nothing, "The users were listed."),
            Self::UsersCreate => changes(User, "A user was created by an admin."),
            Self::UsersRead => reads(User, "A user was read."),
            Self::UsersUpdate => changes(User, "A user was changed.").with(&[UserChanged]),
            Self::UsersDelete => changes(User, "A user was deleted: its id stays, nothing of the person does."),
            Self::UsersDeactivate => changes(User, "A user was deactivated; its sessions ended."),
            Self::UsersActivate => changes(User, "A user was activated again."),

            Self::AuditEvents => reads(Nothing, "The trail was searched."),
            Self::AuditVerify => reads(Nothing, "The trail was verified."),
            Self::AuditExport => reads_protected(Tenant, "Records of the trail were taken out.").with(&[TrailExported]),
            Self::AuditCheckpoints => reads(Nothing, "The trail's signed checkpoints were read."),

            Self::TodosList => reads(Nothing, "A user listed its todos."),
            Self::TodosCreate => changes(Todo, "A todo was created."),
            Self::TodosRead => reads(Todo, "A todo was read."),
            Self::TodosUpdate => changes(Todo, "A todo was changed.").with(&[TodoChanged]),
            Self::TodosDelete => changes(Todo, "A todo was deleted."),
        }
    }
}
