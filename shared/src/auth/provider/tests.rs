use sqlx::Executor;

use super::*;
use crate::{
    App, Routes,
    testing::{Member, TestApp},
};

const ISSUER: &str = "https://login.example.com/acme/";

async fn register(app: &TestApp<App>, member: &Member, name: &str, issuer: &str, status: &str) -> Uuid {
    sqlx::query_scalar(
        r#"INSERT INTO identity_providers (tenant_id, id, name, issuer, audiences, client_id, tenant_claim, role_claim,
                                           role_map, default_role, jit_provisioning, allowed_algorithms, status,
                                           created_at, updated_at)
           VALUES ($1, gen_random_uuid(), $2, $3, '{api://tenantry,other}', 'client-1', 'custom:tenant_id', 'groups',
                   '{"leads": "admin"}', 'viewer', true, '{EdDSA,RS256}', $4, now(), now())
           RETURNING id"#,
    )
    .bind(member.tenant)
    .bind(name)
    .bind(issuer)
    .bind(status)
    .fetch_one(&mut app.superuser().await)
    .await
    .unwrap()
}

#[tokio::test]
async fn an_active_provider_is_found_by_issuer_and_by_name_in_its_tenant_alone() {
    let app = TestApp::<App>::start(Routes::new()).await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    let hers = register(&app, &ada, "entra", ISSUER, "active").await;
    let db = &app.group.db;
    let found = Provider::find(db, ada.tenant, Key::Issuer(ISSUER)).await.unwrap().expect("the provider");
    assert_eq!((found.id, &*found.name, &*found.issuer), (hers, "entra", ISSUER));
    assert_eq!((&found.audiences[..], &*found.client_id), (&["api://tenantry".into(), "other".into()][..], "client-1"));
    assert_eq!((&*found.tenant_claim, found.role_claim.as_deref()), ("custom:tenant_id", Some("groups")));
    assert_eq!((found.role_map.role_of(["leads"]), found.default_role), (Some(Role::Admin), Role::Viewer));
    assert_eq!(&found.allowed_algorithms[..], [SigningAlgorithm::EdDSA, SigningAlgorithm::RS256]);
    assert!(found.jit_provisioning && found.version == 1);
    assert_eq!(Provider::find(db, ada.tenant, Key::Name("entra")).await.unwrap(), Some(found));

    for key in [Key::Issuer(ISSUER), Key::Name("entra")] {
        assert_eq!(Provider::find(db, eve.tenant, key).await.unwrap(), None, "another tenant's {key:?}");
        assert_eq!(Provider::find(db, Uuid::nil(), key).await.unwrap(), None, "no tenant's {key:?}");
    }
    // Both may trust the same issuer, and each finds its own.
    let theirs = register(&app, &eve, "entra", ISSUER, "active").await;
    let found = Provider::find(db, eve.tenant, Key::Issuer(ISSUER)).await.unwrap().expect("the provider");
    assert_eq!(found.id, theirs);
}

#[tokio::test]
async fn what_is_not_it_letter_by_letter_is_not_found() {
    let app = TestApp::<App>::start(Routes::new()).await;
    let ada = app.tenant("acme").await;
    register(&app, &ada, "entra", ISSUER, "active").await;
    register(&app, &ada, "off", "https://off.example.com", "inactive").await;
    for key in [
        Key::Issuer("https://login.example.com/acme"),
        Key::Issuer("https://LOGIN.example.com/acme/"),
        Key::Issuer("entra"),
        Key::Issuer(""),
        Key::Issuer("\0"),
        Key::Issuer("https://off.example.com"),
        Key::Name("off"),
        Key::Name(ISSUER),
        Key::Name("Entra"),
        Key::Name("%"),
        Key::Name("' OR true --"),
    ] {
        assert_eq!(Provider::find(&app.group.db, ada.tenant, key).await.unwrap(), None, "{key:?}");
    }
}

#[tokio::test]
async fn a_suspended_tenants_provider_speaks_for_nobody() {
    let app = TestApp::<App>::start(Routes::new()).await;
    let ada = app.tenant("acme").await;
    register(&app, &ada, "entra", ISSUER, "active").await;
    app.superuser().await.execute("UPDATE tenants SET status = 'suspended'").await.unwrap();
    let refused = Provider::find(&app.group.db, ada.tenant, Key::Issuer(ISSUER)).await.unwrap_err();
    assert_eq!(refused.code(), Code::TenantSuspended);
}

#[tokio::test]
async fn a_row_that_could_not_be_written_today_is_our_fault_and_its_column_is_named() {
    let app = TestApp::<App>::start(Routes::new()).await;
    let ada = app.tenant("acme").await;
    register(&app, &ada, "entra", ISSUER, "active").await;
    let mut superuser = app.superuser().await;
    for (fault, column) in [
        ("audiences = '{same,same}'", "audiences"),
        ("issuer = 'http://login.example.com'", "issuer"),
        ("role_map = '{\"leads\": \"owner\"}'", "role_map"),
        ("allowed_algorithms = '{RS256,RS256}'", "allowed_algorithms"),
    ] {
        superuser.execute(sqlx::AssertSqlSafe(format!("UPDATE identity_providers SET {fault}"))).await.unwrap();
        let refused = Provider::find(&app.group.db, ada.tenant, Key::Name("entra")).await.unwrap_err();
        assert_eq!(refused.code(), Code::Internal, "{fault}");
        let cause = format!("{refused:?}");
        assert!(cause.contains(&format!("identity_providers.{column} ")), "{cause}");
        superuser.execute("DELETE FROM identity_providers").await.unwrap();
        register(&app, &ada, "entra", ISSUER, "active").await;
    }
}
