-- Leases, excerpts of answers and small notes. Losing this file harms nothing that was promised: at
-- most something is tried a second time or too early. It is kept apart from the log because
-- excerpts may hold personal data and must be erasable.

create table lease (
  key      text    not null primary key,
  owner    text    not null,
  -- Fences late holders; goes up with every holder.
  epoch    integer not null check (epoch > 0),
  until_ms integer not null
) strict, without rowid;

create table excerpt (
  delivery   text    not null,
  generation integer not null,
  attempt_no integer not null,
  nonce      blob    not null check (length(nonce) = 32),
  bytes      blob    not null,
  at_ms      integer not null,
  primary key (delivery, generation, attempt_no)
) strict;

create index excerpt_by_age on excerpt (at_ms);

create table note (
  key   text not null primary key,
  value blob not null
) strict, without rowid;
