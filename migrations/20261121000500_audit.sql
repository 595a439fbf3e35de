-- One dense hash chain per tenant. Records enter by app.audit_append alone: the
-- runtime role may read them and nothing else. SQLSTATE TN003: not recorded.
SET LOCAL ROLE tenantry_owner;

CREATE TABLE audit_events (
    tenant_id      uuid        NOT NULL,
    seq            bigint      NOT NULL,
    at             timestamptz NOT NULL,
    action         text        NOT NULL,
    outcome        text        NOT NULL CONSTRAINT audit_events_outcome CHECK (outcome IN ('success', 'failure', 'denied')),
    reason         text,
    actor_id       uuid,
    session_id     uuid,
    object_id      uuid,
    source_address text,
    request_id     text,
    prev_hash      bytea       NOT NULL CONSTRAINT audit_events_prev_hash_length CHECK (octet_length(prev_hash) = 32),
    hash           bytea       NOT NULL CONSTRAINT audit_events_hash_length CHECK (octet_length(hash) = 32),
    PRIMARY KEY (tenant_id, seq),
    FOREIGN KEY (tenant_id) REFERENCES tenants (id)
);
ALTER TABLE audit_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_events FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit_events
    USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

CREATE TABLE audit_heads (
    tenant_id uuid   PRIMARY KEY REFERENCES tenants (id),
    seq       bigint NOT NULL,
    hash      bytea  NOT NULL
);
ALTER TABLE audit_heads ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_heads FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit_heads
    USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

-- One field of a record's canonical form: its length in bytes as a big-endian
-- 32-bit integer, then its UTF-8 bytes; NULL is the length 0xFFFFFFFF alone.
CREATE FUNCTION app.audit_field(value text) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN value IS NULL THEN '\xffffffff'::bytea
                ELSE int4send(octet_length(convert_to(value, 'UTF8'))) || convert_to(value, 'UTF8') END
$$;

-- hash = SHA-256(prev_hash || fields in this order); `at` as whole
-- microseconds since 1970, numbers in decimal, UUIDs in lower-case text form.
CREATE FUNCTION app.audit_hash(prev_hash bytea, tenant_id uuid, seq bigint, at timestamptz, action text, outcome text,
                               reason text, actor_id uuid, session_id uuid, object_id uuid, source_address text,
                               request_id text) RETURNS bytea
    LANGUAGE sql STABLE PARALLEL SAFE
AS $$
    SELECT sha256(prev_hash
        || app.audit_field('1')
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
        || app.audit_field(request_id))
$$;

-- Appends one record to the chain of the entered tenant and returns its seq.
-- Runs as the owner, whom row-level security binds all the same (FORCE): it
-- can reach no chain but that of app.tenant_id. The head row's lock is what
-- makes the chain dense; it is held to the end of the transaction.
CREATE FUNCTION app.audit_append(action text, outcome text, reason text, actor_id uuid, session_id uuid, object_id uuid,
                                 source_address text, request_id text) RETURNS bigint
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = ''
AS $$
DECLARE
    tenant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
    at timestamptz;
    head record;
    new_hash bytea;
BEGIN
    INSERT INTO public.audit_heads AS h (tenant_id, seq, hash)
         VALUES (tenant, 1, decode(repeat('00', 32), 'hex'))
    ON CONFLICT (tenant_id) DO UPDATE SET seq = h.seq + 1
      RETURNING h.seq, h.hash INTO head;
    at := clock_timestamp();
    new_hash := app.audit_hash(head.hash, tenant, head.seq, at, action, outcome, reason, actor_id, session_id,
                               object_id, source_address, request_id);
    INSERT INTO public.audit_events
         VALUES (tenant, head.seq, at, action, outcome, reason, actor_id, session_id, object_id, source_address,
                 request_id, head.hash, new_hash);
    UPDATE public.audit_heads h SET hash = new_hash WHERE h.tenant_id = tenant;
    RETURN head.seq;
EXCEPTION WHEN OTHERS THEN
    RAISE EXCEPTION 'audit record refused: %', SQLSTATE USING ERRCODE = 'TN003';
END
$$;

-- The success record of a write, for use in the write's own statement. Who,
-- what and from where were set when the tenant was entered.
CREATE FUNCTION app.audit(object_id uuid) RETURNS bigint
    LANGUAGE sql VOLATILE
AS $$
    SELECT app.audit_append(
        current_setting('app.action'), 'success', NULL,
        nullif(current_setting('app.user_id', true), '')::uuid,
        nullif(current_setting('app.session_id', true), '')::uuid,
        object_id,
        nullif(current_setting('app.source_address', true), ''),
        nullif(current_setting('app.request_id', true), ''))
$$;

GRANT SELECT ON audit_events, audit_heads TO tenantry_runtime;
GRANT EXECUTE ON FUNCTION
    app.audit(uuid),
    app.audit_append(text, text, text, uuid, uuid, uuid, text, text),
    app.audit_field(text),
    app.audit_hash(bytea, uuid, bigint, timestamptz, text, text, text, uuid, uuid, uuid, text, text)
    TO tenantry_runtime;
RESET ROLE;
