//! Tests that see every function at once: the events, the template's routes,
//! a journey from one function to the next, what an admin does to a user, what
//! each route records, and the clean-up under them. Nothing of it is shipped.
#![cfg(test)]

mod administration;
mod clean_up;
mod coverage;
mod events;
mod journey;
mod lifecycle;
mod permissions;
mod template;

use shared::access::Route;

/// Every group that has routes, and what it declares. A new group is added here.
fn groups() -> Vec<(&'static str, Vec<Route>)> {
    vec![
        ("audit", audit::routes().list().to_vec()),
        ("auth", auth::routes().list().to_vec()),
        ("health", health::routes().list().to_vec()),
        ("oidc", oidc::routes().list().to_vec()),
        ("tenants", tenants::routes().list().to_vec()),
        ("todos", todos::routes().list().to_vec()),
        ("users", users::routes().list().to_vec()),
    ]
}

/// The text of a file of the repository.
fn file(path: &str) -> String {
    std::fs::read_to_string(format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Whether a path fits a pattern of axum's, of API Gateway's or of `cargo
/// lambda watch`'s: `{name}` is one segment, `{name+}` and `{*name}` are all
/// that follow, at least one.
fn fits(path: &str, pattern: &str) -> bool {
    let (mut path, mut pattern) = (path.split('/'), pattern.split('/'));
    loop {
        match (path.next(), pattern.next()) {
            (None, None) => return true,
            (Some(segment), Some(part)) if part.starts_with("{*") || part.ends_with("+}") => {
                return !segment.is_empty() || path.next().is_some();
            }
            (Some(segment), Some(part)) if part.starts_with('{') && !segment.is_empty() => {}
            (Some(segment), Some(part)) if segment == part => {}
            _ => return false,
        }
    }
}

#[test]
fn every_function_but_ops_is_among_the_groups() {
    let functions = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../functions")).unwrap();
    let mut names: Vec<_> = functions.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != "ops");
    names.sort_unstable();
    assert_eq!(names, groups().iter().map(|(name, _)| *name).collect::<Vec<_>>());
}
