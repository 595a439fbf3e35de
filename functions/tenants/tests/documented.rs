//! `docs/providers`: what a page says is to be registered can be, and the
//! token that it shows fits it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::{collections::BTreeMap, fs};

use serde_json::{Deserializer, Value};
use shared::{
    auth::provider::{Issuer, RoleMap},
    testing::{Event, TestApp},
};

const PROVIDERS: &str = "/api/v1/tenants/current/identity-providers";
const TENANT: &str = "01a1fc41-df99-7f23-9e62-0894bb898607";

/// Each provider's page, by its name.
fn pages() -> BTreeMap<String, String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/providers");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let pages = paths.filter(|path| !path.ends_with("README.md"));
    pages.map(|path| (path.file_stem().unwrap().to_str().unwrap().into(), fs::read_to_string(path).unwrap())).collect()
}

/// What stands in the first block of code under a heading.
fn block<'a>(page: &'a str, heading: &str) -> &'a str {
    let section = page.split_once(&format!("\n## {heading}\n")).expect("the heading").1;
    let block = section.split_once("```").expect("a block").1.split_once("```").expect("its end").0;
    block.split_once('\n').unwrap().1
}

fn registration(page: &str) -> Value {
    serde_json::from_str(block(page, "Register it")).unwrap()
}

#[test]
fn every_provider_of_the_list_has_its_page() {
    let pages = pages();
    let names: Vec<_> = pages.keys().map(String::as_str).collect();
    assert_eq!(names, ["auth0", "cognito", "entra", "keycloak", "okta"]);
    let list = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/providers/README.md")).unwrap();
    assert!(names.iter().all(|name| list.contains(&format!("({name}.md)"))));
}

#[tokio::test]
async fn what_a_page_registers_is_taken_as_it_stands() {
    let app = TestApp::start(tenants::routes()).await;
    let ada = app.tenant("acme").await;
    for (name, page) in pages() {
        let body = registration(&page);
        let issuer = body["issuer"].as_str().unwrap();
        assert_eq!(&*Issuer::try_from(issuer.to_owned()).unwrap(), issuer);
        // An address in the place of the host, so that no name server is asked.
        let path = issuer.strip_prefix("https://").unwrap().split_once('/').map_or("", |(_, path)| path);
        let mut sent = body.clone();
        sent["issuer"] = format!("https://93.184.215.14/{name}/{path}").into();
        let answer = app.send(Event::post(PROVIDERS, &sent).bearer(&ada.token)).await;
        assert_eq!(answer.status, 201, "{name}: {}", answer.json());
        let registered = answer.json();
        for (field, value) in sent.as_object().unwrap().iter().filter(|(field, _)| *field != "client_secret") {
            assert_eq!(&registered[field], value, "{name}: {field}");
        }
        assert_eq!(registered["has_client_secret"], true, "{name}");
        assert_eq!(registered["name"], name);
        let callback = format!("https://api.example.com/api/v1/auth/oidc/{name}/callback?tenant=acme");
        assert!(page.split_once("\n## URLs to enter there\n").unwrap().1.contains(&callback), "{name}");
    }
}

#[test]
fn the_token_that_a_page_shows_fits_what_it_registers() {
    for (name, page) in pages() {
        let body = registration(&page);
        let token = Deserializer::from_str(block(&page, "What the access token looks like")).into_iter::<Value>();
        let [header, claims]: [Value; 2] = token.collect::<Result<Vec<_>, _>>().unwrap().try_into().unwrap();
        assert!(body["allowed_algorithms"].as_array().unwrap().contains(&header["alg"]), "{name}");
        assert_eq!(claims["iss"], body["issuer"], "{name}");
        let audience = claims.get("aud").unwrap_or(&claims["client_id"]);
        let meant: Vec<_> = audience.as_array().map_or_else(|| vec![audience], |several| several.iter().collect());
        assert!(body["audiences"].as_array().unwrap().iter().any(|ours| meant.contains(&ours)), "{name}");
        assert_eq!(claims[body["tenant_claim"].as_str().unwrap()], TENANT, "{name}");
        let groups = claims[body["role_claim"].as_str().unwrap()].as_array().unwrap();
        let map: RoleMap = serde_json::from_value(body["role_map"].clone()).unwrap();
        assert!(map.role_of(groups.iter().filter_map(Value::as_str)).is_some(), "{name}");
        let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert!((1..=3600).contains(&life), "{name}: {life} seconds");
    }
}
