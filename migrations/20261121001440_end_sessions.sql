-- Sessions of a provider's access tokens are superseded by a change of role and
-- by a deactivation: the same tokens may begin another one by today's rules,
-- which are the new role, and none while the user is inactive. A deletion
-- supersedes none: whoever was deleted does not come back by an old token.
SET LOCAL ROLE tenantry_owner;

-- Ends all sessions of a user, and says how many: as app.end_other_sessions,
-- whose rules hold here. No session has the nil UUID.
CREATE OR REPLACE FUNCTION app.end_sessions(owner uuid) RETURNS bigint
    LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    tenant CONSTANT uuid := current_setting('app.tenant_id')::uuid;
BEGIN
    UPDATE public.sessions s SET superseded = true
     WHERE s.tenant_id = tenant AND s.user_id = owner AND s.ended_at IS NULL AND s.bearer_key IS NOT NULL;
    RETURN app.end_other_sessions(owner, '00000000-0000-0000-0000-000000000000');
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
    PERFORM app.end_other_sessions(target, '00000000-0000-0000-0000-000000000000');
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

RESET ROLE;
