-- Wrapped keys and secrets. Nothing here is readable without the key-encryption key, and nothing
-- here belongs into the backup of the events: destroying a key erases what it sealed.
create table root (
    name text not null primary key,
    wrapped blob not null
) strict;

create table data_key (
    key_id text not null primary key,
    merchant text not null,
    purpose text not null,
    wrapped blob not null,
    kek_epoch integer not null,
    constraint data_key_scope_unique unique (merchant, purpose)
) strict;

create table tombstone (
    merchant text not null,
    purpose text not null,
    key_id text,
    erased_at integer not null,
    constraint tombstone_unique primary key (merchant, purpose),
    constraint tombstone_key_unique unique (key_id)
) strict;

create table secret (
    merchant text not null,
    purpose text not null,
    key_id text not null,
    wrapped blob not null,
    valid_from integer not null,
    valid_until integer,
    constraint secret_unique primary key (merchant, purpose, key_id)
) strict;
