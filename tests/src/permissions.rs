//! `docs/PERMISSIONS.md`: what it says of roles is what the code does.

use std::collections::BTreeMap;

use shared::{
    access::Access,
    auth::{Permission, Role},
};

use crate::{file, groups};

/// The page's table: a permission's name, and what stands for each role.
fn table() -> BTreeMap<String, Vec<String>> {
    let page = file("docs/PERMISSIONS.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|row| row.trim_matches(['|', ' ']).split('|').map(|cell| cell.trim().replace('`', "")));
    cells.map(|mut cells| (cells.next().unwrap(), cells.collect())).collect()
}

#[test]
fn the_page_has_every_permission_with_what_each_role_may() {
    let may = |permission: &Permission| {
        let cells = Role::ALL.map(|role| if role.may(*permission) { "yes" } else { "no" }.to_owned());
        (permission.as_str().to_owned(), cells.to_vec())
    };
    assert_eq!(table(), Permission::ALL.iter().map(may).collect());
    assert!(file("docs/PERMISSIONS.md").contains("| permission | `viewer` | `analyst` | `admin` |"));
}

#[test]
fn every_permission_is_asked_for_by_some_route() {
    let asked: Vec<_> = groups().into_iter().flat_map(|(_, routes)| routes).map(|route| route.access).collect();
    for permission in Permission::ALL {
        let asks = |access: &Access| matches!(access, Access::Needs(p) | Access::NeedsOrSelf(p) if p == permission);
        assert!(asked.iter().any(asks), "{}", permission.as_str());
    }
}
