insert into view (name, last_number) values (?1, 1)
on conflict (name) do update set last_number = last_number + 1
returning last_number
