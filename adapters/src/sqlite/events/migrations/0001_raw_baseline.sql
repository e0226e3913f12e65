-- The least that can be written of a record: its bytes under a running number, with no stream, no
-- claim and no trigger. Only the benchmark makes such a file, to have something to compare with.

create table raw (
    position integer primary key,
    record blob not null
) strict;
