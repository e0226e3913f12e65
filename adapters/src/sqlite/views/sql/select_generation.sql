select number, version, state, checkpoint from generation where view = ?1 and number = ?2
