-- Who a user is at an identity provider, and which sessions are a provider's.
-- See docs/adr/0013-bearer-tokens-of-providers.md.
SET LOCAL ROLE tenantry_owner;

-- A person is an issuer's subject and nothing else: an e-mail may be given to
-- somebody else, at the provider or here. Subjects are compared letter by letter.
CREATE TABLE federated_identities (
    tenant_id   uuid        NOT NULL,
    issuer      text        NOT NULL CONSTRAINT federated_identities_issuer_length CHECK (char_length(issuer) BETWEEN 1 AND 500),
    subject     text        NOT NULL CONSTRAINT federated_identities_subject_length CHECK (char_length(subject) BETWEEN 1 AND 255),
    user_id     uuid        NOT NULL,
    asserted_at timestamptz NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, issuer, subject),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
COMMENT ON COLUMN federated_identities.asserted_at IS
    'When the newest token was issued that was accepted: what an older one says of the role is out of date.';
CREATE INDEX federated_identities_of_user ON federated_identities (tenant_id, user_id);
ALTER TABLE federated_identities ENABLE ROW LEVEL SECURITY;
ALTER TABLE federated_identities FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON federated_identities
    USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

ALTER TABLE sessions
    ADD COLUMN provider_id      uuid,
    ADD COLUMN issuer           text,
    ADD COLUMN subject          text,
    ADD COLUMN provider_session text CONSTRAINT sessions_provider_session_length CHECK (char_length(provider_session) <= 255),
    ADD COLUMN end_session_url  text CONSTRAINT sessions_end_session_url_length CHECK (char_length(end_session_url) <= 4000),
    ADD COLUMN bearer_key       bytea CONSTRAINT sessions_bearer_key_length CHECK (octet_length(bearer_key) = 32),
    ADD COLUMN superseded       boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT sessions_federated CHECK ((issuer IS NULL) = (subject IS NULL));
COMMENT ON COLUMN sessions.provider_id IS
    'The tenant''s provider; null for a deployment-wide one, and for a session that a password began.';
COMMENT ON COLUMN sessions.provider_session IS 'What the provider calls it (sid).';
COMMENT ON COLUMN sessions.end_session_url IS 'Where the browser is sent to end it at the provider too.';
COMMENT ON COLUMN sessions.bearer_key IS
    'Of a session of provider''s access tokens: the SHA-256 of what its tokens have in common. Null for a sign-in.';
COMMENT ON COLUMN sessions.superseded IS
    'Ended by a change of role or of the provider''s settings: its tokens may begin another one, by today''s rules.';
-- Whoever was signed out stays out: a row that nobody superseded keeps its key for itself.
CREATE UNIQUE INDEX sessions_bearer_key ON sessions (tenant_id, bearer_key) WHERE NOT superseded;
CREATE INDEX sessions_of_provider ON sessions (tenant_id, provider_id) WHERE ended_at IS NULL AND provider_id IS NOT NULL;
CREATE INDEX sessions_of_subject ON sessions (tenant_id, issuer, subject) WHERE ended_at IS NULL AND issuer IS NOT NULL;
CREATE INDEX sessions_of_provider_session ON sessions (tenant_id, issuer, provider_session)
    WHERE ended_at IS NULL AND provider_session IS NOT NULL;

-- Finds or creates the user that a provider speaks of, in the tenant that was
-- entered, for a token that was verified. `refused` is null, or says why not:
--   no_tenant  there is no such tenant               (TEN_003, in the trail of nobody)
--   suspended  the tenant is suspended               (TEN_004)
--   unknown    nobody, and `may_create` is false     (AUTH_005: as an account that does not exist)
--   inactive   the user may not use the API          (AUTH_006 for a token, AUTH_005 at a sign-in)
--   outdated   another role than the user's, said before what was accepted since  (AUTH_006)
--   last_admin another role for the last active admin                             (PERM_001)
--
-- `stated_role` is what role_claim and role_map give, or null where no
-- role_claim is read; then the role of users counts and is left alone. A stated
-- role that differs becomes the user's, and ends the user's sessions but
-- `session_id`, which is about to begin. The last active admin is refused: to
-- take the role would leave a tenant that nobody can administer, on the word
-- of a group's list; to leave it would let somebody act in a role that the
-- provider withdrew. It passes once the tenant has another admin.
--
-- An e-mail is a way to write to somebody. One that is taken, absent or no
-- address is replaced by `<user id>@federated.invalid`, and nobody is found by it.
-- A creation and a change of role are recorded with the user as actor.
CREATE FUNCTION app.federated_user(issuer text, subject text, asserted_at timestamptz, stated_role text,
                                   default_role text, may_create boolean, email text, display_name text,
                                   new_user_id uuid, session_id uuid, at timestamptz)
    RETURNS TABLE (user_id uuid, role text, status text, created boolean, refused text)
    LANGUAGE plpgsql VOLATILE ROWS 1
AS $$
#variable_conflict use_variable
DECLARE
    tenant CONSTANT uuid := current_setting('app.tenant_id')::uuid;
    address text := lower(trim(email));
    shown text := left(trim(display_name), 200);
    tenant_status text;
    known_at timestamptz;
BEGIN
    created := false;
    SELECT t.status INTO tenant_status FROM public.tenants t WHERE t.id = tenant;
    IF tenant_status IS DISTINCT FROM 'active' THEN
        refused := CASE WHEN tenant_status IS NULL THEN 'no_tenant' ELSE 'suspended' END;
        RETURN NEXT;
        RETURN;
    END IF;

    -- Twice at most: first without a lock, then as the one who may create.
    FOR attempt IN 1..2 LOOP
        SELECT f.user_id, f.asserted_at, u.role, u.status INTO user_id, known_at, role, status
          FROM public.federated_identities f
          JOIN public.users u ON u.tenant_id = f.tenant_id AND u.id = f.user_id
         WHERE f.tenant_id = tenant AND f.issuer = issuer AND f.subject = subject;
        EXIT WHEN user_id IS NOT NULL OR NOT may_create OR attempt = 2;
        PERFORM pg_advisory_xact_lock(hashtextextended(concat_ws(' ', tenant, issuer, subject), 1300));
    END LOOP;

    IF user_id IS NULL AND NOT may_create THEN
        refused := 'unknown';
        RETURN NEXT;
        RETURN;
    ELSIF user_id IS NULL THEN
        user_id := new_user_id;
        role := coalesce(stated_role, default_role);
        status := 'active';
        created := true;
        IF address !~ '^[^@[:space:]]+@[^@[:space:]]+$' OR char_length(address) > 254 THEN
            address := NULL;
        END IF;
        shown := coalesce(nullif(shown, ''), left(address, 200), 'Federated user');
        INSERT INTO public.users (tenant_id, id, email, display_name, role, created_at, updated_at)
             SELECT tenant, new_user_id, address, shown, role, at, at WHERE address IS NOT NULL
        ON CONFLICT ON CONSTRAINT users_email_key DO NOTHING;
        IF NOT FOUND THEN
            INSERT INTO public.users (tenant_id, id, email, display_name, role, created_at, updated_at)
                 VALUES (tenant, new_user_id, new_user_id || '@federated.invalid', shown, role, at, at);
        END IF;
        INSERT INTO public.federated_identities (tenant_id, issuer, subject, user_id, asserted_at, created_at)
             VALUES (tenant, issuer, subject, new_user_id, asserted_at, at);
        PERFORM app.audit_append('users.create', 'success', 'just_in_time', new_user_id, session_id, new_user_id,
                                 nullif(current_setting('app.source_address', true), ''),
                                 nullif(current_setting('app.request_id', true), ''));
        RETURN NEXT;
        RETURN;
    ELSIF status <> 'active' THEN
        refused := 'inactive';
        RETURN NEXT;
        RETURN;
    ELSIF stated_role <> role THEN
        -- All active admins with the user, in the order of their ids: of two
        -- who lose the role at once the second sees what became of the first.
        PERFORM FROM public.users u
          WHERE u.tenant_id = tenant AND (u.id = user_id OR u.role = 'admin' AND u.status = 'active')
          ORDER BY u.id FOR NO KEY UPDATE;
        SELECT f.asserted_at, u.role, u.status INTO known_at, role, status
          FROM public.federated_identities f
          JOIN public.users u ON u.tenant_id = f.tenant_id AND u.id = f.user_id
         WHERE f.tenant_id = tenant AND f.issuer = issuer AND f.subject = subject AND f.user_id = user_id;
        IF status IS DISTINCT FROM 'active' THEN
            refused := 'inactive';
        ELSIF stated_role = role THEN
            NULL;
        ELSIF asserted_at < known_at THEN
            refused := 'outdated';
        ELSIF role = 'admin' AND NOT EXISTS (
                  SELECT FROM public.users u
                   WHERE u.tenant_id = tenant AND u.role = 'admin' AND u.status = 'active' AND u.id <> user_id) THEN
            refused := 'last_admin';
        ELSE
            UPDATE public.users u SET role = stated_role, version = u.version + 1, updated_at = at
             WHERE u.tenant_id = tenant AND u.id = user_id;
            UPDATE public.sessions s SET superseded = true
             WHERE s.tenant_id = tenant AND s.user_id = user_id AND s.id <> session_id AND s.ended_at IS NULL
               AND s.bearer_key IS NOT NULL;
            PERFORM app.end_other_sessions(user_id, session_id);
            -- Before the trail's head is locked, which comes last.
            UPDATE public.federated_identities f SET asserted_at = asserted_at
             WHERE f.tenant_id = tenant AND f.issuer = issuer AND f.subject = subject;
            PERFORM app.audit_append('users.update', 'success', 'role_claim', user_id, session_id, user_id,
                                     nullif(current_setting('app.source_address', true), ''),
                                     nullif(current_setting('app.request_id', true), ''));
            role := stated_role;
        END IF;
    END IF;
    IF refused IS NULL AND asserted_at > known_at THEN
        UPDATE public.federated_identities f SET asserted_at = greatest(f.asserted_at, asserted_at)
         WHERE f.tenant_id = tenant AND f.issuer = issuer AND f.subject = subject;
    END IF;
    RETURN NEXT;
END
$$;

GRANT SELECT, INSERT, UPDATE ON federated_identities TO tenantry_runtime;
GRANT EXECUTE ON FUNCTION
    app.federated_user(text, text, timestamptz, text, text, boolean, text, text, uuid, uuid, timestamptz)
    TO tenantry_runtime;
RESET ROLE;
