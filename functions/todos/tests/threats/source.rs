//! What the functions' source may not say: the walls of `shared` are not
//! walked around.

use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The shipped part of every function's source: no tests.
fn shipped() -> Vec<(String, String)> {
    let functions = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let files = sources(functions).into_iter().filter(|path| path.components().any(|part| part.as_os_str() == "src"));
    let mut shipped: Vec<_> = files.map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap())).collect();
    let mut tests = Vec::new();
    for (path, text) in &shipped {
        let folder = if path.ends_with("lib.rs") { path.with_file_name("") } else { path.with_extension("") };
        let modules = text.split("#[cfg(test)]\n").skip(1);
        let modules = modules.filter_map(|rest| rest.trim_start_matches("pub(crate) ").strip_prefix("mod "));
        tests.extend(modules.map(|rest| folder.join(rest.split([';', ' ']).next().unwrap())));
    }
    shipped.retain(|(path, _)| !path.ancestors().any(|part| tests.contains(&part.with_extension(""))));
    let name = |path: PathBuf| path.strip_prefix(functions).unwrap().to_string_lossy().replace('\\', "/");
    let cut = |text: String| text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned();
    shipped.into_iter().map(|(path, text)| (name(path), cut(text))).collect()
}

#[test]
fn no_function_enters_a_tenant_but_by_its_caller() {
    let shipped = shipped();
    assert!(shipped.iter().any(|(name, _)| name == "todos/src/list.rs"));
    for (name, text) in &shipped {
        for word in ["enter_tenant(", "app.tenant_", "SET LOCAL", "SET ROLE"] {
            assert!(!text.contains(word), "{name} says {word}");
        }
        let excepted = name == "auth/src/login.rs";
        let by_slug = text.contains("enter_slug(") || text.contains("begin_sign_in(");
        assert!(excepted || !by_slug, "{name} enters by slug");
    }
}

#[test]
fn every_statement_that_enters_binds_the_callers_own_tenant_and_session() {
    let mut entering = 0;
    for (name, text) in shipped() {
        for after in text.split("app.enter(").skip(1) {
            entering += 1;
            assert!(after.starts_with("$1, $2)"), "{name}");
            let end = ["\"#,", "\",\n"].iter().filter_map(|end| after.find(end)).min().unwrap();
            let (statement, arguments) = after.split_at(end);
            let arguments = arguments.split_once(',').unwrap().1;
            let first: Vec<_> = arguments.split(',').map(str::trim).take(2).collect();
            assert_eq!(first, ["caller.tenant_id()", "caller.session_id()"], "{name}");
            assert!(
                !statement.contains("LATERAL") || statement.contains("LIMIT "),
                "{name}: the planner may read first"
            );
        }
    }
    assert!(entering >= 3);
}

#[test]
fn every_statement_on_a_tenants_table_names_the_tenant() {
    for (name, text) in shipped() {
        for sql in
            text.split(['"']).filter(|sql| sql.contains("FROM ") || sql.contains("UPDATE ") || sql.contains("INSERT "))
        {
            let touches = ["todos", "users", "sessions", "refresh_tokens", "idempotency_keys", "identity_providers"]
                .iter()
                .any(|table| ["FROM ", "UPDATE ", "INTO "].iter().any(|verb| sql.contains(&format!("{verb}{table}"))));
            assert!(!touches || sql.contains("tenant_id"), "{name}: {sql}");
        }
    }
}

#[test]
fn no_function_reaches_the_database_or_the_network_on_its_own() {
    for (name, text) in shipped().iter().filter(|(name, _)| !name.starts_with("ops/")) {
        for word in [
            "PgConnection",
            "PgPool",
            "raw_sql",
            "AssertSqlSafe",
            "reqwest",
            "hyper::",
            "std::env::var",
            "QueryBuilder",
        ] {
            assert!(!text.contains(word), "{name} says {word}");
        }
    }
}
