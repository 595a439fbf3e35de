//! Prints `docs/PERMISSIONS.md` from the table of permissions; `make generate` runs it.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use shared::auth::{Permission, Role};

const HEAD: &str = r"# Roles and permissions

<!-- Generated from shared/src/auth/permission.rs by `make generate`; do not edit. -->

A user has one role in its tenant. Each route asks for a permission, for any caller at all, or for none; what a caller lacks
is answered 403 `PERM_001`. `GET /auth/me` shows the caller's own. One route is open beyond this table: everybody reads its
own user at `GET /users/{id}`.
";

fn main() {
    println!("{HEAD}");
    let roles = Role::ALL.map(|role| format!("`{}`", role.as_str())).join(" | ");
    println!("| permission | {roles} |");
    println!("| --- |{}", " --- |".repeat(Role::ALL.len()));
    for permission in Permission::ALL {
        let may = Role::ALL.map(|role| if role.may(*permission) { "yes" } else { "no" }).join(" | ");
        println!("| `{}` | {may} |", permission.as_str());
    }
}
