create table data_keys (
    key_id blob primary key,
    log_number integer not null,
    bucket blob not null,
    day integer not null,          -- days since 1970-01-01, UTC
    sealed blob not null
) strict, without rowid;

create index data_keys_bucket on data_keys (log_number, bucket, day);

-- Keys that nothing new is sealed under, because what they open is being erased. `size` is that of the log at the time.
create table retired_keys (
    key_id blob primary key,
    size integer not null
) strict, without rowid;
