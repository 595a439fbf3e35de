-- How long sessions live without being used, and how many a user may have.
SET LOCAL ROLE tenantry_owner;

COMMENT ON COLUMN sessions.last_used_at IS 'The last sign-in or refresh: a read writes nothing.';

-- The moment from which a session can never be used again: it was ended, its
-- 30 days were over, or nobody used it for 7 days, whichever came first. A
-- column, because row-level security lets an index be searched by comparisons
-- of columns alone: what computes might leak. (Days are counted in UTC, since
-- an expression that depends on a time zone cannot be stored.)
ALTER TABLE sessions ADD COLUMN over_at timestamptz NOT NULL GENERATED ALWAYS AS (
    least(ended_at, expires_at, (last_used_at AT TIME ZONE 'UTC' + interval '7 days') AT TIME ZONE 'UTC')) STORED;

-- Whether a session lives. The one place that says so; it is inlined. One that
-- was ended while this transaction waited was so after its now().
CREATE FUNCTION app.session_lives(ended_at timestamptz, over_at timestamptz) RETURNS boolean
    LANGUAGE sql STABLE
AS $$ SELECT ended_at IS NULL AND over_at > now() $$;

CREATE OR REPLACE FUNCTION app.enter(tenant uuid, session uuid)
    RETURNS TABLE (tenant_id uuid, session_id uuid, user_id uuid)
    LANGUAGE plpgsql VOLATILE ROWS 1
AS $$
DECLARE
    live record;
BEGIN
    PERFORM set_config('app.tenant_id', tenant::text, true);
    SELECT s.user_id, t.status AS tenant_status,
           app.session_lives(s.ended_at, s.over_at) AND u.status = 'active' AS session_lives
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

-- Who ends several sessions of a user locks that user's row before them: two
-- that end the same ones in another order would run into each other.

-- Ends the sessions of a user but one, and says how many. Called in the
-- statement that changed the user, it sees what began until then.
CREATE FUNCTION app.end_other_sessions(owner uuid, kept uuid) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    tenant CONSTANT uuid := current_setting('app.tenant_id')::uuid;
    ended bigint;
BEGIN
    PERFORM FROM public.users u WHERE u.tenant_id = tenant AND u.id = owner FOR NO KEY UPDATE;
    UPDATE public.sessions s SET ended_at = now()
     WHERE s.tenant_id = tenant AND s.user_id = owner AND s.id <> kept AND s.ended_at IS NULL;
    GET DIAGNOSTICS ended = ROW_COUNT;
    RETURN ended;
END
$$;

-- Makes room for a session that is beginning: of the user's other ones only
-- `most` - 1 go on, those that were used last. Each end has its record.
CREATE FUNCTION app.end_surplus_sessions(owner uuid, beginning uuid, most integer) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    tenant CONSTANT uuid := current_setting('app.tenant_id')::uuid;
    surplus uuid[];
BEGIN
    -- Two sign-ins at once would each find room.
    PERFORM FROM public.users u WHERE u.tenant_id = tenant AND u.id = owner FOR NO KEY UPDATE;
    WITH ended AS (
        UPDATE public.sessions SET ended_at = now()
         WHERE tenant_id = tenant AND ended_at IS NULL AND id IN (
             SELECT s.id FROM public.sessions s
              WHERE s.tenant_id = tenant AND s.user_id = owner AND s.id <> beginning
                AND app.session_lives(s.ended_at, s.over_at)
              ORDER BY s.last_used_at DESC, s.id DESC OFFSET most - 1)
        RETURNING id
    )
    SELECT array_agg(id ORDER BY id) INTO surplus FROM ended;
    PERFORM app.audit_append('auth.sessions.delete', 'success', 'session_limit', owner, beginning, id,
                             nullif(current_setting('app.source_address', true), ''),
                             nullif(current_setting('app.request_id', true), ''))
       FROM unnest(surplus) AS id;
    RETURN coalesce(cardinality(surplus), 0);
END
$$;

GRANT EXECUTE ON FUNCTION
    app.session_lives(timestamptz, timestamptz),
    app.end_other_sessions(uuid, uuid),
    app.end_surplus_sessions(uuid, uuid, integer)
    TO tenantry_runtime;
RESET ROLE;
