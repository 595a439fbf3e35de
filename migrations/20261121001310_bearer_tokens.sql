-- Access tokens of identity providers: whose provider a token names, and the
-- session that its tokens share. See docs/adr/0013-bearer-tokens-of-providers.md.
SET LOCAL ROLE tenantry_owner;

-- Which issuers anybody has registered, by SHA-256, and which claim of theirs
-- names the tenant; not who. It tells an issuer that speaks for somebody else
-- (TEN_003, once its signature was found good) from one that nobody knows
-- (AUTH_001, and not one call to it).
CREATE TABLE app.registered_issuers (
    issuer       bytea NOT NULL CONSTRAINT registered_issuers_issuer_length CHECK (octet_length(issuer) = 32),
    provider_id  uuid  NOT NULL,
    tenant_claim text  NOT NULL,
    PRIMARY KEY (issuer, provider_id)
);

CREATE FUNCTION app.register_issuer() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM app.registered_issuers r
         WHERE r.issuer = sha256(convert_to(OLD.issuer, 'UTF8')) AND r.provider_id = OLD.id;
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.status = 'active' THEN
        INSERT INTO app.registered_issuers VALUES (sha256(convert_to(NEW.issuer, 'UTF8')), NEW.id, NEW.tenant_claim);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER register_issuer AFTER INSERT OR UPDATE OR DELETE ON identity_providers
    FOR EACH ROW EXECUTE FUNCTION app.register_issuer();

-- Those that were there before. The owner sees them all for this statement.
ALTER TABLE identity_providers NO FORCE ROW LEVEL SECURITY;
INSERT INTO app.registered_issuers
     SELECT sha256(convert_to(issuer, 'UTF8')), id, tenant_claim FROM identity_providers WHERE status = 'active';
ALTER TABLE identity_providers FORCE ROW LEVEL SECURITY;

-- The claims by which an issuer names tenants, wherever it is registered: none
-- where it is not.
CREATE FUNCTION app.claims_of_issuer(hashed bytea) RETURNS text[]
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''
AS $$
    SELECT coalesce(array_agg(DISTINCT r.tenant_claim), '{}') FROM app.registered_issuers r WHERE r.issuer = hashed
$$;

-- The active providers with this issuer of the tenants that a token may mean:
-- `claims[n]` names `tenants[n]`, and must be what that tenant's provider is
-- configured to read. Nothing of the token was verified. Where there is none,
-- one row that says by which claims the issuer is registered elsewhere.
CREATE FUNCTION app.bearer_providers(issuer text, claims text[], tenants uuid[])
    RETURNS TABLE (tenant_id uuid, provider jsonb, registered text[])
    LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_variable
BEGIN
    FOR n IN 1..cardinality(tenants) LOOP
        PERFORM app.enter_tenant(tenants[n]);
        SELECT p.tenant_id, to_jsonb(p) - 'client_secret_ciphertext' INTO tenant_id, provider
          FROM public.identity_providers p
         WHERE p.tenant_id = tenants[n] AND p.issuer = issuer AND p.tenant_claim = claims[n] AND p.status = 'active';
        IF FOUND THEN
            RETURN NEXT;
        END IF;
    END LOOP;
    PERFORM set_config('app.tenant_id', '', true);
    tenant_id := NULL;
    provider := NULL;
    registered := app.claims_of_issuer(sha256(convert_to(issuer, 'UTF8')));
    RETURN NEXT;
END
$$;

-- The session of a provider's access token that was verified, which is begun
-- with the first of the tokens that share `key`, and lives as long as the one
-- that lives longest. `refused` is as in app.federated_user, or
--   changed  provider or user became another while the token was checked (ask anew)
--   ended    the session was ended                             (AUTH_006)
-- An ended session is never taken up again. One that was superseded makes room
-- for another, with an id of its own: what an environment remembers of the old
-- one is refused there.
--
-- Locks: the provider, then what app.federated_user locks, then the user, then the session.
CREATE FUNCTION app.begin_bearer_session(tenant uuid, action text, request_id text, source_address text, user_agent text,
                                         provider_id uuid, provider_version bigint, issuer text, subject text,
                                         provider_session text, key bytea, asserted_at timestamptz,
                                         expires_at timestamptz, stated_role text, default_role text,
                                         may_create boolean, email text, display_name text, new_user_id uuid,
                                         new_session_id uuid, at timestamptz)
    RETURNS TABLE (session_id uuid, user_id uuid, role text, refused text)
    LANGUAGE plpgsql VOLATILE ROWS 1
AS $$
#variable_conflict use_variable
DECLARE
    status text;
    created boolean;
BEGIN
    PERFORM app.enter_tenant(tenant), app.describe_request(action, request_id, source_address);
    IF provider_id IS NOT NULL THEN
        -- Whoever changes it waits until the session stands, and ends it then.
        PERFORM FROM public.identity_providers p
          WHERE p.tenant_id = tenant AND p.id = provider_id AND p.version = provider_version AND p.status = 'active'
            FOR SHARE;
        IF NOT FOUND THEN
            refused := 'changed';
            RETURN NEXT;
            RETURN;
        END IF;
    END IF;
    -- Before the user is looked at: whoever signed out changes nothing any more.
    PERFORM FROM public.sessions s
      WHERE s.tenant_id = tenant AND s.bearer_key = key AND NOT s.superseded AND s.ended_at IS NOT NULL;
    IF FOUND THEN
        refused := 'ended';
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT f.user_id, f.role, f.status, f.created, f.refused INTO user_id, role, status, created, refused
      FROM app.federated_user(issuer, subject, asserted_at, stated_role, default_role, may_create, email,
                              display_name, new_user_id, new_session_id, at) AS f;
    IF refused IS NULL THEN
        -- Whoever takes the role away, or shuts the user out, waits likewise.
        PERFORM FROM public.users u
          WHERE u.tenant_id = tenant AND u.id = user_id AND u.role = role AND u.status = 'active' FOR SHARE;
        IF NOT FOUND THEN
            refused := 'changed';
        END IF;
    END IF;
    IF refused IS NULL THEN
        INSERT INTO public.sessions AS s (tenant_id, id, user_id, created_at, last_used_at, expires_at, user_agent,
                                          source_address, provider_id, issuer, subject, provider_session, bearer_key)
             VALUES (tenant, new_session_id, user_id, at, at, expires_at, user_agent, nullif(source_address, ''),
                     provider_id, issuer, subject, provider_session, key)
        ON CONFLICT (tenant_id, bearer_key) WHERE NOT superseded DO UPDATE
            SET last_used_at = greatest(s.last_used_at, at), expires_at = greatest(s.expires_at, excluded.expires_at)
          WHERE s.ended_at IS NULL AND s.user_id = excluded.user_id
          RETURNING s.id INTO session_id;
        IF session_id IS NULL THEN
            refused := 'ended';
        END IF;
    END IF;
    RETURN NEXT;
END
$$;

-- Ends the sessions of a provider that is no longer trusted as it was, and says
-- how many. Called by whoever has locked it.
CREATE FUNCTION app.end_provider_sessions(provider uuid) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    tenant CONSTANT uuid := current_setting('app.tenant_id')::uuid;
    ended bigint;
BEGIN
    PERFORM FROM public.users u
      WHERE u.tenant_id = tenant AND u.id IN (
            SELECT s.user_id FROM public.sessions s
             WHERE s.tenant_id = tenant AND s.provider_id = provider AND s.ended_at IS NULL)
      ORDER BY u.id FOR NO KEY UPDATE;
    UPDATE public.sessions s SET ended_at = now(), superseded = s.bearer_key IS NOT NULL
     WHERE s.tenant_id = tenant AND s.provider_id = provider AND s.ended_at IS NULL;
    GET DIAGNOSTICS ended = ROW_COUNT;
    RETURN ended;
END
$$;

GRANT EXECUTE ON FUNCTION
    app.claims_of_issuer(bytea),
    app.bearer_providers(text, text[], uuid[]),
    app.begin_bearer_session(uuid, text, text, text, text, uuid, bigint, text, text, text, bytea, timestamptz,
                             timestamptz, text, text, boolean, text, text, uuid, uuid, timestamptz),
    app.end_provider_sessions(uuid)
    TO tenantry_runtime;
RESET ROLE;
