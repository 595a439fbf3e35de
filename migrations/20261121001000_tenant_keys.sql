SET LOCAL ROLE tenantry_owner;

-- Each tenant's data keys, wrapped by KMS: useless without it. The highest
-- version seals; every version opens what it sealed. Whoever deletes a tenant's
-- rows here has shredded all that they sealed, so the functions may not.
CREATE TABLE tenant_keys (
    tenant_id  uuid        NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    version    integer     NOT NULL CONSTRAINT tenant_keys_version CHECK (version > 0),
    wrapped    bytea       NOT NULL CONSTRAINT tenant_keys_wrapped_length CHECK (octet_length(wrapped) BETWEEN 1 AND 6144),
    kms_key_id text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, version)
);
COMMENT ON COLUMN tenant_keys.kms_key_id IS 'The KMS key that wrapped it, which alone can unwrap it.';
ALTER TABLE tenant_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenant_keys
    USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

GRANT SELECT, INSERT ON tenant_keys TO tenantry_runtime;
RESET ROLE;
