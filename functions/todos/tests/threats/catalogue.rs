//! The catalogue: T4, T5, T6 and L4 of THREATS, read from Postgres itself.

use shared::testing::TestDatabase;
use sqlx::{AssertSqlSafe, Executor, PgConnection, error::DatabaseError, raw_sql};

/// What keeps no tenant's rows.
const NO_TENANT: &[&str] = &[
    "_sqlx_migrations",
    "sign_in_attempts",
    "request_counts",
    "provider_keys",
    "registered_issuers",
    "used_once",
    "outdated_tokens",
];
/// A tenant is its own tenant.
const TENANT_BY_ID: &str = "tenants";
/// Uniqueness over all tenants: an organization's name at sign-in.
const UNIQUE_OVER_ALL: &[&str] = &["tenants_slug_key"];
/// What runs with its owner's rights, as signatures.
const SECURITY_DEFINERS: &[&str] = &[
    "app.audit_append(text,text,text,uuid,uuid,uuid,text,text,text)",
    "app.audit_operator(text,text,text)",
    "app.claim_provider_fetch(bytea,timestamp with time zone,timestamp with time zone)",
    "app.claims_of_issuer(bytea)",
    "app.clean_up_attempts(integer)",
    "app.clear_attempts(bytea)",
    "app.count_request(bytea,timestamp with time zone,integer)",
    "app.drop_audit_partition(text)",
    "app.is_outdated(text,text,text,timestamp with time zone)",
    "app.make_audit_partitions(integer)",
    "app.outdate_tokens(text,text,text,text,timestamp with time zone)",
    "app.register_issuer()",
    "app.reserve_attempt(bytea,timestamp with time zone)",
    "app.settle_provider_fetch(bytea,timestamp with time zone,text)",
    "app.use_once(bytea,timestamp with time zone,timestamp with time zone)",
];

/// Every rule, as a query for what breaks it. `$1`: exempt names.
const RULES: &[(&str, &[&str], &str)] = &[
    (
        "row-level security is enabled and forced",
        NO_TENANT,
        "SELECT relname::text FROM pg_class WHERE relnamespace IN ('public'::regnamespace, 'app'::regnamespace)
            AND relkind IN ('r', 'p') AND NOT (relrowsecurity AND relforcerowsecurity) AND relname <> ALL ($1)",
    ),
    (
        "a policy for every command compares the tenant with app.tenant_id",
        NO_TENANT,
        "SELECT relname::text FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
            AND relname <> ALL ($1) AND NOT EXISTS (
                SELECT FROM pg_policy WHERE polrelid = c.oid AND polcmd = '*' AND polroles = '{0}' AND polwithcheck IS NULL
                   AND pg_get_expr(polqual, polrelid) = format(
                       $$(%s = (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid)$$,
                       CASE relname WHEN 'tenants' THEN 'id' ELSE 'tenant_id' END))",
    ),
    (
        "no other policy opens a table, but for sign-in by slug and the clean-up's list",
        &["tenants.sign_in", "tenants.maintenance"],
        "SELECT format('%s.%s', polrelid::regclass, polname) FROM pg_policy
          WHERE polname <> 'tenant' AND polpermissive AND format('%s.%s', polrelid::regclass, polname) <> ALL ($1)",
    ),
    (
        "tenant_id leads the primary key",
        NO_TENANT,
        "SELECT relname::text FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
            AND relname <> ALL ($1) AND NOT EXISTS (
                SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
                 WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnotnull
                   AND a.attname = CASE relname WHEN 'tenants' THEN 'id' ELSE 'tenant_id' END)",
    ),
    (
        "what is unique is unique in a tenant",
        UNIQUE_OVER_ALL,
        "SELECT indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
          WHERE relnamespace = 'public'::regnamespace AND indisunique AND relname <> '_sqlx_migrations'
            AND NOT (relname = 'tenants' AND indisprimary)
            AND indexrelid::regclass::text <> ALL ($1) AND NOT EXISTS (
                SELECT FROM pg_attribute a
                 WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND a.attnum = ANY (i.indkey::int2[]))",
    ),
    (
        "a foreign key carries its tenant along",
        &[],
        "SELECT format('%s of %s', conname, conrelid::regclass) FROM pg_constraint k
          WHERE contype = 'f' AND conname <> ALL ($1) AND NOT EXISTS (
                SELECT FROM unnest(conkey, confkey) AS pair(here, there)
                  JOIN pg_attribute h ON h.attrelid = conrelid AND h.attnum = here
                  JOIN pg_attribute t ON t.attrelid = confrelid AND t.attnum = there
                 WHERE h.attname = 'tenant_id'
                   AND t.attname = CASE confrelid::regclass::text WHEN 'tenants' THEN 'id' ELSE 'tenant_id' END)",
    ),
    (
        "the runtime role owns nothing",
        &[],
        "SELECT relname::text FROM pg_class WHERE relowner = 'tenantry_runtime'::regrole AND relname <> ALL ($1)
          UNION ALL SELECT proname::text FROM pg_proc WHERE proowner = 'tenantry_runtime'::regrole
          UNION ALL SELECT nspname::text FROM pg_namespace WHERE nspowner = 'tenantry_runtime'::regrole",
    ),
    (
        "the runtime role has no rights beyond its grants",
        &[],
        "SELECT rolname::text FROM pg_roles WHERE rolname = 'tenantry_runtime' AND rolname <> ALL ($1)
            AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)
          UNION ALL SELECT rolname::text FROM pg_roles
           WHERE rolname <> 'tenantry_runtime' AND pg_has_role('tenantry_runtime', oid, 'MEMBER')
          UNION ALL SELECT nspname::text FROM pg_namespace WHERE has_schema_privilege('tenantry_runtime', oid, 'CREATE')",
    ),
    (
        "the runtime role reads the audit trail and no more",
        &[],
        "SELECT format('%s on %s', privilege, relname) FROM pg_class,
                unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege
          WHERE relname IN ('audit_events', 'audit_heads', 'audit_checkpoints', 'audit_anchors', '_sqlx_migrations')
            AND relname <> ALL ($1)
            AND has_table_privilege('tenantry_runtime', pg_class.oid, privilege)",
    ),
    (
        "a month of the trail is reached through the trail alone, by whatever role",
        &[],
        "SELECT relname::text FROM pg_class WHERE relispartition AND relkind IN ('r', 'p') AND relname <> ALL ($1)
            AND EXISTS (SELECT FROM aclexplode(relacl) WHERE grantee <> relowner)",
    ),
    (
        "the list of tenants is the maintenance role's alone, to be read",
        &[],
        "SELECT polname::text FROM pg_policy WHERE polname = 'maintenance' AND polname <> ALL ($1)
            AND (polroles <> ARRAY['tenantry_maintenance'::regrole::oid] OR polcmd <> 'r')",
    ),
    (
        "the maintenance role has no rights beyond its grants, and nobody has them unasked",
        &[],
        "SELECT rolname::text FROM pg_roles WHERE rolname = 'tenantry_maintenance' AND rolname <> ALL ($1)
            AND (rolsuper OR rolbypassrls OR rolcanlogin OR rolcreaterole OR rolcreatedb OR rolreplication)
          UNION ALL SELECT rolname::text FROM pg_roles
           WHERE rolname <> 'tenantry_maintenance' AND pg_has_role('tenantry_maintenance', oid, 'MEMBER')
          UNION ALL SELECT format('a member of %s', roleid::regrole) FROM pg_auth_members
           WHERE roleid = 'tenantry_maintenance'::regrole AND inherit_option",
    ),
    (
        "the maintenance role deletes what the clean-up deletes, and reads no more than that takes",
        &["DELETE on sessions", "DELETE on refresh_tokens", "DELETE on idempotency_keys"],
        "SELECT format('%s on %s', privilege, relname) FROM pg_class,
                unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege
          WHERE relnamespace IN ('public'::regnamespace, 'app'::regnamespace) AND relkind IN ('r', 'p')
            AND has_table_privilege('tenantry_maintenance', oid, privilege)
            AND format('%s on %s', privilege, relname) <> ALL ($1)
          UNION ALL SELECT format('%s.%s', attrelid::regclass, attname) FROM pg_attribute
           WHERE attname IN ('slug', 'email', 'password_hash', 'source_address', 'token_hash', 'headers', 'body_ciphertext')
             AND attnum > 0 AND has_column_privilege('tenantry_maintenance', attrelid, attnum, 'SELECT')
             AND attrelid::regclass::text IN ('tenants', 'users', 'sessions', 'refresh_tokens', 'idempotency_keys')",
    ),
    (
        "a deleted tenant's row is hidden from the runtime role",
        &[],
        "SELECT 'deleted' WHERE 'deleted' <> ALL ($1) AND NOT EXISTS (
            SELECT FROM pg_policy WHERE polrelid = 'tenants'::regclass AND polname = 'deleted' AND NOT polpermissive
               AND polcmd = 'r' AND polroles = ARRAY['tenantry_runtime'::regrole::oid]
               AND pg_get_expr(polqual, polrelid) = $$(status <> 'deleted'::text)$$)",
    ),
    (
        "the operators' role has no rights beyond its grants, and nobody has them unasked",
        &[],
        "SELECT rolname::text FROM pg_roles WHERE rolname = 'tenantry_operator' AND rolname <> ALL ($1)
            AND (rolsuper OR rolbypassrls OR rolcanlogin OR rolcreaterole OR rolcreatedb OR rolreplication)
          UNION ALL SELECT rolname::text FROM pg_roles
           WHERE rolname <> 'tenantry_operator' AND pg_has_role('tenantry_operator', oid, 'MEMBER')
          UNION ALL SELECT format('a member of %s', roleid::regrole) FROM pg_auth_members
           WHERE roleid = 'tenantry_operator'::regrole AND inherit_option",
    ),
    (
        "the operators' role deletes from every table of tenants but the trail and the tenants, to delete a tenant",
        NO_TENANT,
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
            AND NOT relispartition AND relname <> ALL ($1)
            AND (relname = 'tenants' OR starts_with(relname, 'audit_')) = has_table_privilege('tenantry_operator', oid, 'DELETE')",
    ),
    (
        "the operators' role reads no table as a whole, and no secret",
        &[],
        "SELECT format('%s on %s', privilege, relname) FROM pg_class,
                unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege
          WHERE relnamespace IN ('public'::regnamespace, 'app'::regnamespace) AND relkind IN ('r', 'p')
            AND has_table_privilege('tenantry_operator', oid, privilege)
            AND format('%s on %s', privilege, relname) <> ALL ($1)
          UNION ALL SELECT format('%s.%s', attrelid::regclass, attname) FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
           WHERE relnamespace IN ('public'::regnamespace, 'app'::regnamespace) AND relkind IN ('r', 'p')
             AND relname NOT IN ('tenants', 'users') AND attname <> ALL (ARRAY['tenant_id', 'ctid'])
             AND NOT attisdropped AND has_column_privilege('tenantry_operator', attrelid, attnum, 'SELECT')
          UNION ALL SELECT 'users.password_hash' WHERE has_column_privilege('tenantry_operator', 'users', 'password_hash', 'SELECT')",
    ),
    (
        "the runtime role adds data keys and neither changes nor deletes them",
        &[],
        "SELECT format('%s on tenant_keys', privilege) FROM
                unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege
          WHERE privilege <> ALL ($1) AND has_table_privilege('tenantry_runtime', 'tenant_keys', privilege)",
    ),
    (
        "no one may truncate past row-level security",
        &[],
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
            AND relname <> ALL ($1) AND has_table_privilege('tenantry_runtime', oid, 'TRUNCATE')",
    ),
    (
        "no view crosses tenants",
        &[],
        "SELECT relname::text FROM pg_class WHERE relnamespace IN ('public'::regnamespace, 'app'::regnamespace)
            AND relkind IN ('v', 'm', 'f') AND relname <> ALL ($1)",
    ),
    (
        "what runs with its owner's rights is on the list",
        SECURITY_DEFINERS,
        "SELECT oid::regprocedure::text FROM pg_proc WHERE prosecdef
            AND pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
            AND oid::regprocedure::text <> ALL ($1)",
    ),
    (
        "what runs with its owner's rights has a search_path of its own, and an owner whom policies bind",
        &[],
        "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_roles r ON r.oid = proowner WHERE prosecdef
            AND pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
            AND (rolsuper OR rolbypassrls OR proconfig IS DISTINCT FROM ARRAY['search_path=\"\"'])
            AND p.oid::regprocedure::text <> ALL ($1)",
    ),
    (
        "no function is everybody's",
        &[],
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace IN ('public'::regnamespace, 'app'::regnamespace)
            AND has_function_privilege('public', oid, 'EXECUTE') AND oid::regprocedure::text <> ALL ($1)",
    ),
];

async fn broken(connection: &mut PgConnection) -> Vec<String> {
    let mut found = Vec::new();
    for (rule, exempt, sql) in RULES {
        let names: Vec<String> = sqlx::query_scalar(*sql).bind(exempt).fetch_all(&mut *connection).await.unwrap();
        found.extend(names.into_iter().map(|name| format!("{name}: {rule}")));
    }
    found
}

#[tokio::test]
async fn every_table_keeps_its_tenants_apart() {
    let database = TestDatabase::create().await;
    let mut superuser = database.superuser().await;
    assert_eq!(broken(&mut superuser).await, Vec::<String>::new());
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_policy WHERE polname = 'tenant'")
        .fetch_one(&mut superuser)
        .await
        .unwrap();
    assert!(tables >= 8 && TENANT_BY_ID == "tenants");
    let definers: Vec<String> = sqlx::query_scalar(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE prosecdef AND pronamespace = 'app'::regnamespace ORDER BY 1",
    )
    .fetch_all(&mut superuser)
    .await
    .unwrap();
    assert_eq!(definers, SECURITY_DEFINERS);
}

#[tokio::test]
async fn every_rule_bites() {
    let database = TestDatabase::create().await;
    let mut superuser = database.superuser().await;
    for (fault, names) in [
        ("ALTER TABLE todos NO FORCE ROW LEVEL SECURITY", &["todos"][..]),
        ("ALTER TABLE todos DISABLE ROW LEVEL SECURITY", &["todos"]),
        ("DROP POLICY tenant ON todos", &["todos"]),
        ("CREATE TABLE notes (tenant_id uuid, id uuid, PRIMARY KEY (tenant_id, id))", &["notes"; 3]),
        ("CREATE TABLE notes (id uuid PRIMARY KEY)", &["notes", "notes", "notes", "notes", "notes_pkey"]),
        ("ALTER POLICY tenant ON todos USING (true)", &["todos"]),
        ("ALTER POLICY tenant ON todos WITH CHECK (true)", &["todos"]),
        ("CREATE POLICY open ON todos USING (true)", &["todos.open"]),
        ("CREATE UNIQUE INDEX titles ON todos (title)", &["titles"]),
        ("ALTER TABLE users ADD UNIQUE (id)", &["users_id_key"]),
        (
            "ALTER TABLE users ADD UNIQUE (id); ALTER TABLE todos ADD CONSTRAINT loose FOREIGN KEY (owner_id) REFERENCES users (id)",
            &["users_id_key", "loose of todos"],
        ),
        ("ALTER TABLE todos OWNER TO tenantry_runtime", &["todos", "todos_of_owner", "todos_pkey", "todos"]),
        ("GRANT tenantry_owner TO tenantry_runtime", &["tenantry_owner", "public", "app"]),
        ("GRANT CREATE ON SCHEMA app TO tenantry_runtime", &["app"]),
        ("GRANT UPDATE ON audit_events TO tenantry_runtime", &["UPDATE on audit_events"]),
        ("GRANT DELETE ON audit_heads TO PUBLIC", &["DELETE on audit_heads", "DELETE on audit_heads", "audit_heads"]),
        ("GRANT SELECT ON audit_events_default TO tenantry_runtime", &["audit_events_default"]),
        ("ALTER TABLE audit_events_default NO FORCE ROW LEVEL SECURITY", &["audit_events_default"]),
        ("DROP POLICY tenant ON audit_events_default", &["audit_events_default"]),
        ("GRANT INSERT ON audit_anchors TO tenantry_runtime", &["INSERT on audit_anchors"]),
        ("GRANT DELETE ON tenant_keys TO tenantry_runtime", &["DELETE on tenant_keys"]),
        ("GRANT TRUNCATE ON todos TO tenantry_runtime", &["todos"]),
        ("ALTER POLICY maintenance ON tenants TO PUBLIC", &["maintenance"]),
        ("ALTER ROLE tenantry_maintenance BYPASSRLS", &["tenantry_maintenance"]),
        (
            "GRANT tenantry_maintenance TO tenantry_runtime",
            &["tenantry_maintenance", "a member of tenantry_maintenance"],
        ),
        ("GRANT DELETE ON users TO tenantry_maintenance", &["DELETE on users"]),
        ("GRANT SELECT (slug) ON tenants TO tenantry_maintenance", &["tenants.slug"]),
        ("DROP POLICY deleted ON tenants", &["deleted"]),
        ("ALTER ROLE tenantry_operator BYPASSRLS", &["tenantry_operator"]),
        (
            "GRANT tenantry_operator TO tenantry_runtime",
            &["tenantry_operator", "a member of tenantry_operator", "DELETE on tenant_keys"],
        ),
        ("GRANT DELETE ON audit_heads TO tenantry_operator", &["audit_heads"]),
        ("REVOKE DELETE ON todos FROM tenantry_operator", &["todos"]),
        ("GRANT SELECT ON users TO tenantry_operator", &["SELECT on users", "users.password_hash"]),
        ("GRANT SELECT (wrapped) ON tenant_keys TO tenantry_operator", &["tenant_keys.wrapped"]),
        ("CREATE VIEW everything AS SELECT * FROM todos", &["everything"]),
        ("CREATE MATERIALIZED VIEW app.everything AS SELECT * FROM todos", &["everything"]),
        (
            "ALTER FUNCTION app.enter_tenant(uuid) SECURITY DEFINER",
            &["app.enter_tenant(uuid)", "app.enter_tenant(uuid)"],
        ),
        (
            "ALTER FUNCTION app.audit_append RESET search_path",
            &["app.audit_append(text,text,text,uuid,uuid,uuid,text,text,text)"],
        ),
        (
            "ALTER FUNCTION app.audit_append OWNER TO postgres",
            &["app.audit_append(text,text,text,uuid,uuid,uuid,text,text,text)"],
        ),
        ("GRANT EXECUTE ON FUNCTION app.enter_tenant(uuid) TO PUBLIC", &["app.enter_tenant(uuid)"]),
    ] {
        superuser.execute(raw_sql(AssertSqlSafe(format!("BEGIN; {fault}")))).await.unwrap();
        let mut found = broken(&mut superuser).await;
        superuser.execute("ROLLBACK").await.unwrap();
        for line in &mut found {
            line.truncate(line.find(": ").unwrap());
        }
        for name in names {
            let position = found.iter().position(|line| line == name);
            found.swap_remove(position.unwrap_or_else(|| panic!("{fault}: {name} went unnoticed")));
        }
        // An owner holds every right, so that one fault is many.
        assert!(
            found.is_empty() || fault.contains("OWNER TO tenantry_runtime") || fault.contains("GRANT tenantry_owner"),
            "{fault}: {found:?}"
        );
    }
    assert_eq!(broken(&mut superuser).await, Vec::<String>::new());
}

#[tokio::test]
async fn l4_the_runtime_role_cannot_touch_the_audit_trail() {
    let database = TestDatabase::create().await;
    let mut runtime = database.runtime().await;
    for sql in [
        "UPDATE audit_events SET action = 'x'",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
        "INSERT INTO audit_events DEFAULT VALUES",
        "UPDATE audit_heads SET seq = 0",
        "DELETE FROM audit_heads",
        "TRUNCATE audit_heads CASCADE",
        "ALTER TABLE audit_events DISABLE ROW LEVEL SECURITY",
        "DROP TABLE audit_events",
        "SET ROLE tenantry_owner",
        "SET session_replication_role = replica",
        "SELECT * FROM _sqlx_migrations",
        "CREATE TABLE public.mine (id int)",
        "CREATE FUNCTION app.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ] {
        let error = runtime.execute(sql).await.unwrap_err();
        let code = error.as_database_error().and_then(<dyn DatabaseError>::code).unwrap();
        assert_eq!(code, "42501", "{sql}: {error}");
    }
    // Without a tenant there is no chain to append to.
    let append = "SELECT app.audit_append('x', 'success', NULL, NULL, NULL, NULL, NULL, NULL)";
    let error = runtime.execute(append).await.unwrap_err();
    assert_eq!(error.as_database_error().and_then(<dyn DatabaseError>::code).unwrap(), "TN003");
}
