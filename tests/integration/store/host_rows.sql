-- Two practices that have used the CRM for a while.
INSERT INTO tenants (id, name, slug, industry) VALUES
  ('aaaaaaaa-0000-4000-8000-00000000000a', 'North Dental', 'north', 'healthcare'),
  ('bbbbbbbb-0000-4000-8000-00000000000b', 'South Dental', 'south', 'healthcare');
INSERT INTO tenant_users (tenant_id, user_id, role)
SELECT t.id, u.id, 'owner' FROM tenants t
  JOIN auth.users u ON left(u.id::text, 8) = left(t.id::text, 8);
INSERT INTO crm_accounts (tenant_id, name) SELECT id, 'Household of ' || slug FROM tenants;
-- ids that stay the same: which experiment group a contact is in depends on them
INSERT INTO crm_contacts (id, tenant_id, account_id, first_name, last_name, email, mobile_phone, phone,
  created_at)
SELECT md5(t.slug || n)::uuid, a.tenant_id, a.id, 'Ada' || n, 'Patient', 'ada' || n || '@' || t.slug || '.example',
       '+1555012000' || n, '+1555012000' || n, '2024-01-01'
  FROM crm_accounts a JOIN tenants t ON t.id = a.tenant_id, generate_series(1, 3) n;
INSERT INTO crm_deals (tenant_id, account_id, contact_id, name, deal_value)
SELECT tenant_id, account_id, id, 'Check-up', 120 FROM crm_contacts;
INSERT INTO crm_activities (tenant_id, account_id, contact_id, activity_type, subject, created_at)
SELECT tenant_id, account_id, id, 'note', 'First visit', '2024-01-02' FROM crm_contacts;
INSERT INTO crm_campaigns (tenant_id, name, campaign_type) SELECT id, 'Recall', 'email' FROM tenants;
INSERT INTO crm_campaign_memberships (tenant_id, campaign_id, contact_id)
SELECT c.tenant_id, k.id, c.id FROM crm_contacts c JOIN crm_campaigns k USING (tenant_id);
INSERT INTO crm_pipeline_stages (tenant_id, stage_name, stage_order) SELECT id, 'New', 1 FROM tenants;
