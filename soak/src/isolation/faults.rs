//! Faults that a wall could have, each put into a throwaway database by SQL.
//! The driver must catch every one of them, or it proves nothing.

/// A fault: what it is called, and what puts it in. `{role}` is the login of
/// the functions over this one database.
pub(super) struct Fault {
    /// What it is.
    pub(super) name: &'static str,
    /// What puts it in, as a superuser.
    pub(super) sql: &'static str,
    /// Whether the requests must find it by themselves: the statements past the
    /// functions would see the half of it that opens a table.
    pub(super) by_requests: bool,
}

const fn fault(name: &'static str, sql: &'static str) -> Fault {
    Fault { name, sql, by_requests: false }
}

const fn in_a_function(name: &'static str, sql: &'static str) -> Fault {
    Fault { name, sql, by_requests: true }
}

/// All of them.
pub(super) const FAULTS: &[Fault] = &[
    fault("a table without FORCE", "ALTER TABLE todos NO FORCE ROW LEVEL SECURITY"),
    fault("a table without row-level security", "ALTER TABLE identity_providers DISABLE ROW LEVEL SECURITY"),
    fault("a policy that is always true", "ALTER POLICY tenant ON users USING (true)"),
    fault("a second policy beside the tenant's", "CREATE POLICY active ON sessions FOR SELECT USING (ended_at IS NULL)"),
    fault("a policy that lets rows be written anywhere", "ALTER POLICY tenant ON todos WITH CHECK (true)"),
    fault(
        "a policy for changes alone that is open",
        "CREATE POLICY changes ON todos FOR UPDATE USING (true) WITH CHECK (true);
         CREATE POLICY deletions ON todos FOR DELETE USING (true)",
    ),
    fault(
        "a setting for the session, not the transaction",
        "DO $do$ BEGIN EXECUTE replace(pg_get_functiondef('app.enter'::regproc), 'tenant::text, true)', 'tenant::text, false)'); END $do$",
    ),
    in_a_function(
        "entering without a look at the session",
        "DO $do$ BEGIN EXECUTE replace(pg_get_functiondef('app.enter'::regproc), 'live.session_lives IS NOT TRUE', 'false'); END $do$",
    ),
    fault(
        "a view with its owner's rights",
        "CREATE VIEW titles AS SELECT tenant_id, id, title FROM todos; GRANT SELECT ON titles TO tenantry_runtime",
    ),
    fault(
        "a materialized view over all tenants",
        "CREATE MATERIALIZED VIEW app.people AS SELECT tenant_id, email FROM users; GRANT SELECT ON app.people TO tenantry_runtime",
    ),
    fault("a login that bypasses row-level security", "ALTER ROLE {role} BYPASSRLS"),
    fault("a login that may do what the clean-up may", "GRANT tenantry_maintenance TO {role} WITH INHERIT TRUE"),
    in_a_function(
        "a function without its tenant filter, on a table without row-level security",
        "ALTER TABLE sessions DISABLE ROW LEVEL SECURITY;
         DO $do$ BEGIN EXECUTE replace(pg_get_functiondef('app.end_other_sessions'::regproc),
            's.tenant_id = tenant AND s.user_id = owner', 'true'); END $do$",
    ),
    in_a_function(
        "a record in another tenant's trail",
        "ALTER TABLE audit_events DISABLE ROW LEVEL SECURITY; ALTER TABLE audit_heads DISABLE ROW LEVEL SECURITY;
         DO $do$ BEGIN EXECUTE replace(pg_get_functiondef('app.audit_append'::regproc),
            $$nullif(current_setting('app.tenant_id', true), '')::uuid$$,
            $$(SELECT h.tenant_id FROM public.audit_heads h ORDER BY 1 DESC LIMIT 1)$$); END $do$",
    ),
    in_a_function(
        "a trigger that writes to another tenant",
        "CREATE FUNCTION copy_title() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
             UPDATE todos SET title = NEW.title WHERE id = (SELECT id FROM todos WHERE tenant_id <> NEW.tenant_id LIMIT 1);
             RETURN NULL; END $$;
         CREATE TRIGGER copy_title AFTER INSERT ON todos FOR EACH ROW EXECUTE FUNCTION copy_title()",
    ),
    in_a_function(
        "a name that is unique over all tenants",
        "ALTER TABLE identity_providers DROP CONSTRAINT identity_providers_name_key;
         CREATE UNIQUE INDEX identity_providers_name_key ON identity_providers (name) WHERE name ~ '^idp-'",
    ),
    fault("checkpoints under an open policy", "ALTER POLICY tenant ON audit_checkpoints USING (true)"),
    fault(
        "a month of the trail without FORCE, by its own name",
        "DO $do$ BEGIN EXECUTE format('ALTER TABLE %I NO FORCE ROW LEVEL SECURITY', app.audit_partition_of(now())); END $do$",
    ),
    fault(
        "a month of the trail that is granted by its own name, without row-level security",
        "DO $do$ BEGIN EXECUTE format('ALTER TABLE %1$I DISABLE ROW LEVEL SECURITY; GRANT SELECT ON %1$I TO tenantry_runtime',
            app.audit_partition_of(now())); END $do$",
    ),
    in_a_function(
        "a search of the trail without its tenant filter, on a table without row-level security",
        "ALTER TABLE audit_events DISABLE ROW LEVEL SECURITY;
         DO $do$ BEGIN EXECUTE replace(pg_get_functiondef('app.audit_search'::regproc), 'e.tenant_id = tenant', 'true'); END $do$",
    ),
    in_a_function(
        "a change of users that finds anybody, on a table without row-level security",
        "ALTER TABLE users DISABLE ROW LEVEL SECURITY;
         DO $do$ BEGIN EXECUTE replace(pg_get_functiondef('app.user_for_change'::regproc),
            'u.tenant_id = tenant', 'true'); END $do$",
    ),
    in_a_function(
        "a logout at a provider that ends the sessions of every tenant there",
        "ALTER TABLE sessions DISABLE ROW LEVEL SECURITY;
         DO $do$ BEGIN EXECUTE replace(replace(pg_get_functiondef('app.end_provider_sessions(uuid,text,text,text)'::regprocedure),
            's.tenant_id = tenant', 'true'), 'AND s.provider_id IS NOT DISTINCT FROM provider', ''); END $do$",
    ),
    in_a_function(
        "a sign-in at another tenant than the one that it names",
        "ALTER TABLE tenants DISABLE ROW LEVEL SECURITY;
         DO $do$ BEGIN EXECUTE replace(pg_get_functiondef('app.enter_slug'::regproc), 't.slug = enter_slug.slug',
            't.slug >= enter_slug.slug ORDER BY t.slug DESC LIMIT 1'); END $do$",
    ),
];
