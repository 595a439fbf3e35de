-- A provider's logout holds for tokens of that session, or subject, which were
-- not seen here before it. See docs/adr/0013-bearer-tokens-of-providers.md.
SET LOCAL ROLE tenantry_owner;

-- Which tokens of a provider begin no session any more: those that were issued
-- up to `until`. It is known by a hash of whose they are and holds nothing of
-- the person, stands in `app`, outside row-level security, and is reached by
-- the two functions below alone, for the tenant that was entered.
CREATE TABLE app.outdated_tokens (
    key     bytea       PRIMARY KEY CONSTRAINT outdated_tokens_key_length CHECK (octet_length(key) = 32),
    until   timestamptz NOT NULL,
    ends_at timestamptz NOT NULL
);
COMMENT ON COLUMN app.outdated_tokens.ends_at IS
    'When the last of these tokens has expired: they live 60 minutes at most, and clocks stand a minute apart.';
CREATE INDEX outdated_tokens_age ON app.outdated_tokens (ends_at);

CREATE FUNCTION app.key_of_outdated(reason text, tenant uuid, issuer text, subject text, provider_session text)
    RETURNS bytea
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT sha256(convert_to(jsonb_build_array(reason, tenant, issuer, subject, provider_session)::text, 'UTF8'))
$$;

-- From now on tokens of `subject` in `provider_session` (null stands for any,
-- in one of the two) that were issued up to `until` begin nothing.
CREATE FUNCTION app.outdate_tokens(reason text, issuer text, subject text, provider_session text, until timestamptz)
    RETURNS void
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_variable
BEGIN
    INSERT INTO app.outdated_tokens AS o (key, until, ends_at)
         VALUES (app.key_of_outdated(reason, current_setting('app.tenant_id')::uuid, issuer, subject, provider_session),
                 until, until + interval '62 minutes')
    ON CONFLICT (key) DO UPDATE
        SET until = greatest(o.until, excluded.until), ends_at = greatest(o.ends_at, excluded.ends_at);
END
$$;

-- Whether a token that was issued then begins nothing any more.
CREATE FUNCTION app.is_outdated(issuer text, subject text, provider_session text, issued_at timestamptz)
    RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
#variable_conflict use_variable
DECLARE
    tenant CONSTANT uuid := current_setting('app.tenant_id')::uuid;
BEGIN
    RETURN EXISTS (
        SELECT FROM app.outdated_tokens o
         WHERE o.until >= issued_at AND o.key IN (
               app.key_of_outdated('logout', tenant, issuer, subject, NULL),
               app.key_of_outdated('logout', tenant, issuer, NULL, provider_session),
               app.key_of_outdated('logout', tenant, issuer, subject, provider_session)));
END
$$;

-- app.federated_user for a token of `provider_session`, which may be over. Whoever
-- begins a session and a logout of the issuer wait for each other, whichever
-- comes first: it ends what it finds, and what begins finds the logout. This
-- lock is the first of all but the provider's, which a logout does not take.
CREATE FUNCTION app.admitted_user(provider_session text, issuer text, subject text, asserted_at timestamptz,
                                  stated_role text, default_role text, may_create boolean, email text,
                                  display_name text, new_user_id uuid, session_id uuid, at timestamptz)
    RETURNS TABLE (user_id uuid, role text, status text, created boolean, refused text)
    LANGUAGE plpgsql VOLATILE ROWS 1
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM pg_advisory_xact_lock_shared(
        hashtextextended(concat_ws(' ', current_setting('app.tenant_id'), issuer), 1620));
    IF app.is_outdated(issuer, subject, provider_session, asserted_at) THEN
        created := false;
        refused := 'outdated';
        RETURN NEXT;
        RETURN;
    END IF;
    RETURN QUERY SELECT f.user_id, f.role, f.status, f.created, f.refused
      FROM app.federated_user(issuer, subject, asserted_at, stated_role, default_role, may_create, email,
                              display_name, new_user_id, session_id, at) AS f;
END
$$;

-- As before, and for the tokens that were not seen yet.
CREATE FUNCTION app.end_provider_sessions(provider uuid, issuer text, subject text, provider_session text,
                                          said_at timestamptz)
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_variable
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(concat_ws(' ', current_setting('app.tenant_id'), issuer), 1620));
    PERFORM app.outdate_tokens('logout', issuer, subject, provider_session, said_at);
    RETURN app.end_provider_sessions(provider, issuer, subject, provider_session);
END
$$;

-- app.begin_bearer_session, as it was but for whom it asks.
DO $$
DECLARE
    defined text;
    asked CONSTANT text := 'FROM app.federated_user(issuer,';
BEGIN
    SELECT pg_get_functiondef(p.oid) INTO STRICT defined FROM pg_proc p
     WHERE p.pronamespace = 'app'::regnamespace AND p.proname = 'begin_bearer_session';
    IF position(asked IN defined) = 0 THEN
        RAISE EXCEPTION 'app.begin_bearer_session is not what this migration changes';
    END IF;
    EXECUTE replace(defined, asked, 'FROM app.admitted_user(provider_session, issuer,');
END
$$;

-- As before, and what is said of tokens that have expired since.
CREATE OR REPLACE FUNCTION app.clean_up_attempts(batch integer) RETURNS integer
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    late CONSTANT timestamptz := now() - interval '1 minute';
    deleted integer;
    more integer;
BEGIN
    DELETE FROM app.sign_in_attempts WHERE key = ANY (ARRAY(
        SELECT a.key FROM app.sign_in_attempts a
         WHERE a.attempted_at[cardinality(a.attempted_at)] <= late - interval '15 minutes'
         ORDER BY a.attempted_at[cardinality(a.attempted_at)] LIMIT batch FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS deleted = ROW_COUNT;
    DELETE FROM app.request_counts WHERE key = ANY (ARRAY(
        SELECT c.key FROM app.request_counts c WHERE c.ends_at <= late
         ORDER BY c.ends_at LIMIT batch - deleted FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS more = ROW_COUNT;
    deleted := deleted + more;
    DELETE FROM app.outdated_tokens WHERE key = ANY (ARRAY(
        SELECT o.key FROM app.outdated_tokens o WHERE o.ends_at <= late
         ORDER BY o.ends_at LIMIT batch - deleted FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS more = ROW_COUNT;
    RETURN deleted + more;
END
$$;

GRANT EXECUTE ON FUNCTION
    app.key_of_outdated(text, uuid, text, text, text),
    app.outdate_tokens(text, text, text, text, timestamptz),
    app.is_outdated(text, text, text, timestamptz),
    app.admitted_user(text, text, text, timestamptz, text, text, boolean, text, text, uuid, uuid, timestamptz),
    app.end_provider_sessions(uuid, text, text, text, timestamptz)
    TO tenantry_runtime;
RESET ROLE;
