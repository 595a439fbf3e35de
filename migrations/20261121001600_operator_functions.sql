-- What an operator's writes call besides: a user's name has its searched form.
GRANT EXECUTE ON FUNCTION app.searched(text) TO tenantry_operator;
