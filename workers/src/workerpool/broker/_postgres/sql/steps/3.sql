-- The attempt before ended without an outcome: its worker died. Kept when a job is handed back.
ALTER TABLE workerpool.jobs ADD COLUMN redelivered boolean NOT NULL DEFAULT false;
