//! The providers that speak for every tenant, by configuration.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{
    auth::provider::{Issuer, Provider},
    config::{Config, Environment},
};

const NAME: &str = "IDENTITY_PROVIDERS";

/// The providers of the deployment, each of which may name any tenant. Cheap to
/// clone.
#[derive(Debug, Clone, Default)]
pub struct DeploymentProviders(Arc<[Deployed]>);

/// One of them.
#[derive(Debug, Clone)]
struct Deployed {
    provider: Provider,
    /// The id of the secret that is ours at it; for sign-in only.
    client_secret_id: Option<String>,
}

impl DeploymentProviders {
    /// The one with this issuer, letter by letter.
    #[must_use]
    pub fn get(&self, issuer: &str) -> Option<&Provider> {
        self.0.iter().map(|deployed| &deployed.provider).find(|provider| *provider.issuer == *issuer)
    }

    /// The one with this name, to sign in at.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Provider> {
        self.0.iter().map(|deployed| &deployed.provider).find(|provider| *provider.name == *name)
    }

    /// Names, and the ids of the secrets that are ours there.
    pub fn client_secret_ids(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|deployed| Some((&*deployed.provider.name, deployed.client_secret_id.as_deref()?)))
    }

    /// Whether `issuer` names the place of one of them, in any spelling.
    #[must_use]
    pub fn is_at(&self, issuer: &Issuer) -> bool {
        self.0.iter().any(|deployed| issuer.is_at(&deployed.provider.issuer))
    }
}

impl Config for DeploymentProviders {
    fn read(env: &mut Environment<'_>) -> Self {
        let Some(text) = env.optional(NAME) else { return Self::default() };
        let Ok(objects) = serde_json::from_str::<Vec<Map<String, Value>>>(&text) else {
            env.fault(format!("{NAME} must be a JSON array of objects"));
            return Self::default();
        };
        let ours = env.optional("TOKEN_ISSUER").unwrap_or_default();
        let mut providers: Vec<Deployed> = Vec::new();
        for (index, mut object) in objects.into_iter().enumerate() {
            let client_secret_id = match object.remove("client_secret_id") {
                None | Some(Value::Null) => None,
                Some(Value::String(id)) if !id.is_empty() => Some(id),
                Some(_) => {
                    env.fault(format!("{NAME}[{index}].client_secret_id does not fit"));
                    None
                }
            };
            let Some(provider) = read(object, &format!("{NAME}[{index}]"), env) else { continue };
            if provider.issuer.is_at(&ours)
                || providers.iter().any(|other| provider.issuer.is_at(&other.provider.issuer))
            {
                env.fault(format!("{NAME}[{index}].issuer must be no other one's and not TOKEN_ISSUER"));
            }
            if providers.iter().any(|other| other.provider.name == provider.name) {
                env.fault(format!("{NAME}[{index}].name must be no other one's"));
            }
            providers.push(Deployed { provider, client_secret_id });
        }
        Self(providers.into())
    }
}

/// One provider, or all that is wrong with it.
fn read(mut object: Map<String, Value>, path: &str, env: &mut Environment<'_>) -> Option<Provider> {
    fn field<T: DeserializeOwned>(
        object: &mut Map<String, Value>,
        name: &str,
        default: Option<Value>,
        faults: &mut Vec<String>,
    ) -> Option<T> {
        let given = object.remove(name).filter(|value| !value.is_null()).or(default);
        let read = given.map(serde_json::from_value);
        match read {
            Some(Ok(value)) => return Some(value),
            Some(Err(_)) => faults.push(format!("{name} does not fit")),
            None => faults.push(format!("{name} is missing")),
        }
        None
    }

    let mut faults = Vec::new();
    let is_mapped = object.get("role_map").is_some_and(|map| !map.is_null());
    let name = field(&mut object, "name", None, &mut faults);
    let issuer = field(&mut object, "issuer", None, &mut faults);
    let audiences = field(&mut object, "audiences", None, &mut faults);
    let client_id = field(&mut object, "client_id", None, &mut faults);
    let tenant_claim = field(&mut object, "tenant_claim", Some("tenant_id".into()), &mut faults);
    let role_claim: Option<Option<_>> = field(&mut object, "role_claim", Some(Value::Null), &mut faults);
    let role_map = field(&mut object, "role_map", Some(Map::new().into()), &mut faults);
    let default_role = field(&mut object, "default_role", Some("viewer".into()), &mut faults);
    let jit_provisioning = field(&mut object, "jit_provisioning", Some(false.into()), &mut faults);
    let all = ["RS256", "PS256", "ES256", "EdDSA"];
    let allowed_algorithms = field(&mut object, "allowed_algorithms", Some(all.to_vec().into()), &mut faults);
    faults.extend(object.keys().map(|name| format!("{name} is unknown")));
    if is_mapped && role_claim == Some(None) {
        faults.push("role_map needs role_claim".to_owned());
    }
    for fault in &faults {
        env.fault(format!("{path}.{fault}"));
    }
    Some(Provider::of_deployment(
        name?,
        issuer?,
        audiences?,
        client_id?,
        tenant_claim?,
        role_claim?,
        role_map?,
        default_role?,
        jit_provisioning?,
        allowed_algorithms?,
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::from_lookup;

    fn parsed(value: &Value) -> Result<DeploymentProviders, String> {
        let text = value.to_string();
        let lookup = |name: &str| match name {
            "TOKEN_ISSUER" => Some("https://auth.example.com/api/v1".to_owned()),
            _ => Some(text.clone()),
        };
        from_lookup(&lookup).map_err(|faults| faults.to_string())
    }

    fn pool() -> Value {
        json!({ "name": "pool", "issuer": "https://idp.example.com/pool", "audiences": ["a"], "client_id": "c" })
    }

    #[test]
    fn what_is_left_out_has_the_same_default_as_in_a_registration() {
        let providers = parsed(&json!([pool()])).expect("a provider");
        let provider = providers.get("https://idp.example.com/pool").expect("the provider");
        assert_eq!(&*provider.tenant_claim, "tenant_id");
        assert_eq!((provider.default_role, provider.jit_provisioning), (crate::auth::Role::Viewer, false));
        assert_eq!(provider.allowed_algorithms.len(), 4);
        assert!(providers.get("https://idp.example.com/pool/").is_none());
        assert!(from_lookup::<DeploymentProviders>(&|_| None).is_ok_and(|none| none.0.is_empty()));
    }

    #[test]
    fn every_fault_of_every_provider_is_named_at_once() {
        let mut bad = pool();
        bad["issuer"] = json!("http://idp.example.com");
        bad["allowed_algorithms"] = json!(["HS256"]);
        bad["role_map"] = json!({ "leads": "owner" });
        bad["client_secret"] = json!("hunter2");
        let faults = parsed(&json!([pool(), bad, {}])).expect_err("faults");
        for part in [
            "[1].issuer does not fit",
            "[1].allowed_algorithms does not fit",
            "[1].role_map does not fit",
            "[1].role_map needs role_claim",
            "[1].client_secret is unknown",
            "[2].name is missing",
            "[2].audiences is missing",
        ] {
            assert!(faults.contains(&format!("IDENTITY_PROVIDERS{part}")), "{part}: {faults}");
        }
        assert!(!faults.contains("hunter2") && !faults.contains("[0]"), "{faults}");
    }

    #[test]
    fn an_issuer_is_not_ours_and_stands_once() {
        let mut ours = pool();
        ours["issuer"] = json!("https://Auth.example.com/api/v1/");
        for bad in [json!([ours]), json!([pool(), pool()]), json!({}), json!("x"), json!([7])] {
            assert!(parsed(&bad).is_err(), "{bad}");
        }
    }
}
