-- The CRM for the Create case: an empty database gets the tables a live CRM would have.
-- Times are `timestamp` without zone, written by now() in a database whose zone is UTC.

CREATE FUNCTION update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at = now();
  RETURN NEW;
END $$;

-- Every interaction counts, whoever writes it: the CRM's own rule.
CREATE FUNCTION update_contact_interactions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.contact_id IS NOT NULL THEN
    UPDATE crm_contacts
       SET total_interactions = coalesce(total_interactions, 0) + 1,
           last_contacted_at = NEW.created_at,
           last_contact_method = NEW.activity_type
     WHERE id = NEW.contact_id;
  END IF;
  RETURN NEW;
END $$;

CREATE TABLE tenants (
  id uuid DEFAULT gen_random_uuid() NOT NULL PRIMARY KEY,
  name varchar NOT NULL,
  slug varchar NOT NULL,
  domain varchar,
  plan varchar DEFAULT 'free',
  status varchar DEFAULT 'active',
  trial_ends_at timestamp without time zone,
  subscription_id varchar,
  settings jsonb DEFAULT '{}',
  industry varchar,
  max_users integer DEFAULT 5,
  max_accounts integer DEFAULT 1000,
  max_contacts integer DEFAULT 5000,
  max_deals integer DEFAULT 500,
  created_at timestamp without time zone DEFAULT now(),
  updated_at timestamp without time zone DEFAULT now(),
  UNIQUE (slug)
);

CREATE TRIGGER update_tenants_updated_at BEFORE UPDATE ON tenants
  FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

CREATE TABLE tenant_users (
  id uuid DEFAULT gen_random_uuid() NOT NULL PRIMARY KEY,
  tenant_id uuid NOT NULL,
  user_id uuid NOT NULL,
  role varchar DEFAULT 'member',
  permissions jsonb DEFAULT '[]',
  status varchar DEFAULT 'active',
  invited_by uuid,
  invited_at timestamp without time zone,
  joined_at timestamp without time zone DEFAULT now(),
  created_at timestamp without time zone DEFAULT now(),
  updated_at timestamp without time zone DEFAULT now(),
  FOREIGN KEY (tenant_id) REFERENCES tenants(id) ON DELETE CASCADE,
  UNIQUE (tenant_id, user_id)
);

CREATE TRIGGER update_tenant_users_updated_at BEFORE UPDATE ON tenant_users
  FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

CREATE TABLE crm_accounts (
  id uuid DEFAULT gen_random_uuid() NOT NULL PRIMARY KEY,
  tenant_id uuid NOT NULL,
  name varchar NOT NULL,
  legal_name varchar,
  website varchar,
  phone varchar,
  email varchar,
  address_line1 varchar,
  address_line2 varchar,
  city varchar,
  state varchar,
  postal_code varchar,
  country varchar DEFAULT 'US',
  industry varchar,
  business_type varchar DEFAULT 'prospect',
  employee_count_range varchar,
  annual_revenue_range varchar,
  gmb_place_id varchar,
  gmb_data jsonb DEFAULT '{}',
  gmb_rating numeric(2,1),
  gmb_review_count integer DEFAULT 0,
  gmb_claimed boolean DEFAULT false,
  gmb_last_updated timestamp without time zone,
  lead_score integer DEFAULT 0,
  qualification_status varchar DEFAULT 'unqualified',
  custom_fields jsonb DEFAULT '{}',
  created_by uuid,
  assigned_to uuid,
  created_at timestamp without time zone DEFAULT now(),
  updated_at timestamp without time zone DEFAULT now(),
  search_vector tsvector GENERATED ALWAYS AS (to_tsvector('english', coalesce(name, '') || ' ' || coalesce(legal_name, '') || ' ' || coalesce(website, '') || ' ' || coalesce(city, ''))) STORED,
  FOREIGN KEY (tenant_id) REFERENCES tenants(id) ON DELETE CASCADE,
  UNIQUE (gmb_place_id)
);

CREATE TRIGGER update_crm_accounts_updated_at BEFORE UPDATE ON crm_accounts
  FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

CREATE TABLE crm_contacts (
  id uuid DEFAULT gen_random_uuid() NOT NULL PRIMARY KEY,
  tenant_id uuid NOT NULL,
  account_id uuid,
  first_name varchar,
  last_name varchar,
  full_name varchar GENERATED ALWAYS AS (btrim(coalesce(first_name, '') || ' ' || coalesce(last_name, ''))) STORED,
  email varchar,
  phone varchar,
  mobile_phone varchar,
  job_title varchar,
  department varchar,
  preferred_contact_method varchar DEFAULT 'email',
  timezone varchar DEFAULT 'America/New_York',
  do_not_call boolean DEFAULT false,
  do_not_email boolean DEFAULT false,
  do_not_sms boolean DEFAULT false,
  lead_source varchar,
  lead_status varchar DEFAULT 'new',
  lead_score integer DEFAULT 0,
  last_contacted_at timestamp without time zone,
  last_contact_method varchar,
  total_interactions integer DEFAULT 0,
  email_opens integer DEFAULT 0,
  email_clicks integer DEFAULT 0,
  custom_fields jsonb DEFAULT '{}',
  created_by uuid,
  assigned_to uuid,
  created_at timestamp without time zone DEFAULT now(),
  updated_at timestamp without time zone DEFAULT now(),
  search_vector tsvector GENERATED ALWAYS AS (to_tsvector('english', coalesce(first_name, '') || ' ' || coalesce(last_name, '') || ' ' || coalesce(email, '') || ' ' || coalesce(job_title, ''))) STORED,
  FOREIGN KEY (account_id) REFERENCES crm_accounts(id) ON DELETE SET NULL,
  FOREIGN KEY (tenant_id) REFERENCES tenants(id) ON DELETE CASCADE,
  UNIQUE (tenant_id, email)
);

CREATE TRIGGER update_crm_contacts_updated_at BEFORE UPDATE ON crm_contacts
  FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

CREATE TABLE crm_deals (
  id uuid DEFAULT gen_random_uuid() NOT NULL PRIMARY KEY,
  tenant_id uuid NOT NULL,
  account_id uuid,
  contact_id uuid,
  name varchar NOT NULL,
  description text,
  deal_value numeric(12,2) DEFAULT 0,
  currency varchar DEFAULT 'USD',
  stage varchar DEFAULT 'prospecting',
  probability integer DEFAULT 0,
  expected_close_date date,
  actual_close_date date,
  deal_type varchar,
  lead_source varchar,
  custom_fields jsonb DEFAULT '{}',
  created_by uuid,
  assigned_to uuid,
  created_at timestamp without time zone DEFAULT now(),
  updated_at timestamp without time zone DEFAULT now(),
  search_vector tsvector GENERATED ALWAYS AS (to_tsvector('english', coalesce(name, '') || ' ' || coalesce(description, ''))) STORED,
  FOREIGN KEY (account_id) REFERENCES crm_accounts(id) ON DELETE CASCADE,
  FOREIGN KEY (contact_id) REFERENCES crm_contacts(id) ON DELETE SET NULL,
  FOREIGN KEY (tenant_id) REFERENCES tenants(id) ON DELETE CASCADE
);

CREATE TRIGGER update_crm_deals_updated_at BEFORE UPDATE ON crm_deals
  FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

CREATE TABLE crm_activities (
  id uuid DEFAULT gen_random_uuid() NOT NULL PRIMARY KEY,
  tenant_id uuid NOT NULL,
  account_id uuid,
  contact_id uuid,
  deal_id uuid,
  activity_type varchar NOT NULL,
  activity_subtype varchar,
  subject varchar,
  description text,
  direction varchar,
  channel varchar,
  due_date timestamp without time zone,
  completed_at timestamp without time zone,
  is_completed boolean DEFAULT false,
  external_id varchar,
  integration_source varchar,
  integration_data jsonb DEFAULT '{}',
  created_by uuid,
  created_at timestamp without time zone DEFAULT now(),
  updated_at timestamp without time zone DEFAULT now(),
  FOREIGN KEY (account_id) REFERENCES crm_accounts(id) ON DELETE CASCADE,
  FOREIGN KEY (contact_id) REFERENCES crm_contacts(id) ON DELETE CASCADE,
  FOREIGN KEY (deal_id) REFERENCES crm_deals(id) ON DELETE SET NULL,
  FOREIGN KEY (tenant_id) REFERENCES tenants(id) ON DELETE CASCADE
);

CREATE TRIGGER trigger_update_contact_interactions AFTER INSERT ON crm_activities
  FOR EACH ROW EXECUTE FUNCTION update_contact_interactions();
CREATE TRIGGER update_crm_activities_updated_at BEFORE UPDATE ON crm_activities
  FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

CREATE TABLE crm_campaigns (
  id uuid DEFAULT gen_random_uuid() NOT NULL PRIMARY KEY,
  tenant_id uuid NOT NULL,
  name varchar NOT NULL,
  description text,
  campaign_type varchar NOT NULL,
  target_audience jsonb DEFAULT '{}',
  content_template jsonb DEFAULT '{}',
  status varchar DEFAULT 'draft',
  scheduled_start timestamp without time zone,
  actual_start timestamp without time zone,
  scheduled_end timestamp without time zone,
  actual_end timestamp without time zone,
  total_recipients integer DEFAULT 0,
  emails_sent integer DEFAULT 0,
  emails_delivered integer DEFAULT 0,
  emails_opened integer DEFAULT 0,
  emails_clicked integer DEFAULT 0,
  sms_sent integer DEFAULT 0,
  sms_delivered integer DEFAULT 0,
  external_campaign_ids jsonb DEFAULT '{}',
  created_by uuid,
  created_at timestamp without time zone DEFAULT now(),
  updated_at timestamp without time zone DEFAULT now(),
  FOREIGN KEY (tenant_id) REFERENCES tenants(id) ON DELETE CASCADE
);

CREATE TRIGGER update_crm_campaigns_updated_at BEFORE UPDATE ON crm_campaigns
  FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();

CREATE TABLE crm_campaign_memberships (
  id uuid DEFAULT gen_random_uuid() NOT NULL PRIMARY KEY,
  tenant_id uuid NOT NULL,
  campaign_id uuid NOT NULL,
  contact_id uuid NOT NULL,
  status varchar DEFAULT 'active',
  joined_at timestamp without time zone DEFAULT now(),
  emails_sent integer DEFAULT 0,
  emails_opened integer DEFAULT 0,
  emails_clicked integer DEFAULT 0,
  sms_sent integer DEFAULT 0,
  last_interaction_at timestamp without time zone,
  FOREIGN KEY (campaign_id) REFERENCES crm_campaigns(id) ON DELETE CASCADE,
  FOREIGN KEY (contact_id) REFERENCES crm_contacts(id) ON DELETE CASCADE,
  FOREIGN KEY (tenant_id) REFERENCES tenants(id) ON DELETE CASCADE,
  UNIQUE (campaign_id, contact_id)
);

CREATE TABLE crm_pipeline_stages (
  id uuid DEFAULT gen_random_uuid() NOT NULL PRIMARY KEY,
  tenant_id uuid NOT NULL,
  stage_name varchar NOT NULL,
  stage_order integer NOT NULL,
  probability integer DEFAULT 0,
  is_active boolean DEFAULT true,
  is_closed_won boolean DEFAULT false,
  is_closed_lost boolean DEFAULT false,
  industry varchar,
  created_at timestamp without time zone DEFAULT now(),
  FOREIGN KEY (tenant_id) REFERENCES tenants(id) ON DELETE CASCADE,
  UNIQUE (tenant_id, industry, stage_name)
);

CREATE TABLE crm_field_definitions (
  id uuid DEFAULT gen_random_uuid() NOT NULL PRIMARY KEY,
  tenant_id uuid NOT NULL,
  entity_type varchar NOT NULL,
  field_name varchar NOT NULL,
  field_label varchar NOT NULL,
  field_type varchar NOT NULL,
  field_options jsonb DEFAULT '[]',
  is_required boolean DEFAULT false,
  validation_rules jsonb DEFAULT '{}',
  display_order integer DEFAULT 0,
  is_visible boolean DEFAULT true,
  help_text varchar,
  industry varchar,
  created_at timestamp without time zone DEFAULT now(),
  FOREIGN KEY (tenant_id) REFERENCES tenants(id) ON DELETE CASCADE,
  UNIQUE (tenant_id, entity_type, field_name)
);

CREATE TABLE crm_lead_sources (
  id uuid DEFAULT gen_random_uuid() NOT NULL PRIMARY KEY,
  tenant_id uuid NOT NULL,
  source_name varchar NOT NULL,
  source_type varchar NOT NULL,
  is_active boolean DEFAULT true,
  cost_per_lead numeric(10,2) DEFAULT 0,
  industry varchar,
  created_at timestamp without time zone DEFAULT now(),
  FOREIGN KEY (tenant_id) REFERENCES tenants(id) ON DELETE CASCADE,
  UNIQUE (tenant_id, source_name)
);

CREATE TABLE notifications (
  id uuid DEFAULT gen_random_uuid() NOT NULL PRIMARY KEY,
  tenant_id uuid NOT NULL,
  user_id uuid NOT NULL,
  title varchar NOT NULL,
  message text,
  notification_type varchar NOT NULL,
  entity_type varchar,
  entity_id uuid,
  is_read boolean DEFAULT false,
  read_at timestamp without time zone,
  delivery_method varchar[],
  delivered_at timestamp without time zone,
  action_url varchar,
  action_text varchar,
  created_at timestamp without time zone DEFAULT now(),
  expires_at timestamp without time zone,
  FOREIGN KEY (tenant_id) REFERENCES tenants(id) ON DELETE CASCADE
);

CREATE TABLE activity_feed (
  id uuid DEFAULT gen_random_uuid() NOT NULL PRIMARY KEY,
  tenant_id uuid NOT NULL,
  activity_type varchar NOT NULL,
  action varchar NOT NULL,
  entity_type varchar,
  entity_id uuid,
  title varchar NOT NULL,
  description text,
  metadata jsonb DEFAULT '{}',
  actor_type varchar DEFAULT 'user',
  actor_id uuid,
  actor_name varchar,
  is_public boolean DEFAULT true,
  importance varchar DEFAULT 'normal',
  created_at timestamp without time zone DEFAULT now(),
  FOREIGN KEY (tenant_id) REFERENCES tenants(id) ON DELETE CASCADE
);

CREATE TABLE audit_log (
  id uuid DEFAULT gen_random_uuid() NOT NULL PRIMARY KEY,
  tenant_id uuid NOT NULL,
  table_name varchar NOT NULL,
  record_id uuid NOT NULL,
  action varchar NOT NULL,
  user_id uuid,
  user_email varchar,
  "timestamp" timestamp without time zone DEFAULT now(),
  old_values jsonb,
  new_values jsonb,
  changed_fields varchar[],
  ip_address inet,
  user_agent text,
  api_endpoint varchar,
  search_vector tsvector GENERATED ALWAYS AS (to_tsvector('english', coalesce(table_name, '') || ' ' || coalesce(action, '') || ' ' || coalesce(user_email, ''))) STORED,
  FOREIGN KEY (tenant_id) REFERENCES tenants(id) ON DELETE CASCADE
);

CREATE TABLE system_events (
  id uuid DEFAULT gen_random_uuid() NOT NULL PRIMARY KEY,
  tenant_id uuid,
  event_type varchar NOT NULL,
  event_name varchar NOT NULL,
  severity varchar DEFAULT 'info',
  message text,
  data jsonb DEFAULT '{}',
  source varchar,
  user_id uuid,
  ip_address inet,
  execution_time_ms integer,
  memory_usage_mb integer,
  created_at timestamp without time zone DEFAULT now(),
  FOREIGN KEY (tenant_id) REFERENCES tenants(id) ON DELETE CASCADE
);

CREATE INDEX idx_crm_accounts_tenant ON crm_accounts (tenant_id);
CREATE INDEX idx_crm_deals_tenant ON crm_deals (tenant_id, contact_id);
CREATE INDEX idx_crm_activities_tenant ON crm_activities (tenant_id, contact_id);
CREATE INDEX idx_crm_activities_external ON crm_activities (tenant_id, integration_source, external_id);
