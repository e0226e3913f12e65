-- The log itself: streams, events and claims. The record is kept byte for byte; every other column
-- of `event` is an index of it and proves nothing. Positions and versions are dense, which the
-- triggers insist on, so that a hole is always a loss and never a rolled-back number.

create table store (
    one integer primary key constraint store_is_one check (one = 1),
    uuid blob not null constraint store_uuid_length check (length(uuid) = 16),
    epoch integer not null constraint store_epoch_range check (epoch between 0 and 4294967295)
) strict;

create table stream (
    id integer primary key,
    name text not null constraint stream_name_unique unique
) strict;

create table event (
    position integer primary key,
    stream integer not null constraint event_stream_known references stream (id),
    version integer not null,
    category text not null,
    type text not null,
    event_id blob not null constraint event_id_length check (length(event_id) = 16),
    leaf blob not null constraint event_leaf_length check (length(leaf) = 32),
    record blob not null constraint event_record_length check (length(record) <= 65535),
    constraint event_version_unique unique (stream, version),
    constraint event_id_unique unique (event_id)
) strict;

create table claim (
    space text not null,
    key blob not null constraint claim_key_length check (length(key) = 32),
    owner text not null,
    detail integer not null,
    generation integer not null constraint claim_generation_positive check (generation > 0),
    primary key (space, key)
) strict, without rowid;

-- A row that is written and emptied again to learn whether a full disk has space by now.
create table space_probe (
    one integer primary key constraint space_probe_is_one check (one = 1),
    filler blob not null
) strict;

insert into space_probe (one, filler) values (1, x'');

create trigger event_never_changes before update on event
begin
    select raise(abort, 'events are never changed');
end;

create trigger event_never_goes before delete on event
begin
    select raise(abort, 'events are never deleted');
end;

create trigger event_leaves_no_gap before insert on event
when new.position <> coalesce((select max(position) from event), 0) + 1
    or new.version <> coalesce((select max(version) from event where stream = new.stream), -1) + 1
begin
    select raise(abort, 'positions and versions are dense');
end;

create trigger stream_never_changes before update on stream
begin
    select raise(abort, 'streams are never renamed');
end;

create trigger stream_never_goes before delete on stream
begin
    select raise(abort, 'streams are never deleted');
end;

create trigger claim_never_goes before delete on claim
begin
    select raise(abort, 'claims are never released');
end;

create trigger store_never_goes before delete on store
begin
    select raise(abort, 'a store keeps its identity');
end;
