-- The schema of a new database. A test holds it against the migrations applied one after the other.
-- Every key begins with the log, and no transaction needs two tenants' logs, so that logs can be spread over machines.

create table schema_version (
    version integer primary key
);

create table logs (
    log_number integer primary key,
    log_id text not null unique,
    origin text not null unique,
    tenant_id text unique
);

-- One row a log, changed by every commit: room on its page keeps the change there, without touching an index.
create table heads (
    log_number integer primary key references logs,
    size bigint not null check (size >= 0),
    root bytea not null check (octet_length(root) = 32),
    checkpoint text not null,
    last_governing bigint not null,
    last_id bytea not null check (octet_length(last_id) = 16)
) with (fillfactor = 10);

-- Columns of fixed width first, so that nothing is lost to alignment; the large ones last.
create table entries (
    leaf_index bigint not null,
    recorded_at bigint not null,
    log_number integer not null,
    governing boolean not null,
    event_id bytea not null check (octet_length(event_id) = 16),
    type text not null,
    key_id text,
    agent_id text,
    tool_name text,
    verdict text,
    mode text,
    env text,
    dedup bytea,
    request bytea,
    data_key bytea,
    leaf bytea not null,
    sealed bytea,
    -- Two writers with the same head would write the same indexes: the last line of defence against a fork.
    primary key (log_number, leaf_index)
);

-- Ciphertext and hashes do not compress; trying costs time.
alter table entries alter column leaf set storage external;
alter table entries alter column sealed set storage external;

-- One entry per call, whatever races.
create unique index entries_dedup on entries (log_number, dedup) where dedup is not null;

-- What a fold reads at start.
create index entries_governing on entries (log_number, leaf_index) where governing;

create table tiles (
    log_number integer not null,
    level smallint not null,
    number bigint not null,
    root bytea not null check (octet_length(root) = 32),
    hashes bytea not null check (octet_length(hashes) = 16352),
    primary key (log_number, level, number)
);

alter table tiles alter column hashes set storage external;

create table committed_heads (
    root_index bigint not null,
    position integer not null,
    log_number integer not null references logs,
    size bigint not null,
    checkpoint text not null,
    line bytea not null,
    primary key (root_index, position)
);

-- Which commitment covers an entry: the first with a larger size. A log occurs once in a heads tree.
create unique index committed_heads_log on committed_heads (log_number, size, root_index);

create table days (
    date text primary key,
    entry_index bigint not null unique,
    checkpoint text not null
);

create table vault (
    name text primary key,
    box bytea not null
);

create table notes (
    name text primary key,
    text text not null
);
