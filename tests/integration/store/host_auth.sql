-- The host platform's own part; the CRM's owner may look at it and pass that right on.
CREATE SCHEMA auth;
CREATE TABLE auth.users (id uuid PRIMARY KEY, email text NOT NULL);
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$
  SELECT nullif(current_setting('request.jwt.claim.sub', true), '')::uuid
$$;
GRANT USAGE ON SCHEMA auth TO crm_owner WITH GRANT OPTION;
GRANT USAGE ON SCHEMA auth TO signed_in;
GRANT REFERENCES ON auth.users TO crm_owner;
GRANT CREATE ON SCHEMA public TO crm_owner;

INSERT INTO auth.users VALUES
  ('aaaaaaaa-0000-4000-8000-000000000001', 'ann@north.example'),
  ('bbbbbbbb-0000-4000-8000-000000000002', 'bob@south.example');
