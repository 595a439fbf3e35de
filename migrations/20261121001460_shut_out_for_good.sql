-- Whoever was deleted, signed out everywhere, or is signed out by the provider
-- does not come back by a token whose session had been superseded before. And
-- one order of locks for what is known of a federated user.
SET LOCAL ROLE tenantry_owner;

CREATE INDEX sessions_superseded ON sessions (tenant_id, user_id) WHERE superseded;

-- Has the newest superseded session keep its key for itself again, unless a
-- later one has it. `owner` is locked by the caller, and whoever begins a
-- session of a user waits for that lock: nobody takes a key meanwhile. Null for
-- `issuer`, `subject` and `provider_session` stands for any.
CREATE FUNCTION app.shut_out_superseded(owner uuid, issuer text, subject text, provider_session text) RETURNS void
    LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_variable
DECLARE
    tenant CONSTANT uuid := current_setting('app.tenant_id')::uuid;
BEGIN
    UPDATE public.sessions s SET superseded = false
     WHERE s.tenant_id = tenant AND s.id IN (
           SELECT DISTINCT ON (o.bearer_key) o.id FROM public.sessions o
            WHERE o.tenant_id = tenant AND o.user_id = owner AND o.superseded
              AND (issuer IS NULL OR o.issuer = issuer)
              AND (subject IS NULL OR o.subject = subject)
              AND (provider_session IS NULL OR o.provider_session = provider_session)
              AND NOT EXISTS (SELECT FROM public.sessions l
                               WHERE l.tenant_id = tenant AND l.bearer_key = o.bearer_key AND NOT l.superseded)
            ORDER BY o.bearer_key, o.id DESC);
END
$$;

-- Ends the sessions of a user but one, who is signing out: their tokens begin
-- none either. What app.end_other_sessions says holds here.
CREATE FUNCTION app.sign_out_others(owner uuid, kept uuid) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    ended CONSTANT bigint := app.end_other_sessions(owner, kept);
BEGIN
    PERFORM app.shut_out_superseded(owner, NULL, NULL, NULL);
    RETURN ended;
END
$$;

CREATE OR REPLACE FUNCTION app.delete_user(target uuid, at timestamptz) RETURNS uuid
    LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    tenant CONSTANT uuid := current_setting('app.tenant_id')::uuid;
BEGIN
    UPDATE public.users u
       SET status = 'deleted', email = u.id::text, display_name = 'Deleted user', password_hash = NULL,
           last_login_at = NULL, version = u.version + 1, updated_at = at
     WHERE u.tenant_id = tenant AND u.id = target;
    -- A deactivation, which often comes first, has superseded them.
    PERFORM app.sign_out_others(target, '00000000-0000-0000-0000-000000000000');
    UPDATE public.sessions s
       SET user_agent = NULL, source_address = NULL, issuer = NULL, subject = NULL, provider_session = NULL,
           end_session_url = NULL
     WHERE s.tenant_id = tenant AND s.user_id = target;
    DELETE FROM public.federated_identities f WHERE f.tenant_id = tenant AND f.user_id = target;
    DELETE FROM public.idempotency_keys k WHERE k.tenant_id = tenant AND k.user_id = target;
    DELETE FROM public.todos t WHERE t.tenant_id = tenant AND t.owner_id = target;
    RETURN target;
END
$$;

-- As before; and what had been superseded is over too, without a record of an
-- end that it had already.
CREATE OR REPLACE FUNCTION app.end_provider_sessions(provider uuid, issuer text, subject text, provider_session text)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_variable
DECLARE
    tenant CONSTANT uuid := current_setting('app.tenant_id')::uuid;
    concerned uuid[];
    ended uuid[];
    owners uuid[];
BEGIN
    -- Who ends several sessions of a user locks that user's row before them.
    WITH locked AS (
        SELECT u.id FROM public.users u
         WHERE u.tenant_id = tenant AND u.id IN (
               SELECT s.user_id FROM public.sessions s
                WHERE s.tenant_id = tenant AND s.issuer = issuer AND (s.ended_at IS NULL OR s.superseded)
                  AND s.provider_id IS NOT DISTINCT FROM provider
                  AND (provider_session IS NULL OR s.provider_session = provider_session)
                  AND (subject IS NULL OR s.subject = subject)
                  AND (provider_session IS NOT NULL OR subject IS NOT NULL))
         ORDER BY u.id FOR NO KEY UPDATE)
    SELECT array_agg(l.id) INTO concerned FROM locked l;
    WITH over AS (
        UPDATE public.sessions s SET ended_at = now()
         WHERE s.tenant_id = tenant AND s.issuer = issuer AND s.ended_at IS NULL
           AND s.provider_id IS NOT DISTINCT FROM provider
           AND (provider_session IS NULL OR s.provider_session = provider_session)
           AND (subject IS NULL OR s.subject = subject)
           AND (provider_session IS NOT NULL OR subject IS NOT NULL)
        RETURNING s.id, s.user_id)
    SELECT array_agg(o.id ORDER BY o.id), array_agg(o.user_id ORDER BY o.id) INTO ended, owners FROM over o;
    PERFORM app.shut_out_superseded(c.id, issuer, subject, provider_session) FROM unnest(concerned) AS c(id);
    PERFORM app.audit_append(current_setting('app.action'), 'success', NULL, e.owner, e.id, e.id,
                             nullif(current_setting('app.source_address', true), ''),
                             nullif(current_setting('app.request_id', true), ''))
       FROM unnest(ended, owners) AS e(id, owner);
    IF ended IS NULL THEN
        PERFORM app.audit(NULL);
    END IF;
    RETURN coalesce(cardinality(ended), 0);
END
$$;

-- app.federated_user, as it was but for one line: the user's row comes before
-- what is known of its tokens, as it does where a role changes and where a user
-- is deleted. The other way round each had what the other one waited for.
DO $$
DECLARE
    defined text := pg_get_functiondef('app.federated_user(text, text, timestamptz, text, text, boolean, text, text, uuid, uuid, timestamptz)'::regprocedure);
    newer CONSTANT text := 'IF refused IS NULL AND asserted_at > known_at THEN';
BEGIN
    IF position(newer IN defined) = 0 THEN
        RAISE EXCEPTION 'app.federated_user is not what this migration changes';
    END IF;
    EXECUTE replace(defined, newer, newer || '
        PERFORM FROM public.users u WHERE u.tenant_id = tenant AND u.id = user_id FOR NO KEY UPDATE;');
END
$$;

GRANT EXECUTE ON FUNCTION
    app.shut_out_superseded(uuid, text, text, text),
    app.sign_out_others(uuid, uuid)
    TO tenantry_runtime;
RESET ROLE;
