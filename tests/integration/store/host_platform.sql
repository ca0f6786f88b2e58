-- What a host platform puts around the CRM's tables: signed-in users, policies, an audit trail.
-- Run by its administrator after the tables were made, like migrations/sql/0001_crm.sql makes them,
-- but with the host's own uuid_generate_v4().

ALTER TABLE tenant_users ADD FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE;
ALTER TABLE tenant_users ADD FOREIGN KEY (invited_by) REFERENCES auth.users(id);
ALTER TABLE notifications ADD FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE CASCADE;
ALTER TABLE audit_log ADD FOREIGN KEY (user_id) REFERENCES auth.users(id);
ALTER TABLE system_events ADD FOREIGN KEY (user_id) REFERENCES auth.users(id);
DO $$
DECLARE name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['crm_accounts', 'crm_contacts', 'crm_deals'] LOOP
    EXECUTE format('ALTER TABLE %I ADD FOREIGN KEY (assigned_to) REFERENCES auth.users(id)', name);
    EXECUTE format('ALTER TABLE %I ADD FOREIGN KEY (created_by) REFERENCES auth.users(id)', name);
  END LOOP;
  FOREACH name IN ARRAY ARRAY['crm_activities', 'crm_campaigns'] LOOP
    EXECUTE format('ALTER TABLE %I ADD FOREIGN KEY (created_by) REFERENCES auth.users(id)', name);
  END LOOP;
END $$;

-- in the rights of whoever changes a contact, so that its author is known
CREATE FUNCTION log_contact_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO audit_log (tenant_id, table_name, record_id, action, user_id, new_values)
  VALUES (NEW.tenant_id, TG_TABLE_NAME, NEW.id, TG_OP, auth.uid(), to_jsonb(NEW));
  RETURN NEW;
END $$;
CREATE TRIGGER audit_crm_contacts AFTER INSERT OR UPDATE ON crm_contacts
  FOR EACH ROW EXECUTE FUNCTION log_contact_change();

CREATE FUNCTION my_tenants() RETURNS SETOF uuid
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
  SELECT tenant_id FROM tenant_users WHERE user_id = auth.uid()
$$;
REVOKE ALL ON FUNCTION my_tenants() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION my_tenants() TO signed_in;

DO $$
DECLARE name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['crm_accounts', 'crm_contacts', 'crm_deals', 'crm_activities',
    'crm_campaigns', 'crm_campaign_memberships', 'notifications', 'activity_feed', 'audit_log',
    'system_events'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY "Members see their tenant" ON %I '
      'USING (tenant_id IN (SELECT my_tenants()))', name);
  END LOOP;
END $$;
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_users ENABLE ROW LEVEL SECURITY;
CREATE POLICY "Members see their tenant" ON tenants
  USING (id IN (SELECT tenant_id FROM tenant_users WHERE user_id = auth.uid()));
CREATE POLICY "Sign-in page finds tenants" ON tenants FOR SELECT USING (status = 'active');
CREATE POLICY "Users see themselves" ON tenant_users USING (user_id = auth.uid());

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO signed_in;
