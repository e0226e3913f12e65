select e.position, s.name, e.version, e.type, e.event_id, e.leaf, e.record
from event e
join stream s on s.id = e.stream
where e.position > ?1 and e.position <= ?2
order by e.position
