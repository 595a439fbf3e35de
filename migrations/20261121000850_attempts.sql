-- Lockout, rate limits, and a trail for sign-ins that name no tenant. The
-- counters stand in `app`, outside row-level security: they are kept by SHA-256
-- of what was attempted, also for tenants and accounts that do not exist, and
-- hold no tenant, no address and no e-mail. The runtime role reaches them
-- through the functions below alone. See docs/adr/0009-attempts-of-nobody.md.
SET LOCAL ROLE tenantry_owner;

-- `nobody`, the tenant with the nil UUID: its trail takes the refusals of
-- sign-ins whose tenant is unknown, by the same work as any tenant's. It is
-- suspended, can have no users, and its slug is none that a request can name.
ALTER TABLE tenants DROP CONSTRAINT tenants_slug_form;
ALTER TABLE tenants ADD CONSTRAINT tenants_slug_form CHECK (
    slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$' OR id = '00000000-0000-0000-0000-000000000000');
ALTER TABLE users ADD CONSTRAINT users_not_of_nobody CHECK (tenant_id <> '00000000-0000-0000-0000-000000000000');
SELECT set_config('app.tenant_id', '00000000-0000-0000-0000-000000000000', true);
INSERT INTO tenants (id, slug, name, status)
     VALUES ('00000000-0000-0000-0000-000000000000', '-nobody-', 'Nobody', 'suspended');
SELECT set_config('app.tenant_id', '', true);

-- The attempts at one account within 15 minutes that began no session, oldest
-- first; with the fifth it is locked for 15 minutes.
CREATE TABLE app.sign_in_attempts (
    key          bytea         PRIMARY KEY CONSTRAINT sign_in_attempts_key_length CHECK (octet_length(key) = 32),
    attempted_at timestamptz[] NOT NULL CONSTRAINT sign_in_attempts_five CHECK (cardinality(attempted_at) BETWEEN 1 AND 5)
) WITH (fillfactor = 50);

-- Requests of one source address in its current window. Unlogged: a window
-- lasts a minute, and what a crash loses is over before the database is back.
CREATE UNLOGGED TABLE app.request_counts (
    key     bytea       PRIMARY KEY CONSTRAINT request_counts_key_length CHECK (octet_length(key) = 32),
    count   integer     NOT NULL,
    ends_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Reserves an attempt before its password is looked at, and says which one of
-- five it is, or for how many seconds yet the account is locked. A locked
-- account's row stays as it is: who goes on trying does not extend the lock.
CREATE FUNCTION app.reserve_attempt(attempt bytea, at timestamptz)
    RETURNS TABLE (ordinal integer, locked_seconds integer)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = '' ROWS 1
AS $$
DECLARE
    since CONSTANT timestamptz := at - interval '15 minutes';
BEGIN
    -- Under the row's lock: of any number at once five come through.
    INSERT INTO app.sign_in_attempts AS a (key, attempted_at)
         VALUES (attempt, ARRAY[at])
    ON CONFLICT (key) DO UPDATE
        SET attempted_at = ARRAY(SELECT t FROM unnest(a.attempted_at) AS t WHERE t > since) || at
      WHERE cardinality(a.attempted_at) < 5 OR a.attempted_at[5] <= since
      RETURNING cardinality(a.attempted_at) INTO ordinal;
    IF ordinal IS NULL THEN
        SELECT greatest(1, ceil(extract(epoch FROM a.attempted_at[5] - since))) INTO locked_seconds
          FROM app.sign_in_attempts a WHERE a.key = attempt;
        -- Cleared in this moment, by a success.
        locked_seconds := coalesce(locked_seconds, 1);
    END IF;
    RETURN NEXT;
END
$$;

-- The counter of an account that a session began in, for that transaction.
CREATE FUNCTION app.clear_attempts(attempt bytea) RETURNS void
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$ DELETE FROM app.sign_in_attempts WHERE key = attempt $$;

-- Reserves an attempt and, unless the account is locked, enters the tenant of
-- this slug, or `nobody` where there is none: one row in every case.
CREATE FUNCTION app.begin_sign_in(attempt bytea, slug text, at timestamptz)
    RETURNS TABLE (tenant_id uuid, tenant_status text, ordinal integer, locked_seconds integer)
    LANGUAGE plpgsql VOLATILE ROWS 1
AS $$
DECLARE
    nobody CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
BEGIN
    SELECT r.ordinal, r.locked_seconds INTO ordinal, locked_seconds FROM app.reserve_attempt(attempt, at) AS r;
    IF ordinal IS NOT NULL THEN
        SELECT t.tenant_id, t.status INTO tenant_id, tenant_status FROM app.enter_slug(slug) AS t;
    END IF;
    IF tenant_id IS NULL THEN
        SELECT t.tenant_id, 'suspended' INTO tenant_id, tenant_status FROM app.enter_tenant(nobody) AS t;
    END IF;
    RETURN NEXT;
END
$$;

-- Counts one request in the window of its key, which began with the first.
CREATE FUNCTION app.count_request(request bytea, at timestamptz, window_seconds integer)
    RETURNS TABLE (count integer, resets_in_seconds integer)
    LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = '' ROWS 1
AS $$
    INSERT INTO app.request_counts AS c (key, count, ends_at)
         VALUES (request, 1, at + make_interval(secs => window_seconds))
    ON CONFLICT (key) DO UPDATE
        SET count = CASE WHEN c.ends_at > at THEN c.count + 1 ELSE 1 END,
            ends_at = CASE WHEN c.ends_at > at THEN c.ends_at ELSE excluded.ends_at END
      RETURNING c.count, greatest(1, ceil(extract(epoch FROM c.ends_at - at)))::integer
$$;

-- Deletes up to `batch` counters whose time is over, and says how many; a
-- minute late, for functions whose clock is behind. Rows in use are left.
CREATE FUNCTION app.clean_up_attempts(batch integer) RETURNS integer
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    late CONSTANT timestamptz := now() - interval '1 minute';
    deleted integer;
    more integer;
BEGIN
    DELETE FROM app.sign_in_attempts WHERE key IN (
        SELECT a.key FROM app.sign_in_attempts a
         WHERE a.attempted_at[cardinality(a.attempted_at)] <= late - interval '15 minutes'
         LIMIT batch FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS deleted = ROW_COUNT;
    DELETE FROM app.request_counts WHERE key IN (
        SELECT c.key FROM app.request_counts c WHERE c.ends_at <= late
         LIMIT batch - deleted FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS more = ROW_COUNT;
    RETURN deleted + more;
END
$$;

GRANT EXECUTE ON FUNCTION
    app.reserve_attempt(bytea, timestamptz),
    app.clear_attempts(bytea),
    app.begin_sign_in(bytea, text, timestamptz),
    app.count_request(bytea, timestamptz, integer),
    app.clean_up_attempts(integer)
    TO tenantry_runtime;
RESET ROLE;
