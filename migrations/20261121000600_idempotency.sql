-- Stored answers of creating requests, for 24 hours. SQLSTATEs of ours:
-- TN004 in flight, TN005 key used with another body, TN006 answered before.
SET LOCAL ROLE tenantry_owner;

CREATE TABLE idempotency_keys (
    tenant_id    uuid        NOT NULL,
    user_id      uuid        NOT NULL,
    action       text        NOT NULL,
    key_hash     bytea       NOT NULL,
    request_hash bytea       NOT NULL,
    status       smallint    NOT NULL,
    headers      jsonb       NOT NULL,
    body         text        NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, user_id, action, key_hash),
    FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id) ON DELETE CASCADE
);
ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotency_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON idempotency_keys
    USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

-- Claims a key for this transaction, or says by SQLSTATE why it cannot be had.
-- The lock is taken with the key's own hash: a second request with the same
-- key does not wait for the first, it is told that one is in flight.
CREATE FUNCTION app.claim_idempotency_key(key_hash bytea, request_hash bytea) RETURNS void
    LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    tenant uuid := current_setting('app.tenant_id')::uuid;
    caller uuid := current_setting('app.user_id')::uuid;
    route text := current_setting('app.action');
    stored bytea;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended(concat_ws('/', tenant, caller, route, key_hash), 0)) THEN
        RAISE EXCEPTION 'same request in flight' USING ERRCODE = 'TN004';
    END IF;
    DELETE FROM public.idempotency_keys k
     WHERE k.tenant_id = tenant AND k.user_id = caller AND k.action = route AND k.key_hash = claim_idempotency_key.key_hash
       AND k.created_at < now() - interval '24 hours';
    SELECT k.request_hash INTO stored FROM public.idempotency_keys k
     WHERE k.tenant_id = tenant AND k.user_id = caller AND k.action = route AND k.key_hash = claim_idempotency_key.key_hash;
    IF stored = request_hash THEN
        RAISE EXCEPTION 'answered before' USING ERRCODE = 'TN006';
    ELSIF stored IS NOT NULL THEN
        RAISE EXCEPTION 'key used with another body' USING ERRCODE = 'TN005';
    END IF;
END
$$;

GRANT SELECT, INSERT, DELETE ON idempotency_keys TO tenantry_runtime;
GRANT EXECUTE ON FUNCTION app.claim_idempotency_key(bytea, bytea) TO tenantry_runtime;
RESET ROLE;
