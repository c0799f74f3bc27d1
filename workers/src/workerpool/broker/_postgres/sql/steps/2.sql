-- Which programs can still work with the tables: those that know version `oldest` or a later one.
ALTER TABLE workerpool.schema_version ADD COLUMN oldest int NOT NULL DEFAULT 1;
