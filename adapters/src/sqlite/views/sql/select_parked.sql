select stream, position, version, error, since_ms from parked where view = ?1 and number = ?2 order by stream
