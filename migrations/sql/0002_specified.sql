-- The five tables the customer specified, beside the CRM's own, plus what the product adds to them.

CREATE TABLE customer_health_scores (
  id uuid DEFAULT gen_random_uuid() NOT NULL PRIMARY KEY,
  contact_id uuid,
  account_id uuid,
  tenant_id uuid,
  overall_health_score integer,
  churn_probability numeric(3,2),
  churn_risk_level text,
  engagement_score integer,
  satisfaction_score integer,
  payment_behavior_score integer,
  communication_responsiveness_score integer,
  predicted_ltv numeric(10,2),
  predicted_churn_date date,
  retention_probability numeric(3,2),
  risk_factors jsonb,
  positive_indicators jsonb,
  recommended_actions jsonb,
  analysis_date timestamptz DEFAULT now(),
  model_version text,
  confidence_level numeric(3,2),
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now(),
  CHECK (((churn_probability >= (0)::numeric) AND (churn_probability <= (1)::numeric))),
  CHECK ((churn_risk_level = ANY (ARRAY['low'::text, 'medium'::text, 'high'::text, 'critical'::text]))),
  CHECK (((overall_health_score >= 0) AND (overall_health_score <= 100)))
);

CREATE TABLE customer_journey_stages (
  id uuid DEFAULT gen_random_uuid() NOT NULL PRIMARY KEY,
  tenant_id uuid,
  stage_name text NOT NULL,
  stage_order integer NOT NULL,
  industry text,
  typical_duration_days integer,
  success_criteria jsonb,
  risk_indicators jsonb,
  automated_actions jsonb,
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now()
);

CREATE TABLE customer_journey_progress (
  id uuid DEFAULT gen_random_uuid() NOT NULL PRIMARY KEY,
  contact_id uuid,
  account_id uuid,
  journey_stage_id uuid,
  tenant_id uuid,
  entered_stage_date timestamptz,
  expected_exit_date timestamptz,
  actual_exit_date timestamptz,
  stage_completion_percentage integer DEFAULT 0,
  milestone_achievements jsonb,
  blockers_encountered jsonb,
  satisfaction_score integer,
  success_probability numeric(3,2),
  recommended_interventions jsonb,
  next_best_actions jsonb,
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now()
);

CREATE TABLE retention_campaigns (
  id uuid DEFAULT gen_random_uuid() NOT NULL PRIMARY KEY,
  base_campaign_id uuid,
  tenant_id uuid,
  trigger_type text NOT NULL,
  trigger_conditions jsonb,
  target_health_score_range int4range,
  ai_optimization_enabled boolean DEFAULT true,
  content_variants jsonb,
  timing_optimization jsonb,
  channel_preferences jsonb,
  churn_prevention_count integer DEFAULT 0,
  ltv_improvement_amount numeric(10,2),
  engagement_improvement_percentage numeric(5,2),
  created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now()
);

CREATE TABLE communication_insights (
  id uuid DEFAULT gen_random_uuid() NOT NULL PRIMARY KEY,
  contact_id uuid,
  tenant_id uuid,
  optimal_contact_time time,
  optimal_contact_day text,
  preferred_communication_channel text,
  response_probability_by_channel jsonb,
  email_engagement_pattern jsonb,
  sms_engagement_pattern jsonb,
  call_response_pattern jsonb,
  next_contact_recommendation timestamptz,
  recommended_message_tone text,
  recommended_content_type text,
  prediction_accuracy_score numeric(3,2),
  last_updated timestamptz DEFAULT now(),
  created_at timestamptz DEFAULT now()
);

ALTER TABLE customer_health_scores
  ADD COLUMN hazard_30d double precision,
  ADD COLUMN hazard_60d double precision,
  ADD COLUMN hazard_90d double precision,
  ADD COLUMN hazard_120d double precision,
  ADD COLUMN health_tier text,
  ADD COLUMN as_of timestamptz,
  ADD CONSTRAINT customer_health_scores_one_per_moment UNIQUE (tenant_id, contact_id, as_of);
CREATE INDEX customer_health_scores_contact ON customer_health_scores (contact_id);
CREATE INDEX customer_journey_progress_contact ON customer_journey_progress (contact_id);
CREATE INDEX communication_insights_contact ON communication_insights (contact_id);
CREATE INDEX customer_health_scores_latest
  ON customer_health_scores (tenant_id, contact_id, as_of DESC);
ALTER TABLE communication_insights
  ADD CONSTRAINT communication_insights_one_per_contact UNIQUE (tenant_id, contact_id);
