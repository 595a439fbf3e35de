//! Who may use a route, and the check of it.

use std::sync::{Arc, OnceLock};

use axum::{
    body::Body,
    extract::{FromRequestParts, RawPathParams, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::Method;
use http_body::Body as _;
use uuid::Uuid;

#[cfg(feature = "federation")]
use crate::auth::FederatedRequest;
use crate::{
    app::App,
    audit::Action,
    auth::{Caller, Identity, Permission, Refused, Subject, TenantId, bearer_token},
    error::{Code, Error, Result},
    origin::Origin,
    rate_limit::{RateLimit, Standing},
    refusal::{Refusal, is_recorded},
};

/// The largest body, in bytes.
const BODY_LIMIT: u64 = 1024 * 1024;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// Anybody with a good token, ours or a provider's, and a live session.
    AnyCaller,
    /// A caller whose role has this permission.
    Needs(Permission),
    /// The same, or the user whom the path's `{id}` names.
    NeedsOrSelf(Permission),
}

impl Access {
    /// Whether `caller` may use a route whose path names `object`.
    fn admits(self, caller: &Caller, object: Option<Uuid>) -> bool {
        match self {
            Self::Public | Self::AnyCaller => true,
            Self::Needs(permission) => caller.may(permission),
            Self::NeedsOrSelf(permission) => caller.may(permission) || object == Some(caller.user_id()),
        }
    }
}

/// One route, as it was declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The HTTP method.
    pub method: Method,
    /// The full path, in axum's syntax.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
    /// What it does, as the audit trail names it.
    pub action: Action,
}

/// What the access check tells the boundary about a request that found its
/// route: as soon as it knows, so that a panic or the deadline cannot lose it.
#[derive(Debug, Default)]
pub(crate) struct Served {
    pub(crate) route: OnceLock<&'static str>,
    pub(crate) identity: OnceLock<Identity>,
    pub(crate) standing: OnceLock<Standing>,
}

/// What stands before a handler.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) route: Route,
    pub(crate) app: Option<App>,
    pub(crate) limit: Option<RateLimit>,
}

pub(crate) async fn check(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let served = request.extensions().get::<Arc<Served>>().cloned().unwrap_or_default();
    let _ = served.route.set(gate.route.path);
    let origin = request.extensions().get::<Origin>().cloned();
    if let Some(limit) = &gate.limit
        && let Err(error) = admit_address(limit, origin.clone(), &served).await
    {
        return error.into_response();
    }
    match (&gate.app, gate.route.access) {
        (None, Access::Public) => handle(request, next).await,
        (Some(app), Access::Public) => {
            let response = handle(request, next).await;
            let error = response.extensions().get::<Error>().cloned();
            record_of_nobody(app, &gate.route, origin, error).await;
            response
        }
        (Some(app), access) => admit(app, access, &gate.route, &served, request, next).await,
        (None, _) => Error::new(Code::Internal).into_response(),
    }
}

/// Runs the handler, unless the body is larger than any that is read. Asked
/// here and not before the route, so that this refusal is recorded as any other.
async fn handle(request: Request, next: Next) -> Response {
    match too_large(request.body()) {
        Some(error) => error.into_response(),
        None => next.run(request).await,
    }
}

fn too_large(body: &Body) -> Option<Error> {
    let error = || Error::new(Code::BodyTooLarge).detail("A body may have 1 MiB.");
    (body.size_hint().lower() > BODY_LIMIT).then(error)
}

/// Records what a public route refused before its handler knew to whom, so that
/// no attempt at a change goes without a record. Reads do.
async fn record_of_nobody(app: &App, route: &Route, origin: Option<Origin>, error: Option<Error>) {
    let unrecorded = error.filter(|error| !error.is_recorded());
    if let (Some(error), Some(origin), true) = (unrecorded, origin, route.action.entry().records_success())
        && is_recorded(&route.method, route.action, error.code())
    {
        app.db.settle(Some(&error)).await;
        let identity = Identity { tenant: TenantId::NOBODY, user: None, session: None };
        let (action, reason) = (route.action, error.code());
        Refusal { action, reason, identity: &identity, object: None, origin: &origin }.record(&app.db).await;
    }
}

async fn admit_address(limit: &RateLimit, origin: Option<Origin>, served: &Served) -> Result<()> {
    limit.admit(&origin.ok_or(Code::Internal)?, served).await
}

/// Runs the handler for a caller who may, and records it where it, or the
/// caller, was refused.
async fn admit(app: &App, access: Access, route: &Route, served: &Served, request: Request, next: Next) -> Response {
    let Some(origin) = request.extensions().get::<Origin>().cloned() else {
        return Error::new(Code::Internal).into_response();
    };
    let (mut parts, body) = request.into_parts();
    let object = object_id(&mut parts).await;
    let response = match authenticate(app, &parts.headers, route.action, &origin).await {
        Err((error, identity)) => {
            identity.map(|identity| served.identity.set(identity));
            too_large(&body).unwrap_or(error).into_response()
        }
        Ok(Subject { tenant, user, session, role }) => {
            let caller = Caller::new(tenant, user, session, role, route.action, origin.clone());
            let _ = served.identity.set(caller.identity());
            let denied = !access.admits(&caller, object);
            parts.extensions.insert(caller);
            let mut response = if denied {
                Error::new(Code::PermissionDenied).into_response()
            } else {
                handle(Request::from_parts(parts, body), next).await
            };
            if let Some(error) = response.extensions_mut().get_mut::<Error>() {
                #[cfg(feature = "federation")]
                if error.code() == Code::SessionEnded {
                    app.federation.forget(session);
                }
                // A wrong password in the body is no fault of the token's.
                if error.code() != Code::InvalidCredentials {
                    *error = error.clone().token_sent();
                }
            }
            response
        }
    };
    let error = response.extensions().get::<Error>();
    app.db.settle(error).await;
    let reason = error.map(Error::code);
    if let (Some(identity), Some(reason)) = (served.identity.get(), reason)
        && is_recorded(&route.method, route.action, reason)
    {
        Refusal { action: route.action, reason, identity, object, origin: &origin }.record(&app.db).await;
    }
    response
}

async fn authenticate(
    app: &App,
    headers: &http::HeaderMap,
    action: Action,
    origin: &Origin,
) -> Result<Subject, (Error, Option<Identity>)> {
    let token = bearer_token(headers).map_err(|error| (error, None))?;
    let admitted = verify(app, token, action, origin).await;
    admitted.map_err(|refused| (refused.error.token_sent(), refused.identity))
}

/// A token that is known to be ours is not looked at any further; of others,
/// who issued it decides who judges it.
#[cfg(feature = "federation")]
async fn verify(app: &App, token: &str, action: Action, origin: &Origin) -> Result<Subject, Refused> {
    let now = app.clock.now();
    if let Some(answer) = app.verifier.verify_known(token, now) {
        return answer;
    }
    if app.federation.judges(token, &app.verifier.config().issuer) {
        return app.federation.admit(token, &FederatedRequest { action, origin }).await;
    }
    app.verifier.verify(token, now).await
}

#[cfg(not(feature = "federation"))]
async fn verify(app: &App, token: &str, _action: Action, _origin: &Origin) -> Result<Subject, Refused> {
    app.verifier.verify(token, app.clock.now()).await
}

/// The id that the path names, if it names one.
async fn object_id(parts: &mut http::request::Parts) -> Option<Uuid> {
    let params = RawPathParams::from_request_parts(parts, &()).await.ok()?;
    params.iter().find_map(|(name, value)| (name == "id").then(|| Uuid::try_parse(value).ok())?)
}
