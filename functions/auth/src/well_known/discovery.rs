//! `GET /api/v1/.well-known/openid-configuration`

use axum::{extract::State, response::IntoResponse};
use serde::Serialize;
use shared::extract::Json;

use super::CACHEABLE;
use crate::Auth;

/// What `OpenID` Connect Discovery 1.0 (3) and RFC 8414 (2) have names for, as
/// far as it is true here. We issue access tokens to clients of our own API and
/// are no provider to others, so there is no `authorization_endpoint` and no
/// `token_endpoint` (sign-in and refresh are JSON operations, not OAuth grants),
/// and none of the members that only speak of them. `response_types_supported`,
/// which both ask for, would be empty, and what is empty is left out (RFC 8414,
/// 3.2). A reader that checks tokens needs `issuer` and `jwks_uri`.
///
/// RFC 8414 (3.1) would have the document between the host and the issuer's
/// path. It stands behind the path, where `OpenID` Connect (4) has it.
#[derive(Serialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
    /// RFC 7662.
    introspection_endpoint: String,
    /// A caller's access token: there are no client credentials.
    introspection_endpoint_auth_methods_supported: [&'static str; 1],
    /// RFC 7009.
    revocation_endpoint: String,
    /// Who holds the token may; left out, it would mean `client_secret_basic`.
    revocation_endpoint_auth_methods_supported: [&'static str; 1],
}

/// Where the keys and the operations on tokens are.
pub(crate) async fn discovery(State(auth): State<Auth>) -> impl IntoResponse {
    let issuer = &auth.app.verifier.config().issuer;
    let at = |path: &str| format!("{issuer}{path}");
    let metadata = Metadata {
        issuer: issuer.clone(),
        jwks_uri: at("/.well-known/jwks.json"),
        introspection_endpoint: at("/auth/introspect"),
        introspection_endpoint_auth_methods_supported: ["Bearer"],
        revocation_endpoint: at("/auth/revoke"),
        revocation_endpoint_auth_methods_supported: ["none"],
    };
    (CACHEABLE, Json(metadata))
}

#[cfg(test)]
mod tests {
    use http::Method;
    use shared::testing::{Event, TestApp};

    #[tokio::test]
    async fn discovery_says_what_is_there_and_nothing_that_is_not() {
        let app = TestApp::start(crate::routes()).await;
        let answer = app.send(Event::from_file("auth-discovery")).await;
        assert_eq!(answer.header("cache-control"), "public, max-age=600");
        insta::assert_json_snapshot!(answer.json(), @r#"
        {
          "introspection_endpoint": "https://auth.example.com/api/v1/auth/introspect",
          "introspection_endpoint_auth_methods_supported": [
            "Bearer"
          ],
          "issuer": "https://auth.example.com/api/v1",
          "jwks_uri": "https://auth.example.com/api/v1/.well-known/jwks.json",
          "revocation_endpoint": "https://auth.example.com/api/v1/auth/revoke",
          "revocation_endpoint_auth_methods_supported": [
            "none"
          ]
        }
        "#);
        // The document is where its issuer says, and so are the keys.
        let document = answer.json();
        let (issuer, jwks) = (document["issuer"].as_str().unwrap(), document["jwks_uri"].as_str().unwrap());
        let host = issuer.strip_suffix("/api/v1").unwrap();
        for name in ["introspection_endpoint", "revocation_endpoint"] {
            let path = document[name].as_str().unwrap().strip_prefix(host).unwrap();
            let routes = crate::routes();
            assert!(routes.list().iter().any(|route| route.path == path && route.method == Method::POST), "{name}");
        }
        for url in [format!("{issuer}/.well-known/openid-configuration"), jwks.to_owned()] {
            let path = url.strip_prefix(host).unwrap();
            assert_eq!(app.send(Event::get(path)).await.status, 200, "{path}");
            let head = app.send(Event::new(&Method::HEAD, path)).await;
            assert_eq!((head.status.as_u16(), head.bytes.len()), (200, 0), "{path}");
            assert_eq!(head.header("cache-control"), "public, max-age=600");
            let post = app.send(Event::new(&Method::POST, path)).await;
            assert_eq!((post.code().as_str(), post.header("cache-control")), ("REQ_004", "no-store"), "{path}");
        }
    }
}
