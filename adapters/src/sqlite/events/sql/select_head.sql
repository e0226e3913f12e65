select max(position) from event
