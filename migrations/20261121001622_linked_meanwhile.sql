-- An admin may link an identity (POST /users) while a token of the same subject
-- is about to create its account. Whoever comes first wins: the admin is told
-- that the identity is taken, and the token finds the user that the admin made.
SET LOCAL ROLE tenantry_owner;

DO $$
DECLARE
    defined text := pg_get_functiondef('app.federated_user(text, text, timestamptz, text, text, boolean, text, text, uuid, uuid, timestamptz)'::regprocedure);
    first CONSTANT text := 'INSERT INTO public.users (tenant_id, id, email, display_name, role, created_at, updated_at)
             SELECT tenant';
    last CONSTANT text := 'VALUES (tenant, issuer, subject, new_user_id, asserted_at, at);';
BEGIN
    IF position(first IN defined) = 0 OR position(last IN defined) = 0 THEN
        RAISE EXCEPTION 'app.federated_user is not what this migration changes';
    END IF;
    defined := replace(defined, first, 'BEGIN
        ' || first);
    EXECUTE replace(defined, last, last || '
        EXCEPTION WHEN unique_violation THEN
            -- The account that was begun here is undone, and the other one is there to be seen.
            RETURN QUERY SELECT f.user_id, f.role, f.status, f.created, f.refused
              FROM app.federated_user(issuer, subject, asserted_at, stated_role, default_role, may_create, email,
                                      display_name, new_user_id, session_id, at) AS f;
            RETURN;
        END;');
END
$$;
RESET ROLE;
