-- What may be used once, over all execution environments: the state of a
-- sign-in at an identity provider, and the logout tokens of one (`jti`). It is
-- kept by its SHA-256 until its time is over, and belongs to no tenant, since a
-- sign-in's tenant may not be known yet: it stands in `app`, outside row-level
-- security, and the runtime role reaches it through the function below alone.
-- See docs/adr/0014-sign-in-flow.md.
SET LOCAL ROLE tenantry_owner;

CREATE TABLE app.used_once (
    key     bytea       PRIMARY KEY CONSTRAINT used_once_key_length CHECK (octet_length(key) = 32),
    ends_at timestamptz NOT NULL
);
CREATE INDEX used_once_age ON app.used_once (ends_at);

-- Whether this is the first use of `thing`, which nobody accepts after `until`.
-- Of two at once the second waits for what becomes of the first one's
-- transaction.
CREATE FUNCTION app.use_once(thing bytea, at timestamptz, until timestamptz) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    first boolean;
BEGIN
    INSERT INTO app.used_once (key, ends_at) VALUES (thing, until) ON CONFLICT (key) DO NOTHING;
    first := FOUND;
    -- In passing, what is over; a minute late, for functions whose clock is behind.
    DELETE FROM app.used_once WHERE key = ANY (ARRAY(
        SELECT u.key FROM app.used_once u WHERE u.ends_at < at - interval '1 minute'
         ORDER BY u.ends_at LIMIT 10 FOR UPDATE SKIP LOCKED));
    RETURN first;
END
$$;

GRANT EXECUTE ON FUNCTION app.use_once(bytea, timestamptz, timestamptz) TO tenantry_runtime;

-- Ends the live sessions, of the tenant that was entered, that a provider says
-- are over: those that it calls `provider_session`, or else all of `subject`
-- (where both are said, both must fit). Sign-ins and bearer tokens are alike.
-- Each end has its record; so has a logout that found nothing to end.
CREATE FUNCTION app.end_provider_sessions(provider uuid, issuer text, subject text, provider_session text)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_variable
DECLARE
    tenant CONSTANT uuid := current_setting('app.tenant_id')::uuid;
    ended uuid[];
    owners uuid[];
BEGIN
    -- Who ends several sessions of a user locks that user's row before them.
    PERFORM FROM public.users u
      WHERE u.tenant_id = tenant AND u.id IN (
            SELECT s.user_id FROM public.sessions s
             WHERE s.tenant_id = tenant AND s.issuer = issuer AND s.ended_at IS NULL
               AND s.provider_id IS NOT DISTINCT FROM provider
               AND (provider_session IS NULL OR s.provider_session = provider_session)
               AND (subject IS NULL OR s.subject = subject))
      ORDER BY u.id FOR NO KEY UPDATE;
    WITH over AS (
        UPDATE public.sessions s SET ended_at = now()
         WHERE s.tenant_id = tenant AND s.issuer = issuer AND s.ended_at IS NULL
           AND s.provider_id IS NOT DISTINCT FROM provider
           AND (provider_session IS NULL OR s.provider_session = provider_session)
           AND (subject IS NULL OR s.subject = subject)
           AND (provider_session IS NOT NULL OR subject IS NOT NULL)
        RETURNING s.id, s.user_id)
    SELECT array_agg(o.id ORDER BY o.id), array_agg(o.user_id ORDER BY o.id) INTO ended, owners FROM over o;
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
GRANT EXECUTE ON FUNCTION app.end_provider_sessions(uuid, text, text, text) TO tenantry_runtime;
RESET ROLE;
