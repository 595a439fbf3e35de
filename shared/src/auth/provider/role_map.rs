//! From a provider's groups to roles.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, MapAccess, Visitor},
};

use crate::auth::Role;

/// Which group at the provider gives which role here: up to 100 groups, each
/// named once, by 1 to 200 characters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RoleMap(BTreeMap<String, Role>);

impl RoleMap {
    const MOST: usize = 100;

    /// The highest role that one of `groups` gives, if any does.
    #[must_use]
    pub fn role_of<'a>(&self, groups: impl IntoIterator<Item = &'a str>) -> Option<Role> {
        groups.into_iter().filter_map(|group| self.0.get(group)).max().copied()
    }
}

/// By hand, since a derived map would take the last one of two equal names.
impl<'de> Deserialize<'de> for RoleMap {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Groups;

        impl<'de> Visitor<'de> for Groups {
            type Value = RoleMap;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("groups with their roles")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<RoleMap, A::Error> {
                let mut map = BTreeMap::new();
                while let Some((group, role)) = entries.next_entry::<String, Role>()? {
                    if !(1..=200).contains(&group.chars().count()) || group.contains('\0') {
                        return Err(A::Error::custom("must name groups by 1 to 200 characters"));
                    }
                    match map.entry(group) {
                        Entry::Vacant(free) => free.insert(role),
                        Entry::Occupied(_) => return Err(A::Error::custom("must name each group once")),
                    };
                    if map.len() > RoleMap::MOST {
                        return Err(A::Error::custom("must have 100 groups at most"));
                    }
                }
                Ok(RoleMap(map))
            }
        }

        reader.deserialize_map(Groups)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(value: &Value) -> Result<RoleMap, serde_json::Error> {
        serde_json::from_str(&value.to_string())
    }

    #[test]
    fn a_group_has_one_role_and_the_highest_of_several_groups_counts() {
        let map = read(&json!({ "staff": "viewer", "leads": "admin", "lab": "analyst" })).expect("a map");
        assert_eq!(map.role_of(["staff", "lab"]), Some(Role::Analyst));
        assert_eq!(map.role_of(["lab", "leads", "unknown"]), Some(Role::Admin));
        assert_eq!((map.role_of(["Leads", "unknown"]), map.role_of([])), (None, None));
        let twice = serde_json::from_str::<RoleMap>(r#"{"staff":"viewer","sta\u0066f":"admin"}"#);
        assert!(twice.is_err_and(|error| error.to_string().starts_with("must name each group once")));
        let many = |number: usize| Value::Object((0..number).map(|n| (n.to_string(), json!("viewer"))).collect());
        assert!(read(&many(100)).is_ok());
        for bad in [
            many(101),
            json!({ "staff": "owner" }),
            json!({ "staff": null }),
            json!({ "": "viewer" }),
            json!({ "\0": "viewer" }),
            json!({ "a".repeat(201): "viewer" }),
            json!(["viewer"]),
        ] {
            assert!(read(&bad).is_err(), "{bad}");
        }
    }
}
