-- After the insert, not before it: row-level security comes first with its
-- refusal of another tenant's row, and so do the table's own constraints.
SET LOCAL ROLE tenantry_owner;

DROP TRIGGER owner_lives ON todos;
CREATE TRIGGER owner_lives AFTER INSERT ON todos FOR EACH ROW EXECUTE FUNCTION app.owner_lives();

RESET ROLE;
