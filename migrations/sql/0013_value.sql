-- Money of the next twelve months with its interval and method, and how much of the chance of the
-- churn date lies in its interval.
ALTER TABLE customer_health_scores
  ADD COLUMN predicted_ltv_low numeric(10, 2),
  ADD COLUMN predicted_ltv_high numeric(10, 2),
  ADD COLUMN ltv_method text CHECK (ltv_method IN ('bg_nbd', 'survival', 'trees')),
  ADD COLUMN churn_date_share double precision CHECK (churn_date_share BETWEEN 0 AND 1);
