-- The doors into a tenant. Each sets app.tenant_id for the transaction (or, in
-- a statement of its own, for that statement) and nothing that outlives it.
-- SQLSTATEs of ours: TN001 session ended, TN002 tenant suspended.
SET LOCAL ROLE tenantry_owner;

-- Enters the tenant of a verified caller, if session, user and tenant live.
CREATE FUNCTION app.enter(tenant uuid, session uuid)
    RETURNS TABLE (tenant_id uuid, session_id uuid, user_id uuid)
    LANGUAGE plpgsql VOLATILE ROWS 1
AS $$
DECLARE
    live record;
BEGIN
    PERFORM set_config('app.tenant_id', tenant::text, true);
    SELECT s.user_id, t.status AS tenant_status,
           s.ended_at IS NULL AND s.expires_at > now() AND u.status = 'active' AS session_lives
      INTO live
      FROM public.sessions s
      JOIN public.users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
      JOIN public.tenants t ON t.id = s.tenant_id
     WHERE s.tenant_id = tenant AND s.id = session;
    IF live.tenant_status = 'suspended' THEN
        RAISE EXCEPTION 'tenant suspended' USING ERRCODE = 'TN002';
    ELSIF live.session_lives IS NOT TRUE THEN
        RAISE EXCEPTION 'session ended' USING ERRCODE = 'TN001';
    END IF;
    PERFORM set_config('app.user_id', live.user_id::text, true),
            set_config('app.session_id', session::text, true);
    RETURN QUERY SELECT tenant, session, live.user_id;
END
$$;

-- Enters a tenant where no session exists yet, or no longer: sign-up, sign-in,
-- refresh, and the record of a refused request.
CREATE FUNCTION app.enter_tenant(tenant uuid)
    RETURNS TABLE (tenant_id uuid)
    LANGUAGE sql VOLATILE ROWS 1
AS $$ SELECT set_config('app.tenant_id', tenant::text, true)::uuid $$;

-- Enters the tenant of this slug: no row where there is none.
CREATE FUNCTION app.enter_slug(slug text)
    RETURNS TABLE (tenant_id uuid, status text)
    LANGUAGE plpgsql VOLATILE ROWS 1
AS $$
DECLARE
    found_id uuid;
    found_status text;
BEGIN
    PERFORM set_config('app.tenant_slug', slug, true);
    SELECT t.id, t.status INTO found_id, found_status FROM public.tenants t WHERE t.slug = enter_slug.slug;
    PERFORM set_config('app.tenant_slug', '', true);
    IF found_id IS NOT NULL THEN
        PERFORM set_config('app.tenant_id', found_id::text, true);
        RETURN QUERY SELECT found_id, found_status;
    END IF;
END
$$;

-- What a write's audit record will say of its request; see app.audit.
CREATE FUNCTION app.describe_request(action text, request_id text, source_address text)
    RETURNS void
    LANGUAGE sql VOLATILE
AS $$
    SELECT set_config('app.action', action, true),
           set_config('app.request_id', request_id, true),
           set_config('app.source_address', source_address, true)
$$;

GRANT EXECUTE ON FUNCTION
    app.enter(uuid, uuid), app.enter_tenant(uuid), app.enter_slug(text), app.describe_request(text, text, text)
    TO tenantry_runtime;
RESET ROLE;
