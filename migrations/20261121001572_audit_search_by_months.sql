-- The search of `GET /audit/events`, as before, but first in this month and the
-- one before it: the usual page plans, locks and reads no other.
SET LOCAL ROLE tenantry_owner;

CREATE OR REPLACE FUNCTION app.audit_search(tenant uuid, of_actor uuid, of_action text, of_outcome text, of_object uuid,
                                 from_time timestamptz, to_time timestamptz, before_seq bigint, most bigint)
    RETURNS TABLE (version smallint, tenant_id uuid, seq bigint, at timestamptz, action text, outcome text, reason text,
                   actor_id uuid, session_id uuid, object_id uuid, source_address text, request_id text, details text,
                   prev_hash bytea, hash bytea)
    LANGUAGE plpgsql VOLATILE ROWS 20
    SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    first_seq bigint := 1;
    last_seq bigint := before_seq - 1;
    -- The month before this one, of which the first pages are.
    recent CONSTANT timestamptz := date_trunc('month', now() AT TIME ZONE 'UTC' - interval '1 month') AT TIME ZONE 'UTC';
    since timestamptz := coalesce(from_time, '-infinity');
    until timestamptz := coalesce(to_time, 'infinity');
    found bigint;
BEGIN
    -- Times never run backwards along a chain: from and to are two ends of it.
    IF from_time IS NOT NULL THEN
        first_seq := (SELECT e.seq FROM public.audit_events e WHERE e.tenant_id = tenant AND e.at >= from_time
                       ORDER BY e.at, e.seq LIMIT 1);
    END IF;
    IF to_time IS NOT NULL THEN
        last_seq := least(last_seq, (SELECT coalesce(max(t.seq), 0) FROM (
                        SELECT e.seq FROM public.audit_events e WHERE e.tenant_id = tenant AND e.at < to_time
                         ORDER BY e.at DESC, e.seq DESC LIMIT 1) AS t));
    END IF;
    found := 0;
    IF until > recent THEN
        RETURN QUERY
            SELECT e.version, e.tenant_id, e.seq, e.at, e.action, e.outcome, e.reason, e.actor_id, e.session_id, e.object_id,
                   e.source_address, e.request_id, e.details, e.prev_hash, e.hash
              FROM public.audit_events e
             WHERE e.tenant_id = tenant AND e.seq >= first_seq AND e.seq <= last_seq
               AND e.at >= greatest(since, recent) AND e.at <= until AND (to_time IS NULL OR e.at < to_time)
               AND (of_actor IS NULL OR e.actor_id = of_actor)
               AND (of_action IS NULL OR e.action = of_action)
               AND (of_outcome IS NULL OR e.outcome = of_outcome)
               AND (of_object IS NULL OR e.object_id = of_object)
             ORDER BY e.seq DESC LIMIT most;
        GET DIAGNOSTICS found = ROW_COUNT;
    END IF;
    IF found < most AND since < recent THEN
        RETURN QUERY
            SELECT e.version, e.tenant_id, e.seq, e.at, e.action, e.outcome, e.reason, e.actor_id, e.session_id, e.object_id,
                   e.source_address, e.request_id, e.details, e.prev_hash, e.hash
              FROM public.audit_events e
             WHERE e.tenant_id = tenant AND e.seq >= first_seq AND e.seq <= last_seq
               AND e.at >= since AND e.at < least(until, recent) AND (to_time IS NULL OR e.at < to_time)
               AND (of_actor IS NULL OR e.actor_id = of_actor)
               AND (of_action IS NULL OR e.action = of_action)
               AND (of_outcome IS NULL OR e.outcome = of_outcome)
               AND (of_object IS NULL OR e.object_id = of_object)
             ORDER BY e.seq DESC LIMIT most - found;
    END IF;
END
$$;
RESET ROLE;
