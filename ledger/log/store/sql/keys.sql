-- select_of_bucket --
-- Two processes may have made a key each; from then on both use the same one.
select key_id, sealed from data_keys where log_number = %s and bucket = %s and day = %s
    and not exists (select 1 from retired_keys where retired_keys.key_id = data_keys.key_id)
order by key_id limit 1;

-- select_in_bucket --
select key_id from data_keys where log_number = %s and bucket = %s order by key_id;

-- select_before_day --
select key_id from data_keys where log_number = %s and day < %s order by key_id;

-- select_unusable --
-- Of one key: gone, or retired.
select 1 where not exists (select 1 from data_keys where key_id = %s)
    or exists (select 1 from retired_keys where key_id = %s);

-- select_retired --
select data_keys.key_id, log_number, size from retired_keys join data_keys on data_keys.key_id = retired_keys.key_id
order by data_keys.key_id;

-- retire --
insert into retired_keys (key_id, size) values (%s, %s) on conflict (key_id) do nothing;

-- reseal --
update data_keys set sealed = %s where key_id = %s;

-- destroy --
delete from data_keys where key_id = %s;

-- forget_retired --
delete from retired_keys where key_id = %s;

-- select_of_id --
select key_id, log_number, bucket, day, sealed from data_keys where key_id = %s;

-- select_after --
select key_id, log_number, bucket, day, sealed from data_keys where key_id > %s order by key_id limit 1000;

-- insert --
insert into data_keys (key_id, log_number, bucket, day, sealed) values (%s, %s, %s, %s, %s) on conflict (key_id) do nothing;
