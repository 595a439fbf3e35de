use serde_json::{Value, json};
use shared::{
    auth::{
        Role,
        provider::{Key, Provider},
    },
    testing::{Event, TestApp},
};

use crate::{
    PROVIDERS,
    identity_providers::trial::{entra, get, least, patch, post, registered, with},
};

#[tokio::test]
async fn a_new_provider_is_answered_whole_audited_once_and_found_by_a_sign_in() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let answer = post(&app, &ada, &entra()).await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (201, "\"1\""), "{:?}", answer.log);
    let provider = answer.json();
    assert_eq!(answer.header("location"), format!("{PROVIDERS}/{}", provider["id"].as_str().unwrap()));
    insta::assert_json_snapshot!(provider, { ".id" => "[id]", ".created_at" => "[time]", ".updated_at" => "[time]" }, @r#"
    {
      "allowed_algorithms": [
        "ES256",
        "RS256"
      ],
      "audiences": [
        "api://tenantry"
      ],
      "client_id": "client-1",
      "created_at": "[time]",
      "default_role": "viewer",
      "has_client_secret": false,
      "id": "[id]",
      "issuer": "https://93.184.215.14/acme/v2.0",
      "jit_provisioning": true,
      "name": "entra",
      "role_claim": "groups",
      "role_map": {
        "lab": "analyst",
        "leads": "admin"
      },
      "status": "active",
      "tenant_claim": "custom:tenant_id",
      "updated_at": "[time]",
      "version": 1
    }
    "#);
    let id = provider["id"].as_str().unwrap().parse().ok();
    assert_eq!(app.trail(ada.tenant).await, [("identity_providers.create".into(), "success".into(), None, id)]);
    let db = shared::app::Group::db(&app.group).unwrap();
    let found = Provider::find(db, ada.tenant, Key::Name("entra")).await.unwrap().unwrap();
    assert_eq!((Some(found.id), &*found.issuer), (id, "https://93.184.215.14/acme/v2.0"));
    assert_eq!(found.role_map.role_of(["lab", "leads"]), Some(Role::Admin));
}

#[tokio::test]
async fn what_is_not_said_is_the_strict_default() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let (provider, _) = registered(&app, &ada, &least("okta")).await;
    for (field, value) in [
        ("has_client_secret", json!(false)),
        ("tenant_claim", json!("tenant_id")),
        ("role_claim", Value::Null),
        ("role_map", Value::Null),
        ("default_role", json!("viewer")),
        ("jit_provisioning", json!(false)),
        ("allowed_algorithms", json!(["RS256", "PS256", "ES256", "EdDSA"])),
        ("status", json!("active")),
    ] {
        assert_eq!(provider[field], value, "{field}");
    }
}

#[tokio::test]
async fn a_field_that_does_not_fit_is_named() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let url = "must be an https URL of 500 characters at most, without user, query and fragment";
    let wrong = "has a value of the wrong type or form";
    let role = "must be viewer, analyst or admin";
    let algorithm = "must be RS256, PS256, ES256 or EdDSA";
    for (field, value, path, message) in [
        ("name", json!("Entra ID"), "name", "must have 1 to 63 of a-z, 0-9 and inner hyphens"),
        ("name", json!(null), "name", wrong),
        ("issuer", json!("http://login.example.com"), "issuer", url),
        ("issuer", json!("https://login.example.com?x"), "issuer", url),
        ("issuer", json!("https://u:p@login.example.com"), "issuer", url),
        ("issuer", json!(["https://login.example.com"]), "issuer", wrong),
        ("issuer", json!("https://auth.example.com/api/v1"), "issuer", "must not be this API's own issuer"),
        ("issuer", json!("https://AUTH.example.com/api/v1"), "issuer", "must not be this API's own issuer"),
        ("audiences", json!([]), "audiences", "must be 1 to 20 different texts of 1 to 500 characters"),
        ("audiences", json!(["a", "a"]), "audiences", "must be 1 to 20 different texts of 1 to 500 characters"),
        ("audiences", json!("a"), "audiences", wrong),
        ("client_id", json!(""), "client_id", "must have 1 to 200 printable ASCII characters and no space"),
        ("client_secret", json!(""), "client_secret", "must have 1 to 1000 characters and no NUL"),
        ("client_secret", json!("s".repeat(1001)), "client_secret", "must have 1 to 1000 characters and no NUL"),
        ("has_client_secret", json!(true), "has_client_secret", "is not a field of this request"),
        ("tenant_claim", json!("a b"), "tenant_claim", "must have 1 to 100 printable ASCII characters and no space"),
        ("tenant_claim", json!(null), "tenant_claim", wrong),
        ("role_claim", json!(""), "role_claim", "must have 1 to 100 printable ASCII characters and no space"),
        ("role_claim", json!(null), "role_map", "must not stand without a role_claim"),
        ("role_map", json!({ "leads": "owner" }), "role_map.leads", role),
        ("role_map", json!({ "": "viewer" }), "role_map", "must name groups by 1 to 200 characters"),
        ("default_role", json!("root"), "default_role", role),
        ("default_role", json!(null), "default_role", wrong),
        ("jit_provisioning", json!("yes"), "jit_provisioning", wrong),
        ("allowed_algorithms", json!([]), "allowed_algorithms", "must name one algorithm at least, and each once"),
        ("allowed_algorithms", json!(["RS256", "HS256"]), "allowed_algorithms[1]", algorithm),
        ("allowed_algorithms", json!(["none"]), "allowed_algorithms[0]", algorithm),
        ("status", json!("off"), "status", "must be active or inactive"),
        ("tenant_id", json!(ada.tenant), "tenant_id", "is not a field of this request"),
        ("id", json!(ada.user), "id", "is not a field of this request"),
    ] {
        let answer = post(&app, &ada, &with(entra(), field, value.clone())).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (422, "VAL_001"), "{field} {value}");
        assert_eq!(answer.json()["error"]["fields"], json!([{ "field": path, "message": message }]), "{value}");
    }
    for required in ["name", "issuer", "audiences", "client_id"] {
        let mut body = entra();
        body.as_object_mut().unwrap().remove(required);
        let answer = post(&app, &ada, &body).await;
        assert_eq!(answer.json()["error"]["fields"], json!([{ "field": required, "message": "is required" }]));
    }
    assert_eq!(get(&app, &ada, PROVIDERS).await.json()["items"], json!([]));
}

#[tokio::test]
async fn a_name_and_an_issuer_are_one_providers_in_a_tenant_and_another_tenants_too() {
    let app = TestApp::start(crate::routes()).await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    registered(&app, &ada, &entra()).await;
    for (body, field) in [
        (with(entra(), "issuer", json!("https://93.184.215.14/other")), "name"),
        (with(entra(), "name", json!("other")), "issuer"),
    ] {
        let answer = post(&app, &ada, &body).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (409, "RES_002"));
        let expected = json!([{ "field": field, "message": "is another provider's of this tenant" }]);
        assert_eq!(answer.json()["error"]["fields"], expected);
    }
    // A trailing slash is another issuer.
    let slash = with(with(entra(), "name", json!("slash")), "issuer", json!("https://93.184.215.14/acme/v2.0/"));
    registered(&app, &ada, &slash).await;
    registered(&app, &eve, &entra()).await;
}

#[tokio::test]
async fn twenty_are_the_most_even_where_several_come_at_once() {
    let app = TestApp::start(crate::routes()).await;
    let (ada, eve) = (app.tenant("acme").await, app.tenant("evil").await);
    for number in 0..18 {
        registered(&app, &ada, &least(&format!("idp-{number}"))).await;
    }
    let others = [app.another(crate::routes()).await, app.another(crate::routes()).await];
    let (three, four) = (least("three"), least("four"));
    let event = |body| Event::post(PROVIDERS, body).bearer(&ada.token);
    let (one, two) = (least("one"), least("two"));
    let (one, two, three, four) =
        tokio::join!(others[0].send(event(&one)), others[1].send(event(&two)), app.send(event(&three)), async {
            app.another(crate::routes()).await.send(event(&four)).await
        },);
    let mut statuses = [&one, &two, &three, &four].map(|answer| answer.status.as_u16());
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 201, 409, 409]);
    let answer = post(&app, &ada, &least("one-more")).await;
    assert_eq!(answer.code(), "RES_006");
    assert_eq!(answer.json()["error"]["detail"], "A tenant has 20 identity providers at most.");
    assert_eq!(get(&app, &ada, &format!("{PROVIDERS}?limit=100")).await.json()["items"].as_array().unwrap().len(), 20);
    registered(&app, &eve, &least("one")).await;
}

#[tokio::test]
async fn the_same_event_twice_has_one_effect_and_one_answer() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let event = Event::post(PROVIDERS, &entra()).bearer(&ada.token).header("idempotency-key", "key-1");
    let first = app.send(event.clone()).await;
    assert_eq!((first.status.as_u16(), first.header("idempotency-replayed")), (201, ""), "{:?}", first.log);
    let replay = app.send(event.clone()).await;
    assert_eq!((replay.status.as_u16(), replay.header("idempotency-replayed")), (201, "true"));
    assert_eq!((replay.bytes, replay.headers.get("etag")), (first.bytes, first.headers.get("etag")));
    let other = app.send(event.json(&with(entra(), "client_id", json!("other")))).await;
    assert_eq!((other.status.as_u16(), other.code().as_str()), (422, "RES_005"));
    let trail = app.trail(ada.tenant).await;
    assert_eq!(trail.iter().filter(|(_, outcome, ..)| outcome == "success").count(), 1);
}

#[tokio::test]
async fn nobody_below_an_admin_sees_or_registers_a_provider() {
    let app = TestApp::start(crate::routes()).await;
    let ada = app.tenant("acme").await;
    let (_, target) = registered(&app, &ada, &entra()).await;
    for role in [Role::Viewer, Role::Analyst] {
        let member = app.member(ada.tenant, role).await;
        for answer in [
            post(&app, &member, &least("mine")).await,
            get(&app, &member, PROVIDERS).await,
            get(&app, &member, &target).await,
            app.send(patch(&target, &member, "*", &json!({}))).await,
            app.send(Event::new(&http::Method::DELETE, &target).bearer(&member.token).header("if-match", "*")).await,
        ] {
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "PERM_001"), "{role:?}");
        }
    }
    let denied = app.trail(ada.tenant).await.into_iter().filter(|(_, outcome, ..)| outcome == "denied").count();
    assert_eq!(denied, 10);
}
