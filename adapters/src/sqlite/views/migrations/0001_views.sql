-- Views are copies of what the log says and may be dropped at any time. Which copies exist, which
-- one readers see, and where each stands is kept beside the rows, so that it changes together with
-- them. The tables of the rows themselves come and go with their generation.

create table view (
  name        text    not null primary key,
  -- Numbers are never used again, so that an old reader cannot meet new rows under an old number.
  last_number integer not null check (last_number > 0)
) strict, without rowid;

create table generation (
  view       text    not null references view (name),
  number     integer not null check (number > 0),
  version    integer not null check (version >= 0),
  state      text    not null check (state in ('building', 'shadow', 'live', 'previous')),
  -- JSON of the last event taken in; nothing before the first.
  checkpoint text,
  primary key (view, number)
) strict, without rowid;

create unique index generation_one_live on generation (view) where state = 'live';

create table parked (
  view     text    not null,
  number   integer not null,
  stream   text    not null,
  position text    not null,
  version  integer not null,
  error    text    not null,
  since_ms integer not null,
  primary key (view, number, stream),
  foreign key (view, number) references generation (view, number) on delete cascade
) strict, without rowid;
