select generation, attempt_no, nonce, bytes, at_ms from excerpt where delivery = ?1 order by generation, attempt_no
