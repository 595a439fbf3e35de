//! `POST /api/v1/auth/logout`

use axum::extract::State;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::LINK};
use serde::Deserialize;
use shared::{
    Caller, Code, Db, Result,
    audit::{Details, LogoutScope},
    extract::Query,
    session::cookie::{self, SetCookie},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    #[serde(default)]
    scope: Scope,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scope {
    /// This session.
    #[default]
    Local,
    /// The user's other sessions.
    Others,
    /// All of them.
    Global,
}

impl From<Scope> for LogoutScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Local => Self::Local,
            Scope::Others => Self::Others,
            Scope::Global => Self::Global,
        }
    }
}

/// Ends sessions of the caller, at once and on every function.
pub(crate) async fn logout(
    caller: Caller,
    State(db): State<Db>,
    headers: HeaderMap,
    Query(Parameters { scope }): Query<Parameters>,
) -> Result<(SetCookie, EndSession, StatusCode)> {
    let mut transaction = db.begin(&caller).await?;
    let logged_out = sqlx::query!(
        r#"WITH others AS (
               -- First, since it locks the user's row: two that end several would run into each other.
               SELECT CASE WHEN $5::boolean THEN app.sign_out_others($2, $3) ELSE 0 END AS ended
           ), own AS (
               UPDATE sessions SET ended_at = now() FROM others
                WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND ended_at IS NULL AND $4::boolean
               RETURNING id, end_session_url
           )
           -- Of two that end the session at once, one did, and is recorded.
           SELECT (others.ended + own.ended)::integer AS "ended!", own.end_session_url
             FROM others, (SELECT count(*) AS ended, max(end_session_url) AS end_session_url FROM own) AS own
            WHERE own.ended = 1 OR NOT $4::boolean"#,
        caller.tenant_id(),
        caller.user_id(),
        caller.session_id(),
        scope != Scope::Others,
        scope != Scope::Local,
    )
    .fetch_optional(&mut transaction)
    .await?
    .ok_or(Code::SessionEnded)?;
    let details = Details::LoggedOut { scope: scope.into(), sessions_ended: logged_out.ended.unsigned_abs() };
    transaction.commit_recorded(caller.action(), caller.session_id(), &details).await?;
    let cookie = if scope == Scope::Others { None } else { cookie::forget(&headers) };
    Ok((cookie, logged_out.end_session_url.as_deref().and_then(end_session), StatusCode::NO_CONTENT))
}

/// `Link: <...>; rel="end-session"` (RFC 8288).
type EndSession = Option<[(HeaderName, HeaderValue); 1]>;

/// Where a browser is sent to end the session at the provider as well (OpenID
/// Connect RP-Initiated Logout 1.0, 2).
fn end_session(url: &str) -> EndSession {
    let plain = url.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"".contains(&byte));
    let link = plain.then(|| HeaderValue::try_from(format!("<{url}>; rel=\"end-session\"")).ok())??;
    Some([(LINK, link)])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;
    use shared::testing::{Event, TestApp};
    use sqlx::Executor;

    use crate::{
        Auth,
        trial::{Pair, acme, another_session, concurrent, me, refresh, sql},
    };

    fn logout(query: &str, token: &str) -> Event {
        Event::post(&format!("/api/v1/auth/logout{query}"), &Value::Null).bearer(token)
    }

    /// Whether the session of each pair lives, by both of its tokens.
    async fn alive(app: &TestApp<Auth>, pairs: &[&Pair]) -> Vec<bool> {
        let mut alive = Vec::new();
        for pair in pairs {
            let access = me(app, &pair.access).await;
            let refreshed = app.send(refresh(&pair.refresh)).await.code();
            assert!(
                matches!((&*access, &*refreshed), ("none", "none") | ("AUTH_006", "AUTH_007")),
                "{access} {refreshed}"
            );
            alive.push(access == "none");
        }
        alive
    }

    #[tokio::test]
    async fn each_scope_ends_what_it_says_at_once() {
        for (query, expected, details) in [
            ("", [false, true, true], r#"{"scope":"local","sessions_ended":1}"#),
            ("?scope=local", [false, true, true], r#"{"scope":"local","sessions_ended":1}"#),
            ("?scope=others", [true, false, false], r#"{"scope":"others","sessions_ended":2}"#),
            ("?scope=global", [false, false, false], r#"{"scope":"global","sessions_ended":3}"#),
        ] {
            let app = TestApp::start(crate::routes()).await;
            let one = acme(&app).await;
            let (two, three) = (another_session(&app).await, another_session(&app).await);
            let answer = app.send(logout(query, &one.access)).await;
            assert_eq!((answer.status.as_u16(), answer.bytes.len()), (204, 0));
            assert_eq!(answer.header("cache-control"), "no-store");
            assert_eq!(alive(&app, &[&one, &two, &three]).await, expected, "{query}");
            let tenant = answer.request_line()["tenant_id"].as_str().unwrap().parse().unwrap();
            let trail = app.trail(tenant).await;
            let records: Vec<_> = trail.iter().filter(|record| record.0 == "auth.logout").collect();
            assert_eq!(records.len(), 1, "{query}");
            assert_eq!(records[0].1, "success");
            assert_eq!(app.details(tenant, "auth.logout").await, [details]);
        }
    }

    #[tokio::test]
    async fn l3_a_sign_out_that_cannot_be_recorded_ends_nothing() {
        let app = TestApp::start(crate::routes()).await;
        let one = acme(&app).await;
        let two = another_session(&app).await;
        sql(&app, "ALTER TABLE audit_events ADD CONSTRAINT full_up CHECK (details IS NULL) NOT VALID").await;
        let answer = app.send(logout("?scope=global", &one.access)).await;
        assert_eq!((answer.status.as_u16(), &*answer.code()), (503, "SYS_002"));
        assert_eq!(alive(&app, &[&one, &two]).await, [true, true]);
        sql(&app, "ALTER TABLE audit_events DROP CONSTRAINT full_up").await;
        assert_eq!(app.send(logout("?scope=global", &one.access)).await.status, 204);
    }

    #[tokio::test]
    async fn what_was_over_before_stays_over_since_then() {
        let app = TestApp::start(crate::routes()).await;
        acme(&app).await;
        let pair = another_session(&app).await;
        sql(
            &app,
            "UPDATE sessions SET ended_at = '2026-01-01' WHERE id = (SELECT id FROM sessions ORDER BY id LIMIT 1)",
        )
        .await;
        assert_eq!(app.send(logout("?scope=global", &pair.access)).await.status, 204);
        let query = "SELECT count(*) FROM sessions WHERE ended_at = '2026-01-01'";
        assert_eq!(sqlx::query_scalar::<_, i64>(query).fetch_one(&mut app.superuser().await).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_federated_session_is_told_where_it_ends_at_the_provider() {
        for (query, url, expected) in [
            (
                "",
                "https://idp.example.com/end?client_id=c",
                "<https://idp.example.com/end?client_id=c>; rel=\"end-session\"",
            ),
            ("?scope=global", "https://idp.example.com/end", "<https://idp.example.com/end>; rel=\"end-session\""),
            ("?scope=others", "https://idp.example.com/end", ""),
            ("", "https://idp.example.com/>; rel=next", ""),
        ] {
            let app = TestApp::start(crate::routes()).await;
            let (one, other) = (acme(&app).await, another_session(&app).await);
            let update =
                "UPDATE sessions SET issuer = 'https://idp.example.com', subject = 'ada', end_session_url = $1";
            sqlx::query(update).bind(url).execute(&mut app.superuser().await).await.unwrap();
            let answer = app.send(logout(query, &one.access)).await;
            assert_eq!((answer.status.as_u16(), answer.header("link")), (204, expected), "{query} {url}");
            sql(&app, "UPDATE sessions SET issuer = NULL, subject = NULL, end_session_url = NULL").await;
            if query.is_empty() {
                assert_eq!(app.send(logout("", &other.access)).await.header("link"), "", "a password's session");
            }
        }
    }

    #[tokio::test]
    async fn another_user_of_the_tenant_stays_signed_in() {
        let app = TestApp::start(crate::routes()).await;
        let ada = app.tenant("acme").await;
        let bob = app.member(ada.tenant, shared::auth::Role::Viewer).await;
        assert_eq!(app.send(logout("?scope=global", &ada.token)).await.status, 204);
        assert_eq!((me(&app, &ada.token).await, me(&app, &bob.token).await), ("AUTH_006".into(), "none".into()));
    }

    #[tokio::test]
    async fn a_token_of_an_ended_session_is_told_so_as_rfc_6750_has_it() {
        let app = TestApp::start(crate::routes()).await;
        let pair = acme(&app).await;
        app.send(logout("", &pair.access)).await;
        for event in [logout("", &pair.access), Event::get("/api/v1/auth/me").bearer(&pair.access)] {
            let answer = app.send(event).await;
            assert_eq!((answer.status.as_u16(), &*answer.code()), (401, "AUTH_006"));
            assert_eq!(answer.header("www-authenticate"), "Bearer error=\"invalid_token\"");
        }
        let none = app.send(Event::post("/api/v1/auth/logout", &Value::Null)).await;
        assert_eq!((&*none.code(), none.header("www-authenticate")), ("AUTH_003", "Bearer"));
    }

    #[tokio::test]
    async fn an_unknown_scope_or_parameter_is_named_and_ends_nothing() {
        let app = TestApp::start(crate::routes()).await;
        let pair = acme(&app).await;
        for (query, field) in [
            ("?scope=all", "scope"),
            ("?scope=", "scope"),
            ("?scop=local", "scop"),
            ("?scope=local&scope=global", "scope"),
        ] {
            let answer = app.send(logout(query, &pair.access)).await;
            assert_eq!((answer.status.as_u16(), &*answer.code()), (422, "VAL_001"), "{query}");
            assert_eq!(answer.json()["error"]["fields"][0]["field"], field, "{query}");
        }
        assert_eq!(me(&app, &pair.access).await, "none");
    }

    #[tokio::test]
    async fn of_two_at_once_one_ends_the_session_and_one_is_told_that_it_has_ended() {
        let app = concurrent().await;
        let pair = acme(&app).await;
        let mut holder = app.superuser().await;
        holder.execute("BEGIN; SELECT * FROM sessions FOR UPDATE").await.unwrap();
        let both_have_entered = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            holder.execute("COMMIT").await.unwrap();
        };
        let (one, other, ()) =
            tokio::join!(app.send(logout("", &pair.access)), app.send(logout("", &pair.access)), both_have_entered);
        let mut codes = [one.code(), other.code()];
        codes.sort();
        assert_eq!(codes, ["AUTH_006", "none"]);
        let records = "SELECT count(*) FROM audit_events WHERE action = 'auth.logout' AND outcome = 'success'";
        assert_eq!(sqlx::query_scalar::<_, i64>(records).fetch_one(&mut app.superuser().await).await.unwrap(), 1);
    }

    /// A refresh locks its session, then the head of the trail. A sign-out that
    /// took them the other way round would run into it.
    #[tokio::test]
    async fn many_that_end_each_others_sessions_at_once_never_run_into_each_other() {
        let app = concurrent().await;
        acme(&app).await;
        for _ in 0..3 {
            let mut pairs = Vec::new();
            for _ in 0..6 {
                pairs.push(another_session(&app).await);
            }
            let ends = pairs.iter().map(|pair| app.send(logout("?scope=global", &pair.access)));
            let answers = futures_util::future::join_all(ends).await;
            let codes: Vec<_> = answers.iter().map(|answer| (answer.status.as_u16(), answer.code())).collect();
            assert!(codes.iter().all(|(status, code)| *status == 204 || code == "AUTH_006"), "{codes:?}");
            assert!(codes.iter().any(|(status, _)| *status == 204), "{codes:?}");
        }
    }

    #[tokio::test]
    async fn it_takes_its_locks_in_the_order_of_a_refresh() {
        let app = concurrent().await;
        let pair = acme(&app).await;
        let mut refreshing = app.superuser().await;
        refreshing.execute("BEGIN; SELECT * FROM sessions FOR UPDATE").await.unwrap();
        let head_is_free = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            refreshing.execute("SELECT * FROM audit_heads FOR UPDATE NOWAIT").await.map(drop).unwrap();
            refreshing.execute("COMMIT").await.unwrap();
        };
        let (answer, ()) = tokio::join!(app.send(logout("?scope=global", &pair.access)), head_is_free);
        assert_eq!(answer.status, 204, "{:?}", answer.log);
    }
}
