-- The trail by months, in UTC: what is older than its retention goes by
-- dropping a table, and not by deleting rows. See docs/adr/0020-audit-retention.md.
SET LOCAL ROLE tenantry_owner;

-- Nobody writes or reads until the move is done. Policies bind the owner too:
-- it could move no row but of one tenant.
ALTER TABLE audit_events RENAME TO audit_events_before;
ALTER TABLE audit_events_before NO FORCE ROW LEVEL SECURITY;

-- A partitioned table's key must hold what it is partitioned by. That no seq is
-- there twice is the locked head's work, in app.audit_append, as before.
CREATE TABLE audit_events (
    LIKE audit_events_before INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS,
    CONSTRAINT audit_events_key PRIMARY KEY (tenant_id, seq, at),
    CONSTRAINT audit_events_tenant FOREIGN KEY (tenant_id) REFERENCES tenants (id)
) PARTITION BY RANGE (at);
ALTER TABLE audit_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_events FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit_events
    USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

-- What no month was made for: a forgotten schedule stops no one's work.
CREATE TABLE audit_events_default PARTITION OF audit_events DEFAULT;
ALTER TABLE audit_events_default ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_events_default FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit_events_default
    USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

DROP INDEX audit_events_of_actor, audit_events_of_object, audit_events_of_action, audit_events_refused, audit_events_at;
CREATE INDEX audit_events_of_actor ON audit_events (tenant_id, actor_id, seq);
CREATE INDEX audit_events_of_object ON audit_events (tenant_id, object_id, seq);
CREATE INDEX audit_events_of_action ON audit_events (tenant_id, action, seq);
CREATE INDEX audit_events_refused ON audit_events (tenant_id, outcome, seq) WHERE outcome <> 'success';
CREATE INDEX audit_events_at ON audit_events (tenant_id, at, seq);

-- The partition that begins with this month.
CREATE FUNCTION app.audit_partition_of(month timestamptz) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT 'audit_events_' || to_char(month AT TIME ZONE 'UTC', 'YYYY_MM') $$;

-- The partitions but the default one, oldest first.
CREATE FUNCTION app.audit_partitions() RETURNS TABLE (name text, starts_at timestamptz, ends_at timestamptz)
    LANGUAGE sql STABLE
AS $$
    SELECT p.name, p.starts_at, (p.starts_at AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC'
      FROM (SELECT c.relname::text AS name,
                   make_timestamptz(split_part(c.relname, '_', 3)::int, split_part(c.relname, '_', 4)::int, 1, 0, 0, 0, 'UTC') AS starts_at
              FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
             WHERE i.inhparent = 'public.audit_events'::regclass AND c.relname ~ '^audit_events_\d{4}_\d{2}$') AS p
     ORDER BY p.starts_at
$$;

-- Makes the months from this one to `months_ahead` later, and those that the
-- default partition holds records of, which move there. `left_over` is what
-- the default holds still: times that no clock of ours has told.
--
-- Runs as the owner, who makes tables. Policies bind the owner as well, so it
-- steps out of them for two tables that nobody else can reach meanwhile: the
-- default, which it has locked, and a month that is not there yet for others.
CREATE FUNCTION app.make_audit_partitions(months_ahead integer)
    RETURNS TABLE (made integer, moved bigint, left_over bigint)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = '' ROWS 1
AS $$
DECLARE
    this_month CONSTANT timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
    starts timestamp;
    name text;
    holds boolean;
    of_month bigint;
BEGIN
    -- One at a time, before any lock that others wait for.
    PERFORM pg_advisory_xact_lock(hashtext('audit_partitions'));
    made := 0;
    moved := 0;
    left_over := 0;
    -- An empty default has no page (see below): usually nothing is to be done,
    -- and nobody has to wait for it.
    IF pg_relation_size('public.audit_events_default') = 0 AND NOT EXISTS (
           SELECT FROM generate_series(0, least(months_ahead, 24)) AS n
            WHERE to_regclass('public.' || app.audit_partition_of(
                      (this_month + make_interval(months => n)) AT TIME ZONE 'UTC')) IS NULL) THEN
        RETURN NEXT;
        RETURN;
    END IF;
    LOCK TABLE public.audit_events_default IN ACCESS EXCLUSIVE MODE;
    ALTER TABLE public.audit_events_default NO FORCE ROW LEVEL SECURITY;
    FOR starts IN
        SELECT this_month + make_interval(months => n) FROM generate_series(0, least(months_ahead, 24)) AS n
         UNION
        SELECT DISTINCT date_trunc('month', d.at AT TIME ZONE 'UTC') FROM public.audit_events_default d
         WHERE d.at >= '2000-01-01Z' AND d.at < now() + interval '3 years'
         ORDER BY 1
    LOOP
        name := app.audit_partition_of(starts AT TIME ZONE 'UTC');
        CONTINUE WHEN to_regclass('public.' || name) IS NOT NULL;
        EXECUTE format('CREATE TABLE public.%I (LIKE public.audit_events INCLUDING ALL,'
                       ' FOREIGN KEY (tenant_id) REFERENCES public.tenants (id))', name);
        -- By attaching it filled, and not by filling it attached, the default is read once more and no more.
        EXECUTE format('WITH moving AS (DELETE FROM public.audit_events_default WHERE at >= $1 AND at < $2 RETURNING *)'
                       ' INSERT INTO public.%I SELECT * FROM moving', name)
          USING starts AT TIME ZONE 'UTC', (starts + interval '1 month') AT TIME ZONE 'UTC';
        GET DIAGNOSTICS of_month = ROW_COUNT;
        EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant ON public.%I USING (tenant_id = nullif(current_setting(''app.tenant_id'', true), '''')::uuid)', name);
        EXECUTE format('ALTER TABLE public.audit_events ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                       name, starts AT TIME ZONE 'UTC', (starts + interval '1 month') AT TIME ZONE 'UTC');
        made := made + 1;
        moved := moved + of_month;
    END LOOP;
    left_over := (SELECT count(*) FROM public.audit_events_default);
    IF left_over = 0 THEN
        TRUNCATE public.audit_events_default;
    END IF;
    ALTER TABLE public.audit_events_default FORCE ROW LEVEL SECURITY;
    RETURN NEXT;
END
$$;

ALTER TABLE audit_events_default NO FORCE ROW LEVEL SECURITY;
INSERT INTO audit_events_default (version, tenant_id, seq, at, action, outcome, reason, actor_id, session_id, object_id,
                                  source_address, request_id, details, prev_hash, hash)
     SELECT version, tenant_id, seq, at, action, outcome, reason, actor_id, session_id, object_id,
            source_address, request_id, details, prev_hash, hash
       FROM audit_events_before;
ALTER TABLE audit_events_default FORCE ROW LEVEL SECURITY;
DROP TABLE audit_events_before;
-- What the foreign key is still to look at hangs on the rows that move on now.
SET CONSTRAINTS ALL IMMEDIATE;
SELECT * FROM app.make_audit_partitions(3);

GRANT SELECT ON audit_events TO tenantry_runtime;
GRANT SELECT (version, tenant_id, seq, at, action, outcome, reason, actor_id, session_id, object_id, source_address,
              request_id, details, prev_hash, hash) ON audit_events TO tenantry_maintenance;
GRANT EXECUTE ON FUNCTION
    app.audit_partition_of(timestamptz), app.audit_partitions(), app.make_audit_partitions(integer)
    TO tenantry_maintenance;
RESET ROLE;
