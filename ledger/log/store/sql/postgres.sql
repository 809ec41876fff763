-- lock_heads --
-- By number, so that two transactions over the same logs wait for each other and never in a circle.
select log_number, size, root, checkpoint, last_governing, last_id from heads
where log_number = any(%(numbers)s) order by log_number for update;

-- end_hung_writers --
-- Neither timeout reaches a session that waits for the rest of its rows. Ending it there is safe: nothing is committed.
select count(pg_terminate_backend(pid)) from pg_stat_activity
where application_name = current_setting('application_name') and datname = current_database() and usename = current_user
    and pid <> pg_backend_pid() and state = 'active' and wait_event = 'ClientRead'
    and xact_start < clock_timestamp() - make_interval(secs => %s);

-- copy_entries --
copy entries (leaf_index, recorded_at, log_number, governing, event_id, type, key_id, agent_id, tool_name, verdict, mode,
    env, dedup, request, data_key, leaf, sealed) from stdin (format binary);

-- insert_log --
insert into logs (log_number, log_id, origin, tenant_id) values (%s, %s, %s, %s);

-- insert_head --
insert into heads (size, root, checkpoint, last_governing, last_id, log_number) values (%s, %s, %s, %s, %s, %s);

-- advance_head --
update heads set size = %s, root = %s, checkpoint = %s, last_governing = %s, last_id = %s where log_number = %s;

-- insert_tile --
insert into tiles (log_number, level, number, root, hashes) values (%s, %s, %s, %s, %s);

-- insert_committed_head --
insert into committed_heads (root_index, position, log_number, size, checkpoint, line) values (%s, %s, %s, %s, %s, %s);

-- insert_day --
insert into days (date, entry_index, checkpoint) values (%s, %s, %s);

-- insert_secret --
insert into vault (name, box) values (%s, %s);

-- put_secret --
insert into vault (name, box) values (%s, %s) on conflict (name) do update set box = excluded.box;

-- keep_secret --
insert into vault (name, box) values (%s, %s) on conflict (name) do nothing;

-- delete_secret --
delete from vault where name = %s;

-- put_note --
insert into notes (name, text) values (%s, %s) on conflict (name) do update set text = excluded.text;

-- select_known --
select dedup, leaf_index, event_id, request from entries
where log_number = any(%(numbers)s) and dedup = any(%(keys)s);

-- select_logs --
select log_number, log_id, origin, tenant_id from logs order by log_number;

-- select_heads --
select log_number, size, root, checkpoint, last_governing, last_id from heads;

-- select_head --
select log_number, size, root, checkpoint, last_governing, last_id from heads where log_number = %s;

-- select_positions --
select log_number, size, last_governing from heads where log_number = any(%s);

-- select_leaves --
select leaf from entries where log_number = %s and leaf_index >= %s and leaf_index < %s order by leaf_index;

-- select_rows --
select leaf_index, event_id, type, governing, recorded_at, key_id, agent_id, tool_name, verdict, mode, env, dedup, request,
    data_key, leaf, sealed
from entries where log_number = %s and leaf_index >= %s and leaf_index < %s order by leaf_index;

-- select_governing --
select leaf_index, leaf from entries where governing and log_number = %s and leaf_index >= %s
order by leaf_index limit 1000;

-- find --
-- A binary search by the order of ids, in one question: no index is kept for it.
with recursive probe (low, high, found) as (
    select 0::bigint, size, null::bigint from heads where log_number = %(log)s
    union all
    select
        case when e.event_id < %(id)s then e.leaf_index + 1 else p.low end,
        case when e.event_id > %(id)s then e.leaf_index else p.high end,
        case when e.event_id = %(id)s then e.leaf_index end
    from probe p join entries e on e.log_number = %(log)s and e.leaf_index = (p.low + p.high) / 2
    where p.found is null and p.low < p.high
)
select leaf_index, event_id, type, governing, recorded_at, key_id, agent_id, tool_name, verdict, mode, env, dedup, request,
    data_key, leaf, sealed
from entries where log_number = %(log)s and leaf_index = (select found from probe where found is not null);

-- select_sealed --
select sealed, data_key from entries where log_number = %s and leaf_index = %s;

-- select_under_keys --
select leaf_index, event_id, type, governing, recorded_at, key_id, agent_id, tool_name, verdict, mode, env, dedup, request,
    data_key, leaf, sealed
from entries where log_number = %s and leaf_index >= %s and leaf_index < %s and data_key = any(%s) order by leaf_index;

-- reseal --
update entries set data_key = %s, sealed = %s, request = case when %s then null else request end
where log_number = %s and leaf_index = %s and data_key = %s;

-- lock_work --
select pg_try_advisory_lock(hashtextextended(%s, 0));

-- search --
-- The same in order, without its `desc`, is what a search onward asks.
select leaf_index, leaf from entries
where log_number = %(log)s and leaf_index >= %(start)s and leaf_index < %(stop)s
    and (%(types)s::text[] is null or type = any(%(types)s))
    and (%(agents)s::text[] is null or agent_id = any(%(agents)s))
    and (%(envs)s::text[] is null or env = any(%(envs)s))
    and (%(key_id)s::text is null or key_id = %(key_id)s)
    and (%(tool_name)s::text is null or tool_name = %(tool_name)s)
    and (%(verdict)s::text is null or verdict = %(verdict)s)
    and (%(mode)s::text is null or mode = %(mode)s)
    and (%(only_env)s::text is null or env is null or env = %(only_env)s)
    and (%(since)s::bigint is null or recorded_at >= %(since)s)
    and (%(until)s::bigint is null or recorded_at < %(until)s)
    and (%(text)s::bytea is null or position(%(text)s::bytea in leaf) > 0)
order by leaf_index desc limit %(limit)s;

-- count_calls --
select coalesce(agent_id, ''), recorded_at / 86400000, count(*) from entries
where log_number = %s and leaf_index >= %s and leaf_index < %s and type = any(%s) group by 1, 2;

-- select_tile --
select hashes from tiles where log_number = %s and level = %s and number = %s;

-- select_tile_roots --
select root from tiles where log_number = %s and level = %s and number >= %s and number < %s order by number;

-- select_secret --
select box from vault where name = %s;

-- select_secrets --
select name, box from vault order by name;

-- select_committed_sizes --
-- Asked for log by log: the newest of each is one step in the index, while grouping walks all there ever were.
select log_number, size
from (select log_number, (select max(c.size) from committed_heads c where c.log_number = l.log_number) as size
    from logs l) newest
where size is not null;

-- select_committed_heads --
select root_index, position, log_number, size, checkpoint, line from committed_heads
where root_index >= %s and root_index < %s order by root_index, position;

-- select_covering_head --
select root_index, position, log_number, size, checkpoint, line from committed_heads
where log_number = %s and size > %s order by size, root_index limit 1;

-- select_days --
select date, entry_index, checkpoint from days order by date;

-- select_day --
select date, entry_index, checkpoint from days where date = %s;

-- select_notes --
select name, text from notes order by name;

-- select_note --
select text from notes where name = %s;

-- select_invalid_indexes --
select indexrelid::regclass::text from pg_index i join pg_class c on c.oid = i.indexrelid
where not i.indisvalid and c.relnamespace = current_schema()::regnamespace;

-- select_next_entry --
select log_number, leaf_index from entries where (log_number, leaf_index) >= (%s, %s)
order by log_number, leaf_index limit 1;

-- select_next_tile --
select log_number, level, number from tiles where (log_number, level, number) >= (%s, %s, %s)
order by log_number, level, number limit 1;
