//! `{"action":"create_tenant","slug":"acme","name":"Acme Clinic","admin":{"email":"ada@acme.example"}}`
//! -> `{"tenant_id":"...","slug":"acme","created":true,"initial_password":"..."}`

use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::{
    Code,
    config::Faults,
    db::operator::{self, Operator},
    password::{Passwords, Peppers, generate},
    start::Start,
    text::{Email, Slug, Text},
};

use super::{connect, failed};
use crate::OpsConfig;

type Name = Text<1, 200>;

/// A tenant that is to be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    slug: Slug,
    name: Name,
    admin: Admin,
}

/// Its first admin.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    email: Email,
    display_name: Option<Name>,
}

/// Creates the tenant, and answers with its admin's first password, which is
/// stored as a hash and told nowhere else. Sent again it creates nothing; until
/// the admin has signed in it answers with another password in place of that
/// one, since nobody can know whether the first answer arrived.
pub(crate) async fn create(start: &Start, config: OpsConfig, new: NewTenant) -> Result<Value, String> {
    let passwords = passwords(start, config.pepper_secret_id.as_deref()).await.map_err(|faults| faults.to_string())?;
    let (text, password) = generate().map_err(failed("no password can be made"))?;
    let password_hash = passwords.hash(&password).await.map_err(failed("the password cannot be hashed"))?;
    let display_name: String = match &new.admin.display_name {
        Some(name) => (**name).to_owned(),
        // An address may be longer than a name.
        None => new.admin.email.chars().take(200).collect(),
    };
    let tenant = operator::NewTenant {
        id: start.clock.new_id(),
        slug: &new.slug,
        name: &new.name,
        admin: start.clock.new_id(),
        email: &new.admin.email,
        display_name: &display_name,
        password_hash: &password_hash,
        now: start.clock.now(),
    };
    let (mut operator, request_id) = connect(start, &config).await?;
    let (id, created, password_is_new) = match operator.create(&tenant, &request_id).await {
        Ok(()) => (tenant.id, true, true),
        Err(error) if error.code() == Code::AlreadyExists => {
            let (id, is_new) = again(&mut operator, &tenant, &request_id).await?;
            (id, false, is_new)
        }
        Err(error) => return Err(failed("the tenant cannot be created")(error)),
    };
    operator.commit().await.map_err(failed("nobody knows whether the tenant was created; send the same again"))?;
    tracing::info!(tenant_id = %id, request_id, created, password_is_new, "tenant created");
    let mut answer = json!({ "tenant_id": id, "slug": new.slug, "created": created });
    if password_is_new {
        answer["initial_password"] = text.expose_secret().into();
    }
    Ok(answer)
}

/// The tenant that has the slug, if it is what was asked for, and whether its
/// admin's password was made anew.
async fn again(
    operator: &mut Operator,
    new: &operator::NewTenant<'_>,
    request_id: &str,
) -> Result<(uuid::Uuid, bool), String> {
    let taken =
        || format!("RES_002: the slug {} is taken by another tenant, or by this one with other settings", new.slug);
    let found = operator.begin_by_slug(new.slug).await.map_err(failed("the tenant cannot be read"))?;
    let same = found.filter(|tenant| tenant.status == "active" && tenant.name == new.name).ok_or_else(taken)?;
    let renewed = operator.renew_first_password(same.id, new, request_id).await;
    let renewed = renewed.map_err(failed("the password cannot be renewed"))?;
    Ok((same.id, renewed.ok_or_else(taken)?))
}

async fn passwords(start: &Start, secret_id: Option<&str>) -> Result<Passwords, Faults> {
    let id = secret_id
        .ok_or_else(|| Faults::from("PASSWORD_PEPPER_SECRET_ID is not set: no password can be hashed".to_owned()))?;
    let secrets = start.secrets.read(&[id]).await?;
    let mut faults = Faults::default();
    let peppers: Option<Peppers> = secrets.json(id, Peppers::FORM, &mut faults);
    let passwords = peppers
        .and_then(|peppers| Passwords::new(start.base.memory_mib, peppers).map_err(|fault| faults.push(fault)).ok());
    match passwords {
        Some(passwords) => faults.or(passwords),
        None => Err(faults),
    }
}
