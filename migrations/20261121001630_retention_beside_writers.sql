-- The retention holds up nobody for long, and has nobody refused (L3): a writer
-- waits for a lock for three seconds, and is the one that Postgres ends where two
-- wait for each other and it was the first to wait for a second. See
-- docs/adr/0020-audit-retention.md, "Locks".
SET LOCAL ROLE tenantry_owner;

-- As before; but whether all is exported is looked at while only readers wait,
-- in as many steps as the month has tenants, whatever it holds. Then comes what
-- holds up everybody: the foreign key goes with the table, so `tenants` is locked,
-- and first, since a writer has read it when it comes to the trail. Null where
-- the month is gone: of two runs at once the other one was faster.
CREATE OR REPLACE FUNCTION app.drop_audit_partition(name text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    tenant uuid;
    first_seq bigint;
    last_seq bigint;
    dropped bigint := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('audit_partitions'));
    -- Below deadlock_timeout: who gives way is this, and never a writer.
    PERFORM set_config('lock_timeout', '500ms', true);
    IF name ~ '^audit_events_\d{4}_\d{2}$' AND to_regclass('public.' || name) IS NULL THEN
        RETURN NULL;
    END IF;
    IF NOT EXISTS (SELECT FROM app.audit_partitions() p
                    WHERE p.name = drop_audit_partition.name AND p.ends_at <= now()) THEN
        RAISE EXCEPTION '% is no month that is over', name USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    EXECUTE format('ALTER TABLE public.%I NO FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('SELECT tenant_id FROM public.%I ORDER BY tenant_id, seq LIMIT 1', name) INTO tenant;
    WHILE tenant IS NOT NULL LOOP
        EXECUTE format('SELECT min(seq), max(seq) FROM public.%I WHERE tenant_id = $1', name)
           INTO first_seq, last_seq USING tenant;
        -- The policy of the anchors shows those of one tenant.
        PERFORM set_config('app.tenant_id', tenant::text, true);
        IF NOT EXISTS (SELECT FROM public.audit_anchors a WHERE a.tenant_id = tenant AND a.seq >= last_seq) THEN
            RAISE EXCEPTION '% has records of % that are not exported', name, tenant
                  USING ERRCODE = 'object_not_in_prerequisite_state';
        END IF;
        -- No seq is missing in what was exported.
        dropped := dropped + last_seq - first_seq + 1;
        EXECUTE format('SELECT tenant_id FROM public.%I WHERE tenant_id > $1 ORDER BY tenant_id, seq LIMIT 1', name)
           INTO tenant USING tenant;
    END LOOP;
    PERFORM set_config('app.tenant_id', '', true);
    LOCK TABLE public.tenants IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('ALTER TABLE public.audit_events DETACH PARTITION public.%I', name);
    EXECUTE format('DROP TABLE public.%I', name);
    RETURN dropped;
END
$$;

-- As before; but of what the default partition holds, it moves so much only as is
-- moved in the time that a writer waits. A month of more stays there, where it is
-- written and read like any other, and is `left_over`. Whoever knows that nobody is
-- at work may move it: SET app.most_moved, to more than the 20,000 of here. Of a
-- default that is larger than so many would be, nothing is even looked at: that
-- takes the same locks; `left_over` is an estimate then. No month after
-- `oldest_left` may go before: what is left of a chain is its end.
DROP FUNCTION app.make_audit_partitions(integer);
CREATE FUNCTION app.make_audit_partitions(months_ahead integer)
    RETURNS TABLE (made integer, moved bigint, left_over bigint, oldest_left timestamptz)
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = '' ROWS 1
AS $$
DECLARE
    this_month CONSTANT timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
    most CONSTANT bigint := coalesce(nullif(current_setting('app.most_moved', true), '')::bigint, 20000);
    starts timestamp;
    name text;
    of_month bigint;
BEGIN
    -- One at a time, before any lock that others wait for.
    PERFORM pg_advisory_xact_lock(hashtext('audit_partitions'));
    PERFORM set_config('lock_timeout', '500ms', true);
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
    IF pg_relation_size('public.audit_events_default') > most * 1600 THEN
        left_over := (SELECT greatest(c.reltuples::bigint, 1) FROM pg_catalog.pg_class c
                       WHERE c.oid = 'public.audit_events_default'::regclass);
        oldest_left := 'epoch';
        RETURN NEXT;
        RETURN;
    END IF;
    -- A month's foreign key takes it, and a writer has read it when it comes to the trail.
    LOCK TABLE public.tenants IN ACCESS EXCLUSIVE MODE;
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
        CONTINUE WHEN moved + (
            SELECT count(*) FROM (SELECT FROM public.audit_events_default d
                                   WHERE d.at >= starts AT TIME ZONE 'UTC'
                                     AND d.at < (starts + interval '1 month') AT TIME ZONE 'UTC' LIMIT most + 1) AS held) > most;
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
    SELECT count(*), min(d.at) INTO left_over, oldest_left FROM public.audit_events_default d;
    IF left_over = 0 THEN
        TRUNCATE public.audit_events_default;
    END IF;
    ALTER TABLE public.audit_events_default FORCE ROW LEVEL SECURITY;
    RETURN NEXT;
END
$$;
GRANT EXECUTE ON FUNCTION app.make_audit_partitions(integer) TO tenantry_maintenance;
RESET ROLE;
