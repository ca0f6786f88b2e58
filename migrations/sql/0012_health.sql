-- How a contact's texts sound, what a contact's history is made of, and how health is kept.

-- One row per rated text: by whom, how it sounds (-1 angry to 1 delighted) and how sure that is.
-- A null score: looked at, and nothing can be said. `known_at`: when it was rated; for texts of an
-- imported history when they were written.
CREATE TABLE keepwell.activity_sentiment (
  tenant_id uuid NOT NULL,
  activity_id uuid NOT NULL,
  contact_id uuid NOT NULL,
  model text NOT NULL,
  score double precision CHECK (score BETWEEN -1 AND 1),
  positive_probability double precision CHECK (positive_probability BETWEEN 0 AND 1),
  text_sha256 bytea NOT NULL,
  written_at timestamptz NOT NULL,
  known_at timestamptz NOT NULL,
  rated_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  PRIMARY KEY (tenant_id, activity_id)
);
CREATE INDEX activity_sentiment_of_contact
  ON keepwell.activity_sentiment (tenant_id, contact_id, written_at);

CREATE INDEX keepwell_contacts_of_account ON crm_contacts (tenant_id, account_id)
  WHERE account_id IS NOT NULL;
CREATE INDEX keepwell_memberships_of_contact ON crm_campaign_memberships (tenant_id, contact_id);

-- Everything that features look at: reported events, and what rows of the CRM amount to. The CRM
-- keeps the present state of a row alone, so only what can't have changed since is read from it.
CREATE VIEW keepwell.history WITH (security_invoker = true) AS
SELECT tenant_id, source, external_id, contact_id, type, occurred_at, known_at,
       -- an answer finds the message it answers by the decision that both name
       coalesce(subject, CASE WHEN type LIKE 'message.%' THEN 'message:' || decision_id::text END)
         AS subject,
       amount_cents, starts_at, value, properties
  FROM keepwell.events
UNION ALL
SELECT a.tenant_id, 'crm', 'activity:' || a.id::text, a.contact_id,
       CASE WHEN a.channel = 'meeting' THEN 'activity.meeting'
            ELSE 'activity.' || a.channel || CASE WHEN a.inbound THEN '_in' ELSE '_out' END END,
       a.at, a.at, 'channel:' || a.channel, NULL, NULL, NULL, NULL
  FROM (SELECT tenant_id, id, contact_id, lower(direction) IN ('inbound', 'incoming', 'in') AS inbound,
               CASE lower(activity_type)
                 WHEN 'email' THEN 'email' WHEN 'sms' THEN 'sms' WHEN 'text' THEN 'sms'
                 WHEN 'call' THEN 'call' WHEN 'phone' THEN 'call' WHEN 'phone_call' THEN 'call'
                 WHEN 'meeting' THEN 'meeting' END AS channel,
               greatest(created_at, completed_at) AT TIME ZONE 'UTC' AS at
          FROM crm_activities
         WHERE tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
           AND (is_completed OR lower(activity_type) IN ('email', 'sms', 'text'))) a
 WHERE a.channel IS NOT NULL AND a.at IS NOT NULL
UNION ALL
SELECT tenant_id, 'crm', 'sentiment:' || activity_id::text, contact_id, 'message.rated', written_at,
       known_at, NULL, NULL, NULL, score, NULL
  FROM keepwell.activity_sentiment WHERE score IS NOT NULL
UNION ALL
SELECT tenant_id, 'crm', 'deal:' || id::text || ':opened', contact_id, 'deal.opened',
       created_at AT TIME ZONE 'UTC', created_at AT TIME ZONE 'UTC', 'deal:' || id::text,
       NULL, NULL, NULL, NULL
  FROM crm_deals
 WHERE tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
   AND created_at IS NOT NULL
UNION ALL
-- a day without a time of day is over when it is over
SELECT tenant_id, 'crm', 'deal:' || id::text || ':closed', contact_id,
       CASE WHEN lower(stage) LIKE '%won%' THEN 'deal.won' ELSE 'deal.lost' END,
       (actual_close_date + 1)::timestamp AT TIME ZONE 'UTC',
       greatest((actual_close_date + 1)::timestamp, created_at) AT TIME ZONE 'UTC',
       'deal:' || id::text, (deal_value * 100)::bigint, NULL, NULL, NULL
  FROM crm_deals
 WHERE tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
   AND actual_close_date IS NOT NULL
UNION ALL
SELECT tenant_id, 'crm', 'campaign:' || campaign_id::text, contact_id, 'campaign.joined',
       joined_at AT TIME ZONE 'UTC', joined_at AT TIME ZONE 'UTC', NULL, NULL, NULL, NULL, NULL
  FROM crm_campaign_memberships
 WHERE tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
   AND joined_at IS NOT NULL
UNION ALL
-- the twelve that came first: a company may have thousands, and a household has not
SELECT c.tenant_id, 'crm', 'member:' || m.id::text, c.id, 'household.joined',
       m.created_at AT TIME ZONE 'UTC', m.created_at AT TIME ZONE 'UTC', NULL, NULL, NULL, NULL, NULL
  FROM crm_contacts c
 CROSS JOIN LATERAL (
       SELECT o.id, o.created_at FROM crm_contacts o
        WHERE o.tenant_id = c.tenant_id AND o.account_id = c.account_id AND o.id <> c.id
          AND o.created_at IS NOT NULL
        ORDER BY o.created_at, o.id LIMIT 12) m
 WHERE c.tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
   AND c.account_id IS NOT NULL;

-- What the product adds to a health score: each part with its inputs, the sum of the parts, and how
-- the level came about.
ALTER TABLE customer_health_scores
  ADD COLUMN components jsonb,
  ADD COLUMN component_score integer,
  ADD COLUMN churn_date_from date,
  ADD COLUMN churn_date_to date,
  ADD COLUMN confidence_reason text,
  ADD COLUMN level_reason text,
  ADD COLUMN override_id bigint;
CREATE INDEX customer_health_scores_by_risk
  ON customer_health_scores (tenant_id, as_of DESC, hazard_90d DESC, contact_id);

-- What a person knows better than the model, until it expires or is lifted.
CREATE TABLE keepwell.health_overrides (
  tenant_id uuid NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  contact_id uuid NOT NULL,
  health_score integer CHECK (health_score BETWEEN 0 AND 100),
  risk_level text CHECK (risk_level IN ('low', 'medium', 'high', 'critical')),
  reason text NOT NULL CHECK (length(reason) BETWEEN 3 AND 1000),
  author text NOT NULL,
  made_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  expires_at timestamptz NOT NULL,
  lifted_at timestamptz,
  lifted_by text,
  PRIMARY KEY (tenant_id, id),
  CHECK (health_score IS NOT NULL OR risk_level IS NOT NULL),
  CHECK (expires_at > made_at)
);
CREATE INDEX health_overrides_of_contact ON keepwell.health_overrides (tenant_id, contact_id);

-- A model's description: data window, calibration, levels; and which comparison let it in.
ALTER TABLE keepwell.models
  ADD COLUMN facts jsonb NOT NULL DEFAULT '{}',
  ADD COLUMN promoted_at timestamptz;

-- Champion against challenger on the same contacts at the same origins; never changed.
CREATE TABLE keepwell.model_trials (
  tenant_id uuid NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  challenger text NOT NULL,
  champion text,
  promoted boolean NOT NULL,
  result jsonb NOT NULL,
  made_by text NOT NULL,
  made_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  PRIMARY KEY (tenant_id, id)
);

-- One look at drift per tenant and moment; the newest of a month is that month's report.
CREATE TABLE keepwell.drift_reports (
  tenant_id uuid NOT NULL,
  as_of timestamptz NOT NULL,
  model_digest text,
  result jsonb NOT NULL,
  alerts jsonb NOT NULL DEFAULT '[]',
  made_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  PRIMARY KEY (tenant_id, as_of)
);

-- Weights of the parts of health and bounds of the risk levels: every version kept, the newest holds.
CREATE TABLE keepwell.health_settings (
  tenant_id uuid NOT NULL,
  version integer NOT NULL,
  settings jsonb NOT NULL,
  made_by text NOT NULL,
  reason text NOT NULL DEFAULT '',
  made_at timestamptz NOT NULL DEFAULT keepwell.clock(),
  PRIMARY KEY (tenant_id, version)
);
