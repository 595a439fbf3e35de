//! The access check of a route, and the record of what it, or its handler,
//! refused.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, RawPathParams, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{Method, StatusCode};
use uuid::Uuid;

use crate::{
    app::App,
    audit::{Action, Refusal},
    auth::{Caller, Identity, Subject, bearer_token},
    error::{Code, Error, Result},
    layers::{Origin, Served},
    rate_limit::RateLimit,
    routes::{Access, Route},
};

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
        && let Err(error) = admit_address(limit, origin, &served).await
    {
        return error.into_response();
    }
    match (&gate.app, gate.route.access) {
        (_, Access::Public) => next.run(request).await,
        (Some(app), access) => admit(app, access, &gate.route, &served, request, next).await,
        (None, _) => Error::new(Code::Internal).into_response(),
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
    let response = match authenticate(app, &parts.headers) {
        Err((error, identity)) => {
            identity.map(|identity| served.identity.set(identity));
            error.into_response()
        }
        Ok(Subject { tenant, user, session, role }) => {
            let caller = Caller::new(tenant, user, session, role, route.action, origin.clone());
            let _ = served.identity.set(caller.identity());
            let denied = matches!(access, Access::Needs(permission) if !caller.may(permission));
            parts.extensions.insert(caller);
            let mut response = if denied {
                Error::new(Code::PermissionDenied).into_response()
            } else {
                next.run(Request::from_parts(parts, body)).await
            };
            if let Some(error) = response.extensions_mut().get_mut::<Error>() {
                *error = error.clone().token_sent();
            }
            response
        }
    };
    let error = response.extensions().get::<Error>();
    app.db.settle(error).await;
    let reason = error.map(Error::code);
    if let (Some(identity), Some(reason)) = (served.identity.get(), reason)
        && is_recorded(&route.method, reason)
    {
        Refusal { action: route.action, reason, identity, object, origin: &origin }.record(&app.db).await;
    }
    response
}

fn authenticate(app: &App, headers: &http::HeaderMap) -> Result<Subject, (Error, Option<Identity>)> {
    let token = bearer_token(headers).map_err(|error| (error, None))?;
    app.verifier.verify(token, app.clock.now()).map_err(|refused| {
        let identity = refused.subject.map(|subject| Identity {
            tenant: subject.tenant,
            user: Some(subject.user),
            session: Some(subject.session),
        });
        (refused.error.token_sent(), identity)
    })
}

/// Every refusal of a change, every denial, and every reach for a thing that
/// is not there, which may be another tenant's. Not what an outage refused:
/// the record would fail with it.
fn is_recorded(method: &Method, reason: Code) -> bool {
    match reason.status() {
        StatusCode::SERVICE_UNAVAILABLE => false,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => true,
        _ => reason == Code::NotFound || !matches!(*method, Method::GET | Method::HEAD),
    }
}

/// The id that the path names, if it names one.
async fn object_id(parts: &mut http::request::Parts) -> Option<Uuid> {
    let params = RawPathParams::from_request_parts(parts, &()).await.ok()?;
    params.iter().find_map(|(name, value)| (name == "id").then(|| Uuid::try_parse(value).ok())?)
}

/// Records a refusal on a public route, whose handler alone knows of whom.
pub async fn refuse(app: &App, action: Action, identity: &Identity, origin: &Origin, error: Error) -> Error {
    if error.code().status() != StatusCode::SERVICE_UNAVAILABLE {
        app.db.settle(Some(&error)).await;
        Refusal { action, reason: error.code(), identity, object: None, origin }.record(&app.db).await;
    }
    error
}
