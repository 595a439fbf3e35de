SET LOCAL ROLE tenantry_owner;

-- An admin may rename the tenant. Its slug stays, and its status is for operators.
GRANT UPDATE (name, version, updated_at) ON tenants TO tenantry_runtime;

-- Who signs a tenant's users in. Nothing is unique over tenants: two of them
-- may trust the same issuer, and neither learns of the other.
CREATE TABLE identity_providers (
    tenant_id                uuid        NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id                       uuid        NOT NULL,
    name                     text        NOT NULL CONSTRAINT identity_providers_name_form
                                         CHECK (name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    issuer                   text        NOT NULL CONSTRAINT identity_providers_issuer_form
                                         CHECK (issuer ~ '^https?://[^/?#@\s][^?#@\s]*$' AND char_length(issuer) <= 500),
    audiences                text[]      NOT NULL CONSTRAINT identity_providers_audiences_number
                                         CHECK (cardinality(audiences) BETWEEN 1 AND 20),
    client_id                text        NOT NULL CONSTRAINT identity_providers_client_id_length
                                         CHECK (char_length(client_id) BETWEEN 1 AND 200),
    client_secret_ciphertext bytea,
    tenant_claim             text        NOT NULL CONSTRAINT identity_providers_tenant_claim_form
                                         CHECK (tenant_claim ~ '^[!-~]{1,100}$'),
    role_claim               text        CONSTRAINT identity_providers_role_claim_form
                                         CHECK (role_claim ~ '^[!-~]{1,100}$'),
    role_map                 jsonb       CONSTRAINT identity_providers_role_map_form
                                         CHECK (jsonb_typeof(role_map) = 'object'),
    default_role             text        NOT NULL CONSTRAINT identity_providers_default_role
                                         CHECK (default_role IN ('viewer', 'analyst', 'admin')),
    jit_provisioning         boolean     NOT NULL,
    allowed_algorithms       text[]      NOT NULL CONSTRAINT identity_providers_allowed_algorithms
                                         CHECK (cardinality(allowed_algorithms) > 0
                                            AND allowed_algorithms <@ ARRAY['RS256', 'PS256', 'ES256', 'EdDSA']),
    status                   text        NOT NULL CONSTRAINT identity_providers_status
                                         CHECK (status IN ('active', 'inactive')),
    version                  bigint      NOT NULL DEFAULT 1,
    created_at               timestamptz NOT NULL,
    updated_at               timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT identity_providers_name_key UNIQUE (tenant_id, name),
    CONSTRAINT identity_providers_issuer_key UNIQUE (tenant_id, issuer),
    CONSTRAINT identity_providers_role_map_is_read CHECK (role_map IS NULL OR role_claim IS NOT NULL)
);
COMMENT ON COLUMN identity_providers.client_secret_ciphertext IS 'Sealed with the tenant''s data key; never in clear.';
ALTER TABLE identity_providers ENABLE ROW LEVEL SECURITY;
ALTER TABLE identity_providers FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON identity_providers
    USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

GRANT SELECT, INSERT, UPDATE, DELETE ON identity_providers TO tenantry_runtime;
RESET ROLE;
