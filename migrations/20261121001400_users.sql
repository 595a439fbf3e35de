-- Users, as an admin runs them: search, the rule of the last admin, and what
-- goes with a deleted one. See docs/USERS.md and docs/adr/0016-deleted-users.md.
SET LOCAL ROLE tenantry_owner;

-- A deleted user's row stays, since the audit trail and other rows name its id;
-- of the person it holds nothing. Its e-mail is its own id, which is no address:
-- nobody can sign in with it, and the address is free again.
ALTER TABLE users DROP CONSTRAINT users_status;
ALTER TABLE users ADD CONSTRAINT users_status CHECK (status IN ('active', 'inactive', 'deleted'));
ALTER TABLE users ADD CONSTRAINT users_deleted_are_nobody CHECK (
    status <> 'deleted'
    OR (email = id::text AND display_name = 'Deleted user' AND password_hash IS NULL AND last_login_at IS NULL));

-- A text as searches compare it: in lower case, by Unicode's own table and not
-- by the database's locale. And what no text that begins with `prefix` comes
-- after, but one that continues with a code point that nobody may use.
CREATE FUNCTION app.searched(value text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN lower(value COLLATE pg_c_utf8);
CREATE FUNCTION app.end_of_searched(prefix text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN app.searched(prefix) || chr(1114111);

-- A column, because row-level security lets an index be searched by what
-- cannot leak alone: comparisons of columns can, and lower() and LIKE are not
-- known to. (An e-mail is in lower case as it is.)
ALTER TABLE users ADD COLUMN display_name_searched text NOT NULL
    GENERATED ALWAYS AS (app.searched(display_name)) STORED;
CREATE INDEX users_by_email ON users (tenant_id, email text_pattern_ops);
CREATE INDEX users_by_display_name ON users (tenant_id, display_name_searched text_pattern_ops);
-- Whoever changes a user locks these.
CREATE INDEX users_active_admins ON users (tenant_id, id) WHERE role = 'admin' AND status = 'active';

-- Locks a user who is about to change, and says how it stands: no row where
-- there is none, or it was deleted. The one place that knows the last admin.
--
-- With it all active admins are locked, in the order of their ids: of two who
-- take the role from each other at once one waits here, and sees afterwards
-- what the other did. The caller is looked at again for the same reason: who
-- was shut out while it waited does nothing more.
CREATE FUNCTION app.user_for_change(target uuid)
    RETURNS TABLE (version bigint, role text, is_last_admin boolean)
    LANGUAGE plpgsql VOLATILE ROWS 1
AS $$
DECLARE
    tenant CONSTANT uuid := current_setting('app.tenant_id')::uuid;
BEGIN
    WITH locked AS MATERIALIZED (
        SELECT u.id, u.version, u.role, u.status = 'active' AND u.role = 'admin' AS is_admin
          FROM public.users u
         WHERE u.tenant_id = tenant
           AND (u.id = target AND u.status <> 'deleted' OR u.role = 'admin' AND u.status = 'active')
         ORDER BY u.id
           FOR NO KEY UPDATE)
    SELECT t.version, t.role,
           t.is_admin AND NOT EXISTS (SELECT FROM locked other WHERE other.is_admin AND other.id <> target)
      INTO version, role, is_last_admin
      FROM locked t WHERE t.id = target;
    PERFORM app.enter(tenant, current_setting('app.session_id')::uuid);
    IF version IS NOT NULL THEN
        RETURN NEXT;
    END IF;
END
$$;

-- Ends all sessions of a user, and says how many: as app.end_other_sessions,
-- whose rules hold here. No session has the nil UUID.
CREATE FUNCTION app.end_sessions(owner uuid) RETURNS bigint
    LANGUAGE sql VOLATILE
AS $$ SELECT app.end_other_sessions(owner, '00000000-0000-0000-0000-000000000000') $$;

-- Deletes a user who was locked by app.user_for_change, and returns its id. All
-- that is the user's own goes, and of the sessions, which stay for the clean-up,
-- where and with what they were used.
CREATE FUNCTION app.delete_user(target uuid, at timestamptz) RETURNS uuid
    LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    tenant CONSTANT uuid := current_setting('app.tenant_id')::uuid;
BEGIN
    -- The stronger lock waits for those who are adding a row of the user's.
    PERFORM FROM public.users u WHERE u.tenant_id = tenant AND u.id = target FOR UPDATE;
    UPDATE public.users u
       SET status = 'deleted', email = u.id::text, display_name = 'Deleted user', password_hash = NULL,
           last_login_at = NULL, version = u.version + 1, updated_at = at
     WHERE u.tenant_id = tenant AND u.id = target;
    PERFORM app.end_sessions(target);
    UPDATE public.sessions s SET user_agent = NULL, source_address = NULL
     WHERE s.tenant_id = tenant AND s.user_id = target;
    DELETE FROM public.idempotency_keys k WHERE k.tenant_id = tenant AND k.user_id = target;
    DELETE FROM public.todos t WHERE t.tenant_id = tenant AND t.owner_id = target;
    RETURN target;
END
$$;

-- For every table of what is one user's own: a request that entered before its
-- user was deleted adds nothing afterwards. Whoever adds a row waits for the
-- deletion by the same lock that its foreign key takes.
CREATE FUNCTION app.owner_lives() RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM FROM public.users u
      WHERE u.tenant_id = NEW.tenant_id AND u.id = NEW.owner_id AND u.status <> 'deleted' FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'session ended' USING ERRCODE = 'TN001';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER owner_lives BEFORE INSERT ON todos FOR EACH ROW EXECUTE FUNCTION app.owner_lives();

GRANT EXECUTE ON FUNCTION
    app.searched(text),
    app.end_of_searched(text),
    app.user_for_change(uuid),
    app.end_sessions(uuid),
    app.delete_user(uuid, timestamptz)
    TO tenantry_runtime;
RESET ROLE;
