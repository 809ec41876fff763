-- Leaf `index` of log `n` is row n << 40 | index, so a range of a log is a range of rows. Large columns come last: the
-- small ones are read without touching overflow pages.

create table logs (
    log_number integer primary key,
    log_id text not null unique,
    origin text not null unique,
    tenant_id text unique
) strict;

create table heads (
    log_number integer primary key references logs,
    size integer not null check (size >= 0),
    root blob not null check (length(root) = 32),
    checkpoint text not null,
    last_governing integer not null,
    last_id blob not null check (length(last_id) = 16)
) strict;

create table entries (
    position integer primary key,
    event_id blob not null check (length(event_id) = 16),
    type text not null,
    governing integer not null check (governing in (0, 1)),
    recorded_at integer not null,
    key_id text,
    agent_id text,
    tool_name text,
    verdict text,
    mode text,
    env text,
    dedup blob,
    request blob,
    data_key blob,
    leaf blob not null,
    sealed blob
) strict;

-- One entry per call, whatever races. The key is a keyed digest that differs between logs.
create unique index entries_dedup on entries (dedup) where dedup is not null;

-- What a fold reads at start.
create index entries_governing on entries (position) where governing = 1;

-- Full tiles, row log_number << 40 | level << 36 | number.
create table tiles (
    position integer primary key,
    root blob not null check (length(root) = 32),
    hashes blob not null check (length(hashes) = 16352)
) strict;

create table committed_heads (
    root_index integer not null,
    position integer not null,
    log_number integer not null references logs,
    size integer not null,
    checkpoint text not null,
    line blob not null,
    primary key (root_index, position)
) strict, without rowid;

-- Which commitment covers an entry: the first with a larger size. A log occurs once in a heads tree.
create unique index committed_heads_log on committed_heads (log_number, size, root_index);

create table days (
    date text primary key,
    entry_index integer not null unique,
    checkpoint text not null
) strict, without rowid;

create table vault (
    name text primary key,
    box blob not null
) strict, without rowid;

create table notes (
    name text primary key,
    text text not null
) strict, without rowid;
