-- A tenant is created, suspended, resumed and deleted by `ops`, as a role of
-- its own. See docs/adr/0019-tenant-lifecycle.md.

-- tenantry_operator never logs in and no policy is lifted for it: it sees the
-- one tenant that it entered, or whose slug it named. Whoever migrates may take
-- it on, and must: its rights are not inherited. The runtime role may not.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tenantry_operator') THEN
        CREATE ROLE tenantry_operator NOLOGIN;
    END IF;
    EXECUTE format('GRANT tenantry_operator TO %I WITH INHERIT FALSE, SET TRUE', current_user);
END
$$;
GRANT USAGE ON SCHEMA public TO tenantry_operator;

SET LOCAL ROLE tenantry_owner;
GRANT USAGE ON SCHEMA app TO tenantry_operator;

-- What is left of a deleted tenant is its id and its slug, which nobody gets
-- again: its people would hand their passwords to whoever did.
ALTER TABLE tenants DROP CONSTRAINT tenants_status;
ALTER TABLE tenants ADD CONSTRAINT tenants_status CHECK (status IN ('active', 'suspended', 'deleted'));
ALTER TABLE tenants ADD COLUMN suspended_at timestamptz, ADD COLUMN deleted_at timestamptz, ADD COLUMN purged_at timestamptz;
COMMENT ON COLUMN tenants.purged_at IS 'When the last row of a deleted tenant was gone, but for this one and its audit trail.';

-- A deleted tenant does not exist for the functions, by whichever door: every
-- one of them looks at its row.
CREATE POLICY deleted ON tenants AS RESTRICTIVE FOR SELECT TO tenantry_runtime USING (status <> 'deleted');

GRANT SELECT (id, slug, name, status, version, suspended_at, deleted_at, purged_at),
      INSERT (id, slug, name, created_at, updated_at),
      UPDATE (name, status, suspended_at, deleted_at, purged_at, version, updated_at)
   ON tenants TO tenantry_operator;
GRANT SELECT (tenant_id, id, email, display_name, role, status, version, last_login_at),
      INSERT (tenant_id, id, email, display_name, role, password_hash, created_at, updated_at),
      UPDATE (password_hash, version, updated_at)
   ON users TO tenantry_operator;

-- What goes with a tenant: every table that has tenant_id, but its trail. Of
-- the rows the role reads whose they are and where they stand, and no more. A
-- later table brings these two grants with it; a test looks for them.
DO $$
DECLARE
    doomed regclass;
BEGIN
    FOR doomed IN
        SELECT c.oid FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
           AND NOT starts_with(c.relname, 'audit_')
    LOOP
        EXECUTE format('GRANT SELECT (tenant_id, ctid), DELETE ON %s TO tenantry_operator', doomed);
    END LOOP;
END
$$;

-- The record of what an operator did to the entered tenant. Nobody of the
-- tenant did it, so it has no actor; the request id is the invocation's, by
-- which CloudTrail knows who it was. Runs as the owner, for the trail's sake:
-- policies bind it all the same.
CREATE FUNCTION app.audit_operator(action text, reason text, request_id text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
BEGIN
    RETURN app.audit_append(action, 'success', reason, NULL, NULL,
                            nullif(current_setting('app.tenant_id', true), '')::uuid, NULL, request_id);
END
$$;

-- The first of these tables in which the entered tenant has a row, those that
-- refer to others before them: no cascade makes a batch larger than it may be.
-- Deletes up to `batch` rows there; no row is returned where nothing is left.
-- Runs with its caller's rights, under row-level security like everything else.
CREATE FUNCTION app.delete_tenant_rows(tenant uuid, batch integer)
    RETURNS TABLE (deleted_from text, deleted bigint)
    LANGUAGE plpgsql VOLATILE ROWS 1
AS $$
BEGIN
    PERFORM app.enter_tenant(tenant);
    IF NOT EXISTS (SELECT FROM public.tenants t WHERE t.id = tenant AND t.status = 'deleted') THEN
        RAISE EXCEPTION 'the tenant is not deleted' USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    FOR deleted_from IN
        WITH RECURSIVE doomed AS (
            SELECT c.oid FROM pg_catalog.pg_class c
              JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
             WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
               AND NOT pg_catalog.starts_with(c.relname, 'audit_')
        ), referring (oid, depth) AS (
            SELECT oid, 0 FROM doomed
             UNION
            SELECT k.confrelid, r.depth + 1 FROM referring r
              JOIN pg_catalog.pg_constraint k ON k.conrelid = r.oid AND k.contype = 'f' AND k.confrelid <> k.conrelid
              JOIN doomed d ON d.oid = k.confrelid
             WHERE r.depth < 20
        )
        SELECT r.oid::regclass::text FROM referring r GROUP BY r.oid ORDER BY max(r.depth), 1
    LOOP
        EXECUTE format('DELETE FROM %s WHERE tenant_id = $1 AND ctid = ANY (ARRAY('
                       'SELECT ctid FROM %1$s WHERE tenant_id = $1 LIMIT $2))', deleted_from)
          USING tenant, batch;
        GET DIAGNOSTICS deleted = ROW_COUNT;
        IF deleted > 0 THEN
            RETURN NEXT;
            RETURN;
        END IF;
    END LOOP;
END
$$;

GRANT EXECUTE ON FUNCTION
    app.enter_tenant(uuid), app.enter_slug(text), app.audit_operator(text, text, text),
    app.delete_tenant_rows(uuid, integer)
    TO tenantry_operator;
RESET ROLE;
