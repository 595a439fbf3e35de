-- No change of a user takes the strongest lock on its row. A foreign key's
-- check holds that row too, and may come when its transaction has locked the
-- head of the trail already: each would have what the other one waits for.
SET LOCAL ROLE tenantry_owner;

-- An e-mail is unique by an index with a condition, which no foreign key can
-- refer to: so a change of it leaves those be that refer to the user by id.
ALTER TABLE users DROP CONSTRAINT users_email_key;
CREATE UNIQUE INDEX users_email_key ON users (tenant_id, email) WHERE status <> 'deleted';

-- What gave way to that constraint gives way to the index, by naming neither.
DO $$
DECLARE
    upsert regprocedure;
BEGIN
    FOR upsert IN SELECT p.oid FROM pg_proc p
                   WHERE p.pronamespace = 'app'::regnamespace AND p.prosrc LIKE '%ON CONSTRAINT users\_email\_key DO%' LOOP
        EXECUTE replace(pg_get_functiondef(upsert), 'ON CONFLICT ON CONSTRAINT users_email_key DO NOTHING',
                        'ON CONFLICT DO NOTHING');
    END LOOP;
END
$$;

-- Before the insert, and so before the trail's head: whoever adds a row waits
-- for a change of its owner here, or has it wait. What is no row of this tenant
-- is for row-level security and the foreign key to refuse.
CREATE OR REPLACE FUNCTION app.owner_lives() RETURNS trigger
    LANGUAGE plpgsql
AS $$
DECLARE
    owner_status text;
BEGIN
    SELECT u.status INTO owner_status FROM public.users u
     WHERE u.tenant_id = NEW.tenant_id AND u.id = NEW.owner_id FOR SHARE;
    IF owner_status = 'deleted' THEN
        RAISE EXCEPTION 'session ended' USING ERRCODE = 'TN001';
    END IF;
    RETURN NEW;
END
$$;
DROP TRIGGER owner_lives ON todos;
CREATE TRIGGER owner_lives BEFORE INSERT ON todos FOR EACH ROW EXECUTE FUNCTION app.owner_lives();

-- As before, without that lock: app.user_for_change has waited for those who
-- were adding something. And what a provider knows the user by.
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
    PERFORM app.end_sessions(target);
    UPDATE public.sessions s SET user_agent = NULL, source_address = NULL
     WHERE s.tenant_id = tenant AND s.user_id = target;
    -- A database may have come here before it had these: then the next lines
    -- are not even planned.
    IF to_regclass('public.federated_identities') IS NOT NULL THEN
        DELETE FROM public.federated_identities f WHERE f.tenant_id = tenant AND f.user_id = target;
        UPDATE public.sessions s SET issuer = NULL, subject = NULL, provider_session = NULL, end_session_url = NULL
         WHERE s.tenant_id = tenant AND s.user_id = target;
    END IF;
    DELETE FROM public.idempotency_keys k WHERE k.tenant_id = tenant AND k.user_id = target;
    DELETE FROM public.todos t WHERE t.tenant_id = tenant AND t.owner_id = target;
    RETURN target;
END
$$;

DO $$
BEGIN
    IF to_regclass('public.federated_identities') IS NOT NULL THEN
        GRANT DELETE ON federated_identities TO tenantry_runtime;
    END IF;
END
$$;

RESET ROLE;
