-- Two roles. tenantry_owner owns every table and function and never logs in;
-- tenantry_runtime is what the functions log in as: it owns nothing, is no
-- superuser, cannot bypass row-level security, and holds only the grants below.
-- Its password is set by `ops {"action":"migrate"}` from Secrets Manager.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tenantry_owner') THEN
        CREATE ROLE tenantry_owner NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'tenantry_runtime') THEN
        CREATE ROLE tenantry_runtime LOGIN;
    END IF;
    EXECUTE format('GRANT tenantry_owner TO %I', current_user);
    EXECUTE format('GRANT CREATE ON DATABASE %I TO tenantry_owner', current_database());
END
$$;

-- Deadlines belong to the role, not to the session: a transaction pooler may
-- hand any server connection to any request.
ALTER ROLE tenantry_runtime SET statement_timeout = '5s';
ALTER ROLE tenantry_runtime SET lock_timeout = '3s';
ALTER ROLE tenantry_runtime SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE tenantry_runtime SET client_connection_check_interval = '1s';

GRANT USAGE, CREATE ON SCHEMA public TO tenantry_owner;
GRANT USAGE ON SCHEMA public TO tenantry_runtime;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

CREATE SCHEMA app AUTHORIZATION tenantry_owner;
SET LOCAL ROLE tenantry_owner;
GRANT USAGE ON SCHEMA app TO tenantry_runtime;
ALTER DEFAULT PRIVILEGES FOR ROLE tenantry_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
RESET ROLE;
