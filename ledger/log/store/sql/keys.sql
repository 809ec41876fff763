-- select_of_bucket --
-- Two processes may have made a key each; from then on both use the same one.
select key_id, sealed from data_keys where log_number = %s and bucket = %s and day = %s order by key_id limit 1;

-- select_of_id --
select key_id, log_number, bucket, day, sealed from data_keys where key_id = %s;

-- select_after --
select key_id, log_number, bucket, day, sealed from data_keys where key_id > %s order by key_id limit 1000;

-- insert --
insert into data_keys (key_id, log_number, bucket, day, sealed) values (%s, %s, %s, %s, %s) on conflict (key_id) do nothing;
