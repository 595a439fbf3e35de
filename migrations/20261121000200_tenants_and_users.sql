SET LOCAL ROLE tenantry_owner;

-- The tenant of this transaction, or NULL: then every policy below is false
-- and every table is empty. Policies spell the expression out instead of
-- calling a function, so that the planner sees a stable index condition.

CREATE TABLE tenants (
    id         uuid        PRIMARY KEY,
    slug       text        NOT NULL CONSTRAINT tenants_slug_key UNIQUE
                           CONSTRAINT tenants_slug_form CHECK (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    name       text        NOT NULL CONSTRAINT tenants_name_length CHECK (char_length(name) BETWEEN 1 AND 200),
    status     text        NOT NULL DEFAULT 'active' CONSTRAINT tenants_status CHECK (status IN ('active', 'suspended')),
    version    bigint      NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenants
    USING (id = nullif(current_setting('app.tenant_id', true), '')::uuid);
-- Sign-in knows a slug and no tenant yet: it sees the one row of that slug.
CREATE POLICY sign_in ON tenants FOR SELECT
    USING (slug = nullif(current_setting('app.tenant_slug', true), ''));

CREATE TABLE users (
    tenant_id     uuid        NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
    id            uuid        NOT NULL,
    email         text        NOT NULL CONSTRAINT users_email_form CHECK (email = lower(email) AND char_length(email) BETWEEN 3 AND 254),
    display_name  text        NOT NULL CONSTRAINT users_display_name_length CHECK (char_length(display_name) BETWEEN 1 AND 200),
    role          text        NOT NULL CONSTRAINT users_role CHECK (role IN ('viewer', 'analyst', 'admin')),
    status        text        NOT NULL DEFAULT 'active' CONSTRAINT users_status CHECK (status IN ('active', 'inactive')),
    password_hash text,
    version       bigint      NOT NULL DEFAULT 1,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    last_login_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT users_email_key UNIQUE (tenant_id, email)
);
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON users
    USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);

GRANT SELECT, INSERT ON tenants TO tenantry_runtime;
GRANT SELECT, INSERT, UPDATE ON users TO tenantry_runtime;
RESET ROLE;
