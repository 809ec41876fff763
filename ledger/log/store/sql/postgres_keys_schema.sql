create table if not exists data_keys (
    key_id bytea primary key,
    log_number integer not null,
    bucket bytea not null,
    day integer not null,          -- days since 1970-01-01, UTC
    sealed bytea not null
);

create index if not exists data_keys_bucket on data_keys (log_number, bucket, day);

-- Keys that nothing new is sealed under, because what they open is being erased. `size` is that of the log at the time.
create table if not exists retired_keys (
    key_id bytea primary key,
    size bigint not null
);
