-- insert_log --
insert into logs (log_number, log_id, origin, tenant_id) values (?, ?, ?, ?);

-- insert_head --
insert into heads (log_number, size, root, checkpoint, last_governing, last_id) values (?, ?, ?, ?, ?, ?);

-- advance_head --
-- The sizes are compared although the lock is held: it is the last line of defence against two writers.
update heads set size = ?, root = ?, checkpoint = ?, last_governing = ?, last_id = ? where log_number = ? and size = ?;

-- insert_entry --
insert into entries (position, event_id, type, governing, recorded_at, key_id, agent_id, tool_name, verdict, mode, env,
    dedup, request, data_key, leaf, sealed)
values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- insert_tile --
insert into tiles (position, root, hashes) values (?, ?, ?);

-- insert_committed_head --
insert into committed_heads (root_index, position, log_number, size, checkpoint, line) values (?, ?, ?, ?, ?, ?);

-- insert_day --
insert into days (date, entry_index, checkpoint) values (?, ?, ?);

-- insert_secret --
insert into vault (name, box) values (?, ?);

-- put_secret --
insert into vault (name, box) values (?, ?) on conflict (name) do update set box = excluded.box;

-- keep_secret --
insert into vault (name, box) values (?, ?) on conflict (name) do nothing;

-- delete_secret --
delete from vault where name = ?;

-- put_note --
insert into notes (name, text) values (?, ?) on conflict (name) do update set text = excluded.text;

-- select_known --
-- The placeholder is repeated as often as there are keys.
select dedup, position, event_id, request from entries where dedup in (?);

-- select_logs --
select log_number, log_id, origin, tenant_id from logs order by log_number;

-- select_heads --
select log_number, size, root, checkpoint, last_governing, last_id from heads;

-- select_head --
select size, root, checkpoint, last_governing, last_id from heads where log_number = ?;

-- select_leaves --
select leaf from entries where position >= ? and position < ? order by position;

-- select_rows --
select position & 1099511627775, event_id, type, governing, recorded_at, key_id, agent_id, tool_name, verdict, mode, env,
    dedup, request, data_key, leaf, sealed
from entries where position >= ? and position < ? order by position;

-- select_governing --
select position, leaf from entries where governing = 1 and position >= ? and position < ? order by position limit 1000;

-- select_sealed --
select sealed, data_key from entries where position = ?;

-- search --
-- The same in order, without its `desc`, is what a search onward asks.
select position, leaf from entries
where position >= :start and position < :stop
    and (:types is null or type in (select value from json_each(:types)))
    and (:agents is null or agent_id in (select value from json_each(:agents)))
    and (:envs is null or env in (select value from json_each(:envs)))
    and (:key_id is null or key_id = :key_id)
    and (:tool_name is null or tool_name = :tool_name)
    and (:verdict is null or verdict = :verdict)
    and (:mode is null or mode = :mode)
    and (:only_env is null or env is null or env = :only_env)
    and (:since is null or recorded_at >= :since)
    and (:until is null or recorded_at < :until)
    and (:text is null or instr(leaf, :text) > 0)
order by position desc limit :limit;

-- select_under_keys --
select position & 1099511627775, event_id, type, governing, recorded_at, key_id, agent_id, tool_name, verdict, mode, env,
    dedup, request, data_key, leaf, sealed
from entries where position >= ? and position < ? and hex(data_key) in (select value from json_each(?)) order by position;

-- reseal --
update entries set data_key = ?, sealed = ?, request = case when ? then null else request end
where position = ? and data_key = ?;

-- count_calls --
select coalesce(agent_id, ''), recorded_at / 86400000, count(*) from entries
where position >= ? and position < ? and type in (select value from json_each(?)) group by 1, 2;

-- select_tile --
select hashes from tiles where position = ?;

-- select_tile_roots --
select root from tiles where position >= ? and position < ? order by position;

-- select_secret --
select box from vault where name = ?;

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
where root_index >= ? and root_index < ? order by root_index, position;

-- select_covering_head --
select root_index, position, log_number, size, checkpoint, line from committed_heads
where log_number = ? and size > ? order by size, root_index limit 1;

-- select_days --
select date, entry_index, checkpoint from days order by date;

-- select_day --
select date, entry_index, checkpoint from days where date = ?;

-- select_notes --
select name, text from notes order by name;

-- select_note --
select text from notes where name = ?;

-- select_next_entry --
select position from entries where position >= ? order by position limit 1;

-- select_next_tile --
select position from tiles where position >= ? order by position limit 1;
