-- Where a provider's users get accounts by themselves, a token that was issued
-- before its user was deleted here makes no new one. What deleted users leave
-- is a hash of who they were, until the last such token has expired. See
-- docs/adr/0016-deleted-users.md.
SET LOCAL ROLE tenantry_owner;

-- As before, and whether its subject was deleted since.
CREATE OR REPLACE FUNCTION app.is_outdated(issuer text, subject text, provider_session text, issued_at timestamptz)
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
               app.key_of_outdated('deleted', tenant, issuer, subject, NULL),
               app.key_of_outdated('logout', tenant, issuer, subject, NULL),
               app.key_of_outdated('logout', tenant, issuer, NULL, provider_session),
               app.key_of_outdated('logout', tenant, issuer, subject, provider_session)));
END
$$;

DO $$
DECLARE
    defined text := pg_get_functiondef('app.delete_user(uuid, timestamptz)'::regprocedure);
    gone CONSTANT text := 'DELETE FROM public.federated_identities f';
BEGIN
    IF position(gone IN defined) = 0 THEN
        RAISE EXCEPTION 'app.delete_user is not what this migration changes';
    END IF;
    EXECUTE replace(defined, gone, '-- The provider''s clock may be a minute ahead.
    PERFORM app.outdate_tokens(''deleted'', f.issuer, f.subject, NULL, at + interval ''1 minute'')
       FROM public.federated_identities f WHERE f.tenant_id = tenant AND f.user_id = target;
    ' || gone);
END
$$;

-- Asked once more when nobody was found: the user may have been deleted since
-- the token was admitted.
DO $$
DECLARE
    defined text := pg_get_functiondef('app.federated_user(text, text, timestamptz, text, text, boolean, text, text, uuid, uuid, timestamptz)'::regprocedure);
    created CONSTANT text := 'ELSIF user_id IS NULL THEN';
BEGIN
    IF position(created IN defined) = 0 THEN
        RAISE EXCEPTION 'app.federated_user is not what this migration changes';
    END IF;
    EXECUTE replace(defined, created, 'ELSIF user_id IS NULL AND app.is_outdated(issuer, subject, NULL, asserted_at) THEN
        refused := ''outdated'';
        RETURN NEXT;
        RETURN;
    ' || created);
END
$$;
RESET ROLE;
