-- What a record says beyond who, what, on which thing and with which outcome:
-- `details`, one compact JSON object, written by the functions out of typed
-- fields (shared/src/audit). The exact text is kept and hashed, so it is text
-- and not jsonb. See docs/AUDIT.md.
SET LOCAL ROLE tenantry_owner;

-- The canonical form of a record; 1 is without details. What was recorded
-- before stays as it is, and is verified as it is.
ALTER TABLE audit_events
    ADD COLUMN version smallint NOT NULL DEFAULT 1 CONSTRAINT audit_events_version CHECK (version IN (1, 2)),
    ADD COLUMN details text CONSTRAINT audit_events_details_object CHECK (details IS JSON OBJECT AND octet_length(details) <= 4096),
    ADD CONSTRAINT audit_events_details_hashed CHECK (version >= 2 OR details IS NULL);

-- The time of the last record: along a chain time never runs backwards, also
-- where the server's clock does. So what is older than a moment is the
-- beginning of the chain, and a search by time is one by seq.
ALTER TABLE audit_heads ADD COLUMN at timestamptz;

-- The searches of `GET /audit/events`, each newest first.
CREATE INDEX audit_events_of_actor ON audit_events (tenant_id, actor_id, seq);
CREATE INDEX audit_events_of_object ON audit_events (tenant_id, object_id, seq);
CREATE INDEX audit_events_of_action ON audit_events (tenant_id, action, seq);
CREATE INDEX audit_events_refused ON audit_events (tenant_id, outcome, seq) WHERE outcome <> 'success';
CREATE INDEX audit_events_at ON audit_events (tenant_id, at, seq);

DROP FUNCTION app.audit_hash(bytea, uuid, bigint, timestamptz, text, text, text, uuid, uuid, uuid, text, text);

-- hash = SHA-256(prev_hash || fields in this order); `at` as whole
-- microseconds since 1970, numbers in decimal, UUIDs in lower-case text form.
-- Version 2 ends with the details, version 1 has no such field.
CREATE FUNCTION app.audit_hash(version smallint, prev_hash bytea, tenant_id uuid, seq bigint, at timestamptz,
                               action text, outcome text, reason text, actor_id uuid, session_id uuid, object_id uuid,
                               source_address text, request_id text, details text) RETURNS bytea
    LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT sha256(prev_hash
        || app.audit_field(version::text)
        || app.audit_field(tenant_id::text)
        || app.audit_field(seq::text)
        || app.audit_field((extract(epoch FROM at) * 1000000)::bigint::text)
        || app.audit_field(action)
        || app.audit_field(outcome)
        || app.audit_field(reason)
        || app.audit_field(actor_id::text)
        || app.audit_field(session_id::text)
        || app.audit_field(object_id::text)
        || app.audit_field(source_address)
        || app.audit_field(request_id)
        || CASE WHEN version >= 2 THEN app.audit_field(details) ELSE ''::bytea END)
$$;

DROP FUNCTION app.audit_append(text, text, text, uuid, uuid, uuid, text, text);

-- Appends one record to the chain of the entered tenant and returns its seq.
-- Runs as the owner, whom row-level security binds all the same (FORCE): it
-- can reach no chain but that of app.tenant_id. The head row's lock is what
-- makes the chain dense; it is held to the end of the transaction.
CREATE FUNCTION app.audit_append(action text, outcome text, reason text, actor_id uuid, session_id uuid, object_id uuid,
                                 source_address text, request_id text, details text DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    version CONSTANT smallint := 2;
    tenant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
    recorded_at timestamptz;
    head record;
    new_hash bytea;
BEGIN
    INSERT INTO public.audit_heads AS h (tenant_id, seq, hash)
         VALUES (tenant, 1, decode(repeat('00', 32), 'hex'))
    ON CONFLICT (tenant_id) DO UPDATE SET seq = h.seq + 1
      RETURNING h.seq, h.hash, h.at INTO head;
    recorded_at := greatest(clock_timestamp(), head.at);
    new_hash := app.audit_hash(version, head.hash, tenant, head.seq, recorded_at, action, outcome, reason, actor_id,
                               session_id, object_id, source_address, request_id, details);
    INSERT INTO public.audit_events (version, tenant_id, seq, at, action, outcome, reason, actor_id, session_id, object_id,
                                     source_address, request_id, details, prev_hash, hash)
         VALUES (version, tenant, head.seq, recorded_at, action, outcome, reason, actor_id, session_id, object_id,
                 source_address, request_id, details, head.hash, new_hash);
    UPDATE public.audit_heads h SET hash = new_hash, at = recorded_at WHERE h.tenant_id = tenant;
    RETURN head.seq;
EXCEPTION WHEN OTHERS THEN
    RAISE EXCEPTION 'audit record refused: %', SQLSTATE USING ERRCODE = 'TN003';
END
$$;

-- The success record of a write, with what it says beyond its object.
CREATE FUNCTION app.audit(object_id uuid, details text) RETURNS bigint
    LANGUAGE sql VOLATILE
AS $$
    SELECT app.audit_append(
        current_setting('app.action'), 'success', NULL,
        nullif(current_setting('app.user_id', true), '')::uuid,
        nullif(current_setting('app.session_id', true), '')::uuid,
        object_id,
        nullif(current_setting('app.source_address', true), ''),
        nullif(current_setting('app.request_id', true), ''),
        details)
$$;

CREATE OR REPLACE FUNCTION app.audit(object_id uuid) RETURNS bigint
    LANGUAGE sql VOLATILE
AS $$ SELECT app.audit(object_id, NULL) $$;

-- The record of a read of one protected thing, for use in the read's own
-- statement, which no app.describe_request goes before.
CREATE FUNCTION app.audit_read(object_id uuid, action text, request_id text, source_address text) RETURNS bigint
    LANGUAGE sql VOLATILE
AS $$
    SELECT app.audit_append(
        action, 'success', NULL,
        nullif(current_setting('app.user_id', true), '')::uuid,
        nullif(current_setting('app.session_id', true), '')::uuid,
        object_id, source_address, request_id)
$$;

GRANT EXECUTE ON FUNCTION
    app.audit(uuid, text),
    app.audit_read(uuid, text, text, text),
    app.audit_append(text, text, text, uuid, uuid, uuid, text, text, text)
    TO tenantry_runtime;
RESET ROLE;
