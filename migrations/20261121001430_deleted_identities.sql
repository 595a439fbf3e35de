-- A deleted user's identities go with it, also in a database that had no such
-- table when app.delete_user came to ask for it.
SET LOCAL ROLE tenantry_owner;

GRANT DELETE ON federated_identities TO tenantry_runtime;

RESET ROLE;
