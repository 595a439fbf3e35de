-- What ops signed of each chain's head, as a cache: it spares the next run the
-- records that were checked before, and `GET /audit/checkpoints` a way to where
-- the checkpoints are kept. The proof is the signature, and that what is kept
-- outside of this database is the same. See docs/AUDIT.md.
SET LOCAL ROLE tenantry_owner;

CREATE TABLE audit_checkpoints (
    tenant_id uuid        NOT NULL REFERENCES tenants (id),
    seq       bigint      NOT NULL CONSTRAINT audit_checkpoints_seq CHECK (seq > 0),
    hash      bytea       NOT NULL CONSTRAINT audit_checkpoints_hash_length CHECK (octet_length(hash) = 32),
    signed_at timestamptz NOT NULL,
    kid       text        NOT NULL,
    signature bytea       NOT NULL CONSTRAINT audit_checkpoints_signature_length CHECK (octet_length(signature) = 64),
    PRIMARY KEY (tenant_id, seq)
);
ALTER TABLE audit_checkpoints ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_checkpoints FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON audit_checkpoints
    USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

-- Under row-level security like everything else: of the tenant that it entered.
GRANT SELECT ON audit_checkpoints TO tenantry_runtime;
GRANT SELECT (tenant_id, seq, hash) ON audit_heads TO tenantry_maintenance;
GRANT SELECT (version, tenant_id, seq, at, action, outcome, reason, actor_id, session_id, object_id, source_address,
              request_id, details, prev_hash, hash) ON audit_events TO tenantry_maintenance;
GRANT SELECT (tenant_id, seq, hash), INSERT (tenant_id, seq, hash, signed_at, kid, signature)
   ON audit_checkpoints TO tenantry_maintenance;
RESET ROLE;
