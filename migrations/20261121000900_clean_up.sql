-- What is over goes, by `ops {"action":"clean_up"}`: sessions, their refresh
-- tokens, idempotency keys and counters. See docs/adr/0011-clean-up-role.md.

-- tenantry_maintenance never logs in and no policy is lifted for it but one: it
-- sees the ids of all tenants. Whoever migrates may take it on, and must: its
-- rights are not inherited. The runtime role may not.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tenantry_maintenance') THEN
        CREATE ROLE tenantry_maintenance NOLOGIN;
    END IF;
    EXECUTE format('GRANT tenantry_maintenance TO %I WITH INHERIT FALSE, SET TRUE', current_user);
END
$$;
GRANT USAGE ON SCHEMA public TO tenantry_maintenance;

SET LOCAL ROLE tenantry_owner;
GRANT USAGE ON SCHEMA app TO tenantry_maintenance;
CREATE POLICY maintenance ON tenants FOR SELECT TO tenantry_maintenance USING (true);
GRANT SELECT (id) ON tenants TO tenantry_maintenance;

ALTER TABLE sessions ADD COLUMN tokens_deleted boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN sessions.tokens_deleted IS
    'Set by the clean-up: the session is over and none of its refresh tokens is left. Keeps it from looking again.';
CREATE INDEX sessions_over ON sessions (tenant_id, tokens_deleted, over_at);
CREATE INDEX idempotency_keys_age ON idempotency_keys (tenant_id, created_at);
CREATE INDEX sign_in_attempts_age ON app.sign_in_attempts ((attempted_at[cardinality(attempted_at)]));
CREATE INDEX request_counts_age ON app.request_counts (ends_at);

-- Of what it deletes it reads keys and times: no token's hash, no address, no
-- stored answer. UPDATE of a column is what FOR UPDATE asks for; the policy
-- lets no row change its tenant.
GRANT SELECT (tenant_id, id, over_at, tokens_deleted), UPDATE (tokens_deleted), DELETE ON sessions TO tenantry_maintenance;
GRANT SELECT (tenant_id, session_id, generation), UPDATE (tenant_id), DELETE ON refresh_tokens TO tenantry_maintenance;
GRANT SELECT (tenant_id, user_id, action, key_hash, created_at), UPDATE (tenant_id), DELETE
   ON idempotency_keys TO tenantry_maintenance;

-- Enters the tenant and deletes up to `batch` rows of each kind that are over;
-- `more` says that there may be others. Runs with its caller's rights, under
-- row-level security like everything else. Never waits: a row that another
-- transaction holds is left for the next time.
--
-- Refresh tokens go as soon as their session is over: they are refused for its
-- sake from then on. Those of a session that is not over all stay, however old:
-- a token that was used and comes back ends its session, which it can only do
-- while its hash is here to know it by.
--
-- Sessions go 30 days after that, for those who look into the audit trail or
-- the list of sessions meanwhile; and not before their tokens, so that no
-- cascade makes a batch larger than it may be.
--
-- Idempotency keys go after 24 hours, and one minute for a request that was
-- told just before that its answer is stored and is about to read it.
CREATE FUNCTION app.clean_up(tenant uuid, batch integer)
    RETURNS TABLE (sessions integer, refresh_tokens integer, idempotency_keys integer, more boolean)
    LANGUAGE plpgsql VOLATILE ROWS 1
    -- The planner cannot know how small a batch is, and would rather read the
    -- whole table: by index, row after row.
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    over_now uuid[];
    marked integer;
BEGIN
    PERFORM app.enter_tenant(tenant);

    -- The session's row is what a refresh locks first: who holds it may be
    -- using the session in this moment.
    over_now := ARRAY(
        SELECT s.id FROM public.sessions s
         WHERE s.tenant_id = tenant AND NOT s.tokens_deleted AND s.over_at <= now()
         ORDER BY s.over_at LIMIT batch FOR UPDATE SKIP LOCKED);
    WITH doomed AS MATERIALIZED (
        SELECT r.session_id, r.generation FROM public.refresh_tokens r
         WHERE r.tenant_id = tenant AND r.session_id = ANY (over_now)
         LIMIT batch FOR UPDATE SKIP LOCKED)
    DELETE FROM public.refresh_tokens r USING doomed
     WHERE r.tenant_id = tenant AND r.session_id = doomed.session_id AND r.generation = doomed.generation;
    GET DIAGNOSTICS refresh_tokens = ROW_COUNT;
    UPDATE public.sessions s SET tokens_deleted = true
     WHERE s.tenant_id = tenant AND s.id = ANY (over_now) AND NOT EXISTS (
           SELECT FROM public.refresh_tokens r WHERE r.tenant_id = tenant AND r.session_id = s.id);
    GET DIAGNOSTICS marked = ROW_COUNT;

    WITH doomed AS MATERIALIZED (
        SELECT s.id FROM public.sessions s
         WHERE s.tenant_id = tenant AND s.tokens_deleted AND s.over_at <= now() - interval '30 days'
         ORDER BY s.over_at LIMIT batch FOR UPDATE SKIP LOCKED)
    DELETE FROM public.sessions s USING doomed WHERE s.tenant_id = tenant AND s.id = doomed.id;
    GET DIAGNOSTICS sessions = ROW_COUNT;

    WITH doomed AS MATERIALIZED (
        SELECT k.user_id, k.action, k.key_hash FROM public.idempotency_keys k
         WHERE k.tenant_id = tenant AND k.created_at < now() - interval '24 hours 1 minute'
         ORDER BY k.created_at LIMIT batch FOR UPDATE SKIP LOCKED)
    DELETE FROM public.idempotency_keys k USING doomed
     WHERE k.tenant_id = tenant AND k.user_id = doomed.user_id AND k.action = doomed.action
       AND k.key_hash = doomed.key_hash;
    GET DIAGNOSTICS idempotency_keys = ROW_COUNT;

    -- A full batch of sessions counts only where something came of it, or
    -- tokens that somebody holds would keep the caller busy.
    more := batch IN (refresh_tokens, sessions, idempotency_keys)
         OR (cardinality(over_now) = batch AND refresh_tokens + marked > 0);
    RETURN NEXT;
END
$$;

-- As before, now by the indexes above: oldest first.
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
    RETURN deleted + more;
END
$$;

GRANT EXECUTE ON FUNCTION app.enter_tenant(uuid), app.clean_up(uuid, integer), app.clean_up_attempts(integer)
    TO tenantry_maintenance;
RESET ROLE;
