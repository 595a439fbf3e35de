//! Whom a provider's word makes a user here: `app.federated_user`, which bearer
//! tokens and sign-ins go by.

use shared::testing::{Member, TestApp, TestClock};
use shared::{auth::Role, clock::Clock};
use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use todos::Todos;
use uuid::Uuid;

/// What a token says, and the provider's settings.
#[derive(Clone)]
struct Said {
    subject: &'static str,
    at: OffsetDateTime,
    role: Option<&'static str>,
    may_create: bool,
    email: Option<&'static str>,
    name: Option<&'static str>,
}

type Found = (Option<Uuid>, Option<String>, bool, Option<String>);

fn said(subject: &'static str) -> Said {
    let at = TestClock::default().now();
    Said { subject, at, role: None, may_create: true, email: Some("Ada@Example.org"), name: Some("Ada L.") }
}

/// As the runtime role, in one statement.
async fn found(runtime: &mut PgConnection, tenant: Uuid, said: &Said) -> Found {
    sqlx::query_as(
        "SELECT f.user_id, f.role, f.created, f.refused FROM app.enter_tenant($1) AS t,
         LATERAL app.federated_user('https://idp.example.com', $2, $3, $4, 'viewer', $5, $6, $7, $8, $9, now()) AS f",
    )
    .bind(tenant)
    .bind(said.subject)
    .bind(said.at)
    .bind(said.role)
    .bind(said.may_create)
    .bind(said.email)
    .bind(said.name)
    .bind(TestClock::default().new_id())
    .bind(TestClock::default().new_id())
    .fetch_one(runtime)
    .await
    .unwrap()
}

async fn world() -> (TestApp<Todos>, Member, PgConnection) {
    let app = TestApp::start(todos::routes()).await;
    let ada = app.tenant("acme").await;
    let runtime = app.database.runtime().await;
    (app, ada, runtime)
}

async fn person(app: &TestApp<Todos>, user: Uuid) -> (String, String, String) {
    sqlx::query_as("SELECT email, display_name, role FROM users WHERE id = $1")
        .bind(user)
        .fetch_one(&mut app.superuser().await)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_subject_is_found_again_whatever_its_email_says_and_nobody_is_found_by_email() {
    let (app, ada, mut runtime) = world().await;
    let first = found(&mut runtime, ada.tenant, &said("s-1")).await;
    assert_eq!((first.1.as_deref(), first.2, &first.3), (Some("viewer"), true, &None));
    let user = first.0.unwrap();
    assert_eq!(person(&app, user).await, ("ada@example.org".into(), "Ada L.".into(), "viewer".into()));
    let again = found(&mut runtime, ada.tenant, &Said { email: Some("other@example.org"), ..said("s-1") }).await;
    assert_eq!((again.0, again.2), (Some(user), false));
    // The same address, another subject: another user, whose address is none.
    let other = found(&mut runtime, ada.tenant, &said("s-2")).await.0.unwrap();
    assert_ne!(other, user);
    assert_eq!(person(&app, other).await.0, format!("{other}@federated.invalid"));
    let trail = app.trail(ada.tenant).await;
    let record = |id| ("users.create".into(), "success".into(), Some("just_in_time".into()), Some(id));
    assert_eq!(trail, [record(user), record(other)]);
}

#[tokio::test]
async fn an_absent_or_senseless_email_gives_a_placeholder() {
    let (app, ada, mut runtime) = world().await;
    for (subject, email, name, shown) in [
        ("a", None, None, "Federated user"),
        ("b", Some("no address"), Some(" "), "Federated user"),
        ("c", Some("@"), Some("C"), "C"),
        ("d", Some("d@example.org"), None, "d@example.org"),
    ] {
        let user = found(&mut runtime, ada.tenant, &Said { email, name, ..said(subject) }).await.0.unwrap();
        let (address, display_name, _) = person(&app, user).await;
        assert_eq!(display_name, shown);
        assert_eq!(address == format!("{user}@federated.invalid"), subject != "d", "{address}");
    }
}

#[tokio::test]
async fn nobody_is_created_where_the_provider_may_not() {
    let (app, ada, mut runtime) = world().await;
    let closed = Said { may_create: false, ..said("s-1") };
    assert_eq!(found(&mut runtime, ada.tenant, &closed).await, (None, None, false, Some("unknown".into())));
    assert_eq!(app.trail(ada.tenant).await, []);
    let user = found(&mut runtime, ada.tenant, &said("s-1")).await.0;
    assert_eq!(found(&mut runtime, ada.tenant, &closed).await.0, user, "who is known stays known");
}

#[tokio::test]
async fn an_inactive_user_and_a_suspended_tenant_are_refused() {
    let (app, ada, mut runtime) = world().await;
    found(&mut runtime, ada.tenant, &said("s-1")).await;
    let mut superuser = app.superuser().await;
    sqlx::query("UPDATE users SET status = 'inactive' WHERE id <> $1")
        .bind(ada.user)
        .execute(&mut superuser)
        .await
        .unwrap();
    let refused = found(&mut runtime, ada.tenant, &Said { role: Some("admin"), ..said("s-1") }).await;
    assert_eq!(refused.3.as_deref(), Some("inactive"));
    sqlx::query("UPDATE tenants SET status = 'suspended'").execute(&mut superuser).await.unwrap();
    for (tenant, refused) in [(ada.tenant, "suspended"), (Uuid::nil(), "suspended"), (app.clock.new_id(), "no_tenant")]
    {
        assert_eq!(found(&mut runtime, tenant, &said("s-1")).await.3.as_deref(), Some(refused));
    }
}

#[tokio::test]
async fn a_stated_role_becomes_the_users_and_ends_the_other_sessions() {
    let (app, ada, mut runtime) = world().await;
    let user = found(&mut runtime, ada.tenant, &Said { role: Some("analyst"), ..said("s-1") }).await.0.unwrap();
    let mut superuser = app.superuser().await;
    sqlx::query(
        "INSERT INTO sessions (tenant_id, id, user_id, created_at, last_used_at, expires_at)
         VALUES ($1, $2, $2, now(), now(), now() + interval '1 hour')",
    )
    .bind(ada.tenant)
    .bind(user)
    .execute(&mut superuser)
    .await
    .unwrap();
    let live = "SELECT ended_at IS NULL FROM sessions WHERE id = $1";
    let same = found(&mut runtime, ada.tenant, &Said { role: Some("analyst"), ..said("s-1") }).await;
    assert_eq!(same.1.as_deref(), Some("analyst"));
    assert!(sqlx::query_scalar::<_, bool>(live).bind(user).fetch_one(&mut superuser).await.unwrap());
    // Where no role_claim is read the user's own role counts.
    assert_eq!(found(&mut runtime, ada.tenant, &said("s-1")).await.1.as_deref(), Some("analyst"));

    let later = Said { role: Some("admin"), at: said("s-1").at + Duration::seconds(5), ..said("s-1") };
    assert_eq!(found(&mut runtime, ada.tenant, &later).await.1.as_deref(), Some("admin"));
    assert!(!sqlx::query_scalar::<_, bool>(live).bind(user).fetch_one(&mut superuser).await.unwrap());
    let record = ("users.update".into(), "success".into(), Some("role_claim".into()), Some(user));
    assert_eq!(app.trail(ada.tenant).await.pop(), Some(record));

    // What was said before does not count any more.
    let earlier = Said { role: Some("analyst"), ..said("s-1") };
    let refused = found(&mut runtime, ada.tenant, &Said { at: later.at - Duration::seconds(1), ..earlier }).await;
    assert_eq!(refused.3.as_deref(), Some("outdated"));
    assert_eq!(person(&app, user).await.2, "admin");
}

#[tokio::test]
async fn the_last_active_admin_is_not_demoted_by_a_claim() {
    let (app, ada, mut runtime) = world().await;
    let user = found(&mut runtime, ada.tenant, &Said { role: Some("admin"), ..said("s-1") }).await.0.unwrap();
    let mut superuser = app.superuser().await;
    sqlx::query("UPDATE users SET status = 'inactive' WHERE id = $1")
        .bind(ada.user)
        .execute(&mut superuser)
        .await
        .unwrap();
    let demoted = Said { role: Some("viewer"), ..said("s-1") };
    assert_eq!(found(&mut runtime, ada.tenant, &demoted).await.3.as_deref(), Some("last_admin"));
    assert_eq!(person(&app, user).await.2, "admin");
    app.member(ada.tenant, Role::Admin).await;
    assert_eq!(found(&mut runtime, ada.tenant, &demoted).await.3, None);
    assert_eq!(person(&app, user).await.2, "viewer");
}

#[tokio::test]
async fn ten_first_tokens_at_once_make_one_user() {
    let (app, ada, _) = world().await;
    let at_once = (0..10).map(|_| {
        let database = app.database.clone();
        async move { found(&mut database.runtime().await, ada.tenant, &said("s-1")).await }
    });
    let all = futures_util::future::join_all(at_once).await;
    assert_eq!(all.iter().filter(|found| found.2).count(), 1, "{all:?}");
    assert!(all.iter().all(|found| found.0 == all[0].0 && found.3.is_none()), "{all:?}");
    let users: i64 =
        sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(&mut app.superuser().await).await.unwrap();
    assert_eq!(users, 2);
}

#[tokio::test]
async fn a_subject_of_one_tenant_is_nobody_in_another() {
    let (app, ada, mut runtime) = world().await;
    let bob = app.tenant("bravo").await;
    let one = found(&mut runtime, ada.tenant, &said("s-1")).await.0;
    let closed = Said { may_create: false, ..said("s-1") };
    assert_eq!(found(&mut runtime, bob.tenant, &closed).await.3.as_deref(), Some("unknown"));
    assert_ne!(found(&mut runtime, bob.tenant, &said("s-1")).await.0, one);
}
