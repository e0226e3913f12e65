select view, number, version, state, checkpoint,
       (select count(*) from parked where parked.view = generation.view and parked.number = generation.number)
from generation
order by view, number
