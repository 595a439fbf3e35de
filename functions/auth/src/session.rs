//! A session's tokens, and how a session begins.

use serde::Serialize;
use shared::{
    Code, Error, Result,
    auth::{ACCESS_TOKEN_LIFE, AccessToken, Identity, REFRESH_TOKEN_LIFE, RefreshToken, Role, Subject},
    db::Transaction,
    origin::Origin,
};
use time::{Duration, OffsetDateTime};

use crate::{Auth, user::User};

/// How long a session lasts, however often it is refreshed.
const LIFE: Duration = Duration::days(30);

/// The answer to sign-up, sign-in and refresh (RFC 6749, 5.1).
#[derive(Debug, Serialize)]
pub(crate) struct Tokens {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
    /// Absent where it goes as a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_token: Option<String>,
    pub(crate) refresh_expires_in: i64,
    user: User,
}

/// A session that has begun, and its user as it is in that moment.
pub(crate) struct Begun {
    pub(crate) token: RefreshToken,
    pub(crate) user: User,
}

/// Begins a session of `identity`'s user, with its audit record, and ends those
/// that are one too many. None where the user is not active any more, or its
/// hash or its role not `verified`, the ones of a moment ago.
pub(crate) async fn begin(
    auth: &Auth,
    transaction: &mut Transaction,
    identity: &Identity,
    origin: &Origin,
    verified: (&str, &str),
    now: OffsetDateTime,
) -> Result<Option<Begun>> {
    let session = identity.session.ok_or(Code::Internal)?;
    let token = RefreshToken { tenant: identity.tenant, session, generation: 0 };
    let user = sqlx::query_as!(
        User,
        r#"WITH room AS (
               -- Locks the user's row, before anything else is.
               SELECT app.end_surplus_sessions($3, $2, $10) AS ended
           ), seen AS (
               UPDATE users SET last_login_at = $4 FROM room
                WHERE tenant_id = $1 AND id = $3 AND status = 'active' AND password_hash = $11 AND role = $12
               RETURNING id, email, display_name, role, status, version, created_at, updated_at, last_login_at
           ), began AS (
               INSERT INTO sessions (tenant_id, id, user_id, created_at, last_used_at, expires_at, user_agent, source_address)
               SELECT $1, $2, seen.id, $4, $4, $5, $6, $7 FROM seen
               RETURNING id
           ), issued AS (
               INSERT INTO refresh_tokens (tenant_id, session_id, generation, token_hash, created_at, expires_at)
               SELECT $1, began.id, 0, $8, $4, $9 FROM began
               RETURNING session_id
           ), audited AS (
               -- From both: the head of the trail is locked last.
               SELECT app.audit(began.id) FROM began, issued
           )
           SELECT id AS "id!", email AS "email!", display_name AS "display_name!", role AS "role!", status AS "status!",
                  version AS "version!", created_at AS "created_at!", updated_at AS "updated_at!", last_login_at
             FROM seen, audited"#,
        identity.tenant.as_uuid(),
        session,
        identity.user,
        now,
        now + LIFE,
        origin.user_agent,
        origin.source_address_text(),
        &auth.refresh_tokens.hash(&token),
        now + REFRESH_TOKEN_LIFE,
        auth.most_sessions,
        verified.0,
        verified.1,
    )
    .fetch_optional(&mut *transaction)
    .await?;
    Ok(user.map(|user| Begun { token, user }))
}

/// Signs the access token of `identity`'s session. To be done before its
/// transaction locks the head of the trail, since a key in KMS may take seconds
/// and every write of the tenant would wait for it; and before it commits:
/// where nothing can be signed, nothing happens.
pub(crate) async fn access_token(
    auth: &Auth,
    identity: &Identity,
    role: &str,
    now: OffsetDateTime,
) -> Result<AccessToken> {
    let (user, session) = identity.user.zip(identity.session).ok_or(Code::Internal)?;
    let role = Role::try_from(role).map_err(|()| Error::new(Code::Internal))?;
    let subject = Subject { tenant: identity.tenant, user, session, role };
    auth.signer.sign(&subject, now, auth.app.clock.new_id()).await
}

/// Makes the pair of tokens that a client gets; `life` is the refresh token's.
pub(crate) fn tokens(auth: &Auth, access: AccessToken, refresh: &RefreshToken, life: Duration, user: User) -> Tokens {
    Tokens {
        access_token: access.0,
        token_type: "Bearer",
        expires_in: ACCESS_TOKEN_LIFE.whole_seconds(),
        refresh_token: Some(auth.refresh_tokens.encode(refresh)),
        refresh_expires_in: life.whole_seconds(),
        user,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shared::{auth::Role, clock::Clock, testing::TestApp};
    use sqlx::Executor;

    use crate::trial::{PASSWORD, Pair, acme, concurrent, counts, dump, login, refresh, refusals};

    /// Whoever changes a user locks its row, then the head of the trail.
    #[tokio::test]
    async fn a_session_begins_with_its_locks_in_the_order_of_all_writes() {
        let app = concurrent().await;
        acme(&app).await;
        let mut changing = app.superuser().await;
        changing.execute("BEGIN; SELECT * FROM users FOR NO KEY UPDATE").await.unwrap();
        let head_is_free = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            changing.execute("SELECT * FROM audit_heads FOR UPDATE NOWAIT").await.map(drop).unwrap();
            changing.execute("COMMIT").await.unwrap();
        };
        let (answer, ()) = tokio::join!(app.send(login("acme", "ada@acme.example", PASSWORD)), head_is_free);
        assert_eq!(answer.status, 200, "{:?}", answer.log);
    }

    #[tokio::test]
    async fn no_session_begins_for_a_user_who_is_deactivated_meanwhile() {
        let app = concurrent().await;
        acme(&app).await;
        let mut changing = app.superuser().await;
        changing.execute("BEGIN; UPDATE users SET status = 'inactive'").await.unwrap();
        let deactivated = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            changing.execute("COMMIT").await.unwrap();
        };
        let (answer, ()) = tokio::join!(app.send(login("acme", "ada@acme.example", PASSWORD)), deactivated);
        assert_eq!((answer.status.as_u16(), &*answer.code()), (401, "AUTH_005"), "{:?}", answer.log);
        assert_eq!((counts(&app).await[2], &*refusals(&app, "auth.login").await), (1, &["AUTH_005".to_owned()][..]));
    }

    #[tokio::test]
    async fn a_role_that_is_changed_during_a_sign_in_is_the_tokens_role() {
        let app = concurrent().await;
        acme(&app).await;
        let mut changing = app.superuser().await;
        // As a change of role does: with it end the sessions that there are.
        let change = "BEGIN; UPDATE users SET role = 'viewer'; UPDATE sessions SET ended_at = now()";
        changing.execute(change).await.unwrap();
        let demoted = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            changing.execute("COMMIT").await.unwrap();
        };
        let (answer, ()) = tokio::join!(app.send(login("acme", "ada@acme.example", PASSWORD)), demoted);
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["user"]["role"]),
            (200, &"viewer".into()),
            "{:?}",
            answer.log
        );
        let subject = app.group.app.verifier.verify(&Pair::of(&answer).access, app.clock.now()).await.unwrap();
        assert_eq!(subject.role, Role::Viewer);
    }

    #[tokio::test]
    async fn r6_a_dump_of_the_database_and_the_log_hold_nothing_that_opens_a_session() {
        let app = TestApp::start(crate::routes()).await;
        let first = acme(&app).await;
        let answer = app.send(refresh(&first.refresh)).await;
        let second = Pair::of(&answer);
        let signing_key = app.keys.private_jwk()["d"].as_str().unwrap().to_owned();
        let refresh_key = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA".to_owned();
        let mut usable = vec![PASSWORD.to_owned(), signing_key, refresh_key];
        for pair in [&first, &second] {
            usable.extend(pair.access.split('.').map(ToOwned::to_owned));
            usable.push(pair.refresh.clone());
        }
        let (dump, log, mut superuser) = (dump(&app).await, format!("{:?}", answer.log), app.superuser().await);
        let tokens =
            sqlx::query_scalar::<_, i64>("SELECT count(*) FROM refresh_tokens").fetch_one(&mut superuser).await;
        assert_eq!((tokens.unwrap(), dump.matches("ada@acme.example").count()), (2, 1), "the dump is whole");
        for secret in usable {
            let hex = sqlx::query_scalar("SELECT encode(convert_to($1, 'UTF8'), 'hex')").bind(&secret);
            let hex: String = hex.fetch_one(&mut superuser).await.unwrap();
            assert!(!dump.contains(&secret) && !log.contains(&secret) && !dump.contains(&hex), "{secret}");
        }
        // The tag, without which ids and a generation are no token.
        for token in [&first.refresh, &second.refresh] {
            let tag = "SELECT encode(substr(decode(translate($1 || '=', '-_', '+/'), 'base64'), 37), 'hex')";
            let tag: String = sqlx::query_scalar(tag).bind(token).fetch_one(&mut superuser).await.unwrap();
            assert!(tag.len() == 64 && !dump.contains(&tag));
        }
    }
}
